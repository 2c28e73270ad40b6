"""How many people and faces a dataset of landmarks has, per split, emotion, degree and action unit."""

from __future__ import annotations

from typing import Any

import numpy as np

from mien.data.landmarks.preprocessing import frames
from mien.labels import EMOTIONS
from mien.landmark_layout import ACTION_UNITS
from mien.landmarks import LandmarkBatch


def counts(batch: LandmarkBatch) -> dict[str, Any]:
    """The figures of the thesis's Tables 5.1 to 5.3 for any faces: in all, and of each split that it has."""
    return {
        **_counted(batch),
        "synthetic": batch.synthetic,
        "splits": {name: _counted(batch.split(name)) for name in batch.splits_held},
        "left_out": list(batch.left_out),
    }


def _counted(batch: LandmarkBatch) -> dict[str, Any]:
    """Of some faces: numbers by emotion and degree, and the share of each action unit."""
    emotions = {
        name: _degrees(batch.select(batch.labels == label))
        for label, name in enumerate(EMOTIONS)
        if (batch.labels == label).any()
    }
    return {
        "people": len(batch.people),
        "n": len(batch),
        "frames": int(frames(batch).sum()),
        "recordings": len(np.unique(batch.sequences[frames(batch)])),
        "with_neutral": 0 if batch.neutral is None else len(batch),
        "emotions": emotions,
        "coded": int(batch.coded.sum()),
        "units": {
            f"AU{unit}": _share(batch, at) for at, unit in enumerate(ACTION_UNITS) if batch.coded.any()
        },
    }


def _degrees(batch: LandmarkBatch) -> dict[str, int]:
    values, numbers = np.unique(batch.degrees, return_counts=True)
    return {str(value): int(number) for value, number in zip(values, numbers, strict=True)}


def _share(batch: LandmarkBatch, column: int) -> float:
    """Of the faces with every action unit coded, the share in which one is present (Table 5.3)."""
    return float((batch.units[batch.coded, column] == 1).mean())
