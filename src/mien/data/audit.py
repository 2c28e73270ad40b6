"""Copies in a dataset: exact and near, within a split and across splits, and copies whose labels disagree.

A test face that is also a training face measures memory, not skill: figures are given with and without them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.data.hashes import pixel_hashes
from mien.data.known import known_copies, known_names
from mien.data.leaks import REASONS, leak_reasons
from mien.faces import FaceBatch, UInt8, no_face
from mien.labels import SPLITS

__all__ = ["Audit", "NearCopies", "audit", "copy_groups", "near_copies", "pixel_hashes"]

COARSE_SIDE = 12
"""Faces are first compared by the means of 12×12 blocks."""

COARSE_CORRELATION = 0.95
"""The least normalised correlation of the block means of two near copies."""

DETAIL_SIDE = 24
DETAIL_BLUR = 2.0
DETAIL_CORRELATION = 0.75
"""The least correlation of what is left of the two at 24×24 after a Gaussian blur (σ = 2) is taken away.

The block means alone also join different people before alike backgrounds. Judged by eye on pairs drawn from
FER-2013: above this value nearly all are one photograph (another crop, watermark, compression or brightness)
or two shots of one sitting; below 0.65 many are different people.
"""

_CHUNK = 2048
# A description shorter than this, in grey values, is that of a blank face: only noise is left of it.
_BLANK = 1e-2


@dataclass(frozen=True, slots=True, eq=False)
class NearCopies:
    """Pairs of faces that show one photograph without being equal in every pixel.

    first, second: (P,) int64 positions, first < second, sorted.
    mirrored: (P,) bool: the second is the first's mirror image.
    correlation: (P,) float32 in `DETAIL_CORRELATION`…1, of the two faces' detail.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    mirrored: NDArray[np.bool_]
    correlation: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.first)


def near_copies(images: UInt8, progress: Callable[[float], None] | None = None) -> NearCopies:
    """Finds every pair of near copies, mirror copies among them.

    Every pair is compared, in chunks: time grows with N², memory with N. Blank faces are no near copies.
    Shape: images (N, H, W) uint8. progress: called with the share done, 0…1.
    """
    found = [(*(np.zeros(0, np.int64),) * 3, np.zeros(0, np.float32))]
    coarse, detail = _unit_rows(images, _coarse), _unit_rows(images, _fine)
    hashes = pixel_hashes(images)
    for mirrored in (0, 1):
        others = [_mirrored(rows) if mirrored else rows for rows in (coarse, detail)]
        for done, first, second in _alike(coarse, others[0]):
            correlation = np.einsum("pk,pk->p", detail[first], others[1][second])
            kept = (correlation >= DETAIL_CORRELATION) & (hashes[first] != hashes[second])
            found.append((first[kept], second[kept], np.full(kept.sum(), mirrored), correlation[kept]))
            if progress:
                progress((mirrored + done) / 2)
    first, second, flipped, correlation = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((flipped, second, first))
    return NearCopies(first[order], second[order], flipped[order] == 1, correlation[order])


def _alike(
    left: NDArray[np.float32], right: NDArray[np.float32]
) -> Iterator[tuple[float, NDArray[np.int64], NDArray[np.int64]]]:
    """Yields the share done and positions i < j whose rows correlate at least `COARSE_CORRELATION`."""
    starts = range(0, len(left), _CHUNK)
    blocks = [(i, j) for i in starts for j in starts if i <= j]
    for done, (i, j) in enumerate(blocks, start=1):
        rows, columns = np.nonzero(left[i : i + _CHUNK] @ right[j : j + _CHUNK].T >= COARSE_CORRELATION)
        ahead = rows + i < columns + j
        yield done / len(blocks), rows[ahead] + i, columns[ahead] + j


def _unit_rows(images: UInt8, describe: Callable[[UInt8], NDArray[np.float32]]) -> NDArray[np.float32]:
    """(N, K) float32: each image described, its mean taken away, of length 1, or 0 where nothing is left."""
    if not len(images):
        return np.zeros((0, 1), np.float32)
    rows = np.array([describe(image).ravel() for image in images], np.float32)
    centred = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.divide(centred, length, out=np.zeros_like(rows), where=length > _BLANK)


