"""The values that travel between the rooms of the house: frozen, shape-checked, numpy only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.labels import EMOTIONS, FERPLUS_CHOICES, SPLITS

UInt8 = NDArray[np.uint8]


def no_face(votes: UInt8) -> NDArray[np.bool_]:
    """(N,) bool: the pictures that FER+ calls no face.

    Those of which its raters said so more often than anything else, and those that it names no picture for,
    which in a dataset that is joined with it have no votes: blank frames, error signs of picture hosts and
    drawings among them, and faces that are turned or cut. None where no votes are known at all.
    Shape: votes (N, 10), as in `FaceBatch`.
    """
    column = FERPLUS_CHOICES.index("not a face")
    named = votes[:, column] > np.delete(votes, column, axis=1).max(axis=1)
    return np.asarray((named | ~votes.any(axis=1)) & votes.any())


@dataclass(frozen=True, slots=True)
class Face:
    """A face found in a picture.

    box: (x, y, width, height) in pixels of the picture, as the detector gave it.
    score: the detector's confidence in 0…1; 1.0 where the picture was declared to be a face.
    """

    box: tuple[int, int, int, int]
    score: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """An expression read from one face.

    emotions: calibrated probability per emotion, summing to 1, in the network's label order.
    unsure: the network's own rule does not leave exactly one emotion, or the picture is not familiar.
    frame, time_s: position in a video; None for pictures.
    could_be: the emotions that the face could show at the coverage which the network states, the most
    probable first and `label` always among them; None where the network states none.
    familiar: the picture is like the faces that the network was fitted on; None where it does not ask.
    """

    source: str
    face: int
    box: tuple[int, int, int, int]
    detection: float
    emotions: dict[str, float]
    unsure: bool
    frame: int | None = None
    time_s: float | None = None
    could_be: tuple[str, ...] | None = None
    familiar: bool | None = None

    @property
    def label(self) -> str:
        """The most probable emotion."""
        return max(self.emotions, key=self.emotions.__getitem__)

    @property
    def confidence(self) -> float:
        """The calibrated probability of `label`."""
        return self.emotions[self.label]

    @property
    def words(self) -> str:
        """What is said of the face: 'happy', 'happy or surprise', or 'happy?' where nothing else is known."""
        if self.unsure and self.could_be is not None and len(self.could_be) > 1:
            return " or ".join((", ".join(self.could_be[:-1]), self.could_be[-1]))
        return self.label + "?" * self.unsure

    def to_dict(self) -> dict[str, Any]:
        """The object that `mien predict --json` prints, keys in the order of the contract."""
        return {
            "source": self.source,
            "frame": self.frame,
            "time_s": self.time_s,
            "face": self.face,
            "box": list(self.box),
            "detection": round(self.detection, 4),
            "label": self.label,
            "confidence": round(self.confidence, 4),
            "unsure": self.unsure,
            "emotions": {name: round(value, 4) for name, value in self.emotions.items()},
            "could_be": None if self.could_be is None else list(self.could_be),
            "familiar": self.familiar,
        }


@dataclass(frozen=True, slots=True, eq=False)
class FaceBatch:
    """Labelled face crops, a whole dataset or part of one.

    images: (N, H, W) uint8 grey.
    labels: (N,) int64, indices into `EMOTIONS`.
    splits: (N,) int8, indices into `SPLITS`.
    rows: (N,) int64, each face's row in its source, counted from 0.
    votes: (N, 10) uint8, FER+ votes in the order of `FERPLUS_CHOICES`; all zero where unknown.
    source: where the faces came from, for messages.
    skipped: one line for each row that was left out because it was wrong.
    left_out: one line, with their number, for each kind of picture that holds no face for us (another view,
    an expression that is none of `EMOTIONS`).
    subjects: (N,) text, who each face shows, by the source's own names; None where the source names none.
    Raises: DataError when the shapes, types or label range do not agree.
    """

    images: UInt8
    labels: NDArray[np.int64]
    splits: NDArray[np.int8]
    rows: NDArray[np.int64]
    votes: UInt8
    source: str = ""
    skipped: tuple[str, ...] = field(default=())
    left_out: tuple[str, ...] = field(default=())
    subjects: NDArray[np.str_] | None = None

    def __post_init__(self) -> None:
        n = len(self.images)
        expected: dict[str, tuple[NDArray[Any], type, tuple[int, ...]]] = {
            "images": (self.images, np.uint8, (n, *self.images.shape[1:])),
            "labels": (self.labels, np.int64, (n,)),
            "splits": (self.splits, np.int8, (n,)),
            "rows": (self.rows, np.int64, (n,)),
            "votes": (self.votes, np.uint8, (n, len(FERPLUS_CHOICES))),
        }
        for name, (array, dtype, shape) in expected.items():
            if array.dtype != dtype or array.shape != shape:
                raise DataError(f"{name} is {array.dtype} {array.shape}: expected {np.dtype(dtype)} {shape}")
        if self.subjects is not None and (self.subjects.dtype.kind != "U" or self.subjects.shape != (n,)):
            raise DataError(f"subjects is {self.subjects.dtype} {self.subjects.shape}: expected text ({n},)")
        if self.images.ndim != 3:
            raise DataError(f"images have shape {self.images.shape}: expected (N, height, width)")
        if n and not (self.labels.min() >= 0 and self.labels.max() < len(EMOTIONS)):
            raise DataError(f"a label lies outside 0…{len(EMOTIONS) - 1} in {self.source or 'the batch'}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def has_votes(self) -> NDArray[np.bool_]:
        """(N,) bool: the faces whose FER+ votes are known."""
        return np.asarray(self.votes.any(axis=1))

    def select(self, where: NDArray[Any]) -> FaceBatch:
        """The faces at a boolean mask (N,) or at integer positions, in that order."""
        return replace(
            self,
            images=self.images[where],
            labels=self.labels[where],
            splits=self.splits[where],
            rows=self.rows[where],
            votes=self.votes[where],
            subjects=None if self.subjects is None else self.subjects[where],
        )

    def split(self, name: str) -> FaceBatch:
        """The faces of one of `SPLITS`.

        Raises: DataError when the name is unknown or the split is empty.
        """
        if name not in SPLITS:
            raise DataError(f"unknown split {name!r}: expected one of {', '.join(SPLITS)}")
        chosen = self.select(self.splits == SPLITS.index(name))
        if not len(chosen):
            held = [split for i, split in enumerate(SPLITS) if (self.splits == i).any()]
            raise DataError(
                f"no {name!r} faces in {self.source or 'the data'}: it holds {', '.join(held) or 'none'}"
            )
        return chosen

    @classmethod
    def concatenate(cls, batches: Iterable[FaceBatch], source: str) -> FaceBatch:
        """Several batches of one image size as one, `rows` kept as they were in their own sources.

        `subjects` are None where any of the batches names none.
        Raises: DataError when there is none, or the image sizes differ.
        """
        parts = list(batches)
        sizes = {part.images.shape[1:] for part in parts}
        if len(sizes) != 1:
            raise DataError(f"cannot join faces of sizes {sorted(sizes)} from {source}: expected one size")
        subjects = [part.subjects for part in parts if part.subjects is not None]
        return cls(
            images=np.concatenate([part.images for part in parts]),
            labels=np.concatenate([part.labels for part in parts]),
            splits=np.concatenate([part.splits for part in parts]),
            rows=np.concatenate([part.rows for part in parts]),
            votes=np.concatenate([part.votes for part in parts]),
            source=source,
            skipped=tuple(line for part in parts for line in part.skipped),
            left_out=tuple(line for part in parts for line in part.left_out),
            subjects=np.concatenate(subjects) if len(subjects) == len(parts) else None,
        )
