"""The faces of a run: what a recipe's `data` section asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mien import data
from mien.data.hashes import pixel_hashes
from mien.data.leaks import leak_reasons
from mien.errors import DataError
from mien.experiments.domain import Note, limited
from mien.faces import FaceBatch
from mien.labels import EMOTIONS, SPLITS
from mien.models import architecture
from mien.training.recipe import Recipe


@dataclass(frozen=True)
class Splits:
    """The faces of a run: only those of emotions that the recipe names. test: None where it names none."""

    train: FaceBatch
    validation: FaceBatch
    test: FaceBatch | None = None


def read_splits(
    recipe: Recipe, path: Path, *, skip_bad: bool = False, note: Note = lambda line: None
) -> Splits:
    """The faces of a dataset in any known format that a recipe asks for.

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
    test = _test_of(batch, recipe)
    if wanted.drop_leaks:
        train = _without_leaks(train, note)
    if wanted.drop_copies:
        whole = batch.split(wanted.train)
        train = _without_repeats(train, note)
        validation = _without_copies(validation, whole, note)
        test = None if test is None else _without_copies(test, whole, note)
    for name, part in ((wanted.train, train), (wanted.validation, validation)):
        if not len(part):
            raise DataError(f"no {name!r} face of {', '.join(wanted.labels)} in {path}")
    return Splits(limited(train, recipe), limited(validation, recipe), test)


def _test_of(batch: FaceBatch, recipe: Recipe) -> FaceBatch | None:
    """The faces of the test split; None where the recipe names none or the data hold none."""
    name = recipe.data.test
    if name is None or not (batch.splits == SPLITS.index(name)).any():
        return None
    return _of_labels(batch.split(name), recipe)


def _seen_size(recipe: Recipe) -> int:
    """The side of the pictures that the recipe's network takes, without its weights."""
    with torch.device("meta"):
        network = architecture(recipe.model.name).build(recipe.model.options, recipe.data.labels)
    return network.input_size


def _of_labels(part: FaceBatch, recipe: Recipe) -> FaceBatch:
    return part.select(np.isin(part.labels, [EMOTIONS.index(name) for name in recipe.data.labels]))


def _without_repeats(train: FaceBatch, note: Note) -> FaceBatch:
    """Of each training face the first of its pixel copies."""
    first = np.zeros(len(train), np.bool_)
    first[np.unique(pixel_hashes(train.images), return_index=True)[1]] = True
    note(f"{np.sum(~first)} repeats in training left out")
    return train.select(first)


def _without_leaks(train: FaceBatch, note: Note) -> FaceBatch:
    """The training faces that are not on FER-2013's list of leaks."""
    reasons = leak_reasons(train.images)
    left_out = np.logical_or.reduce(list(reasons.values()))
    counts = ", ".join(f"{reason} {np.sum(faces):,}" for reason, faces in reasons.items())
    note(f"{np.sum(left_out):,} of {len(train):,} training faces left out as leaks: {counts}")
    return train.select(~left_out)


def _without_copies(part: FaceBatch, all_training: FaceBatch, note: Note) -> FaceBatch:
    """The faces that are no pixel copy of a training face; repeats among themselves stay.

    all_training: the training split with the emotions that are left out too. A face whose copy bears one of
    those is one whose label is in doubt, and is no test either.
    """
    copied = np.isin(pixel_hashes(part.images), pixel_hashes(all_training.images))
    note(f"{np.sum(copied)} copies of training faces left out of {len(part):,} others")
    return part.select(~copied)
