"""Temperature scaling: the right optimum, and a calibration error measured where nothing was fitted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, minimize_scalar

from mien.errors import DataError
from mien.evaluation import calibration
from mien.evaluation.calibration import (
    COLDEST,
    HOTTEST,
    binned_error,
    compare_scalings,
    cross_fitted_ece,
    equal_mass,
    equal_width,
    error_interval,
    fit_temperature,
    halves,
    softmax,
    temperature_scaling,
    vector_objective,
    vector_scaling,
)
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


def _start(classes: int = 7) -> np.ndarray:
    return np.concatenate([np.full(classes, 0.8), np.zeros(classes)])


@pytest.mark.parametrize("seed", range(3))
def test_slope_and_curvature_of_vector_scaling_are_those_of_its_value(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z, truth = rng.normal(size=(20, 4)) * 3, rng.integers(0, 4, 20)
    at = rng.normal(size=8)

    def objective(point: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        return vector_objective(point, _start(4), z, truth)

    _, slope, curvature = objective(at)
    small = 1e-5 * np.eye(8)
    values = [(objective(at + e)[0] - objective(at - e)[0]) / 2e-5 for e in small]
    slopes = [(objective(at + e)[1] - objective(at - e)[1]) / 2e-5 for e in small]
    np.testing.assert_allclose(slope, values, atol=1e-8)
    np.testing.assert_allclose(curvature, slopes, atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_vector_scaling_is_the_optimum_that_scipy_finds(seed: int) -> None:
    logits, labels = _calibrated(seed, 600)
    skewed = logits * np.linspace(0.5, 2, 7) + np.linspace(-1, 1, 7)
    ours = vector_scaling(skewed, labels)

    def naive(point: np.ndarray) -> float:
        return negative_log_likelihood(softmax(skewed * point[:7] + point[7:]), labels)

    theirs = minimize(naive, _start(), method="BFGS", options={"gtol": 1e-7})
    assert naive(np.concatenate([ours.scale, ours.bias])) <= theirs.fun + 1e-6
    np.testing.assert_allclose(ours(skewed), softmax(skewed * theirs.x[:7] + theirs.x[7:]), atol=2e-3)
    assert sum(ours.bias) == pytest.approx(0, abs=1e-6)


def test_vector_scaling_takes_back_known_scales_and_biases() -> None:
    logits, labels = _calibrated(5, 20_000)
    scale, bias = np.linspace(0.5, 2, 7), np.linspace(-1, 1, 7)
    found = vector_scaling((logits - bias) / scale, labels)
    np.testing.assert_allclose(found.scale, scale, rtol=0.08)
    np.testing.assert_allclose(found.bias, bias, atol=0.12)


def test_vector_scaling_stays_finite_where_classes_are_separate_or_missing() -> None:
    for labels in (np.arange(7), np.zeros(7, int)):
        found = vector_scaling(np.eye(7), labels)
        assert np.isfinite(found.scale).all()
        assert np.isfinite(found.bias).all()
        assert (found(np.eye(7)).argmax(axis=1) == labels).all()


def test_bins_are_those_of_the_reliability_diagram_or_hold_as_many_faces_each() -> None:
    logits, labels = _calibrated(6, 500)
    p = softmax(logits * 2)
    right, confidence = p.argmax(axis=1) == labels, p.max(axis=1)
    assert binned_error(right, confidence, equal_width(confidence)) == pytest.approx(
        expected_calibration_error(p, labels), abs=1e-12
    )
    place = equal_mass(confidence, 15)
    assert set(np.bincount(place)) == {33, 34}
    assert all(confidence[place == b].max() <= confidence[place == b + 1].min() for b in range(14))
    naive = sum(
        abs(right[place == b].mean() - confidence[place == b].mean()) * (place == b).sum() for b in range(15)
    )
    assert binned_error(right, confidence, place) == pytest.approx(naive / 500)


def test_the_errors_interval_begins_at_0_where_chance_explains_it_and_above_where_not() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.3, 1, 2000)
    place = equal_width(confidence)
    for gap, low in ((0.0, False), (0.2, True)):
        right = rng.random(2000) < confidence - gap
        ends = error_interval(right, confidence, place)
        assert (ends[0] > 0) is low
        assert ends[0] <= binned_error(right, confidence, place) <= ends[1]
        assert ends[0] <= gap <= ends[1]


def test_scalings_are_compared_on_faces_that_their_fits_never_saw() -> None:
    logits, labels = _calibrated(3, 900)
    skewed = logits * np.linspace(0.5, 2, 7) + np.linspace(-1, 1, 7)
    keep = np.random.default_rng(0).random(900) > 0.2
    found = compare_scalings(skewed, labels, 1, keep)
    first = halves(labels, 1)
    expected = np.empty((900, 7))
    for half in (first, ~first):
        expected[half] = temperature_scaling(skewed[~half & keep], labels[~half & keep])(skewed[half])
    assert found["temperature"]["nll"] == pytest.approx(
        negative_log_likelihood(expected[keep], labels[keep]), abs=1e-12
    )
    assert found["temperature"]["ece"] == pytest.approx(
        expected_calibration_error(expected[keep], labels[keep]), abs=1e-12
    )
    more = found["vector"]["nll"] - found["temperature"]["nll"]
    assert found["vector"]["nll_more"] == pytest.approx(more, abs=1e-12)
    assert found["vector"]["nll_more_ci95"][0] < more < found["vector"]["nll_more_ci95"][1] < 0
    assert found == compare_scalings(skewed, labels, 1, keep)
    assert list(found) == list(calibration.SCALINGS)
