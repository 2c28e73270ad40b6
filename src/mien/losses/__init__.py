"""Losses: functions with their equation."""

from mien.losses.classification import CRITERIA, cross_entropy, distillation, l2_svm
from mien.losses.contrastive import all_pairs, contrast, contrastive, pairs_of

__all__ = [
    "CRITERIA",
    "all_pairs",
    "contrast",
    "contrastive",
    "cross_entropy",
    "distillation",
    "l2_svm",
    "pairs_of",
]
