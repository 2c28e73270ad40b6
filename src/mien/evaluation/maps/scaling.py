"""Multidimensional scaling in two dimensions, metric and non-metric, by SMACOF.

Sources: Torgerson 1952 (the classical solution, one of the starts); Kruskal 1964 (stress-1, and monotone
regression with the primary approach to ties); de Leeuw 1977 (majorisation); Borg & Groenen 2005.

Non-metric scaling starts at metric solutions, not at random, as Borg & Groenen advise: it asks for nothing
but 15 inequalities of the 9 free coordinates of six points, so where the dissimilarities leave room
many maps have a stress near 0, among them degenerate ones in which emotions fall together. A non-metric
stress near 0 says that the order of the dissimilarities fits into the plane, not that the map is unique.

scikit-learn's `smacof` is what the tests hold the metric form against. It is not used: before 1.7 its
non-metric form compared asymmetric disparities and its tolerance meant something else, it reads a
dissimilarity of 0 as missing, and it scales one matrix a call, where a bootstrap has a thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Matrix = NDArray[np.float64]
Fit = Callable[[Matrix, NDArray[np.int64]], Matrix]
"""Distances (R, C, C) of the runs at the indices (R,) → the disparities they are to approach."""

RANDOM_STARTS = 20
ITERATIONS = 2000
TOLERANCE = 1e-12
"""Of the decrease of the raw stress in one iteration, over the squared disparities."""
_ROUGH = 1e-7
"""The same while starts are compared."""
_EXACT = 1e-12
"""Raw stress over the squared dissimilarities below which the plane holds them without error."""
SAME_STRESS = 1e-6
"""Metric stresses this near are one; the first start's solution stands, the classical one's before random."""
AS_GOOD = 1e-3
"""Non-metric stresses this near are as good; the map that began at the dissimilarities themselves stands."""


@dataclass(frozen=True, slots=True, eq=False)
class Configuration:
    """points: (C, 2), centred, in any rotation. stress: Kruskal's stress-1. metric: or non-metric."""

    points: Points
    stress: float
    metric: bool


def mds(values: Matrix, metric: bool = True, seed: int = 0) -> Configuration:
    """A map of C points whose distances follow the dissimilarities.

    values: (C, C) dissimilarities, symmetric, non-negative, zero diagonal, not all 0. Metric: the least
    stress found from the classical solution and seeded random starts. Non-metric: from the metric
    solution, or from that of the dissimilarities' ranks where it leads to less stress.
    """
    points = _metric(values, seed)
    if metric:
        return Configuration(points, stress(points, values), True)
    ranks = _ranks(values)
    runs = _majorise(
        np.stack([points, _metric(ranks, seed)]),
        lambda near, _: np.stack([_normed(monotone(ranks, run)) for run in near]),
    )
    stresses = np.array([stress(run, monotone(ranks, distances(run))) for run in runs])
    best = _first_of_least(stresses, AS_GOOD)
    return Configuration(runs[best], float(stresses[best]), False)


def _metric(values: Matrix, seed: int) -> Points:
    start = classical(values)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x3D5]))
    random = rng.normal(scale=np.sqrt((start**2).mean()), size=(RANDOM_STARTS, *start.shape))
    runs = scaled(
        np.broadcast_to(values, (RANDOM_STARTS + 1, *values.shape)), np.concatenate([start[None], random])
    )
    best: Points = runs[_first_of_least(np.array([stress(run, values) for run in runs]), SAME_STRESS)]
    return best


def _first_of_least(stresses: NDArray[np.float64], within: float) -> int:
    return int(np.argmax(stresses <= stresses.min() + within))


def _ranks(values: Matrix) -> Matrix:
    """Each off-diagonal dissimilarity's rank from 1, equal ones sharing theirs."""
    upper = np.triu_indices(len(values), 1)
    out = np.zeros_like(values)
    out[upper] = np.unique(values[upper], return_inverse=True)[1].reshape(-1) + 1.0
    return out + out.T


def scaled(values: Matrix, starts: Points, tolerance: float = TOLERANCE) -> Points:
    """Metric scaling of each of R matrices from its own start: (R, C, C), (R, C, 2) → (R, C, 2)."""
    return _majorise(starts, lambda _, runs: values[runs], tolerance)


