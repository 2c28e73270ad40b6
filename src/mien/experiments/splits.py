"""The faces of a run: what a recipe's `data` section asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mien import data
from mien.data.hashes import pixel_hashes
from mien.errors import DataError
from mien.faces import FaceBatch
from mien.labels import EMOTIONS
from mien.models import architecture
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

    Faces are brought to the size that the network sees where the recipe says so, and always where the
    format's pictures have no size in common.
    Raises: DataError when it cannot be read, or lacks a split or every face of the recipe's emotions in it.
    """
    wanted = recipe.data
    size = _seen_size(recipe) if wanted.resize or data.detect(path)[0].unsized else None
    batch = data.read(path, skip_bad=skip_bad, size=size, split_seed=wanted.split_seed)
    if batch.skipped:
        note(f"{len(batch.skipped)} bad rows skipped, the first: {batch.skipped[0]}")
    for line in batch.left_out:
        note(line)
    train, validation = (_of_labels(batch.split(name), recipe) for name in (wanted.train, wanted.validation))
    if wanted.drop_copies:
        train, validation = _without_copies(batch.split(wanted.train), train, validation, note)
    for name, part in ((wanted.train, train), (wanted.validation, validation)):
        if not len(part):
            raise DataError(f"no {name!r} face of {', '.join(wanted.labels)} in {path}")
    return Splits(_limited(train, recipe), _limited(validation, recipe))


def _seen_size(recipe: Recipe) -> int:
    """The side of the pictures that the recipe's network takes, without its weights."""
    with torch.device("meta"):
        network = architecture(recipe.model.name).build(recipe.model.options, recipe.data.labels)
    return network.input_size


def _of_labels(part: FaceBatch, recipe: Recipe) -> FaceBatch:
    return part.select(np.isin(part.labels, [EMOTIONS.index(name) for name in recipe.data.labels]))


def _without_copies(
    all_training: FaceBatch, train: FaceBatch, validation: FaceBatch, note: Note
) -> tuple[FaceBatch, FaceBatch]:
    """Both without pixel copies: of each training face the first stays, and is in training alone.

    all_training: the training split with the emotions that are left out too. A face whose copy bears one of
    those is one whose label is in doubt, and is no test either.
    """
    first = np.zeros(len(train), np.bool_)
    first[np.unique(pixel_hashes(train.images), return_index=True)[1]] = True
    copied = np.isin(pixel_hashes(validation.images), pixel_hashes(all_training.images))
    note(f"{np.sum(~first)} repeats in training left out, {np.sum(copied)} of its copies in validation")
    return train.select(first), validation.select(~copied)


def _limited(part: FaceBatch, recipe: Recipe) -> FaceBatch:
    """As many faces as the recipe's limit, drawn by its seed."""
    limit = recipe.data.limit
    if limit is None or limit >= len(part):
        return part
    chosen = np.random.default_rng(key(recipe.train.seed, "limit")).permutation(len(part))
    return part.select(np.sort(chosen[:limit]))
