"""Tasks by their registered name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mien.errors import RecipeError, hint
from mien.faces import FaceBatch
from mien.landmarks import LandmarkBatch, Triplets
from mien.models import LandmarkNetwork, Network
from mien.training.recipe import explain
from mien.training.task import Task
from mien.transforms import Augmentation


class TaskOptions(BaseModel):
    """Base of every task's options: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Materials:
    """What every task is made of.

    train, validation: faces whose labels are the network's. run: folder for what the task stores.
    precision: that of training, one of `PRECISIONS`, for networks that the task runs beside its own.
    """

    network: Network
    train: FaceBatch
    validation: FaceBatch
    augmentation: Augmentation
    seed: int
    run: Path
    precision: str = "32-true"


@dataclass(frozen=True)
class LandmarkMaterials:
    """What a task on landmarks is made of: prepared faces of two splits, and triplets where there are any."""

    network: LandmarkNetwork
    train: LandmarkBatch
    validation: LandmarkBatch
    triplets: Triplets | None
    validation_triplets: Triplets | None
    seed: int


Builder = Callable[[Any, Any], Task]
"""What a task's class is called with: its validated options and its materials."""


@dataclass(frozen=True)
class TaskKind:
    """A registered task: its validated options, the kind of network that it trains, how it is built."""

    name: str
    options: type[TaskOptions]
    network: type[Network | LandmarkNetwork]
    build: Builder

    def validated(self, options: dict[str, Any]) -> TaskOptions:
        """The options as given in a recipe's `task` section.

        Raises: RecipeError naming the wrong key.
        """
        try:
            return self.options(**options)
        except ValidationError as error:
            raise RecipeError(explain(error, self.options, prefix="task")) from error

    def check(self, network: Network | LandmarkNetwork) -> None:
        """That it trains networks of this kind.

        Raises: RecipeError naming the tasks that do.
        """
        if isinstance(network, self.network):
            return
        fitting = [name for name, kind in task_kinds().items() if isinstance(network, kind.network)]
        raise RecipeError(
            f"task.name {self.name!r} does not train {network.architecture}: expected {' or '.join(fitting)}"
        )


_KINDS: dict[str, TaskKind] = {}
TaskClass = TypeVar("TaskClass", bound=Callable[..., Task])


def register(
    name: str, *, options: type[TaskOptions], network: type[Network | LandmarkNetwork]
) -> Callable[[TaskClass], TaskClass]:
    """Class decorator: makes a task available under `name`. network: the base of those that it trains."""

    def add(build: TaskClass) -> TaskClass:
        _KINDS[name] = TaskKind(name, options, network, build)
        return build

    return add


@cache
def task_kinds() -> dict[str, TaskKind]:
    """Every registered task by name; each module of this package is imported once."""
    package = importlib.import_module("mien.training.tasks")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"mien.training.tasks.{module.name}")
    return dict(sorted(_KINDS.items()))


def task_kind(name: str) -> TaskKind:
    """The task of that name.

    Raises: RecipeError when it is unknown.
    """
    kinds = task_kinds()
    if name not in kinds:
        raise RecipeError(f"task.name {name!r}: {hint(name, kinds)}")
    return kinds[name]
