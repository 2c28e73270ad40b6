"""Each person's neutral face, beside every face of theirs (thesis 6.2, "Choosing neutral faces")."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.data.formats import BadRows
from mien.data.landmarks.preprocessing import frames
from mien.labels import EMOTIONS
from mien.landmarks import LandmarkBatch

_NEUTRAL = EMOTIONS.index("neutral")
_CHUNK = 256
"""Faces whose distances to all others are held at once: with 10,000 frames of a person 20 MB."""

_TIE = 1e-9
"""Sums of distances within this share of the least are ties, which the first face wins."""


def with_neutrals(batch: LandmarkBatch, bad: BadRows | None = None) -> LandmarkBatch:
    """The same faces, each with the neutral face of its person in `neutral`.

    Posed: the person's face labelled neutral. Spontaneous: among their frames with every action unit coded
    and absent, the one with the least sum of Euclidean distances to the others, so that it is a face that was
    seen and no average; so also among several posed neutral faces. The faces are to be `prepared` before.
    Where no person has two faces, as in collections of single pictures, `neutral` stays None.
    bad: where people without a neutral face are reported; where it skips them they are left out.
    Raises: DataError naming such a person, unless skipped.
    """
    people, codes = np.unique(batch.subjects, return_inverse=True)
    if len(people) == len(batch):
        return replace(batch, neutral=None)
    bad = BadRows() if bad is None else bad
    candidate = neutral_candidates(batch)
    chosen = np.full(len(people), -1, np.int64)
    order = np.argsort(codes, kind="stable")
    for person, of_person in enumerate(np.split(order, np.cumsum(np.bincount(codes))[:-1])):
        possible = of_person[candidate[of_person]]
        if len(possible):
            chosen[person] = possible[medoid(batch.points[possible].reshape(len(possible), -1))]
        else:
            kind = (
                "a frame with every action unit coded and absent"
                if frames(batch)[of_person].any()
                else ("a face labelled neutral")
            )
            place = f"{batch.source or 'the data'}, {people[person]}"
            bad.add(place, f"no neutral face among {len(of_person)}: expected {kind}")
    known = chosen[codes] >= 0
    kept = batch if known.all() else batch.select(known)
    return replace(kept, neutral=batch.points[chosen[codes[known]]])


def neutral_candidates(batch: LandmarkBatch) -> NDArray[np.bool_]:
    """(N,) bool: posed faces labelled neutral, and frames whose action units are all coded and absent."""
    return np.asarray(np.where(frames(batch), (batch.units == 0).all(axis=1), batch.labels == _NEUTRAL))


def medoid(rows: NDArray[np.floating]) -> int:
    """The row of (M, D) with the least sum of Euclidean distances to the others; of equals the first."""
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    squares = np.einsum("md,md->m", centred, centred)
    sums = np.empty(len(rows))
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        squared = squares[part, None] + squares - 2 * centred[part] @ centred.T
        here = np.arange(len(squared))
        squared[here, start + here] = 0
        sums[part] = np.sqrt(np.maximum(squared, 0, out=squared), out=squared).sum(axis=1)
    return int(np.flatnonzero(sums <= sums.min() * (1 + _TIE))[0])
