"""One photograph cut out twice: copies that lie shifted, at another scale, mirrored or slightly turned.

`audit.near_copies` compares faces as they lie, pixel on pixel. Here every face is compared under every shift
and scale of a grid, and what agrees there is registered (enhanced correlation coefficient: Evangelidis and
Psarakis, IEEE TPAMI 30(10), 2008) and compared again in its fine detail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.audit import near_copies
from mien.faces import UInt8

WINDOW = 0.75
"""How wide the window in a face's middle is that is compared, in sides of the face."""

GRID_SIDE = 14
GRID_BLUR = 2.0
"""Windows are compared by 14×14 block means, less their Gaussian blur (σ = 2 blocks)."""

DETAIL_BLUR = 2.0
DETAIL_CORRELATION = 0.75
"""The least correlation, where they overlap, of two registered faces less their blur (σ = 2 pixels).

Pairs of one photograph and others lie apart: docs/leaks.md has what either side of it looks like.
"""

OVERLAP = 0.3
"""The least share of the face that the two must have in common, less a rim of two pixels."""

_CHUNK = 256
_SIDE = 48
_BLANK = 1e-2

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a window lies: `scale` times as wide, `right` and `down` off the middle in sides of the face."""

    scale: float
    right: float
    down: float
    mirrored: bool

    def matrix(self, side: int = _SIDE) -> NDArray[np.float32]:
        """(2, 3): from pixels of the other face to pixels of this one, as `cv2.warpAffine` takes them."""
        middle = (side - 1) / 2
        across = -self.scale if self.mirrored else self.scale
        return np.array(
            [
                [across, 0, middle * (1 - across) + self.right * side],
                [0, self.scale, middle * (1 - self.scale) + self.down * side],
            ],
            np.float32,
        )


def _grid(scales: tuple[float, ...], shifts: tuple[float, ...], mirrored: bool) -> tuple[Placement, ...]:
    return tuple(
        Placement(scale, right, down, mirrored) for scale in scales for right in shifts for down in shifts
    )


@dataclass(frozen=True, slots=True)
class Search:
    """Pairs are registered whose windows correlate at least `correlation` at one of the placements."""

    placements: tuple[Placement, ...]
    correlation: float


_SCALES = (0.69, 0.745, 0.8, 0.865, 0.93, 1.0, 1.075, 1.155, 1.25, 1.345, 1.45)
_SHIFTS = (-0.15, -0.1, -0.05, 0.0, 0.05, 0.1, 0.15)
_MIRRORED = _grid(_SCALES[2:-2], _SHIFTS[1:-1], mirrored=True)

WIDE = Search(_grid(_SCALES, _SHIFTS, mirrored=False) + _MIRRORED, 0.75)
"""Windows 0.69 to 1.45 times as wide, shifted by up to 0.15 of the side; mirrored on the smaller grid."""

NARROW = Search(_grid(_SCALES[2:-2], _SHIFTS[1:-1], mirrored=False) + _MIRRORED, 0.79)
"""0.8 to 1.25 times as wide, shifted by up to 0.1 of the side: 85 % of the pairs that `WIDE` finds."""


def warped(image: Floats, matrix: NDArray[np.float32]) -> Floats:
    """What a face (48, 48) shows where a matrix (2, 3) takes the pixels of another, its border repeated."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(image, matrix, (_SIDE, _SIDE), flags=flags, borderMode=cv2.BORDER_REPLICATE),
        np.float32,
    )


