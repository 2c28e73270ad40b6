"""How far two sources agree on the same emotions, tested against every relabelling of one of them.

With C emotions there are C! relabellings, 720 for six: the chance that labels drawn at random agree as
well is counted, not estimated. The identity is among them, so p is at least 1/C!.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.evaluation.maps.circular_order import LEAST, MOST

Matrix = NDArray[np.float64]

_ROUNDING = 1e-10
"""Agreements this near are equal: relabellings of one value differ by the order of their sums."""


@dataclass(frozen=True, slots=True)
class Mantel:
    """r: Pearson's, over pairs of emotions. p: one-sided, share of relabellings with at least this r."""

    r: float
    p: float
    relabellings: int


@dataclass(frozen=True, slots=True, eq=False)
class Overlay:
    """Two maps laid over each other.

    disparity: 0 (the same map but for place, size, rotation and reflection) … 1. p: share of relabellings
    with at most this disparity. ours, theirs: (C, 2), the overlay; ours is centred and of unit norm.
    """

    disparity: float
    p: float
    relabellings: int
    ours: Matrix
    theirs: Matrix


def mantel(a: Matrix, b: Matrix) -> Mantel:
    """Mantel's correlation of two dissimilarity matrices (C, C), with its exact p (Mantel 1967).

    Raises: DataError unless both are (C, C) with C of 3 to 8, and each has unlike entries.
    """
    everyone = _relabellings(a, b)
    rows, columns = np.triu_indices(len(a), 1)
    x, y = a[rows, columns], b[everyone[:, rows], everyone[:, columns]]
    for pairs in (x, y[0]):
        if np.ptp(pairs) <= 1e-12 * np.abs(pairs).max():
            raise DataError("all pairs of emotions are equally unlike: expected some nearer than others")
    x, y = x - x.mean(), y - y.mean(axis=1, keepdims=True)
    r = y @ x / (np.linalg.norm(x) * np.linalg.norm(y, axis=1))
    return Mantel(float(r[0]), float((r >= r[0] - _ROUNDING).mean()), len(everyone))


def procrustes(a: Matrix, b: Matrix) -> Overlay:
    """Two configurations (C, 2) of the same points laid over each other (Gower 1975), with an exact p.

    Both are centred and scaled to unit norm, the second is rotated, reflected and scaled to the least sum
    of squared distances, the disparity, as `scipy.spatial.procrustes` has it.
    Raises: DataError unless both are (C, 2) with C of 3 to 8, and neither is a single point.
    """
    from scipy.spatial import procrustes as overlay

    everyone = _relabellings(a, b)
    for points in (a, b):
        if (points == points[0]).all():
            raise DataError("all emotions lie on one point: expected a map")
    ours, theirs, disparity = overlay(a, b)
    unit = (b - b.mean(axis=0)) / np.linalg.norm(b - b.mean(axis=0))
    # 1 − (σ₁ + σ₂)² of the product of the two, whose singular values have σ₁² + σ₂² = ‖M‖², σ₁σ₂ = |det M|.
    crossed = ours.T @ unit[everyone]
    fit = (crossed**2).sum(axis=(1, 2)) + 2 * np.abs(np.linalg.det(crossed))
    return Overlay(float(disparity), float((fit >= fit[0] - _ROUNDING).mean()), len(everyone), ours, theirs)


def _relabellings(a: Matrix, b: Matrix) -> NDArray[np.int64]:
    """Every permutation of 0…C−1, the identity first: (C!, C)."""
    if a.shape != b.shape:
        raise DataError(f"{len(a)} and {len(b)} emotions: expected the same ones in both sources")
    if not LEAST <= len(a) <= MOST:
        raise DataError(f"{len(a)} emotions: relabelling needs {LEAST} to {MOST}")
    return np.array(list(permutations(range(len(a)))))
