"""What a map of emotions is made of: answers to faces, points of faces, or a table of confusions.

Dailey et al. (2002) scaled the mean answers to the faces of each emotion: people's six-alternative forced
choices, and a classifier's probabilities on the same faces. `votes` and `probabilities` are these two;
`embeddings` is the map that a network learned from pairs; `confusion` a table that somebody published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError, hint
from mien.evaluation import humans
from mien.faces import FaceBatch
from mien.labels import EMOTIONS, SIX

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]

LEAST_EMOTIONS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """Answers to faces: people's shares of votes, or a network's probabilities.

    emotions: C names, of rows' labels and of columns alike.
    answers: (N, C) float64, non-negative rows summing to 1.
    labels: (N,) int64, indices into `emotions`.
    kind: "votes" or "probabilities". source: where they came from, for messages.
    Raises: DataError when they do not fit together, an emotion has no face, or a row is no distribution.
    """

    emotions: tuple[str, ...]
    answers: Matrix
    labels: Labels
    kind: str
    source: str = ""

    def __post_init__(self) -> None:
        _check_faces(self.emotions, self.answers, self.labels, self.source)
        if self.answers.shape[1] != len(self.emotions):
            raise DataError(
                f"{self.answers.shape[1]} answers a face{_of(self.source)}: expected one for each of "
                f"{', '.join(self.emotions)}"
            )
        _check_non_negative(self.answers, "the answers to face", self.source)
        sums = self.answers.sum(axis=1)
        wrong = np.flatnonzero(np.abs(sums - 1) > 1e-6)
        if len(wrong):
            raise DataError(
                f"the answers to face {wrong[0]}{_of(self.source)} sum to {sums[wrong[0]]:.6g}: expected 1"
            )

    @property
    def rows(self) -> Matrix:
        """(C, C): the mean answer to the faces of each emotion."""
        return means(self.answers, self.labels, len(self.emotions))


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """Points of faces in a space that a network learned.

    emotions: C names. points: (N, D) float64. labels: (N,) int64, indices into `emotions`.
    Raises: DataError when they do not fit together, an emotion has no face, or all points are the same.
    """

    emotions: tuple[str, ...]
    points: Matrix
    labels: Labels
    source: str = ""
    kind: str = "embeddings"

    def __post_init__(self) -> None:
        _check_faces(self.emotions, self.points, self.labels, self.source)
        if (self.points == self.points[0]).all():
            raise DataError(
                f"all {len(self.points)} embeddings{_of(self.source)} are equal: nothing to map; has the "
                "network collapsed?"
            )

    @property
    def rows(self) -> Matrix:
        """(C, D): the centroid of each emotion's faces."""
        return means(self.points, self.labels, len(self.emotions))


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """How often each emotion was taken for each: rows truth, columns answer.

    emotions: C names. counts: (C, C) float64, counts of faces, or rates or percentages within a row.
    counted: whether an entry is a number of faces, which alone lets faces be drawn again.
    Raises: DataError when the matrix is not square, has a negative or non-finite entry or an empty row.
    """

    emotions: tuple[str, ...]
    counts: Matrix
    counted: bool = False
    source: str = ""
    kind: str = "confusion"

    def __post_init__(self) -> None:
        _check_names(self.emotions, self.source)
        c = len(self.emotions)
        if self.counts.ndim != 2 or self.counts.shape[0] != self.counts.shape[1]:
            shape = " × ".join(str(side) for side in self.counts.shape)
            raise DataError(f"a confusion matrix of {shape}{_of(self.source)}: expected a square one")
        if len(self.counts) != c:
            raise DataError(
                f"a confusion matrix of {len(self.counts)} rows{_of(self.source)}: expected {c}, one for "
                f"each of {', '.join(self.emotions)}"
            )
        for row, emotion in zip(self.counts, self.emotions, strict=True):
            if not np.isfinite(row).all():
                raise DataError(f"the row of {emotion}{_of(self.source)} is not finite: expected numbers")
            if (row < 0).any():
                raise DataError(f"the row of {emotion}{_of(self.source)} holds {row.min():g}: expected ≥ 0")
            if not row.sum() > 0:
                raise DataError(f"the row of {emotion}{_of(self.source)} is empty: expected answers to it")

    @property
    def rows(self) -> Matrix:
        """(C, C): the shares of answers to each emotion."""
        return self.counts / self.counts.sum(axis=1, keepdims=True)


Source = Responses | Embeddings | Confusion


def means(values: Matrix, labels: Labels, count: int) -> Matrix:
    """Mean row of each label: values (N, K), labels (N,) in 0…count−1; returns (count, K)."""
    return np.stack([values[labels == label].mean(axis=0) for label in range(count)])


def votes(faces: FaceBatch, emotions: Sequence[str] = SIX) -> Responses:
    """People's answers: FER+ votes as shares among these emotions, grouped by the dataset's own labels.

    Left out: faces of other labels, without votes, or with fewer than half of their votes among these.
    Raises: DataError when no votes are known, or an emotion is left without a face.
    """
    if not faces.has_votes.any():
        raise DataError(
            f"no face{_of(faces.source)} has votes: expected FER+ votes, as FER-2013's parquet holds them"
        )
    _check_known(emotions)
    spread = humans.shares(faces.votes, emotions)
    places = _places(faces.labels, emotions)
    kept = np.isfinite(spread).all(axis=1) & (places >= 0)
    return Responses(tuple(emotions), spread[kept], places[kept], "votes", faces.source)


