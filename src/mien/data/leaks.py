"""FER-2013's training faces that are better left out, and its public faces that measure memory, as hashes.

`mien data leaks PATH --out FOLDER` writes both lists anew from the dataset; docs/leaks.md tells how they came
about. A list is CSV: a face's `pixel_hashes` in hexadecimal, and the reason that it is on the list.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.hashes import pixel_hashes
from mien.errors import DataError
from mien.faces import FaceBatch, UInt8, no_face
from mien.storage import packaged, write_text

COPY, NEAR, NO_FACE, CONFLICT, REPEAT = (
    "copy of public", "near copy of public", "not a face", "conflicting labels", "repeat",
)  # fmt: skip
TRAINING_REASONS = (COPY, NEAR, NO_FACE, CONFLICT, REPEAT)
"""Why a training face is on the list, the weightier reason first; of several a face has the first.

copy of public: every pixel is that of a public face. near copy of public: one photograph, another crop, size,
watermark or brightness. not a face: so FER+. conflicting labels: one of a set of pixel copies that bear
different labels, all of which go. repeat: a pixel copy of an earlier training face, which stays.
"""

PUBLIC_COPY, PUBLIC_NEAR = "copy of training", "near copy of training"
PUBLIC_REASONS = (PUBLIC_COPY, PUBLIC_NEAR)
"""Why a public face is on the list: what it shares with one in training."""

REASONS: Mapping[str, tuple[str, ...]] = {"training": TRAINING_REASONS, "public": PUBLIC_REASONS}

Listed = Mapping[str, NDArray[np.uint64]]
"""Sorted and unique hashes by reason. A hash has one reason."""

_HEAD = ("hash", "reason")
_FOLDER = "data/fer2013_leaks"


def leaks(split: str) -> Listed:
    """The list that comes with mien of FER-2013's `training` or `public` split.

    Raises: DataError when there is no list of such a split, or the file is damaged.
    """
    if split not in REASONS:
        raise DataError(f"no leaks of {split!r} come with mien: expected one of {', '.join(REASONS)}")
    return _listed(split)


@cache
def _listed(split: str) -> Listed:
    return read_list(packaged(_FOLDER) / f"{split}.csv", REASONS[split])


def leak_reasons(images: UInt8, split: str = "training") -> dict[str, NDArray[np.bool_]]:
    """(N,) bool by reason: the faces that are on FER-2013's list of a split. A face has one reason at most.

    A training face that repeats an earlier one has the hash of the first, which stays: faces with the reason
    `repeat` are those after the first with their hash among the images that are given.
    Shape: images (N, 48, 48) uint8.
    Raises: what `leaks` does.
    """
    hashes = pixel_hashes(images)
    found = {reason: np.isin(hashes, listed) for reason, listed in leaks(split).items()}
    if REPEAT in found:
        first = np.zeros(len(hashes), np.bool_)
        first[np.unique(hashes, return_index=True)[1]] = True
        found[REPEAT] &= ~first
    return found


def leaked_training(images: UInt8) -> NDArray[np.bool_]:
    """(N,) bool: the faces that FER-2013's list says to leave out of training, for whatever reason.

    Shape: images (N, 48, 48) uint8, of the training split: of repeats the first stays.
    """
    return _any(leak_reasons(images, "training"), len(images))


def leaked_public(images: UInt8) -> NDArray[np.bool_]:
    """(N,) bool: FER-2013's public faces that have a copy or a near copy in its training split.

    Shape: images (N, 48, 48) uint8.
    """
    return _any(leak_reasons(images, "public"), len(images))


def leaked(images: UInt8, split: str) -> NDArray[np.bool_] | None:
    """(N,) bool: the faces of a split that is measured on which have a copy or a near copy in training.

    None where that is not known: only of the public split is there such a list.
    Shape: images (N, 48, 48) uint8.
    """
    return leaked_public(images) if split == "public" else None


def _any(reasons: Mapping[str, NDArray[np.bool_]], n: int) -> NDArray[np.bool_]:
    return np.logical_or.reduce([np.zeros(n, np.bool_), *reasons.values()])


def read_list(path: Path, reasons: tuple[str, ...]) -> Listed:
    """A list as `write_list` writes it, every one of the reasons a key.

    Raises: DataError with the line where it is no such list.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing: expected a list of hashes and reasons")
    found: dict[str, list[int]] = {reason: [] for reason in reasons}
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        if tuple(next(lines, ())) != _HEAD:
            raise DataError(f"{path}: line 1: expected the columns {', '.join(_HEAD)}")
        for line in lines:
            try:
                number, reason = line
                found[reason].append(int(number, 16))
            except (ValueError, KeyError):
                raise DataError(
                    f"{path}: line {lines.line_num}: {','.join(line)!r}: expected a hexadecimal hash and one "
                    f"of {', '.join(reasons)}"
                ) from None
    return {reason: np.unique(np.array(numbers, np.uint64)) for reason, numbers in found.items()}


def write_list(listed: Listed, path: Path) -> None:
    """Writes a list: by reason in their order, by hash within."""
    lines = [",".join(_HEAD)]
    lines += [
        f"{number:016x},{reason}"
        for reason, hashes in listed.items()
        for number in np.unique(hashes).tolist()
    ]
    write_text(path, "\n".join(lines) + "\n")


def find_leaks(
    training: FaceBatch, public: FaceBatch, left_out: NDArray[np.int64], measured: NDArray[np.int64]
) -> dict[str, Listed]:
    """The lists of both splits.

    left_out: positions of training faces that are near copies of a public one; measured: of public faces that
    have a near copy in training. Pixel copies may be among them.
    """
    own, theirs = pixel_hashes(training.images), pixel_hashes(public.images)
    unique, counts = np.unique(own, return_counts=True)
    named = {
        COPY: own[np.isin(own, theirs)],
        NEAR: own[left_out],
        NO_FACE: own[no_face(training.votes)],
        CONFLICT: _conflicting(own, training.labels),
        REPEAT: unique[counts > 1],
    }
    return {
        "training": _each_once(named),
        "public": _each_once({PUBLIC_COPY: theirs[np.isin(theirs, own)], PUBLIC_NEAR: theirs[measured]}),
    }


def _conflicting(hashes: NDArray[np.uint64], labels: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The hashes of faces that bear more than one label."""
    pairs = np.unique(np.stack([hashes, labels.astype(np.uint64)]), axis=1)
    unique, counts = np.unique(pairs[0], return_counts=True)
    return np.asarray(unique[counts > 1])


def _each_once(named: Mapping[str, NDArray[np.uint64]]) -> Listed:
    """Each hash under the first reason that names it."""
    found: dict[str, NDArray[np.uint64]] = {}
    seen = np.zeros(0, np.uint64)
    for reason, hashes in named.items():
        found[reason] = np.setdiff1d(hashes, seen)
        seen = np.union1d(seen, hashes)
    return found
