"""The regions of a face in a picture, drawn from its 83 landmarks, and what share of a map lies in each.

- brows: the convex hull of both, with what lies between them, where a frown shows.
- eyes, nose, mouth: the hulls of each eye, of the sides of the nose and the nostrils, of the outer lips.
  These four reach `MARGIN` beyond their landmarks; where two do, the nearer one has the pixel.
- forehead and cheeks: the rest of the face above and below the line through the eyes; the temples belong to
  the one, the chin to the other.
- outside: what is no face. The face is the hull of the jaw and of the brows, and as high above the brows as
  the nostrils lie below them (the canon of equal thirds): landmarks know no hairline.

The upper half of the face is what lies above the middle between the eyes and the nostrils, the lower half the
rest, as Ekman's facial areas have it: brows, forehead, eyes and the root of the nose against nose, cheeks,
mouth and chin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.landmark_layout import COUNT, EYE_CORNERS
from mien.landmark_layout import REGIONS as LINES

Points = NDArray[np.float64]
"""(P, 2): x to the right and y down, in pixels, the centre of the first at 0."""

REGIONS = ("brows", "eyes", "nose", "mouth", "forehead", "cheeks", "outside")
"""A pixel's region is an index into this tuple; every pixel has exactly one."""

MARGIN = 0.12
"""How far a region reaches beyond its landmarks, in distances between the eyes: two pixels of FER-2013."""

_LINES = {line.name: list(line.indices) for line in LINES}
_BROWS = _LINES["right_brow"] + _LINES["left_brow"]
_PARTS: tuple[tuple[str, list[int]], ...] = (
    ("brows", _BROWS),
    ("eyes", _LINES["right_eye"]),
    ("eyes", _LINES["left_eye"]),
    ("nose", _LINES["right_nose"] + _LINES["left_nose"] + _LINES["nostrils"]),
    ("mouth", _LINES["outer_lips"]),
)


@dataclass(frozen=True, slots=True, eq=False)
class FaceRegions:
    """The regions of N faces.

    maps: (N, H, W) int8, indices into `REGIONS`. upper: (N, H, W) bool, above the middle of the face.
    read: (N,) bool, from the face's own landmarks; the others have those of the mean face.
    """

    maps: NDArray[np.int8]
    upper: NDArray[np.bool_]
    read: NDArray[np.bool_]

    def __len__(self) -> int:
        """How many faces."""
        return len(self.maps)

    def __getitem__(self, rows: NDArray[np.generic] | slice) -> FaceRegions:
        """The regions of some of the faces."""
        return FaceRegions(self.maps[rows], self.upper[rows], self.read[rows])


def regions_of(points: Points, size: int) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """The regions (size, size) int8 of a face with these landmarks (83, 2), and its upper half, bool.

    Raises: DataError when the points have another shape.
    """
    if points.shape != (COUNT, 2):
        raise DataError(f"landmarks of shape {points.shape}: expected ({COUNT}, 2)")
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1).reshape(-1, 2).astype(np.float64)
    eyes = np.array([points[list(corners)].mean(axis=0) for corners in EYE_CORNERS])
    apart = eyes[1] - eyes[0]
    distance = float(np.hypot(*apart)) or 1.0
    # Upwards in the picture where the person's right eye is on its left.
    up = np.array([apart[1], -apart[0]]) / distance
    middle, nostrils = eyes.mean(axis=0), points[_LINES["nostrils"]].mean(axis=0)
    height = (grid - middle) @ up
    distances = np.stack([signed_distance(grid, hull(points[part])) for _, part in _PARTS])
    nearest = np.array([REGIONS.index(name) for name, _ in _PARTS])[distances.argmin(axis=0)]
    rest = np.where(height > 0, REGIONS.index("forehead"), REGIONS.index("cheeks"))
    rest[signed_distance(grid, outline(points)) > 0] = REGIONS.index("outside")
    found = np.where(distances.min(axis=0) <= MARGIN * distance, nearest, rest)
    upper = height > float((nostrils - middle) @ up) / 2
    return found.reshape(size, size).astype(np.int8), upper.reshape(size, size)


