"""A small smooth classifier of 18×18 faces in float64, and faces for it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mien.explain.regions import FaceRegions
from mien.explain.template import regions_at
from mien.models.network import Classifier, Outputs
from mien.models.normalisation import Scale

SIZE = 18
LABELS = ("angry", "happy", "sad")


class Small(Classifier):
    """Two convolutions and a dense layer, all smooth; maps (N, 4, side / 2, side / 2)."""

    input_size = SIZE
    architecture = "small"

    def __init__(self, body_size: int | None = None) -> None:
        super().__init__(LABELS, normalise=Scale(1 / 255), body_size=body_size)
        side = self.body_size // 2
        # Built in another order than they are run in.
        self.head = nn.Linear(4 * side * side, len(LABELS))
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.first = nn.Conv2d(1, 4, 3, padding=1)

    def body(self, faces: Tensor) -> Outputs:
        """(N, 1, B, B) → logits, flattened maps, maps."""
        small = nn.functional.avg_pool2d(torch.tanh(self.norm(self.first(faces))), 2)
        maps = torch.tanh(self.second(small))
        return Outputs(self.head(maps.flatten(1)), maps.flatten(1), maps)


def network(body_size: int | None = None) -> Small:
    torch.manual_seed(3)
    built = Small(body_size).double().eval().requires_grad_(False)
    built.head.weight.mul_(4)
    return built


def images(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, SIZE, SIZE), dtype=np.uint8)


def regions(n: int) -> FaceRegions:
    return regions_at([None] * n, SIZE)


def logits(of: Small, pictures: np.ndarray) -> np.ndarray:
    return of(torch.as_tensor(pictures.astype(np.float64))[:, None]).logits.detach().numpy()
