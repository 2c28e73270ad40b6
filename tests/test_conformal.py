"""Conformal sets: the exact quantile, the promised coverage, and what the figures count."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from mien.errors import DataError
from mien.evaluation import conformal, decision
from mien.evaluation.calibration import softmax
from mien.evaluation.decision import cross_fitted_decision
from mien.evaluation.metrics import wilson


def _faces(seed: int, n: int, sharpness: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 7)) * sharpness
    labels = (softmax(logits).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return logits, labels


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(1, 99))
def test_the_threshold_is_the_largest_value_that_enough_faces_reach(
    values: list[int], hundredths: int
) -> None:
    needed = math.ceil((len(values) + 1) * Fraction(hundredths, 100))
    found = conformal.threshold(values, hundredths / 100)
    if needed > len(values):
        assert found == -math.inf
        return
    reaching = [value for value in set(values) if sum(each >= value for each in values) >= needed]
    assert found == max(reaching)


def test_a_further_face_reaches_the_threshold_exactly_as_often_as_its_rank_says() -> None:
    """Of n + 1 exchangeable faces each is the further one once: ⌈(n + 1)·coverage⌉ of them reach it."""
    rng = np.random.default_rng(0)
    for n, coverage in ((9, 0.8), (19, 0.9), (40, 0.55)):
        conformity = rng.permutation(n + 1).astype(float)
        reached = [
            conformity[i] >= conformal.threshold(np.delete(conformity, i), coverage) for i in range(n + 1)
        ]
        assert sum(reached) == math.ceil(round((n + 1) * coverage, 9))


def test_coverage_over_fits_follows_the_beta_distribution() -> None:
    """Of uniform conformities the coverage is 1 − threshold: Beta(k, n + 1 − k) (Vovk 2012)."""
    n, coverage = 99, 0.8
    rng = np.random.default_rng(1)
    covered = [1 - conformal.threshold(rng.random(n), coverage) for _ in range(2000)]
    assert kstest(covered, beta(80, 20).cdf).pvalue > 0.01
    assert np.mean(covered) == pytest.approx(coverage, abs=0.005)


@pytest.mark.parametrize("kind", list(conformal.CONFORMITY))
@pytest.mark.parametrize("coverage", [0.6, 0.8, 0.95])
def test_sets_of_faces_that_were_not_fitted_keep_the_promise(kind: str, coverage: float) -> None:
    logits, labels = _faces(2, 20_000)
    found = cross_fitted_decision(logits * 3, labels, coverage=coverage, kind=kind)
    p, reached = found.probabilities, found.reached
    covered = reached[np.arange(len(p)), labels].mean()
    # Half of the faces fit, half are covered: twice the variance of a binomial share of all.
    assert abs(covered - coverage) < 4 * math.sqrt(2 * coverage * (1 - coverage) / 20_000)


def test_least_ambiguous_sets_are_smaller_than_adaptive_ones() -> None:
    logits, labels = _faces(3, 6000)
    sizes = {
        kind: cross_fitted_decision(logits, labels, kind=kind).reached.sum(axis=1).mean()
        for kind in conformal.CONFORMITY
    }
    assert sizes["lac"] < sizes["aps"]


def test_the_cumulative_conformity_is_the_mass_down_to_each_class() -> None:
    found = conformal.cumulative([[0.1, 0.6, 0.3], [0.25, 0.25, 0.5]])
    np.testing.assert_allclose(found, [[-1.0, -0.6, -0.9], [-0.75, -1.0, -0.5]])


def test_figures_of_a_case_counted_by_hand() -> None:
    p = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.34, 0.33, 0.33], [0.1, 0.8, 0.1]])
    reached = p >= 0.35
    found = conformal.figures(p, reached, [0, 1, 2, 0], ("a", "b", "c"))
    assert conformal.sets(p, reached).tolist() == [
        [True, False, False], [True, True, False], [True, False, False], [False, True, False],
    ]  # fmt: skip
    # The third face reaches nothing: its likeliest emotion is named and it is not sure.
    assert conformal.sure(reached).tolist() == [True, False, False, True]
    assert (found["covered"], found["covered_ci95"]) == (0.5, list(wilson(2, 4)))
    assert (found["size"], found["sizes"]) == (1.25, [3, 1, 0])
    assert (found["sure"], found["accuracy_sure"], found["accuracy_unsure"]) == (0.5, 0.5, 0.0)
    assert found["per_class"] == {"a": 0.5, "b": 1.0, "c": 0.0}
    everyone = conformal.figures(p, p >= 0.3, [0, 1, 2, 0], ("a", "b", "c", "d"))
    assert everyone["per_class"]["d"] is None
    assert conformal.figures(p[:1], reached[:1], [0], ("a", "b", "c"))["accuracy_unsure_ci95"] is None


def test_too_few_faces_promise_every_emotion_and_nonsense_is_refused() -> None:
    assert decision.fit([[0.9, 0.1]], [0]).threshold == -1.0
    with pytest.raises(DataError, match=r"coverage of 1\.0"):
        conformal.threshold([0.1], 1.0)
    with pytest.raises(DataError, match="expected"):
        conformal.threshold([], 0.5)
