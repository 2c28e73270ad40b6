"""Faces as 83 landmarks: readers, preparation, and faces drawn from a model."""
