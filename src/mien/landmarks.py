"""Faces as 83 points in space, and judgements of which are alike: frozen, shape-checked, numpy only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.labels import EMOTIONS, LANDMARK_SPLITS
from mien.landmark_layout import ACTION_UNITS, COUNT, UNKNOWN_UNIT

Points = NDArray[np.float32]
Text = NDArray[np.str_]

UNLABELLED = -1
"""The label of a face whose emotion is not known."""


@dataclass(frozen=True, slots=True, eq=False)
class LandmarkBatch:
    """Faces as landmarks, a whole dataset or part of one.

    points: (N, 83, 3) float32 in the order of `landmark_layout`. As read: in the source's unit. Prepared:
    seen from the front, the origin between the eyes, the eyes 1 apart (`data.landmarks.prepared`).
    neutral: (N, 83, 3) float32, the same person's neutral face, prepared alike; None where none is known.
    names: (N,) text, each face's own name, by which triplets call it.
    subjects: (N,) text, whose face it is.
    labels: (N,) int64, indices into `EMOTIONS`, or `UNLABELLED`.
    degrees: (N,) int8, 1…4 how strongly it is posed; 0 for neutral faces and where unknown.
    units: (N, 12) int8, each of `ACTION_UNITS` 1 present, 0 absent, 9 not coded.
    splits: (N,) int8, indices into `LANDMARK_SPLITS`.
    sequences: (N,) text, the recording that a frame is of; empty where there is none.
    angles: (N, 3) float32, degrees of pitch, yaw and roll by which the head is turned; 0 where unknown.
    source: where the faces came from, for messages. synthetic: they are drawn from a model, of no people.
    left_out: one line for each kind of face that was left out, with their number.
    Raises: DataError when shapes, types or ranges do not agree, or two faces share a name.
    """

    points: Points
    names: Text
    subjects: Text
    labels: NDArray[np.int64]
    degrees: NDArray[np.int8]
    units: NDArray[np.int8]
    splits: NDArray[np.int8]
    sequences: Text
    angles: Points
    neutral: Points | None = None
    source: str = ""
    synthetic: bool = False
    left_out: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        n = len(self.points)
        expected: dict[str, tuple[str, tuple[int, ...]]] = {
            "points": ("f4", (n, COUNT, 3)),
            "labels": ("i8", (n,)),
            "degrees": ("i1", (n,)),
            "units": ("i1", (n, len(ACTION_UNITS))),
            "splits": ("i1", (n,)),
            "angles": ("f4", (n, 3)),
        }
        if self.neutral is not None:
            expected["neutral"] = ("f4", (n, COUNT, 3))
        for name, (kind, shape) in expected.items():
            array = getattr(self, name)
            if array.dtype != np.dtype(kind) or array.shape != shape:
                raise DataError(f"{name} is {array.dtype} {array.shape}: expected {np.dtype(kind)} {shape}")
        for name in ("names", "subjects", "sequences"):
            array = getattr(self, name)
            if array.dtype.kind != "U" or array.shape != (n,):
                raise DataError(f"{name} is {array.dtype} {array.shape}: expected text ({n},)")
        self._check_ranges()

    def _check_ranges(self) -> None:
        where = self.source or "the batch"
        ranges = (("labels", UNLABELLED, len(EMOTIONS) - 1), ("splits", 0, len(LANDMARK_SPLITS) - 1))
        for name, low, high in ranges:
            array = getattr(self, name)
            if len(array) and not (array.min() >= low and array.max() <= high):
                raise DataError(f"one of {name} lies outside {low}…{high} in {where}")
        if not np.isin(self.units, (0, 1, UNKNOWN_UNIT)).all():
            raise DataError(f"an action unit in {where} is none of 0, 1 and {UNKNOWN_UNIT} (not coded)")
        names, counts = np.unique(self.names, return_counts=True)
        if (counts > 1).any():
            raise DataError(f"two faces in {where} are called {str(names[counts > 1][0])!r}")

    def __len__(self) -> int:
        return len(self.points)

    @property
    def people(self) -> list[str]:
        """The names of the people, sorted."""
        return [str(name) for name in np.unique(self.subjects)]

    @property
    def coded(self) -> NDArray[np.bool_]:
        """(N,) bool: the faces of which every action unit was coded."""
        return np.asarray((self.units != UNKNOWN_UNIT).all(axis=1))

    def select(self, where: NDArray[Any]) -> LandmarkBatch:
        """The faces at a boolean mask (N,) or at integer positions, in that order."""
        arrays = {each.name: getattr(self, each.name) for each in fields(self)}
        taken = {name: array[where] for name, array in arrays.items() if isinstance(array, np.ndarray)}
        return replace(self, **taken)

    def split(self, name: str) -> LandmarkBatch:
        """The faces of one of `LANDMARK_SPLITS`.

        Raises: DataError when the name is unknown or the split is empty.
        """
        if name not in LANDMARK_SPLITS:
            raise DataError(f"unknown split {name!r}: expected one of {', '.join(LANDMARK_SPLITS)}")
        chosen = self.select(self.splits == LANDMARK_SPLITS.index(name))
        if not len(chosen):
            held = ", ".join(self.splits_held) or "none"
            raise DataError(f"no {name!r} faces in {self.source or 'the data'}: it holds {held}")
        return chosen

    @property
    def splits_held(self) -> list[str]:
        """The splits that have faces, in the order of `LANDMARK_SPLITS`."""
        return [name for i, name in enumerate(LANDMARK_SPLITS) if (self.splits == i).any()]

    @classmethod
    def concatenate(cls, batches: Iterable[LandmarkBatch], source: str) -> LandmarkBatch:
        """Several batches as one; `neutral` is None where any of them has none.

        Raises: DataError when there is none, or a name comes twice.
        """
        parts = list(batches)
        if not parts:
            raise DataError(f"no faces in {source}: expected some")
        arrays = [each.name for each in fields(cls) if isinstance(getattr(parts[0], each.name), np.ndarray)]
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in arrays
            if all(getattr(part, name) is not None for part in parts)
        }
        return cls(
            **{"neutral": None, **joined},
            source=source,
            synthetic=any(part.synthetic for part in parts),
            left_out=tuple(line for part in parts for line in part.left_out),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Triplets:
    """Judgements: the first face is more like the second than like the third.

    faces: (T, 3) text, names of the reference, the nearer and the farther face.
    votes: (T, 2) int16, how many judged so, and how many the other way round; never fewer the former. A rule
    is one vote against none.
    source: where they came from, for messages.
    Raises: DataError when shapes or types do not agree, or fewer voted for the nearer face.
    """

    faces: Text
    votes: NDArray[np.int16]
    source: str = ""

    def __post_init__(self) -> None:
        n = len(self.faces)
        if self.faces.dtype.kind != "U" or self.faces.shape != (n, 3):
            raise DataError(f"faces is {self.faces.dtype} {self.faces.shape}: expected text ({n}, 3)")
        if self.votes.dtype != np.int16 or self.votes.shape != (n, 2):
            raise DataError(f"votes is {self.votes.dtype} {self.votes.shape}: expected int16 ({n}, 2)")
        if n and (self.votes.min() < 0 or (self.votes[:, 0] < self.votes[:, 1]).any()):
            raise DataError(f"votes in {self.source or 'the triplets'}: expected the nearer face's first")

    def __len__(self) -> int:
        return len(self.faces)

    @property
    def agreement(self) -> NDArray[np.int64]:
        """(T,) int64: votes for the nearer face less those for the farther (5, 3 or 1 of five answers)."""
        votes = self.votes.astype(np.int64)
        return votes[:, 0] - votes[:, 1]

    def rows(self, batch: LandmarkBatch) -> NDArray[np.int64]:
        """Where a batch holds the faces: (T, 3) int64.

        Raises: DataError naming a face that the batch does not hold.
        """
        order = np.argsort(batch.names)
        found = np.searchsorted(batch.names, self.faces, sorter=order)
        rows = order[np.minimum(found, len(order) - 1)] if len(order) else np.zeros_like(found)
        absent = batch.names[rows] != self.faces if len(order) else np.ones(self.faces.shape, np.bool_)
        if absent.any():
            raise DataError(
                f"{self.source or 'a triplet'} names the face {str(self.faces[absent][0])!r}, which "
                f"{batch.source or 'the data'} do not hold: expected triplets of these faces"
            )
        return np.asarray(rows, np.int64)

    def select(self, where: NDArray[Any]) -> Triplets:
        """The triplets at a boolean mask (T,) or at integer positions."""
        return replace(self, faces=self.faces[where], votes=self.votes[where])

    def within(self, batch: LandmarkBatch) -> Triplets:
        """The triplets all of whose faces a batch holds."""
        return self.select(np.asarray(np.isin(self.faces, batch.names).all(axis=1)))
