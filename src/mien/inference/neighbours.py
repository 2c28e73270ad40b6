"""What lies near a face on a map: labelled reference faces, and other faces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.labels import EMOTIONS

if TYPE_CHECKING:
    from mien.inference.mapper import Reference

REFERENCE_NEIGHBOURS = 25
"""How many of the nearest reference faces say what is shown nearby."""


def shares(points: ArrayLike, reference: Reference, k: int = REFERENCE_NEIGHBOURS) -> list[dict[str, float]]:
    """The share of each emotion among the k reference faces nearest to each point.

    Shape: points (N, D). Returns: N dictionaries over the emotions of the reference in the order of
    `EMOTIONS`, each summing to 1; of fewer than k reference faces all count.
    """
    places = np.asarray(points, np.float64)
    names = [(number, EMOTIONS[number]) for number in np.unique(reference.labels).tolist()]
    found = []
    for place in places:
        near = reference.labels[_nearest(place, reference.points, k)[0]]
        found.append({name: float((near == number).mean()) for number, name in names})
    return found


def others(points: ArrayLike, k: int) -> list[list[tuple[int, float]]]:
    """The k points nearest to each point but itself, nearest first: pairs of index and Euclidean distance.

    Shape: points (N, D). Of points equally far the earlier comes first.
    """
    places = np.asarray(points, np.float64)
    found = []
    for number, place in enumerate(places):
        near, distances = _nearest(place, places, k, without=number)
        found.append(list(zip(near.tolist(), distances.tolist(), strict=True)))
    return found


def _nearest(
    place: NDArray[np.float64], points: NDArray[np.float64], k: int, without: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Indices and distances of the k nearest points (N, D) to a place (D,), but for the one at `without`."""
    distances = np.linalg.norm(points - place, axis=1)
    order = np.argsort(distances, kind="stable")
    near = order[order != without][:k] if without is not None else order[:k]
    return near, distances[near]
