"""Augmentation of normalised face batches."""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from mien.transforms.keyed import uniform


def mirror(faces: Tensor, flipped: Tensor) -> Tensor:
    """Left and right exchanged where asked.

    Shape: faces (N, C, H, W); flipped (N,) bool; returns faces' shape.
    """
    return torch.where(flipped[:, None, None, None], faces.flip(-1), faces)


class Augmentation(BaseModel):
    """The `augment` section of a recipe: what is done to each training face, anew in every epoch.

    mirror: probability of exchanging left and right (system C, 3.3).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mirror: float = Field(0.0, ge=0, le=1)

    def __call__(self, faces: Tensor, *, seed: int, epoch: int, rows: Tensor) -> Tensor:
        """Augmented faces; the draws depend on seed, epoch and image alone.

        Shape: faces (N, C, H, W), normalised; rows (N,) int64, their numbers in the training set.
        """
        if self.mirror:
            faces = mirror(faces, uniform(seed, "mirror", epoch, rows)[:, 0] < self.mirror)
        return faces
