"""Where each emotion shows, to a network: shares of facial regions, average maps, old findings judged.

System C, 5.1, cites Ekman: anger is often detected in the upper part of the face, happiness in the lower.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.evaluation.landmarks.people import RESAMPLES, drawn, percentiles
from mien.explain.batches import Maps
from mien.explain.regions import REGIONS, FaceRegions, areas, evidence, half_areas, halves, shares
from mien.explain.template import template

LEAST = 50
"""Faces: an average of fewer is not kept, so that no picture shows what one person's face looks like."""

MAP_SIDE = 24
"""Pixels of a kept average map's side."""

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "not told"

RULES = {
    "anger_upper": "a pixel of the upper half of the face has more of anger's evidence than one of the lower",
    "happiness_lower": "a pixel of the lower half of the face has more of happiness's evidence than one of "
    "the upper",
    "anger_above_happiness": "the upper half's share of the evidence in the face is larger in anger than in "
    "happiness",
}
"""What is asked: it holds where the 95 % interval lies on its side of equality, does not on the other."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A value and its 95 % bootstrap interval over faces; None where nothing defines it."""

    value: float | None
    ci95: tuple[float, float] | None

    def to_list(self) -> list[float | None]:
        """Value, lower and upper end, as JSON."""
        low, high = self.ci95 or (None, None)
        return [_short(self.value), _short(low), _short(high)]


