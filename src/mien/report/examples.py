"""Single faces for a report: those a network read best and worst, what people said, what it looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.faces import FaceBatch, UInt8
from mien.labels import EMOTIONS, FERPLUS_CHOICES, SYNONYMS, positions

SaliencyOf = Callable[[UInt8, NDArray[np.int64]], NDArray[Any]]
"""Images (N, H, W) uint8 and class indices (N,) → maps (N, H, W) ≥ 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One face and its reading.

    image: (H, W) uint8 grey. saliency: (H, W) ≥ 0 for the predicted class, or None.
    row: the face's row in its source, from 0. confidence: of `predicted`, 0…1.
    people: what raters said, most votes first, such as '7 sad, 3 neutral'; empty where unknown.
    """

    image: UInt8
    row: int
    truth: str
    predicted: str
    confidence: float
    people: str = ""
    saliency: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class Examples:
    """best: of each emotion the right answer with the most confidence. worst: the wrong one with the most."""

    best: tuple[Example, ...]
    worst: tuple[Example, ...]


def choose(
    faces: FaceBatch,
    probabilities: NDArray[Any],
    labels: Sequence[str] = EMOTIONS,
    saliency_of: SaliencyOf | None = None,
) -> Examples:
    """The surest right and the surest wrong answer on each emotion that the faces hold.

    Shape: probabilities (N, C) in the order of `labels`, one row a face; `saliency_of` sees only
    the chosen faces.
    Raises: DataError when a face has an emotion that is not among the labels.
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    truth = positions(faces.labels, labels)
    right: list[int] = []
    wrong: list[int] = []
    for emotion in range(len(labels)):
        for chosen, those in ((right, predicted == emotion), (wrong, predicted != emotion)):
            rows = np.flatnonzero((truth == emotion) & those)
            if len(rows):
                chosen.append(int(rows[confidence[rows].argmax()]))
    places = np.array(right + wrong, np.int64)
    maps = None if saliency_of is None else saliency_of(faces.images[places], predicted[places])
    shown = [
        Example(
            image=faces.images[place],
            row=int(faces.rows[place]),
            truth=labels[truth[place]],
            predicted=labels[predicted[place]],
            confidence=float(confidence[place]),
            people=votes_in_words(faces.votes[place]),
            saliency=None if maps is None else maps[number],
        )
        for number, place in enumerate(places)
    ]
    return Examples(tuple(shown[: len(right)]), tuple(shown[len(right) :]))


def votes_in_words(votes: UInt8) -> str:
    """A face's FER+ votes (10,) as '7 sad, 3 neutral', most votes first; empty where none is known."""
    order = np.argsort(-votes.astype(int), kind="stable")
    return ", ".join(
        f"{votes[i]} {SYNONYMS.get(FERPLUS_CHOICES[i], FERPLUS_CHOICES[i])}" for i in order if votes[i]
    )
