"""Losses of classifiers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, answers: Tensor) -> Tensor:
    """Mean softmax cross-entropy, −f_y + log Σ_j exp f_j; to distributions a, −Σ_j a_j log softmax(f)_j.

    Source: system C, the first term of eq. 1; system A, eq. 3.
    Shape: logits (N, C) float; answers labels (N,) int64, or (N, C) float, rows summing to 1; returns ().
    """
    return functional.cross_entropy(logits, answers)


def l2_svm(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the batch of Σ over wrong classes of max(0, s_wrong − s_right + 1)².

    Source: system A, eq. 4: the L2 multi-class support-vector loss.
    Shape: logits (N, C) float, scores; labels (N,) int64; returns ().
    """
    right = logits.gather(1, labels[:, None])
    margins = (logits - right + 1).clamp_min(0).square()
    # The right class's own term is max(0, 0 + 1)², a constant.
    return margins.sum(dim=1).mean() - 1


def distillation(logits: Tensor, answers: Tensor, teacher: Tensor, *, alpha: float) -> Tensor:
    """α·CE(answers) + (1−α)·KL(teacher ‖ student), averaged over the batch; the paper's answers are labels.

    Source: system C, eq. 1. As printed, f_j in its second term is a score; with log-probabilities in its
    place it is the Kullback-Leibler divergence that the text names, and this is that.
    Shape: logits (N, C) float; answers as in `cross_entropy`; teacher (N, C), rows summing to 1; returns ().
    Raises: ValueError when teacher's shape differs from logits' or alpha lies outside 0…1.
    """
    if teacher.shape != logits.shape or not 0 <= alpha <= 1:
        raise ValueError(
            f"teacher {tuple(teacher.shape)} and alpha {alpha}: expected {tuple(logits.shape)} and 0…1"
        )
    divergence = torch.xlogy(teacher, teacher) - teacher * functional.log_softmax(logits, dim=1)
    return alpha * cross_entropy(logits, answers) + (1 - alpha) * divergence.sum(dim=1).mean()


@dataclass(frozen=True)
class Criterion:
    """A loss by name, and what test protocols of several crops average of a network trained with it."""

    loss: Callable[[Tensor, Tensor], Tensor]
    averages: Literal["probabilities", "scores"]


CRITERIA: dict[str, Criterion] = {
    "cross_entropy": Criterion(cross_entropy, "probabilities"),
    "l2_svm": Criterion(l2_svm, "scores"),
}
"""Losses on labels alone, as a recipe's `task.loss` names them (system A, III.C.3 and III.C.4)."""
