"""The faces of a run: what a recipe's `data` section asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien import data
from mien.errors import DataError
from mien.faces import FaceBatch
from mien.labels import EMOTIONS
from mien.training.recipe import Recipe
from mien.transforms import key

Note = Callable[[str], None]
"""Called with one line for the person who waits."""


@dataclass(frozen=True)
class Splits:
    """The faces of a run: only those of emotions that the recipe names."""

    train: FaceBatch
    validation: FaceBatch


def read_splits(
    recipe: Recipe, path: Path, *, skip_bad: bool = False, note: Note = lambda line: None
) -> Splits:
    """The training and validation faces of a dataset in any known format.

    Raises: DataError when it cannot be read, or lacks a split or every face of the recipe's emotions in it.
    """
    batch = data.read(path, skip_bad=skip_bad)
    if batch.skipped:
        note(f"{len(batch.skipped)} bad rows skipped, the first: {batch.skipped[0]}")
    wanted = [EMOTIONS.index(name) for name in recipe.data.labels]
    parts = []
    for name in (recipe.data.train, recipe.data.validation):
        part = batch.split(name)
        part = part.select(np.isin(part.labels, wanted))
        if not len(part):
            raise DataError(f"no {name!r} face of {', '.join(recipe.data.labels)} in {path}")
        limit = recipe.data.limit
        if limit is not None and limit < len(part):
            chosen = np.random.default_rng(key(recipe.train.seed, "limit")).permutation(len(part))
            part = part.select(np.sort(chosen[:limit]))
        parts.append(part)
    return Splits(*parts)
