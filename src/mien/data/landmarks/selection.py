"""Which frames people are asked about: unlike in their action units, and with open eyes (thesis 5.2.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.landmarks.neutral import medoid
from mien.landmark_layout import LOWER_LIDS, UPPER_LIDS
from mien.landmarks import LandmarkBatch

BLINK = 0.5
"""A frame is of a blink where the lids are closer than this share of the person's own median distance.

The thesis removes blinks "based on the distances between lower and upper eyelids" and gives no number.
"""


def lid_distances(batch: LandmarkBatch) -> NDArray[np.float64]:
    """(N,) how far open the eyes are: the mean over both eyes and three pairs of lid points, in the faces'
    own unit (distances between the eyes, once `prepared`)."""
    pairs = [
        pair
        for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True)
        # The upper lid runs inwards and the lower one back.
        for pair in zip(upper, reversed(lower), strict=True)
    ]
    above, below = np.array(pairs).T
    apart = batch.points[:, above].astype(np.float64) - batch.points[:, below]
    return np.asarray(np.linalg.norm(apart, axis=2).mean(axis=1))


def blinks(batch: LandmarkBatch, share: float = BLINK) -> NDArray[np.bool_]:
    """(N,) bool: the frames whose lids are closer than a share of their person's median distance."""
    distances = lid_distances(batch)
    people, codes = np.unique(batch.subjects, return_inverse=True)
    medians = np.array([np.median(distances[codes == person]) for person in range(len(people))])
    return np.asarray(distances < share * medians[codes]) if len(batch) else np.zeros(0, np.bool_)


def select_images(batch: LandmarkBatch, share: float = BLINK) -> NDArray[np.int64]:
    """The positions of the faces to ask about, in rising order: of every person one for each vector of
    action units that they show, without blinks.

    Only frames of which every unit was coded take part. Of several with one vector the one with the least sum
    of distances to the others is taken, as for the neutral face: the thesis does not say which.
    """
    possible = np.flatnonzero(batch.coded & ~blinks(batch, share))
    codes = np.unique(batch.subjects, return_inverse=True)[1]
    keys = np.column_stack([codes[possible], batch.units[possible]])
    _, kinds = np.unique(keys, axis=0, return_inverse=True)
    order = np.argsort(kinds.reshape(-1), kind="stable")
    groups = np.split(possible[order], np.cumsum(np.bincount(kinds.reshape(-1)))[:-1])
    chosen = [group[medoid(batch.points[group].reshape(len(group), -1))] for group in groups if len(group)]
    return np.sort(np.array(chosen, np.int64))
