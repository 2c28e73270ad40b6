"""Augmentation of normalised face batches."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from mien.transforms.affine import Fill, centre, warp
from mien.transforms.keyed import uniform


def mirror(faces: Tensor, flipped: Tensor) -> Tensor:
    """Left and right exchanged where asked.

    Shape: faces (N, C, H, W); flipped (N,) bool; returns faces' shape.
    """
    return torch.where(flipped[:, None, None, None], faces.flip(-1), faces)


_MOST_OBLONG = math.log(3.3)
"""Logarithm of the largest ratio of an erased rectangle's sides."""


def _within(length: int, first: Tensor, extent: Tensor) -> Tensor:
    """(N, length) bool: whose middle lies from `first` over `extent`, each (N,) in pixels."""
    middles = torch.arange(length, device=first.device) + 0.5
    return (middles >= first[:, None]) & (middles < (first + extent)[:, None])


class Augmentation(BaseModel):
    """The `augment` section of a recipe: what is done to each face, anew in every epoch, in this order.

    mirror: probability of exchanging left and right (systems A, B, C).
    rotate: largest angle in degrees, either way (A: 45, B: 10).
    zoom: largest share by which height and width are stretched or shrunk, each on its own (B: 0.1).
    resize: smallest and largest side in pixels; whole numbers, evenly (A: 42 to 54).
    crop: which part of the size that the network sees is cut: the middle, or anywhere within the picture.
    shift: largest number of pixels by which what is cut lies off, down and across, each either way.
    fill: what lies outside the picture (A: zero, the mean of normalised faces; B: nearest).
    contrast, brightness: largest share by which grey values are spread, and largest amount in deviations by
    which they are then raised, each either way.
    erase: probability of covering a rectangle with zeros (Zhong et al. 2020); its share of the face is drawn
    from 0.02 to `erase_area`, its sides' ratio from 0.3 to 3.3, evenly in the logarithm.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mirror: float = Field(0.0, ge=0, le=1)
    rotate: float = Field(0.0, ge=0, le=180)
    zoom: float = Field(0.0, ge=0, lt=1)
    resize: tuple[int, int] | None = None
    crop: Literal["centre", "random"] = "centre"
    shift: float = Field(0.0, ge=0)
    fill: Fill = "zero"
    contrast: float = Field(0.0, ge=0, lt=1)
    brightness: float = Field(0.0, ge=0)
    erase: float = Field(0.0, ge=0, le=1)
    erase_area: float = Field(0.25, ge=0.02, lt=1)

    @model_validator(mode="after")
    def _smallest_first(self) -> Augmentation:
        if self.resize and not 1 <= self.resize[0] <= self.resize[1]:
            raise ValueError("resize: expected the smallest side, then the largest")
        return self

    def _moves(self, side: int) -> bool:
        """Whether anything but the middle of a face of `side` pixels, as it is, may be shown."""
        resized = self.resize not in (None, (side, side))
        return bool(self.rotate or self.zoom or self.shift or resized or self.crop == "random")

    def check(self, size: int, side: int) -> None:
        """Refuses pictures smaller than the crop that a network takes of them.

        size: of the crop. side: of the picture before it is resized.
        Raises: ValueError.
        """
        smallest = self.resize[0] if self.resize else side
        if self.crop == "random" and size > smallest:
            raise ValueError(
                f"crop of {size} pixels from pictures of {smallest}: begin augment.resize at {size}"
            )

    def __call__(self, faces: Tensor, *, size: int, seed: int, epoch: int, rows: Tensor) -> Tensor:
        """Augmented faces; the draws depend on seed, epoch and image alone.

        Shape: faces (N, C, S, S), normalised; rows (N,) int64, their numbers in the training set; returns
        (N, C, size, size).
        """
        if self.mirror:
            faces = mirror(faces, uniform(seed, "mirror", epoch, rows)[:, 0] < self.mirror)
        if self._moves(faces.shape[-1]):
            faces = warp(faces, size=size, fill=self.fill, **self._draws(faces, size, seed, epoch, rows))
        else:
            faces = centre(faces, size)
        if self.contrast or self.brightness:
            light = uniform(seed, "light", epoch, rows, 2)[:, :, None, None] * 2 - 1
            faces = faces * (1 + self.contrast * light[:, :1]) + self.brightness * light[:, 1:]
        return self._erased(faces, seed, epoch, rows) if self.erase else faces

    def _erased(self, faces: Tensor, seed: int, epoch: int, rows: Tensor) -> Tensor:
        height, width = faces.shape[-2:]
        draws = uniform(seed, "erase", epoch, rows, 5)
        area = 0.02 + draws[:, 1] * (self.erase_area - 0.02)
        ratio = ((draws[:, 2] * 2 - 1) * _MOST_OBLONG).exp()
        high = ((area * ratio).sqrt() * height).clamp(max=height)
        wide = ((area / ratio).sqrt() * width).clamp(max=width)
        covered = (
            _within(height, draws[:, 3] * (height - high), high)[:, None, :, None]
            & _within(width, draws[:, 4] * (width - wide), wide)[:, None, None, :]
            & (draws[:, 0] < self.erase)[:, None, None, None]
        )
        return faces.masked_fill(covered, 0.0)

    def _draws(self, faces: Tensor, size: int, seed: int, epoch: int, rows: Tensor) -> dict[str, Tensor]:
        """Angle, zoom and shift of each face, as `warp` takes them."""
        side = faces.shape[-1]
        turn = uniform(seed, "rotate", epoch, rows)[:, 0] * 2 - 1
        stretch = uniform(seed, "zoom", epoch, rows, 2) * 2 - 1
        low, high = self.resize or (side, side)
        sides = (low + uniform(seed, "resize", epoch, rows) * (high - low + 1)).floor()
        if self.crop == "random":
            room = sides - size
            corner = (uniform(seed, "crop", epoch, rows, 2) * (room + 1)).floor()
            shift = corner - room / 2
        else:
            shift = torch.zeros_like(stretch)
        if self.shift:
            shift = shift + (uniform(seed, "shift", epoch, rows, 2) * 2 - 1) * self.shift
        zoom = (sides / side) * (1 + stretch * self.zoom)
        return {"angle": turn * self.rotate, "zoom": zoom, "shift": shift}