def probabilities(
    p: ArrayLike,
    labels: ArrayLike,
    names: Sequence[str],
    emotions: Sequence[str] = SIX,
    source: str = "",
) -> Responses:
    """A classifier's answers: its probabilities among these emotions, scaled to sum to 1.

    p: (N, K), columns in the order of `names`. labels: (N,) indices into `EMOTIONS`; faces of other
    emotions are left out.
    Raises: DataError when they do not fit together, an emotion has no column or no face, or a face's
    probability among these emotions is 0.
    """
    _check_known(emotions)
    values, truth = np.asarray(p, np.float64), np.asarray(labels, np.int64)
    if values.ndim != 2 or values.shape != (len(truth), len(names)):
        raise DataError(
            f"probabilities {values.shape}, {len(truth)} labels and {len(names)} names: expected (N, names)"
        )
    for emotion in emotions:
        if emotion not in names:
            raise DataError(f"no column of {emotion}{_of(source)}: expected it among {', '.join(names)}")
    places = _places(truth, emotions)
    among = values[places >= 0][:, [list(names).index(emotion) for emotion in emotions]]
    totals = among.sum(axis=1, keepdims=True)
    silent = np.flatnonzero(totals[:, 0] == 0)
    if len(silent):
        face = np.flatnonzero(places >= 0)[silent[0]]
        raise DataError(f"face {face}{_of(source)} has no probability for any of {', '.join(emotions)}")
    return Responses(tuple(emotions), among / totals, places[places >= 0], "probabilities", source)


def embeddings(
    points: ArrayLike, labels: ArrayLike, emotions: Sequence[str] = SIX, source: str = ""
) -> Embeddings:
    """Points (N, D) of faces with labels (N,), indices into `EMOTIONS`; other emotions are left out.

    Raises: DataError when they do not fit together, an emotion has no face, or all points are the same.
    """
    _check_known(emotions)
    values, truth = np.asarray(points, np.float64), np.asarray(labels, np.int64)
    if values.ndim != 2 or truth.shape != values.shape[:1]:
        raise DataError(f"points {values.shape} and labels {truth.shape}: expected (N, D) and (N,)")
    places = _places(truth, emotions)
    return Embeddings(tuple(emotions), values[places >= 0], places[places >= 0], source)


def confusion(
    table: ArrayLike, emotions: Sequence[str] = SIX, source: str = "", counted: bool | None = None
) -> Confusion:
    """A table of confusions (C, C), rows truth, in the order of `emotions`.

    counted: whether entries count faces; None: they do where all are whole numbers, and the rows do not
    all sum to 1 or, but for rounding, to 100, as rates and percentages do.
    Raises: DataError when the matrix is not square, has a negative or non-finite entry or an empty row.
    """
    values = np.asarray(table, np.float64)
    if counted is None:
        sums = values.sum(axis=-1)
        rates = (np.abs(sums - 1) < 0.02).all() or (np.abs(sums - 100) < 1.5).all()
        counted = bool((values == np.round(values)).all() and not rates)
    return Confusion(tuple(emotions), values, counted, source)


def _places(labels: Labels, emotions: Sequence[str]) -> Labels:
    """Indices into `EMOTIONS` as indices into `emotions`; −1 for others."""
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(EMOTIONS)):
        raise DataError(
            f"a label lies outside 0…{len(EMOTIONS) - 1}: expected indices into the seven emotions"
        )
    place = np.array([list(emotions).index(name) if name in emotions else -1 for name in EMOTIONS], np.int64)
    found: Labels = place[labels]
    return found


def _of(source: str) -> str:
    return f" of {source}" if source else ""


def _check_known(emotions: Sequence[str]) -> None:
    for emotion in emotions:
        if emotion not in EMOTIONS:
            raise DataError(f"unknown emotion {emotion!r}: {hint(emotion, EMOTIONS)}")


def _check_names(emotions: Sequence[str], source: str) -> None:
    if len(emotions) < LEAST_EMOTIONS:
        named = " and ".join(emotions) or "no emotion"
        raise DataError(f"only {named}{_of(source)}: expected at least {LEAST_EMOTIONS} emotions to compare")
    for emotion in emotions:
        if list(emotions).count(emotion) > 1:
            raise DataError(f"the emotion {emotion!r} is named twice{_of(source)}: expected each once")


def _check_faces(emotions: Sequence[str], values: Matrix, labels: Labels, source: str) -> None:
    _check_names(emotions, source)
    if values.ndim != 2 or labels.shape != values.shape[:1]:
        raise DataError(
            f"values {values.shape} and labels {labels.shape}{_of(source)}: expected (N, K) and (N,)"
        )
    if len(labels) and not (labels.min() >= 0 and labels.max() < len(emotions)):
        raise DataError(f"a label{_of(source)} lies outside 0…{len(emotions) - 1}")
    counts = np.bincount(labels, minlength=len(emotions))
    for emotion, count in zip(emotions, counts.tolist(), strict=True):
        if not count:
            raise DataError(f"no face of {emotion}{_of(source)}: expected at least one of each emotion")
    wrong = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(wrong):
        raise DataError(f"face {wrong[0]}{_of(source)} is not finite ({len(wrong)} of {len(values)} faces)")


def _check_non_negative(values: Matrix, what: str, source: str) -> None:
    wrong = np.flatnonzero((values < 0).any(axis=1))
    if len(wrong):
        raise DataError(
            f"{what} {wrong[0]}{_of(source)} hold {values[wrong[0]].min():g}: expected numbers from 0 to 1"
        )