def _short(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(value, 5)


def mean_of(values: NDArray[np.float64], seed: int = 0) -> Figure:
    """The mean of values (N,), one a face; NaN are left out."""
    kept = values[~np.isnan(values)]
    return ratio_of(kept, np.ones(len(kept)), seed)


def ratio_of(above: NDArray[np.float64], below: NDArray[np.float64], seed: int = 0) -> Figure:
    """The ratio of two means over the same faces, (N,) each without NaN."""
    if not len(above) or not below.sum():
        return Figure(None, None)
    weights = drawn(len(above), RESAMPLES, seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        resampled = (weights @ above) / (weights @ below)
    return Figure(float(above.sum() / below.sum()), percentiles(resampled) if len(above) > 1 else None)


def described(maps: Maps, regions: FaceRegions, seed: int = 0) -> dict[str, Any]:
    """The evidence of N faces by region, as JSON: shares, shares over areas (density), and the upper half.

    Of each the value and its interval. density: 1 where a region has its area's share. upper: the upper
    half's share of the evidence in the face. upper_density: an upper pixel's evidence over a lower one's.
    empty: faces where nothing speaks for the class; they are left out.
    """
    held = ~np.isnan(evidence(maps)[:, 0, 0])
    maps, regions = maps[held], regions[held]
    parts, sizes = shares(maps, regions), areas(regions)
    upper, lower = halves(maps, regions).T if len(maps) else np.zeros((2, 0))
    sizes_upper, sizes_lower = half_areas(regions).T if len(maps) else np.zeros((2, 0))
    columns = range(len(REGIONS))
    return {
        "faces": len(maps),
        "empty": int((~held).sum()),
        "share": {REGIONS[k]: mean_of(parts[:, k], seed).to_list() for k in columns},
        "density": {REGIONS[k]: ratio_of(parts[:, k], sizes[:, k], seed).to_list() for k in columns},
        "upper": ratio_of(upper, upper + lower, seed).to_list(),
        "upper_density": _densities(upper, sizes_upper, lower, sizes_lower, seed).to_list(),
    }


def _densities(
    upper: NDArray[np.float64],
    sizes_upper: NDArray[np.float64],
    lower: NDArray[np.float64],
    sizes_lower: NDArray[np.float64],
    seed: int,
) -> Figure:
    if not len(upper) or not lower.sum() or not sizes_upper.sum():
        return Figure(None, None)
    weights = np.concatenate([np.ones((1, len(upper))), drawn(len(upper), RESAMPLES, seed)])
    above, below = (weights @ upper) * (weights @ sizes_lower), (weights @ lower) * (weights @ sizes_upper)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = above / (above + below)
    # Percentiles of the part, turned into ratios: where a resample has nothing below, its ratio is no number.
    ends = percentiles(parts[1:]) if len(upper) > 1 else None
    value = float(above[0] / below[0])
    return Figure(value, None if ends is None or ends[1] == 1 else (_ratio(ends[0]), _ratio(ends[1])))


def _ratio(part: float) -> float:
    return part / (1 - part)


def judged(
    maps: Mapping[str, Maps], regions: Mapping[str, FaceRegions], seed: int = 0
) -> dict[str, dict[str, Any]]:
    """The findings of `RULES`, each with its figure, interval and verdict; empty without both emotions.

    maps, regions: by emotion.
    """
    if not {"angry", "happy"} <= set(maps):
        return {}
    angry, happy = (described(maps[name], regions[name], seed) for name in ("angry", "happy"))
    lower = [1 / end if end else None for end in happy["upper_density"]]
    within = [_upper_shares(maps[name], regions[name]) for name in ("angry", "happy")]
    found = {
        "anger_upper": (angry["upper_density"], 1.0),
        "happiness_lower": ([lower[0], lower[2], lower[1]], 1.0),
        "anger_above_happiness": (_difference(within[0], within[1], seed), 0.0),
    }
    return {
        name: {"value": figures, "equal": equal, "verdict": verdict(figures, equal)}
        for name, (figures, equal) in found.items()
    }


def verdict(figures: list[float | None], equal: float) -> str:
    """Of a value with its interval's ends, whether it lies above `equal`."""
    _, low, high = figures
    if low is None or high is None:
        return UNDECIDED
    return HOLDS if low > equal else FAILS if high < equal else UNDECIDED


def _upper_shares(maps: Maps, regions: FaceRegions) -> NDArray[np.float64]:
    """(N, 2): the evidence in the upper half and in the whole face, faces without any left out."""
    found = halves(maps, regions)
    found = found[~np.isnan(found[:, 0])]
    return np.stack([found[:, 0], found.sum(axis=1)], axis=1)


def _difference(ours: NDArray[np.float64], theirs: NDArray[np.float64], seed: int) -> list[float | None]:
    """The difference of two groups' ratios of sums, faces of each drawn again by themselves."""
    if len(ours) < 2 or len(theirs) < 2:
        return [None, None, None]
    values = []
    for number, group in enumerate((ours, theirs)):
        weights = np.concatenate([np.ones((1, len(group))), drawn(len(group), RESAMPLES, seed + number)])
        sums = weights @ group
        with np.errstate(divide="ignore", invalid="ignore"):
            values.append(sums[:, 0] / sums[:, 1])
    apart = values[0] - values[1]
    return Figure(float(apart[0]), percentiles(apart[1:])).to_list()


def average(maps: Maps, points: list[NDArray[np.float64] | None]) -> list[list[int]] | None:
    """The mean evidence of faces laid upon the mean face, `MAP_SIDE` pixels a side; None below `LEAST`.

    Each map is moved, turned and scaled so that the face's landmarks come nearest to the template's; faces
    whose landmarks are not read (None) stay as they are. Whole numbers, a million of them in all.
    """
    found = evidence(maps)
    held = ~np.isnan(found[:, 0, 0])
    if held.sum() < LEAST:
        return None
    size = maps.shape[-1]
    total = np.zeros((size, size))
    for number in np.flatnonzero(held):
        own = points[number]
        laid = found[number]
        if own is not None:
            move = laid_upon(own, template(size))
            laid = cv2.warpAffine(laid, move, (size, size), flags=cv2.INTER_LINEAR)
        total += laid
    small = cv2.resize(total, (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA)
    scaled: list[list[int]] = np.rint(1e6 * small / small.sum()).astype(int).tolist()
    return scaled


def laid_upon(points: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """The move, turn and scale (2, 3) that brings points (P, 2) nearest to the reference (least squares).

    Source: Umeyama 1991, without reflection.
    """
    middle, wanted = points.mean(axis=0), reference.mean(axis=0)
    own = (points - middle) @ (1, 1j)
    other = (reference - wanted) @ (1, 1j)
    turn = (own.conj() @ other) / max(float((own.conj() @ own).real), 1e-12)
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([matrix, wanted - matrix @ middle])
