"""Augmentation of normalised face batches."""

from __future__ import annotations

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


class Augmentation(BaseModel):
    """The `augment` section of a recipe: what is done to each face, anew in every epoch, in this order.

    mirror: probability of exchanging left and right (systems A, B, C).
    rotate: largest angle in degrees, either way (A: 45, B: 10).
    zoom: largest share by which height and width are stretched or shrunk, each on its own (B: 0.1).
    resize: smallest and largest side in pixels; whole numbers, evenly (A: 42 to 54).
    crop: which part of the size that the network sees is cut: the middle, or anywhere within the picture.
    fill: what lies outside the picture (A: zero, the mean of normalised faces; B: nearest).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mirror: float = Field(0.0, ge=0, le=1)
    rotate: float = Field(0.0, ge=0, le=180)
    zoom: float = Field(0.0, ge=0, lt=1)
    resize: tuple[int, int] | None = None
    crop: Literal["centre", "random"] = "centre"
    fill: Fill = "zero"

    @model_validator(mode="after")
    def _smallest_first(self) -> Augmentation:
        if self.resize and not 1 <= self.resize[0] <= self.resize[1]:
            raise ValueError("resize: expected the smallest side, then the largest")
        return self

    def _moves(self, side: int) -> bool:
        """Whether anything but the middle of a face of `side` pixels, as it is, may be shown."""
        resized = self.resize not in (None, (side, side))
        return bool(self.rotate or self.zoom or resized or self.crop == "random")

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
        if not self._moves(faces.shape[-1]):
            return centre(faces, size)
        return warp(faces, size=size, fill=self.fill, **self._draws(faces, size, seed, epoch, rows))

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
        zoom = (sides / side) * (1 + stretch * self.zoom)
        return {"angle": turn * self.rotate, "zoom": zoom, "shift": shift}
