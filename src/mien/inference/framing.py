"""From a detected box to the square grey face that the networks were trained on."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.inference.detectors.base import Framing

UInt8 = NDArray[np.uint8]
Square = tuple[float, float, float]
"""(x, y, side) in pixels of the picture, not rounded."""


def square_of(box: tuple[float, float, float, float], framing: Framing) -> Square:
    """The square that FER-2013 would have cut out around a detector's box (x, y, width, height)."""
    x, y, width, height = box
    size = math.sqrt(width * height)
    side = max(size * framing.scale, 1.0)
    return (x + (width - side) / 2, y + (height - side) / 2 + size * framing.shift, side)


def centre_square(width: int, height: int) -> Square:
    """The largest square in the middle: how a picture that is itself a face is read, never squashed."""
    side = min(width, height)
    return ((width - side) // 2, (height - side) // 2, side)


def cut(image: UInt8, square: Square, size: int) -> UInt8:
    """A square of an RGB picture as grey, at the network's size.

    Beyond the picture's edge its outermost pixels are repeated. Grey is ITU-R 601 luma; the triangle filter
    is widened when shrinking, so that nothing aliases. A square of exactly `size` whole pixels is taken
    unchanged.
    Shape: image (H, W, 3) uint8; returns (size, size) uint8.
    """
    height, width = image.shape[:2]
    x, y, side = square
    # One pixel more than the square on each side, for the filter; indices beyond the edge repeat it.
    columns = np.arange(math.floor(x) - 1, math.ceil(x + side) + 1)
    rows = np.arange(math.floor(y) - 1, math.ceil(y + side) + 1)
    region = image[np.ix_(rows.clip(0, height - 1), columns.clip(0, width - 1))]
    left, top = x - columns[0], y - rows[0]
    grey = Image.fromarray(region).convert("L")
    small = grey.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    return np.asarray(small, dtype=np.uint8)
