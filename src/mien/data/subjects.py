"""Splits by subject: no person that a network was trained on is among those it is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.faces import FaceBatch
from mien.labels import SPLITS

SHARES = (0.8, 0.1, 0.1)
"""The shares of the subjects in training, public (validation) and private (test)."""


def split_by_subject(batch: FaceBatch, shares: Sequence[float] = SHARES, seed: int = 0) -> FaceBatch:
    """The same faces with splits drawn by subject, so that none has faces in two (`drawn_splits`).

    Raises: DataError when the batch names no subjects or fewer than two, or the shares are no shares.
    """
    if batch.subjects is None:
        raise DataError(f"{batch.source or 'the data'} names no subjects: expected who each face shows")
    return replace(batch, splits=drawn_splits(batch.subjects, shares, seed, batch.source))


def drawn_splits(
    subjects: NDArray[np.str_], shares: Sequence[float] = SHARES, seed: int = 0, source: str = ""
) -> NDArray[np.int8]:
    """Splits for faces (N,) drawn by their subjects (N,), as indices into `SPLITS`.

    The shares are of subjects, not of faces. Where there are enough subjects each split with a share has at
    least one; of two subjects the second is the public one. The draw depends on the seed and on the names of
    the subjects alone, not on the order of the faces.
    shares: one number a split, in the order of `SPLITS`, summing to 1. source: named in messages.
    Raises: DataError for fewer than two subjects, or shares that are none.
    """
    if len(shares) != len(SPLITS) or min(shares) < 0 or not np.isclose(sum(shares), 1):
        raise DataError(f"shares {tuple(shares)}: expected {len(SPLITS)} numbers of 0 or more that sum to 1")
    names = np.unique(subjects)
    if len(names) < 2:
        raise too_few_subjects(source, names)
    split_of_name = np.zeros(len(names), np.int8)
    numbers = _numbers(len(names), np.array(shares, np.float64))
    split_of_name[np.random.default_rng(seed).permutation(len(names))] = np.repeat(
        np.arange(len(SPLITS)), numbers
    )
    return split_of_name[np.searchsorted(names, subjects)]


def _numbers(subjects: int, shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """(3,) how many subjects each split has: whole shares, the largest remainders, and none forgotten."""
    exact = shares * subjects
    numbers = np.floor(exact).astype(np.int64)
    most = np.argsort(numbers - exact, kind="stable")
    numbers[most[: subjects - numbers.sum()]] += 1
    for split in np.flatnonzero(shares)[:subjects]:
        if not numbers[split]:
            numbers[np.argmax(numbers)] -= 1
            numbers[split] = 1
    return numbers


def check_subjects(batch: FaceBatch) -> None:
    """Raises: DataError when a subject has faces in two splits, with its name and theirs."""
    if batch.subjects is not None:
        check_apart(batch.subjects, batch.splits, SPLITS, batch.source)


def check_apart(
    subjects: NDArray[np.str_], splits: NDArray[np.int8], split_names: Sequence[str], source: str
) -> None:
    """Raises: DataError when one of the subjects (N,) has faces in two of the splits (N,) that are named."""
    names, codes = np.unique(subjects, return_inverse=True)
    held = np.zeros((len(names), len(split_names)), np.bool_)
    held[codes, splits] = True
    shared = np.flatnonzero(held.sum(axis=1) > 1)
    if len(shared):
        where = " and ".join(np.array(split_names)[held[shared[0]]])
        more = f", as have {len(shared) - 1} more" if len(shared) > 1 else ""
        raise DataError(
            f"subject {str(names[shared[0]])!r} of {source or 'the data'} has faces in {where}{more}: "
            "expected every subject in one split"
        )


def too_few_subjects(source: str, names: NDArray[np.str_]) -> DataError:
    """The error for faces of fewer than two subjects."""
    one = f"of one subject ({names[0]})" if len(names) else "of no subject"
    return DataError(
        f"{source or 'the data'} holds faces {one}: expected two or more, to split them by subject"
    )
