"""Losses against a loop in float64, and their gradients against finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mien.losses import CRITERIA, cross_entropy, distillation, l2_svm


def slow(logits: list[list[float]], labels: list[int], teacher: list[list[float]], alpha: float) -> float:
    """Equation 1 of system C, face by face and class by class."""
    total = 0.0
    for scores, label, soft in zip(logits, labels, teacher, strict=True):
        log_sum = math.log(sum(math.exp(score) for score in scores))
        hard = -scores[label] + log_sum
        divergence = sum(
            p * (math.log(p) - (score - log_sum)) for p, score in zip(soft, scores, strict=True) if p > 0
        )
        total += alpha * hard + (1 - alpha) * divergence
    return total / len(logits)


@given(seed=st.integers(0, 1000), alpha=st.floats(0, 1), zeros=st.booleans())
def test_distillation_against_a_loop(seed: int, alpha: float, zeros: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(5, 7, generator=generator, dtype=torch.float64) * 3
    labels = torch.randint(0, 7, (5,), generator=generator)
    teacher = torch.rand(5, 7, generator=generator, dtype=torch.float64)
    if zeros:
        teacher[:, 2] = 0
    teacher /= teacher.sum(1, keepdim=True)
    expected = slow(logits.tolist(), labels.tolist(), teacher.tolist(), alpha)
    assert float(distillation(logits, labels, teacher, alpha=alpha)) == pytest.approx(expected, abs=1e-12)


def test_only_labels_or_only_teacher() -> None:
    logits = torch.randn(4, 7, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3])
    teacher = torch.softmax(logits, 1)
    assert torch.equal(distillation(logits, labels, teacher, alpha=1.0), cross_entropy(logits, labels))
    assert float(distillation(logits, labels, teacher, alpha=0.0)) == pytest.approx(0, abs=1e-12)


def test_gradients() -> None:
    logits = torch.randn(3, 7, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([6, 0, 3])
    teacher = torch.softmax(torch.randn(3, 7, dtype=torch.float64), 1)
    assert torch.autograd.gradcheck(lambda z: distillation(z, labels, teacher, alpha=0.8), (logits,))
    assert torch.autograd.gradcheck(lambda z: cross_entropy(z, labels), (logits,))


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(2, 7\)"):
        distillation(torch.zeros(2, 7), torch.zeros(2, dtype=torch.long), torch.zeros(2, 6), alpha=0.5)
    with pytest.raises(ValueError, match=r"0…1"):
        distillation(torch.zeros(2, 7), torch.zeros(2, dtype=torch.long), torch.zeros(2, 7), alpha=1.5)


def slow_l2_svm(scores: list[list[float]], labels: list[int]) -> float:
    """Equation 4 of system A, face by face and class by class."""
    total = 0.0
    for row, label in zip(scores, labels, strict=True):
        total += sum(
            max(0.0, score - row[label] + 1) ** 2 for other, score in enumerate(row) if other != label
        )
    return total / len(scores)


@given(seed=st.integers(0, 1000), spread=st.floats(0.01, 5))
def test_l2_svm_against_a_loop(seed: int, spread: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(6, 7, generator=generator, dtype=torch.float64) * spread
    labels = torch.randint(0, 7, (6,), generator=generator)
    expected = slow_l2_svm(scores.tolist(), labels.tolist())
    assert float(l2_svm(scores, labels)) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_l2_svm_gradient_and_zero() -> None:
    scores = torch.randn(4, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 3, 6, 6])
    assert torch.autograd.gradcheck(lambda x: l2_svm(x, labels), scores.requires_grad_())
    sure = torch.full((2, 7), -1.0, dtype=torch.float64)
    sure[:, 2] = 0.5
    assert float(l2_svm(sure, torch.tensor([2, 2]))) == 0


def test_only_probabilities_of_cross_entropy_are_averaged() -> None:
    assert {name: criterion.averages for name, criterion in CRITERIA.items()} == {
        "cross_entropy": "probabilities",
        "l2_svm": "scores",
    }
