"""What is measured: a network on its own, or as a recipe trains it, on random faces."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien.errors import ModelError
from mien.faces import FaceBatch
from mien.labels import EMOTIONS, PRECISIONS
from mien.models import LANDMARKS, Architecture, Classifier, Embedder, Network, architecture
from mien.training import recipe
from mien.training.loop import Loop
from mien.training.recipe import NamedSection, TrainSection
from mien.training.task import Task
from mien.training.tasks import task_kind
from mien.training.tasks.registry import Materials
from mien.transforms import Augmentation

_TASKS = {Classifier.kind: "classification", Embedder.kind: "contrastive"}
"""What a network of each kind is trained for where no recipe says."""


@dataclass(frozen=True)
class Subject:
    """What is measured: a network on its own, or as a recipe trains it. name: as asked for."""

    name: str
    architecture: str
    options: dict[str, Any]
    task: NamedSection
    augmentation: Augmentation
    train: TrainSection

    def network(self) -> Network:
        """A fresh network with random weights."""
        return architecture(self.architecture).build(self.options)

    def settings(self, **changes: Any) -> TrainSection:
        """The training settings with changes, so that steps on random faces can be repeated at will.

        Too small a rate to move a weight far: random faces teach nothing and shall not diverge.
        """
        steady = {"lr": 1e-9, "select": "train_loss", "select_mode": "min"}
        return self.train.model_copy(update={**steady, **changes})

    def build_task(self, network: Network, faces: int, folder: Path, **options: Any) -> Task:
        """The task on so many random faces. options: in place of the recipe's."""
        batch = random_faces(faces, network.input_size)
        kind = task_kind(self.task.name)
        materials = Materials(network, batch, batch, self.augmentation, 0, folder)
        return kind.build(kind.validated({**self.task.options, **options}), materials)


def subject(
    name: str, *, batch_size: int | None = None, precision: str | None = None
) -> Subject | recipe.Recipe:
    """The recipe of that name, or else the network, in 32 bits on mirrored faces.

    A recipe of an autoencoder on landmarks is measured as it is.

    batch_size, precision: in place of the recipe's.
    Raises: ModelError when there is neither, or the precision is unknown.
    """
    if precision is not None and precision not in PRECISIONS:
        raise ModelError(f"unknown precision {precision!r}: expected {' or '.join(PRECISIONS)}")
    changes = {"batch_size": batch_size, "precision": precision}
    changes = {key: value for key, value in changes.items() if value is not None}
    if name in recipe.names():
        asked = recipe.load(name)
        if asked.model.name in LANDMARKS.all():
            return _on_landmarks(asked, changes)
        return Subject(
            name,
            asked.model.name,
            asked.model.options,
            # A teacher costs a step nothing that is worth measuring, and would have to be trained first.
            NamedSection(name="classification") if asked.task.name == "distillation" else asked.task,
            Augmentation(**asked.augment),
            asked.train.model_copy(update=changes),
        )
    found = architecture(name)
    return Subject(
        name,
        found.name,
        {},
        NamedSection(name=_TASKS[_kind(found)]),
        Augmentation(mirror=0.5),
        TrainSection().model_copy(update=changes),
    )


def _on_landmarks(asked: recipe.Recipe, changes: dict[str, Any]) -> recipe.Recipe:
    with torch.device("meta"):
        network = LANDMARKS.find(asked.model.name).build(asked.model.options)
    if not network.parameter_count():
        raise ModelError(f"{asked.name} trains nothing: expected a recipe of a network that learns")
    return asked.model_copy(update={"train": asked.train.model_copy(update=changes)})


def ready(task: Task, settings: TrainSection, folder: Path) -> Loop:
    """A loop whose `step` trains the task's network."""
    loop = Loop(task, settings, folder, "bench")
    loop.network.train()
    return loop


def random_faces(n: int, size: int) -> FaceBatch:
    """n faces of size × size random pixels, every label as often as the others."""
    rng = np.random.default_rng(0)
    return FaceBatch(
        images=rng.integers(0, 256, (n, size, size), dtype=np.uint8),
        labels=rng.permutation(np.arange(n) % len(EMOTIONS)),
        splits=np.zeros(n, np.int8),
        rows=np.arange(n),
        votes=np.zeros((n, 10), np.uint8),
        source="random faces",
    )


def _kind(found: Architecture) -> str:
    with torch.device("meta"):
        return found.build().kind
