"""What every task on labelled faces shares: both splits on the device, and how faces are prepared."""

from __future__ import annotations

import torch
from torch import Tensor

from mien.faces import FaceBatch
from mien.labels import positions
from mien.models import Network
from mien.training.task import Task
from mien.training.tasks.registry import Materials

VALIDATION_BATCH = 512


class OnFaces(Task):
    """Base: the whole dataset lies on the device as uint8; there is no loader process."""

    network: Network
    moved: tuple[str, ...] = ("images", "labels", "validation_images", "validation_labels")
    """What lies on the device, by name."""

    def __init__(self, materials: Materials) -> None:
        self.network = materials.network
        self.augmentation = materials.augmentation
        self.seed = materials.seed
        labels = materials.network.labels
        self.images, self.labels = _tensors(materials.train, labels)
        self.validation_images, self.validation_labels = _tensors(materials.validation, labels)

    @property
    def size(self) -> int:
        """Number of training faces."""
        return len(self.images)

    def to(self, device: torch.device) -> None:
        """Moves both splits to the device, and what else belongs to them."""
        for name in self.moved:
            setattr(self, name, getattr(self, name).to(device))

    def prepare(self, rows: Tensor, epoch: int) -> Tensor:
        """The faces `rows` (B,), normalised and augmented: all that a step does before the network's body."""
        faces = self.network.normalise(self.images[rows].float())
        size = self.network.body_size
        return self.augmentation(faces, size=size, seed=self.seed, epoch=epoch, rows=rows)


def _tensors(faces: FaceBatch, labels: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(faces.images)[:, None], torch.from_numpy(positions(faces.labels, labels))