def outline(points: Points) -> Points:
    """The corners (K, 2) of the face: jaw, brows, and a forehead as high as brows lie above nostrils."""
    brows = points[_BROWS]
    third = brows.mean(axis=0) - points[_LINES["nostrils"]].mean(axis=0)
    return hull(np.concatenate([points[_LINES["jaw"]], brows, brows + third]))


def hull(points: Points) -> Points:
    """The corners (K, 2) of the convex hull of points (P, 2), in order around it."""
    return np.asarray(cv2.convexHull(points.astype(np.float32))[:, 0], np.float64)


def signed_distance(places: Points, corners: Points) -> NDArray[np.float64]:
    """How far places (M, 2) lie from the edge of a convex polygon (K, 2), negative inside it: (M,)."""
    edge = np.roll(corners, -1, axis=0) - corners
    offset = places[:, None] - corners
    along = (offset * edge).sum(axis=2) / np.maximum((edge**2).sum(axis=1), 1e-12)
    away = offset - along.clip(0, 1)[..., None] * edge
    nearest = np.hypot(away[..., 0], away[..., 1]).min(axis=1)
    side = edge[:, 0] * offset[..., 1] - edge[:, 1] * offset[..., 0]
    inside = (side >= 0).all(axis=1) | (side <= 0).all(axis=1)
    return np.where(inside, -nearest, nearest)


def evidence(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    """What speaks for the class: the positive part of maps (N, H, W), each face's summing to 1.

    NaN all over where nothing does.
    """
    positive = np.maximum(np.asarray(maps, np.float64), 0)
    totals = positive.sum(axis=(1, 2), keepdims=True)
    return np.divide(positive, totals, out=np.full(positive.shape, np.nan), where=totals > 0)


def shares(maps: NDArray[np.floating], regions: FaceRegions) -> NDArray[np.float64]:
    """The share of each face's evidence in each region: (N, 7), rows summing to 1, NaN where there is none.

    Raises: DataError when maps and regions differ in shape.
    """
    _check(maps, regions)
    return _in_regions(evidence(maps), regions)


def areas(regions: FaceRegions) -> NDArray[np.float64]:
    """The share of each face's picture that each region takes: (N, 7), rows summing to 1."""
    return _in_regions(np.full(regions.maps.shape, 1 / np.prod(regions.maps.shape[1:])), regions)


def halves(maps: NDArray[np.floating], regions: FaceRegions) -> NDArray[np.float64]:
    """The share of each face's evidence in the upper and in the lower half of the face: (N, 2).

    What lies outside the face is in neither.
    """
    _check(maps, regions)
    return _in_halves(evidence(maps), regions)


def half_areas(regions: FaceRegions) -> NDArray[np.float64]:
    """The share of each face's picture that each half of the face takes: (N, 2)."""
    return _in_halves(np.full(regions.maps.shape, 1 / np.prod(regions.maps.shape[1:])), regions)


def _in_regions(values: NDArray[np.float64], regions: FaceRegions) -> NDArray[np.float64]:
    return _sums(values, [regions.maps == number for number in range(len(REGIONS))])


def _in_halves(values: NDArray[np.float64], regions: FaceRegions) -> NDArray[np.float64]:
    face = regions.maps != REGIONS.index("outside")
    return _sums(values, [face & regions.upper, face & ~regions.upper])


def _sums(values: NDArray[np.float64], masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    return np.stack([(values * mask).sum(axis=(1, 2)) for mask in masks], axis=1)


def _check(maps: NDArray[np.floating], regions: FaceRegions) -> None:
    if maps.shape != regions.maps.shape:
        raise DataError(f"maps {maps.shape} and regions {regions.maps.shape}: expected the same shape")
