"""What every detector gives: boxes in one order, which may reach beyond the picture, and its own framing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mien.faces import Face


@dataclass(frozen=True, slots=True)
class Framing:
    """How a detector's box becomes the square that FER-2013 would have cut out.

    scale: the square's side over the box's side, which is √(width · height).
    shift: how far the square's centre lies below the box's centre, in sides of the box.
    Both are measured: `benchmarks/framing.py`.
    """

    scale: float
    shift: float


@dataclass(frozen=True, slots=True)
class Detection:
    """A face as the detector gave it.

    box: (x, y, width, height) in pixels, not rounded; it may reach beyond the picture, so that a face
        at the edge is framed as any other.
    score: 0…1; what it means is the detector's own.
    """

    box: tuple[float, float, float, float]
    score: float

    def face(self, width: int, height: int) -> Face:
        """The box in whole pixels, clipped to a picture of that size; its sides may be 0."""
        x, y, w, h = self.box
        left, right = (min(max(round(edge), 0), width) for edge in (x, x + w))
        top, bottom = (min(max(round(edge), 0), height) for edge in (y, y + h))
        return Face((left, top, right - left, bottom - top), self.score)


class Detector(Protocol):
    """Finds faces. One object may serve several threads."""

    name: str
    framing: Framing

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces of an RGB picture (H, W, 3) uint8, ordered by `arrange`."""
        ...


def arrange(detections: Iterable[Detection], width: int, height: int) -> list[Detection]:
    """Largest first, so that face 0 is the nearest; equal ones from left to right, then from the top.

    A detection of which nothing lies in the picture is left out.
    """

    def key(found: Detection) -> tuple[float, float, float]:
        return (-found.box[2] * found.box[3], found.box[0], found.box[1])

    kept = [found for found in detections if min(found.face(width, height).box[2:]) > 0]
    return sorted(kept, key=key)