def _coarse(image: UInt8) -> NDArray[np.float32]:
    small = cv2.resize(image.astype(np.float32), (COARSE_SIDE, COARSE_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def _fine(image: UInt8) -> NDArray[np.float32]:
    """The face without its broad light and shade."""
    small = cv2.resize(image.astype(np.float32), (DETAIL_SIDE, DETAIL_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small - cv2.GaussianBlur(small, (0, 0), DETAIL_BLUR), np.float32)


def _mirrored(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The descriptions of the mirrored faces; each is a square grid."""
    side = int(rows.shape[1] ** 0.5)
    return np.ascontiguousarray(rows.reshape(-1, side, side)[:, :, ::-1].reshape(rows.shape))


def copy_groups(images: UInt8) -> list[NDArray[np.int64]]:
    """The positions of each set of faces that are equal in every pixel, in order of the first."""
    hashes = pixel_hashes(images)
    order = np.argsort(hashes, kind="stable")
    bounds = [0, *(np.flatnonzero(np.diff(hashes[order])) + 1), len(order)]
    groups = [order[start:end] for start, end in pairwise(bounds) if end - start > 1]
    return sorted(groups, key=lambda group: int(group[0]))


@dataclass(frozen=True, slots=True)
class Audit:
    """What is remarkable about a dataset.

    exact_within: per split, how many faces repeat an earlier face of the same split.
    exact_across: (later split, earlier split, its faces with a copy there, those whose label a copy bears).
    conflicts: rows of each set of exact copies that bear different labels.
    near_within: per split, how many pairs of near copies lie in it.
    near_across: (later split, earlier split, its faces that have a near copy there).
    mirrored: how many of all near pairs are mirror images.
    known: per published training set, per split, how many faces are pixel copies of one of its faces.
    not_a_face: faces that FER+ calls none (`faces.no_face`).
    leaks: per split that has one, by reason, how many of its faces are on FER-2013's list of leaks.
    """

    exact_within: dict[str, int]
    exact_across: list[tuple[str, str, int, int]]
    conflicts: list[list[int]]
    near_within: dict[str, int]
    near_across: list[tuple[str, str, int]]
    mirrored: int
    known: dict[str, dict[str, int]]
    not_a_face: int
    leaks: dict[str, dict[str, int]]

    def to_dict(self) -> dict[str, Any]:
        """The object under `audit` that `mien data check --json` prints."""
        return {
            "exact_within": self.exact_within,
            "exact_across": [
                {"split": split, "in": other, "faces": faces, "same_label": same}
                for split, other, faces, same in self.exact_across
            ],
            "conflicting_copies": self.conflicts,
            "near_pairs_within": self.near_within,
            "near_across": [
                {"split": split, "in": other, "faces": faces} for split, other, faces in self.near_across
            ],
            "mirrored_pairs": self.mirrored,
            "copies_of_known": self.known,
            "not_a_face": self.not_a_face,
            "leaks": self.leaks,
        }


def audit(batch: FaceBatch, progress: Callable[[float], None] | None = None) -> Audit:
    """Looks for copies within and across the splits of a dataset, and for their conflicting labels."""
    held = [i for i in range(len(SPLITS)) if (batch.splits == i).any()]
    hashes = pixel_hashes(batch.images)
    groups = copy_groups(batch.images)
    near = near_copies(batch.images, progress)
    splits = batch.splits[near.first], batch.splits[near.second]
    return Audit(
        exact_within={
            SPLITS[i]: int((batch.splits == i).sum() - len(np.unique(hashes[batch.splits == i])))
            for i in held
        },
        exact_across=[
            (SPLITS[later], SPLITS[earlier], *_copied(batch, groups, later, earlier))
            for earlier in held
            for later in held
            if earlier < later
        ],
        conflicts=[batch.rows[group].tolist() for group in groups if len(np.unique(batch.labels[group])) > 1],
        near_within={SPLITS[i]: int(((splits[0] == i) & (splits[1] == i)).sum()) for i in held},
        near_across=[
            (SPLITS[later], SPLITS[earlier], _near_across(near, splits, later, earlier))
            for earlier in held
            for later in held
            if earlier < later
        ],
        mirrored=int(near.mirrored.sum()),
        known=_known(batch, held),
        not_a_face=int(no_face(batch.votes).sum()),
        leaks={SPLITS[i]: _leaks(batch, i) for i in held if SPLITS[i] in REASONS},
    )


def _copied(batch: FaceBatch, groups: list[NDArray[np.int64]], later: int, earlier: int) -> tuple[int, int]:
    """How many faces of `later` have a copy in `earlier`, and how many of them one with their own label."""
    faces = same = 0
    for group in groups:
        originals = batch.labels[group[batch.splits[group] == earlier]]
        copies = batch.labels[group[batch.splits[group] == later]]
        if len(originals):
            faces += len(copies)
            same += int(np.isin(copies, originals).sum())
    return faces, same


def _near_across(
    near: NearCopies, splits: tuple[NDArray[np.int8], NDArray[np.int8]], later: int, earlier: int
) -> int:
    """How many faces of `later` have a near copy in `earlier`."""
    forth = near.second[(splits[0] == earlier) & (splits[1] == later)]
    back = near.first[(splits[0] == later) & (splits[1] == earlier)]
    return len(np.union1d(forth, back))


def _known(batch: FaceBatch, held: list[int]) -> dict[str, dict[str, int]]:
    counts = {}
    for name in known_names():
        copies = known_copies(batch.images, name)
        counts[name] = {SPLITS[i]: int(copies[batch.splits == i].sum()) for i in held}
    return counts


def _leaks(batch: FaceBatch, split: int) -> dict[str, int]:
    reasons = leak_reasons(batch.images[batch.splits == split], SPLITS[split])
    return {reason: int(faces.sum()) for reason, faces in reasons.items()}
