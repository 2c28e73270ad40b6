"""How many faces and votes a dataset has, per split and emotion."""

from __future__ import annotations

from typing import Any

import numpy as np

from mien.faces import FaceBatch
from mien.labels import EMOTIONS, FERPLUS_CHOICES, SPLITS


def counts(batch: FaceBatch) -> dict[str, Any]:
    """How many faces, of which size (height, width), and how many of each emotion: in all and by split.

    Of each split there is also its FER+ votes.
    """
    splits = {}
    for i, name in enumerate(SPLITS):
        there = batch.splits == i
        if not there.any():
            continue
        per_emotion = np.bincount(batch.labels[there], minlength=len(EMOTIONS)).tolist()
        votes = batch.votes[there].sum(axis=0, dtype=np.int64).tolist()
        splits[name] = {
            "n": int(there.sum()),
            "emotions": dict(zip(EMOTIONS, per_emotion, strict=True)),
            "with_votes": int(batch.has_votes[there].sum()),
            "votes": dict(zip(FERPLUS_CHOICES, votes, strict=True)),
        }
    in_all = np.bincount(batch.labels, minlength=len(EMOTIONS)).tolist()
    return {
        "n": len(batch),
        "size": list(batch.images.shape[1:]),
        "emotions": dict(zip(EMOTIONS, in_all, strict=True)),
        "splits": splits,
    }
