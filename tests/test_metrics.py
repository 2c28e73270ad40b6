"""Metrics against scikit-learn, naive loops and hand-made values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from mien.errors import DataError
from mien.evaluation import metrics


def _sample(seed: int, n: int = 300, classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    p = rng.dirichlet(np.full(classes, 0.5), n)
    p[np.arange(n), labels] += rng.random(n)
    return p / p.sum(axis=1, keepdims=True), labels


pairs = st.integers(1, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 6), min_size=n, max_size=n),
        st.lists(st.integers(0, 6), min_size=n, max_size=n),
    )
)


@settings(max_examples=100, deadline=None)
@given(pairs)
def test_rates_are_those_of_scikit_learn(pair: tuple[list[int], list[int]]) -> None:
    labels, predicted = pair
    table = metrics.confusion(labels, predicted, 7)
    assert (table == sk.confusion_matrix(labels, predicted, labels=range(7))).all()
    assert metrics.accuracy(table) == pytest.approx(sk.accuracy_score(labels, predicted))
    recalls = sk.recall_score(labels, predicted, labels=sorted(set(labels)), average=None, zero_division=0)
    assert metrics.balanced_accuracy(table) == pytest.approx(recalls.mean())
    assert metrics.macro_f1(table) == pytest.approx(
        sk.f1_score(labels, predicted, average="macro", zero_division=0)
    )
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        labels, predicted, labels=range(7), zero_division=np.nan
    )
    for i, figures in enumerate(metrics.per_class(table)):
        assert figures.support == support[i]
        for ours, theirs in (
            (figures.precision, precision[i]),
            (figures.recall, recall[i]),
            (figures.f1, f1[i]),
        ):
            assert (ours is None and math.isnan(theirs)) or ours == pytest.approx(theirs)


def test_rows_of_the_confusion_are_the_truth() -> None:
    assert metrics.confusion([0, 0, 1], [1, 1, 1], 2).tolist() == [[0, 2], [0, 1]]


def test_wilson_against_the_published_example_and_its_own_equation() -> None:
    # 10 of 10: the lower end is n/(n + z²).
    assert metrics.wilson(10, 10) == (pytest.approx(10 / (10 + 1.959963984540054**2)), 1.0)
    # Newcombe 1998, table I, the score method: 81/263, 15/148, 0/20 and 1/29.
    for successes, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611),
                                    (1, 29, 0.0061, 0.1718)):  # fmt: skip
        assert metrics.wilson(successes, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_ends_lie_z_standard_errors_from_the_rate(case: tuple[int, int]) -> None:
    successes, n = case
    low, high = metrics.wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1
    # The score interval's definition: at its ends, |p̂ − p| is z times p's own standard error.
    for end in (low, high):
        if 0 < end < 1:
            assert abs(successes / n - end) == pytest.approx(
                1.959963984540054 * math.sqrt(end * (1 - end) / n)
            )


def test_no_interval_without_trials() -> None:
    with pytest.raises(DataError, match="no interval for 0 of 0"):
        metrics.wilson(0, 0)


def _naive_ece(p: np.ndarray, labels: np.ndarray, bins: int) -> float:
    total = 0.0
    for b in range(bins):
        inside = [i for i in range(len(p)) if b / bins < max(p[i]) <= (b + 1) / bins]
        if inside:
            right = sum(int(np.argmax(p[i]) == labels[i]) for i in inside) / len(inside)
            sure = sum(max(p[i]) for i in inside) / len(inside)
            total += len(inside) / len(p) * abs(right - sure)
    return total


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_error_against_a_naive_loop(seed: int, bins: int) -> None:
    p, labels = _sample(seed)
    assert metrics.expected_calibration_error(p, labels, bins) == pytest.approx(_naive_ece(p, labels, bins))


def test_calibration_error_by_hand_with_a_confidence_on_an_edge() -> None:
    # 0.8 = 12/15 ends bin 12: it shares no bin with 0.81. |1 − 0.8|·½ + |0 − 0.81|·½
    p = np.array([[0.8, 0.2], [0.81, 0.19]])
    assert metrics.expected_calibration_error(p, [0, 1]) == pytest.approx(0.5 * 0.2 + 0.5 * 0.81)
    diagram = metrics.reliability(p, [0, 1])
    assert diagram.counts[11] == 1
    assert diagram.counts[12] == 1
    assert diagram.to_dict()["accuracy"][0] is None


@pytest.mark.parametrize("seed", range(3))
def test_likelihood_and_brier_against_scikit_learn(seed: int) -> None:
    p, labels = _sample(seed)
    assert metrics.negative_log_likelihood(p, labels) == pytest.approx(
        sk.log_loss(labels, p, labels=range(7))
    )
    naive = sum(
        sum((p[i, c] - (labels[i] == c)) ** 2 for c in range(7)) for i in range(len(p))
    ) / len(p)  # fmt: skip
    assert metrics.brier(p, labels) == pytest.approx(naive)


def test_a_certain_mistake_has_a_finite_likelihood() -> None:
    assert metrics.negative_log_likelihood([[1.0, 0.0]], [1]) == pytest.approx(-math.log(1e-12))
    assert metrics.brier([[1.0, 0.0]], [1]) == 2.0


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([[0.5, 0.5]], [2], "outside 0…1"),
        ([[0.5, 0.5]], [0, 1], "expected"),
        ([[np.nan, 0.5]], [0], "not finite"),
        (np.zeros((0, 2)), np.zeros(0), "expected"),
    ],
)
def test_scores_and_labels_that_do_not_fit_are_refused(scores: object, labels: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        metrics.expected_calibration_error(scores, labels)  # type: ignore[arg-type]


def test_an_index_outside_the_classes_is_refused() -> None:
    with pytest.raises(DataError, match="a prediction lies outside 0…6"):
        metrics.confusion([0], [7], 7)
