"""Decisions: fitted on one half and used on the other, kept in a file's words, and what is familiar."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import DataError
from mien.evaluation import conformal, decision
from mien.evaluation.calibration import SCALINGS, Scaling, halves, softmax
from mien.evaluation.decision import Decision, cross_fitted_decision, energy


def _faces(seed: int, n: int, classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a network that means what it says, and labels drawn by them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes)) * 2
    return logits, (softmax(logits).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)


@pytest.mark.parametrize("scaling", list(SCALINGS))
@pytest.mark.parametrize("share", [None, 0.9])
def test_cross_fitting_uses_the_other_halfs_fits_alone(scaling: str, share: float | None) -> None:
    logits, labels = _faces(4, 801)
    keep = np.random.default_rng(0).random(801) > 0.25
    found = cross_fitted_decision(logits, labels, seed=3, keep=keep, scaling=scaling, share=share)
    first = halves(labels, 3)
    expected, above, known = np.empty((801, 7)), np.empty((801, 7), bool), np.ones(801, bool)
    for half in (first, ~first):
        fitted = ~half & keep
        scaled = SCALINGS[scaling](logits[fitted], labels[fitted])
        own = scaled(logits[fitted])[np.arange(fitted.sum()), labels[fitted]]
        expected[half] = scaled(logits[half])
        above[half] = expected[half] >= conformal.threshold(own, 0.8)
        if share is not None:
            needed = int(np.ceil((fitted.sum() + 1) * share))
            limit = np.sort([-np.log(np.exp(row).sum()) for row in logits[fitted]])[needed - 1]
            known[half] = [-np.log(np.exp(row).sum()) <= limit + 1e-12 for row in logits[half]]
    np.testing.assert_array_equal(found.probabilities, expected[keep])
    np.testing.assert_array_equal(found.reached, above[keep])
    np.testing.assert_array_equal(found.familiar, known[keep])
    np.testing.assert_array_equal(found.sure, ((above.sum(axis=1) == 1) & known)[keep])


@given(st.integers(0, 1000), st.sampled_from([None, 0.5, 0.9]), st.sampled_from(list(SCALINGS)))
def test_a_decision_is_read_back_from_its_words(seed: int, share: float | None, scaling: str) -> None:
    logits, labels = _faces(seed, 90, 3)
    made = decision.fit(logits, labels, scaling=scaling, share=share)
    names = ["a", "b", "c"]
    again = Decision.from_metadata({"labels": names, **made.to_metadata()})
    assert again == made
    one, two = made(logits), again(logits)
    for name in ("probabilities", "reached", "familiar", "sure"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_as_many_faces_are_familiar_as_was_asked() -> None:
    logits, labels = _faces(1, 999)
    made = decision.fit(logits, labels, share=0.9)
    assert made(logits).familiar.sum() == 900
    assert not made(np.zeros((1, 7)) - 9).familiar.any()
    # Whatever the emotions say, nothing is sure of what is not familiar.
    strange = np.array([[0.0, -40, -40, -40, -40, -40, -40]]) - 9
    assert made(strange).reached.sum() == 1
    assert not made(strange).sure.any()


def test_too_few_faces_ask_nothing_of_familiarity() -> None:
    logits, labels = _faces(0, 8)
    assert decision.fit(logits, labels, share=0.9).to_metadata().keys() == {"calibration", "conformal"}


def test_without_a_coverage_the_largest_probability_decides() -> None:
    made = decision.undecided(3)
    found = made([[2.0, 0, 0], [0.3, 0.2, 0.1]])
    np.testing.assert_allclose(found.probabilities, softmax([[2.0, 0, 0], [0.3, 0.2, 0.1]]))
    assert found.sure.tolist() == [True, False]
    assert Decision(Scaling.of_temperature(1, 2), 0.2)([[0.0, 0.0]]).sure.tolist() == [True]
    assert found[:1].sure.tolist() == [True]


def test_a_temperature_of_earlier_releases_is_a_scaling() -> None:
    fields: dict[str, Any] = {"labels": ["a", "b"], "temperature": 2.0, "unsure_below": 0.4}
    found = Decision.from_metadata(fields)
    assert (found.scaling.temperature, found.scaling.name, found.threshold) == (2.0, "temperature", 0.4)
    assert (found.coverage, found.limit) == (None, None)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"calibration": {"scale": [1, 1]}}, KeyError),
        ({"calibration": {"scale": [1, 1], "bias": [0]}}, ValueError),
        ({"calibration": {"scale": [1, float("nan")], "bias": [0, 0]}}, ValueError),
        ({"calibration": {"scale": [1, 1, 1], "bias": [0, 0, 0]}}, ValueError),
        ({"familiar": {"share": 0.9}}, KeyError),
        ({"unsure_below": "often"}, ValueError),
        ({"unsure_below": float("nan")}, ValueError),
    ],
)
def test_damaged_words_are_refused(change: dict[str, Any], kind: type[Exception]) -> None:
    words = {"labels": ["a", "b"], **decision.undecided(2).to_metadata()}
    Decision.from_metadata(words)
    with pytest.raises(kind):
        Decision.from_metadata(words | change)


def test_unknown_scalings_and_shares_are_refused() -> None:
    logits, labels = _faces(0, 20)
    with pytest.raises(DataError, match="scaling 'matrix': expected temperature or vector"):
        decision.fit(logits, labels, scaling="matrix")
    with pytest.raises(DataError, match=r"1\.0"):
        decision.fit(logits, labels, share=1.0)


def test_the_energy_of_large_logits_is_finite() -> None:
    np.testing.assert_allclose(energy([[1000.0, 1000.0]]), [-1000 - np.log(2)])
