"""Losses: functions with their equation."""

from mien.losses.classification import cross_entropy, distillation

__all__ = ["cross_entropy", "distillation"]