def scaled_from_several(values: Matrix, starts: Points, seed: int) -> Points:
    """The map of least stress of each of R matrices: from its own start, the classical one and random ones.

    What counts for one matrix counts for a resample: from few starts, many would end in the nearest local
    minimum, and a bootstrap would flatter the map that they start from. Every start is followed roughly, the
    best one to its end. A matrix that the plane holds without error needs no random start.
    Shape: values (R, C, C), starts (R, C, 2); returns (R, C, 2).
    """
    squares = (values**2).sum(axis=(-2, -1))
    best, least = np.array(starts), np.full(len(values), np.inf)
    for begin in _starts(values, starts, seed):
        inexact = np.flatnonzero(least > _EXACT * squares)
        runs = scaled(values[inexact], begin[inexact], _ROUGH)
        raw = ((distances(runs) - values[inexact]) ** 2).sum(axis=(-2, -1))
        better = raw < least[inexact]
        best[inexact[better]], least[inexact[better]] = runs[better], raw[better]
    return scaled(values, best)


def _starts(values: Matrix, starts: Points, seed: int) -> Iterator[Points]:
    yield starts
    yield classical(values)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x57A7]))
    spread = np.sqrt((starts**2).mean())
    for _ in range(RANDOM_STARTS):
        yield rng.normal(scale=spread, size=starts.shape)


def classical(values: Matrix) -> Points:
    """Torgerson's solution, the two largest axes of the doubly centred squares: (…, C, C) → (…, C, 2)."""
    c = values.shape[-1]
    centring = np.eye(c) - 1 / c
    weights, axes = np.linalg.eigh(-0.5 * centring @ values**2 @ centring)
    points: Points = axes[..., -2:] * np.sqrt(np.maximum(weights[..., None, -2:], 0))
    return points


def distances(points: Points) -> Matrix:
    """Euclidean distances within each configuration: (…, C, 2) → (…, C, C)."""
    values: Matrix = np.sqrt(((points[..., :, None, :] - points[..., None, :, :]) ** 2).sum(axis=-1))
    return values


def stress(points: Points, disparities: Matrix) -> float:
    """Kruskal's stress-1, √(Σ (d − d̂)² / Σ d²) over pairs of points; 0 is perfect.

    Shape: points (C, 2), disparities d̂ (C, C): the dissimilarities themselves where scaling is metric, as
    scikit-learn's normalised stress has it; s of ours is s/√(1+s²) where the map's scale is free as well.
    """
    upper = np.triu_indices(len(points), 1)
    d, fitted = distances(points)[upper], disparities[upper]
    return float(np.sqrt(((d - fitted) ** 2).sum() / (d**2).sum()))


def monotone(values: Matrix, near: Matrix) -> Matrix:
    """The matrix nearest to `near` that rises with `values`: least squares over pairs; (C, C) all three.

    Equal values may come apart: among them, the order of `near` stands (Kruskal's primary approach).
    """
    from scipy.optimize import isotonic_regression

    upper = np.triu_indices(len(values), 1)
    order = np.lexsort((near[upper], values[upper]))
    fitted = np.empty(len(order))
    fitted[order] = isotonic_regression(near[upper][order]).x
    out = np.zeros_like(near)
    out[upper] = fitted
    return out + out.T


def _normed(disparities: Matrix) -> Matrix:
    """Scaled to a mean square of 1 over pairs: free disparities would let all points fall together."""
    c = len(disparities)
    total = (disparities**2).sum()
    return disparities * np.sqrt(c * (c - 1) / total) if total > 0 else disparities


def _majorise(starts: Points, fit: Fit, tolerance: float = TOLERANCE) -> Points:
    """Guttman transforms until the stress falls no further; runs that have converged rest.

    starts: (R, C, 2). Returns (R, C, 2), each centred.
    """
    points = starts - starts.mean(axis=-2, keepdims=True)
    running = np.arange(len(points))
    previous = np.full(len(points), np.inf)
    c = points.shape[1]
    diagonal = np.arange(c)
    for _ in range(ITERATIONS):
        d = distances(points[running])
        disparities = fit(d, running)
        raw = ((d - disparities) ** 2).sum(axis=(-2, -1))
        falls = previous[running] - raw > tolerance * (disparities**2).sum(axis=(-2, -1))
        previous[running] = raw
        running, d, disparities = running[falls], d[falls], disparities[falls]
        if not len(running):
            break
        ratio = np.divide(disparities, d, out=np.zeros_like(d), where=d > 0)
        transform = -ratio
        transform[:, diagonal, diagonal] = ratio.sum(axis=-1)
        points[running] = transform @ points[running] / c
    return points
