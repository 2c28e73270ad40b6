"""Surfaces as pictures, in plain numpy: a shaded z-buffer, and a surface through the 83 landmarks."""
