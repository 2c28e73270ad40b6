"""Splits of landmarks by person: nobody whom a network was trained on is among those it is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mien.data.landmarks.preprocessing import frames
from mien.data.subjects import SHARES, check_apart, drawn_splits
from mien.labels import LANDMARK_SPLITS
from mien.landmarks import LandmarkBatch

POSED = SHARES
"""80, 10 and 10 of 100 people for training, validation (public) and test (private): Table 5.1."""

SPONTANEOUS = (25 / 41, 8 / 41, 8 / 41)
"""25, 8 and 8 of 41 people: Table 5.2."""


def split_by_person(
    batch: LandmarkBatch, shares: Sequence[float] | None = None, seed: int = 0
) -> LandmarkBatch:
    """The same faces with splits drawn by person (`subjects.drawn_splits`); the thesis names no person.

    shares: of people, in training, public and private; None for `SPONTANEOUS` where the faces are frames of
    recordings and for `POSED` elsewhere.
    Raises: DataError for fewer than two people, or shares that are none.
    """
    if shares is None:
        shares = SPONTANEOUS if frames(batch).any() else POSED
    return replace(batch, splits=drawn_splits(batch.subjects, shares, seed, batch.source))


def check_people(batch: LandmarkBatch) -> None:
    """Raises: DataError when a person has faces in two splits, with their name and the splits'."""
    check_apart(batch.subjects, batch.splits, LANDMARK_SPLITS, batch.source)
