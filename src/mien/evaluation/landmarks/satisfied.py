"""Satisfied triplets: does the distance in a representation agree with a judgement of likeness?

Thesis (system E), equation 6.4: a triplet is satisfied where ‖z_ref − z₊‖ ≤ ‖z_ref − z₋‖. Equal distances
count, so a representation that has fallen together on one point satisfies every triplet: `tied` counts them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.evaluation.landmarks.people import RESAMPLES, share_interval, tally
from mien.landmarks import LandmarkBatch, Triplets

Matrix = NDArray[np.float64]


def satisfied(points: Matrix, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which triplets a representation satisfies: (T,) bool.

    Shape: points (N, F); rows (T, 3), where the reference, the nearer and the farther face stand in it.
    """
    near, far = _squared(points, rows)
    return near <= far


def triplet_figures(
    points: Matrix,
    batch: LandmarkBatch,
    triplets: Triplets,
    *,
    by_person: bool = True,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """The share of satisfied triplets, of all and by agreement, as JSON.

    points: (N, F), the batch's faces. by_person: also keep, under "satisfied", how many of each person's are.
    Returns {"all": …, "5": …, …}: the levels of agreement (`Triplets.agreement`) from the highest, where
    there are several; each {"share", "ci95", "n", "tied"}. A triplet is its reference face's person's: the
    intervals draw those people again, and the other two faces' people are taken as they are.
    Raises: DataError when there is no triplet, or one names a face that the batch does not hold.
    """
    if not len(triplets):
        raise DataError(f"no triplets in {triplets.source or 'the data'}: expected at least one")
    rows = triplets.rows(batch)
    near, far = _squared(points, rows)
    whose = batch.subjects[rows[:, 0]]
    agreement = triplets.agreement
    levels = np.unique(agreement)[::-1]
    parts = {"all": np.ones(len(rows), np.bool_)}
    if len(levels) > 1:
        parts |= {str(level): agreement == level for level in levels}
    figures = {}
    for name, part in parts.items():
        holds = near[part] <= far[part]
        counts = tally(whose[part], holds)
        ends = share_interval(counts, resamples=resamples, seed=seed)
        figures[name] = {
            "share": float(holds.mean()),
            "ci95": None if ends is None else list(ends),
            "n": int(part.sum()),
            "tied": int((near[part] == far[part]).sum()),
        } | ({"satisfied": counts} if by_person else {})
    return figures


def _squared(points: Matrix, rows: NDArray[np.int64]) -> tuple[Matrix, Matrix]:
    """Squared distances from the reference to the nearer and to the farther face: two of (T,)."""
    points = np.asarray(points, np.float64)
    reference = points[rows[:, 0]]
    near, far = (((reference - points[rows[:, place]]) ** 2).sum(axis=1) for place in (1, 2))
    return near, far
