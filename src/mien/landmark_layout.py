"""The 83 three-dimensional landmarks of a face: names, regions, left–right pairs, in one place.

The regions and their order are those of BU-3DFE's `.bnd` files (Yin et al. 2006); faces of BP4D are brought
into it when they are read. Right and left are the person's own. Within a region the points form a line. A
closed one starts at its outer corner and runs over the upper side to the inner corner and back along the
lower side, the lips from the right corner over the upper lip to the left and back; the jaw runs from the
right ear to the left.

Coordinates: x to the person's left, y up, z towards the viewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COUNT = 83
"""Landmarks of a face."""


@dataclass(frozen=True, slots=True)
class Region:
    """Landmarks that form a line. start, stop: their numbers, from 0. closed: its ends are joined."""

    name: str
    start: int
    stop: int
    closed: bool

    @property
    def indices(self) -> range:
        """The numbers of its landmarks, in the order of the line."""
        return range(self.start, self.stop)


REGIONS: tuple[Region, ...] = (
    Region("right_eye", 0, 8, True),
    Region("left_eye", 8, 16, True),
    Region("right_brow", 16, 26, True),
    Region("left_brow", 26, 36, True),
    Region("right_nose", 36, 39, False),
    Region("left_nose", 39, 42, False),
    Region("nostrils", 42, 48, False),
    Region("outer_lips", 48, 60, True),
    Region("inner_lips", 60, 68, True),
    Region("jaw", 68, 83, False),
)
"""Every landmark is in exactly one."""

NAMES: tuple[str, ...] = tuple(
    f"{region.name}_{number + 1}" for region in REGIONS for number in range(region.stop - region.start)
)
"""Each landmark's name: its region and its place in it, from 1."""

UPPER_LIDS: tuple[range, range] = (range(1, 4), range(9, 12))
"""The right and the left upper lid, from the outer side to the inner one, without the eye's corners."""

LOWER_LIDS: tuple[range, range] = (range(5, 8), range(13, 16))
"""The right and the left lower lid, from the inner side to the outer one, without the eye's corners."""

EYE_CORNERS: tuple[tuple[int, int], tuple[int, int]] = ((0, 4), (8, 12))
"""Outer and inner corner of the right and of the left eye."""


def _mirrored() -> NDArray[np.int64]:
    """The landmark that each becomes in a mirror."""
    mirror = np.zeros(COUNT, np.int64)
    paired = (("right_eye", "left_eye"), ("right_brow", "left_brow"), ("right_nose", "left_nose"))
    regions = {region.name: region for region in REGIONS}
    for right, left in paired:
        mirror[regions[right].indices] = regions[left].indices
        mirror[regions[left].indices] = regions[right].indices
    for name in ("nostrils", "jaw"):
        mirror[regions[name].indices] = regions[name].indices[::-1]
    # From corner to corner over one lip and back along the other: the corners change places.
    for name in ("outer_lips", "inner_lips"):
        line = np.array(regions[name].indices)
        half = len(line) // 2
        mirror[line] = np.roll(line[::-1], half + 1)
    return mirror


MIRROR: NDArray[np.int64] = _mirrored()
"""(83,) int64: the landmark that takes each one's place in a mirror; its own inverse."""

ACTION_UNITS: tuple[int, ...] = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24)
"""The twelve action units that are present often enough in BP4D (system E, Table 5.3)."""

UNKNOWN_UNIT = 9
"""How BP4D's files write that an action unit was not coded."""
