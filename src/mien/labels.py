"""The emotion order of the whole project, and other names that several rooms share.

Source: FER-2013 (Goodfellow et al. 2013) for the order, FER+ (Barsoum et al. 2016) for the votes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mien.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EMOTIONS: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The seven classes; a label is an index into this tuple everywhere."""

SIX: tuple[str, ...] = EMOTIONS[:6]
"""The six basic emotions: the seven without neutral."""

SPLITS: tuple[str, ...] = ("training", "public", "private")
"""FER-2013's three splits; `FaceBatch.splits` holds indices into this tuple."""

LANDMARK_SPLITS: tuple[str, ...] = (*SPLITS, "unseen")
"""Splits of landmarks: public is for validation, private the test; unseen are further people for a test."""

PRECISIONS: tuple[str, ...] = ("32-true", "bf16-mixed")
"""In what numbers a network's layers compute, by the names of Lightning Fabric."""

WEIGHT_TYPES: tuple[str, ...] = ("float32", "float16")
"""In what numbers a run's exported file stores weights."""

EXPORTED_WEIGHTS: tuple[str, ...] = (*WEIGHT_TYPES, "int8")
"""In what numbers `mien export` writes a network: int8 are whole numbers, for weights and what they meet."""

USAGES: dict[str, str] = {"Training": "training", "PublicTest": "public", "PrivateTest": "private"}
"""FER-2013's own names of its splits, as its CSV's usage column writes them."""

FERPLUS_CHOICES: tuple[str, ...] = (
    "neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown",
    "not a face",
)  # fmt: skip
"""What FER+'s ten raters could choose, in the order of its vote columns."""

SYNONYMS: dict[str, str] = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}
"""Other datasets' names of the seven emotions."""


def emotion_index(name: str) -> int:
    """Index into `EMOTIONS` of an emotion's name in any known convention, in upper or lower case.

    Raises: DataError when the name is none of them.
    """
    key = name.strip().lower()
    key = SYNONYMS.get(key, key)
    if key not in EMOTIONS:
        raise DataError(f"unknown emotion {name!r}: expected one of {', '.join(EMOTIONS)}")
    return EMOTIONS.index(key)


def ferplus_columns() -> list[int]:
    """For each of `EMOTIONS`, the index of its column in FER+'s ten votes."""
    names = [SYNONYMS.get(choice, choice) for choice in FERPLUS_CHOICES]
    return [names.index(emotion) for emotion in EMOTIONS]


def positions(labels: NDArray[np.int64], names: Sequence[str]) -> NDArray[np.int64]:
    """Indices into `EMOTIONS` (N,) as indices into a network's own label names (N,).

    Raises: DataError when a face has an emotion that is not among the names.
    """
    # Not at the top: the command line reads the names alone, and its help must answer at once.
    import numpy as np

    place = np.array([names.index(emotion) if emotion in names else -1 for emotion in EMOTIONS])
    found: NDArray[np.int64] = place[labels]
    if (found < 0).any():
        stranger = EMOTIONS[int(labels[found < 0][0])]
        raise DataError(f"a face of {stranger}: expected only {', '.join(names)}")
    return found
