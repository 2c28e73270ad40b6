"""Losses of classifiers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean softmax cross-entropy, −f_y + log Σ_j exp f_j.

    Source: system C, the first term of eq. 1; system A, eq. 3.
    Shape: logits (N, C) float; labels (N,) int64; returns ().
    """
    return functional.cross_entropy(logits, labels)


def distillation(logits: Tensor, labels: Tensor, teacher: Tensor, *, alpha: float) -> Tensor:
    """α·CE(one-hot) + (1−α)·KL(teacher ‖ student), averaged over the batch.

    Source: system C, eq. 1. As printed, f_j in its second term is a score; with log-probabilities in its
    place it is the Kullback-Leibler divergence that the text names, and this is that.
    Shape: logits (N, C) float; labels (N,) int64; teacher (N, C) probabilities summing to 1; returns ().
    Raises: ValueError when teacher's shape differs from logits' or alpha lies outside 0…1.
    """
    if teacher.shape != logits.shape or not 0 <= alpha <= 1:
        raise ValueError(
            f"teacher {tuple(teacher.shape)} and alpha {alpha}: expected {tuple(logits.shape)} and 0…1"
        )
    divergence = torch.xlogy(teacher, teacher) - teacher * functional.log_softmax(logits, dim=1)
    return alpha * cross_entropy(logits, labels) + (1 - alpha) * divergence.sum(dim=1).mean()
