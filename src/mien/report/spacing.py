"""Labels moved as little as needed so that none hides another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def direction(degrees: float) -> Floats:
    """The unit vector (2,) at an angle, counter-clockwise from the right."""
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


def spread_angles(degrees: Sequence[float], gap: float) -> list[float]:
    """Directions moved as little as needed so that neighbours on the circle lie `gap` degrees apart.

    degrees: any order, kept; where `gap` does not fit as often as there are directions, the even share.
    """
    gap = min(gap, 360 / max(len(degrees), 1))
    angles = np.asarray(degrees, np.float64) % 360
    order = np.argsort(angles, kind="stable")
    for _ in range(500):
        ring = angles[order]
        following = np.append(ring[1:], ring[0] + 360)
        lacking = np.clip(gap - (following - ring), 0, None)
        if lacking.max() < 1e-6:
            break
        moved = ring - lacking / 2
        moved[1:] += lacking[:-1] / 2
        moved[0] += lacking[-1] / 2
        angles[order] = moved
    return [float(angle) for angle in angles]


def spread_column(heights: Sequence[float], gap: float) -> list[float]:
    """Ascending heights moved as little as needed so that each lies at least `gap` above the one before it.

    Heights that hinder one another share their middle (isotonic regression by pooling neighbours).
    """
    pools: list[list[float]] = []
    for number, height in enumerate(heights):
        pools.append([height - number * gap])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    moved = [float(np.mean(pool)) for pool in pools for _ in pool]
    return [height + number * gap for number, height in enumerate(moved)]


def spread_points(points: Floats, gap: float) -> Floats:
    """Floats (N, 2) pushed apart as little as needed, so that any two lie at least about `gap` apart."""
    n = len(points)
    # Floats at one place have no direction to part in: each starts a hair's breadth off, on its own side.
    moved = points + 1e-3 * gap * np.array([direction(360.0 * k / n) for k in range(n)])
    for _ in range(300):
        away = moved[:, None] - moved[None]
        distance = np.hypot(away[..., 0], away[..., 1])
        np.fill_diagonal(distance, np.inf)
        if distance.min() >= 0.99 * gap:
            break
        push = np.clip(gap - distance, 0, None) / distance
        moved = moved + 0.25 * (push[..., None] * away).sum(axis=1)
    return moved
