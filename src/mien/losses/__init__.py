"""Losses: functions with their equation."""

from mien.losses.classification import CRITERIA, cross_entropy, distillation, l2_svm

__all__ = ["CRITERIA", "cross_entropy", "distillation", "l2_svm"]