def _described(image: Floats) -> Floats:
    """(GRID_SIDE²,) the detail of the window in the middle, of length 1, or 0 where it is blank."""
    edge = round(_SIDE * (1 - WINDOW) / 2)
    window = image[edge : _SIDE - edge, edge : _SIDE - edge]
    small = cv2.resize(window, (GRID_SIDE, GRID_SIDE), interpolation=cv2.INTER_AREA)
    detail = (small - cv2.GaussianBlur(small, (0, 0), GRID_BLUR)).ravel()
    detail -= detail.mean()
    length = np.linalg.norm(detail)
    return np.asarray(detail / length if length > _BLANK else detail * 0, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Recrops:
    """Pairs of one face of each of two sets that show one photograph.

    left, right: (P,) int64 positions, sorted. mirrored: (P,) bool: one is the other's mirror image.
    correlation: (P,) float32, from the least asked for to 1, of the detail of the two registered faces.
    overlap: (P,) float32 in `OVERLAP`…1, the share of the right face that is also on the left one.
    matrices: (P, 2, 3) float32, from the right face's pixels to the left one's, both at 48×48.
    """

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    mirrored: NDArray[np.bool_]
    correlation: Floats
    overlap: Floats
    matrices: Floats

    def __len__(self) -> int:
        return len(self.left)


def recrops(
    left: UInt8,
    right: UInt8,
    search: Search = WIDE,
    progress: Callable[[float], None] | None = None,
    *,
    correlation: float = DETAIL_CORRELATION,
) -> Recrops:
    """Finds the pairs of a left and a right face that are one photograph, cut out otherwise or not.

    Every pair is compared under every placement of the search: minutes for some thousands of faces beside
    tens of thousands. Pairs that are equal in every pixel are among them; blank faces are not.
    Shape: images (N, H, W) and (M, H, W) uint8. progress: called with the share done, 0…1. correlation: the
    least that is kept in place of `DETAIL_CORRELATION`, to see what lies below it.
    """
    a, b = _at_one_size(left), _at_one_size(right)
    smooth_a, smooth_b = ([cv2.GaussianBlur(image, (0, 0), 1.0) for image in images] for images in (a, b))
    kept = []
    for done, i, j, placement in _candidates(a, b, search):
        for p, q, which in zip(i.tolist(), j.tolist(), placement.tolist(), strict=True):
            matrix = _registered(smooth_a[p], smooth_b[q], search.placements[which].matrix())
            if matrix is None:
                continue
            agreement, overlap = _agreement(a[p], b[q], matrix)
            if agreement >= correlation and overlap >= OVERLAP:
                kept.append((p, q, search.placements[which].mirrored, agreement, overlap, matrix))
        if progress:
            progress(done)
    types = (np.int64, np.int64, np.bool_, np.float32, np.float32, np.float32)
    columns: list[Any] = [np.array([pair[at] for pair in kept], kind) for at, kind in enumerate(types)]
    columns[-1] = columns[-1].reshape(-1, 2, 3)
    return Recrops(*columns)


def near_pairs(
    left: UInt8, right: UInt8, search: Search = WIDE, progress: Callable[[float], None] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions in left and right of each pair that `audit.near_copies` or `recrops` finds, sorted.

    Shape: images (N, H, W) and (M, H, W) uint8.
    """
    cropped = recrops(left, right, search, progress)
    found = [np.stack(aligned_pairs(left, right)), np.stack([cropped.left, cropped.right])]
    first, second = np.unique(np.concatenate(found, axis=1), axis=1)
    return first, second


def aligned_pairs(left: UInt8, right: UInt8) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions in left and right of each pair that `audit.near_copies` finds, sorted.

    Shape: images (N, H, W) and (M, H, W) uint8.
    """
    found = near_copies(np.concatenate([left, right]))
    across = (found.first < len(left)) & (found.second >= len(left))
    return found.first[across], found.second[across] - len(left)


def _candidates(
    left: Floats, right: Floats, search: Search
) -> Iterator[tuple[float, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Yields the share done, positions of pairs whose windows correlate, and their best placement."""
    fixed = np.stack([_described(image) for image in right]).T if len(right) else np.zeros((1, 0))
    fixed = np.ascontiguousarray(fixed, np.float32)
    matrices = [placement.matrix() for placement in search.placements]
    best, scores = (np.empty((_CHUNK, len(right)), np.float32) for _ in range(2))
    for start in range(0, len(left) if len(right) else 0, _CHUNK):
        part = left[start : start + _CHUNK]
        n = len(part)
        best[:] = -1
        rows = np.stack([[_described(warped(image, matrix)) for image in part] for matrix in matrices])
        for row in rows:
            np.matmul(row, fixed, out=scores[:n])
            np.maximum(best[:n], scores[:n], out=best[:n])
        i, j = np.nonzero(best[:n] >= search.correlation)
        which = [int((rows[:, p] @ fixed[:, q]).argmax()) for p, q in zip(i, j, strict=True)]
        yield min(1.0, (start + _CHUNK) / len(left)), i + start, j, np.array(which, np.int64)


def _registered(left: Floats, right: Floats, matrix: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """The affine map from the right face's pixels to the left one's; None where none is found."""
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-4)
    everywhere = np.ones((_SIDE, _SIDE), np.uint8)
    try:
        found = cv2.findTransformECC(right, left, matrix, cv2.MOTION_AFFINE, stop, everywhere, 3)[1]
    except cv2.error:  # It says so by an exception when the two do not converge.
        return None
    return np.asarray(found, np.float32)


def _agreement(left: Floats, right: Floats, matrix: NDArray[np.float32]) -> tuple[float, float]:
    """The correlation of the two faces' detail where they overlap, and the share where they do."""
    inside = cv2.warpAffine(
        np.ones_like(left), matrix, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    )
    common = cv2.erode((inside > 0.99).astype(np.uint8), np.ones((5, 5)), borderValue=0) > 0
    if not common.any():
        return 0.0, 0.0
    x, y = (_detail(image)[common] for image in (warped(left, matrix), right))
    x, y = x - x.mean(), y - y.mean()
    length = float(np.linalg.norm(x) * np.linalg.norm(y))
    return (float(x @ y) / length if length > 1 else 0.0), float(common.mean())


def _detail(image: Floats) -> Floats:
    return np.asarray(image - cv2.GaussianBlur(image, (0, 0), DETAIL_BLUR), np.float32)


def _at_one_size(images: UInt8) -> Floats:
    """(N, 48, 48) float32."""
    if not len(images):
        return np.zeros((0, _SIDE, _SIDE), np.float32)
    floats = (image.astype(np.float32) for image in images)
    return np.stack([cv2.resize(one, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for one in floats])
