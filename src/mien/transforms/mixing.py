"""Two faces in one: a second face is drawn for each, and both their answers count by what is seen of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from mien.transforms.keyed import uniform


class Mixing(BaseModel):
    """How often, and how, a face is mixed with another.

    mixup: probability of adding another face, λ of the one and 1 − λ of the other (Zhang et al. 2018).
    cutmix: probability of laying a rectangle of another face over it, which covers 1 − λ of it (Yun et al.
    2019). λ is uniform in 0…1: the Beta distribution of both papers with α = 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mixup: float = Field(0.0, ge=0, le=1)
    cutmix: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _one_or_the_other(self) -> Mixing:
        if self.mixup + self.cutmix > 1:
            raise ValueError(
                f"mixup {self.mixup} and cutmix {self.cutmix}: expected probabilities that "
                "add up to at most 1"
            )
        return self

    def __bool__(self) -> bool:
        return bool(self.mixup or self.cutmix)

    def __call__(
        self,
        faces: Tensor,
        prepared: Callable[[Tensor], Tensor],
        *,
        of: int,
        seed: int,
        epoch: int,
        rows: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Mixed faces, who else is in each, and how much of each is still its own; drawn by image.

        prepared: training faces by number (N,) → (N, C, S, S), as `faces` were. of: how many there are.
        Shape: faces (N, C, S, S); rows (N,) int64, their numbers; returns (N, C, S, S), (N,) int64 and the
        share λ (N,) float in 0…1.
        """
        draws = uniform(seed, "mix", epoch, rows, 5)
        others = (draws[:, 0].double() * of).long()
        second = prepared(others)
        added = draws[:, 1] < self.mixup
        covered = ~added & (draws[:, 1] < self.mixup + self.cutmix)
        cover = _rectangles(faces.shape[-1], 1 - draws[:, 2], draws[:, 3:]) & covered[:, None, None]
        share = torch.where(added, draws[:, 2], 1 - cover.float().mean(dim=(1, 2)))
        weight = torch.where(added, draws[:, 2], 1.0)[:, None, None, None]
        mixed = torch.where(cover[:, None], second, weight * faces + (1 - weight) * second)
        return mixed, others, share


def _rectangles(side: int, area: Tensor, place: Tensor) -> Tensor:
    """(N, side, side) bool: squares, `area` (N,) of the face, around `place` (N, 2), cut at its edge."""
    half = area.sqrt() * side / 2
    middles = torch.arange(side, device=area.device) + 0.5
    within = (middles - place[:, :, None] * side).abs() < half[:, None, None]
    return within[:, 0, :, None] & within[:, 1, None, :]
