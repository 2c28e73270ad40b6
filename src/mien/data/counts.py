"""How many faces and votes a dataset has, per split and emotion."""

from __future__ import annotations

from typing import Any

import numpy as np

from mien.faces import FaceBatch
from mien.labels import EMOTIONS, FERPLUS_CHOICES, SPLITS


def counts(batch: FaceBatch) -> dict[str, Any]:
    """`n`, `size` (height, width) and, for each split there is, its faces per emotion and its FER+ votes."""
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
    return {"n": len(batch), "size": list(batch.images.shape[1:]), "splits": splits}
