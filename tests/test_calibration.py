"""Temperature scaling: the right optimum, and a calibration error measured where nothing was fitted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from mien.errors import DataError
from mien.evaluation.calibration import COLDEST, HOTTEST, cross_fitted_ece, fit_temperature, halves, softmax
from mien.evaluation.metrics import expected_calibration_error, negative_log_likelihood


def _calibrated(seed: int, n: int, classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is exactly the distribution that the labels are drawn from."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, classes)) * 2
    p = softmax(logits)
    labels = (p.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return logits, labels


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [0.02, 0.3, 1.0, 4.0, 40.0])
def test_the_fit_is_the_optimum_that_scipy_finds(seed: int, scale: float) -> None:
    logits, labels = _calibrated(seed, 400)
    logits = logits * scale
    ours = fit_temperature(logits, labels)
    theirs = minimize_scalar(
        lambda log_t: negative_log_likelihood(softmax(logits, np.exp(log_t)), labels),
        bounds=(np.log(COLDEST), np.log(HOTTEST)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    assert ours == pytest.approx(np.exp(theirs.x), rel=1e-4)


def test_a_known_temperature_is_recovered() -> None:
    logits, labels = _calibrated(0, 40_000)
    assert fit_temperature(logits * 2.5, labels) == pytest.approx(2.5, rel=0.03)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 5))
def test_scaling_the_logits_scales_the_temperature(seed: int, factor: float) -> None:
    logits, labels = _calibrated(seed, 200)
    plain = fit_temperature(logits, labels)
    assert fit_temperature(logits * factor, labels) == pytest.approx(plain * factor, rel=1e-6)


def test_perfectly_separated_logits_stop_at_the_coldest_and_useless_ones_at_the_hottest() -> None:
    labels = np.arange(7)
    assert fit_temperature(np.eye(7), labels) == COLDEST
    assert fit_temperature(-np.eye(7), labels) == HOTTEST
    with pytest.raises(DataError, match="not finite"):
        fit_temperature(np.full((2, 7), np.inf), [0, 1])


def test_halves_are_stratified_and_a_function_of_the_seed() -> None:
    labels = np.repeat(np.arange(7), [11, 3, 20, 7, 1, 2, 55])
    first = halves(labels, 3)
    for label in range(7):
        inside, all_of_it = int(first[labels == label].sum()), int((labels == label).sum())
        assert abs(2 * inside - all_of_it) <= 1
    assert (first == halves(labels, 3)).all()
    assert (first != halves(labels, 4)).any()


def test_cross_fitting_measures_each_half_with_the_other_halfs_temperature() -> None:
    logits, labels = _calibrated(1, 1001)
    logits = logits * 3
    found = cross_fitted_ece(logits, labels, seed=5)
    first = halves(labels, 5)
    expected = []
    for measured in (first, ~first):
        temperature = fit_temperature(logits[~measured], labels[~measured])
        expected.append(expected_calibration_error(softmax(logits[measured], temperature), labels[measured]))
    assert found["ece_halves"] == expected
    assert found["ece"] == np.mean(expected)
    assert found["ece_uncalibrated"] == expected_calibration_error(softmax(logits), labels)
    assert found["ece"] < found["ece_uncalibrated"]


def test_rows_left_out_are_neither_fitted_nor_measured_and_move_no_other_row() -> None:
    logits, labels = _calibrated(2, 800)
    keep = np.random.default_rng(0).random(800) > 0.3
    found = cross_fitted_ece(logits * 3, labels, seed=1, keep=keep)
    spoilt = np.where(keep[:, None], logits * 3, -1e3 * np.eye(7)[labels])
    assert cross_fitted_ece(spoilt, labels, seed=1, keep=keep) == found
    assert found["n"] == keep.sum()
    first = halves(labels, 1)
    assert found["temperatures"][0] == fit_temperature((logits * 3)[~first & keep], labels[~first & keep])


def test_too_few_faces_are_refused() -> None:
    with pytest.raises(DataError, match="too few"):
        cross_fitted_ece(np.eye(7)[:1], [0])
