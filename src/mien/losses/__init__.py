"""Losses: functions with their equation."""

from mien.losses.classification import CRITERIA, cross_entropy, distillation, l2_svm
from mien.losses.contrastive import all_pairs, contrast, contrastive, pairs_of
from mien.losses.variational import divergence, log_likelihood, triplet_penalty

__all__ = [
    "CRITERIA",
    "all_pairs",
    "contrast",
    "contrastive",
    "cross_entropy",
    "distillation",
    "divergence",
    "l2_svm",
    "log_likelihood",
    "pairs_of",
    "triplet_penalty",
]
