"""Scaling against known maps, scikit-learn's SMACOF and isotonic regression, and formulas by hand."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import procrustes
from sklearn.isotonic import IsotonicRegression
from sklearn.manifold import smacof

from mien.evaluation.maps import scaling


def _plane(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 2))


def _space(count: int, seed: int) -> np.ndarray:
    """Distances of points in five dimensions, which no plane holds."""
    return scaling.distances(np.random.default_rng(seed).normal(size=(count, 5)))


def test_distances_are_those_of_a_loop() -> None:
    points = np.random.default_rng(0).normal(size=(3, 4, 2))
    naive = [[[np.hypot(*(a - b)) for b in run] for a in run] for run in points]
    np.testing.assert_allclose(scaling.distances(points), naive)


def test_stress_is_kruskals_formula() -> None:
    # Distances 3, 4, 5 beside disparities 3, 4, 6: √(1 / (9 + 16 + 25)).
    triangle = np.array([[0.0, 0], [3, 0], [0, 4]])
    disparities = np.array([[0, 3, 4], [3, 0, 6], [4, 6, 0]], float)
    assert scaling.stress(triangle, disparities) == pytest.approx(np.sqrt(1 / 50), abs=1e-15)


@pytest.mark.parametrize("metric", [True, False])
@pytest.mark.parametrize("count", range(3, 9))
def test_a_plane_is_recovered(count: int, metric: bool) -> None:
    for seed in range(5):
        points = _plane(count, seed)
        found = scaling.mds(scaling.distances(points), metric)
        assert found.metric is metric
        assert found.stress < 1e-6
        np.testing.assert_allclose(found.points.mean(axis=0), 0, atol=1e-9)
        assert procrustes(points, found.points)[2] < 1e-10


def test_the_classical_solution_recovers_a_plane_in_each_matrix() -> None:
    points = np.stack([_plane(6, seed) for seed in range(4)])
    values = scaling.distances(points)
    np.testing.assert_allclose(scaling.distances(scaling.classical(values)), values, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_metric_scaling_ends_where_scikit_learn_does(seed: int) -> None:
    values = _space(6, seed)
    start = _plane(6, seed + 100)
    theirs, _ = smacof(values, metric=True, init=start.copy(), n_init=1, max_iter=20_000, eps=1e-13)
    ours = scaling.scaled(values[None], start[None])[0]
    assert scaling.stress(ours, values) == pytest.approx(scaling.stress(theirs, values), abs=1e-6)
    assert procrustes(ours, theirs)[2] < 1e-6


@pytest.mark.parametrize("seed", range(2))
def test_no_start_of_scikit_learn_finds_less_stress(seed: int) -> None:
    values = _space(6, seed)
    starts = np.random.default_rng(seed).normal(size=(12, 6, 2))
    theirs = [smacof(values, init=start, n_init=1, max_iter=500, eps=1e-8)[0] for start in starts]
    least = min(scaling.stress(points, values) for points in theirs)
    assert scaling.mds(values).stress <= least + 1e-6


def test_many_matrices_are_scaled_as_each_alone() -> None:
    values = np.stack([_space(6, seed) for seed in range(8)])
    starts = scaling.classical(values)
    together = scaling.scaled(values, starts)
    for value, start, points in zip(values, starts, together, strict=True):
        np.testing.assert_allclose(points, scaling.scaled(value[None], start[None])[0], atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(3, 7))
def test_monotone_regression_is_isotonic_regression(seed: int, count: int) -> None:
    values, near = _space(count, seed), _space(count, seed + 1)
    upper = np.triu_indices(count, 1)
    fitted = scaling.monotone(values, near)
    np.testing.assert_array_equal(fitted, fitted.T)
    expected = IsotonicRegression().fit_transform(values[upper], near[upper])
    np.testing.assert_allclose(fitted[upper], expected, atol=1e-12)


def test_equal_dissimilarities_may_come_apart() -> None:
    near = _space(5, 0)
    np.testing.assert_allclose(scaling.monotone(1 - np.eye(5), near), near)


TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "root": np.sqrt,
    "logarithm": np.log1p,
    "cube": lambda values: values**3,
    "exponential": np.expm1,
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_non_metric_scaling_undoes_a_monotone_transform(name: str) -> None:
    for seed in range(2):
        points = _plane(12, seed)
        found = scaling.mds(TRANSFORMS[name](scaling.distances(points)), metric=False)
        assert found.stress < 0.01
        assert procrustes(points, found.points)[2] < 0.01


@pytest.mark.parametrize("name", TRANSFORMS)
def test_non_metric_scaling_sees_the_order_alone(name: str) -> None:
    for seed in range(2):
        values = _space(7, seed)
        bent = TRANSFORMS[name](values)
        ranks = scipy.stats.rankdata(scipy.spatial.distance.squareform(values))
        # The start from the ranks is the same for both, so neither can end worse than it.
        least = scaling.mds(scipy.spatial.distance.squareform(ranks), metric=False).stress
        near = _space(7, seed + 50)
        np.testing.assert_array_equal(scaling.monotone(values, near), scaling.monotone(bent, near))
        assert scaling.mds(values, metric=False).stress <= least + scaling.AS_GOOD
        assert scaling.mds(bent, metric=False).stress <= least + scaling.AS_GOOD


def test_non_metric_stress_is_at_most_the_metric_one() -> None:
    for seed in range(4):
        values = _space(6, seed)
        assert scaling.mds(values, metric=False).stress <= scaling.mds(values).stress + scaling.AS_GOOD


@pytest.mark.parametrize("metric", [True, False])
def test_scaling_follows_the_unit_and_the_seed(metric: bool) -> None:
    values = _space(6, 3)
    one, again = scaling.mds(values, metric, seed=5), scaling.mds(values, metric, seed=5)
    np.testing.assert_array_equal(one.points, again.points)
    other = scaling.mds(1000 * values, metric, seed=5)
    assert other.stress == pytest.approx(one.stress, abs=1e-6)
    assert procrustes(one.points, other.points)[2] < 1e-6


@pytest.mark.parametrize("metric", [True, False])
def test_two_emotions_on_one_point_and_all_alike_warn_of_nothing(metric: bool) -> None:
    points = _plane(6, 0)
    points[1] = points[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = scaling.mds(scaling.distances(points), metric)
        alike = scaling.mds(1 - np.eye(6), metric)
    assert found.stress < 1e-5
    assert np.isfinite(alike.points).all()
    assert 0 <= alike.stress < 0.5


def test_six_points_all_equally_far_are_drawn_as_a_hexagon() -> None:
    values = 1 - np.eye(6)
    found = scaling.mds(values)
    radii = np.linalg.norm(found.points, axis=1)
    np.testing.assert_allclose(radii, radii.mean(), rtol=1e-3)

    def least(points: np.ndarray) -> float:
        return min(scaling.stress(scale * points, values) for scale in np.linspace(0.4, 1, 121))

    def circle(count: int) -> np.ndarray:
        turn = 2 * np.pi * np.arange(count) / count
        return np.c_[np.cos(turn), np.sin(turn)]

    # At its best scale for stress-1, which is a little larger than the one of least raw stress.
    stress = found.stress / np.sqrt(1 + found.stress**2)
    assert stress == pytest.approx(least(circle(6)), abs=1e-4)
    assert stress < least(np.r_[circle(5), [[0, 0]]])
