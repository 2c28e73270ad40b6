"""What an experiment is made of: pictures or landmarks, each read and shown to networks its own way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from torch import nn

from mien.faces import FaceBatch
from mien.landmarks import LandmarkBatch
from mien.models import LandmarkNetwork, Network
from mien.training.recipe import Recipe
from mien.transforms import key

Note = Callable[[str], None]
"""Called with one line for the person who waits."""

Faces = TypeVar("Faces")
Part = TypeVar("Part", FaceBatch, LandmarkBatch)
Seer = TypeVar("Seer", bound=Network | LandmarkNetwork)


def learns(network: nn.Module) -> bool:
    """Whether there is anything to train: a baseline is fitted when it is built, and has no parameters."""
    return any(True for _ in network.parameters())


def limited(part: Part, recipe: Recipe) -> Part:
    """As many faces as the recipe's limit, drawn by its seed."""
    limit = recipe.data.limit
    if limit is None or limit >= len(part):
        return part
    chosen = np.random.default_rng(key(recipe.train.seed, "limit")).permutation(len(part))
    return part.select(np.sort(chosen[:limit]))


class Domain(ABC, Generic[Faces, Seer]):
    """One kind of faces. `Faces` holds a run's splits, `Seer` is the base of networks that see them."""

    @abstractmethod
    def check(self, recipe: Recipe) -> Seer:
        """The recipe's network without its weights, when all that it names and that needs no faces is right.

        Raises: RecipeError, ModelError.
        """

    @abstractmethod
    def read(self, recipe: Recipe, path: Path, skip_bad: bool, note: Note) -> Faces:
        """The faces that a recipe asks for.

        Raises: DataError.
        """

    @abstractmethod
    def build(self, recipe: Recipe, faces: Faces, start: str | None, note: Note) -> Seer:
        """The network with seeded weights and what it takes from training faces, or with weights taken over.

        Raises: DataError, ModelError.
        """

    @abstractmethod
    def materials(self, recipe: Recipe, network: Seer, faces: Faces, run: Path) -> Any:
        """What the recipe's task is made of."""

    @abstractmethod
    def content(self, faces: Faces) -> Iterator[bytes]:
        """All that training and selection see of the faces, for a fingerprint."""
