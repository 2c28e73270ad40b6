"""Faces as landmarks made comparable: seen from the front, the eyes at one place and 1 apart (thesis 6.2).

The thesis turns its spontaneous faces straight by the head pose that comes with the data, leaves its posed
faces as they are, and then moves and scales every face by its eyes, each taken as the middle of its lower lid
alone, which a blink does not move. Centring on the training mean is the network's own, and not done here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.data.formats import BadRows
from mien.errors import DataError
from mien.landmark_layout import LOWER_LIDS, UPPER_LIDS
from mien.landmarks import LandmarkBatch, Points

CROSSED = 0.05
"""By this share of the distance between the eyes a lower lid may lie above the upper one: closed eyes do."""

_COINCIDE = 1e-6
"""Eyes nearer than this share of the face's size coincide."""

_PREPARED = 1e-6
"""Eyes whose middle and distance are this near to 0 and 1 were prepared before."""

_ROWS = 16_384
"""Faces worked on at once: doubles of them take 32 MB."""


def rotations(angles: Points) -> NDArray[np.float64]:
    """The rotations that turn straight heads by given angles.

    angles: (N, 3) degrees of pitch, yaw and roll. With x to the person's left, y up and z towards the viewer
    they turn the head, right-handed, about x (positive: it nods down), then about y (it turns to its own
    left), then about z (its left side rises): R = Rz(roll) · Ry(yaw) · Rx(pitch).
    Returns (N, 3, 3) float64: a straight face p is seen as R p, and R transposed turns it back.
    """
    radians = np.radians(np.asarray(angles, np.float64))
    pitch, yaw, roll = np.moveaxis(_about_axes(np.cos(radians), np.sin(radians)), 1, 0)
    return np.asarray(roll @ yaw @ pitch)


def _about_axes(cosines: NDArray[np.float64], sines: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3, 3, 3): the rotations about x, y and z by angles whose cosines and sines (N, 3) are given."""
    matrices = np.zeros((len(cosines), 3, 3, 3))
    for axis in range(3):
        after, last = (axis + 1) % 3, (axis + 2) % 3
        matrices[:, axis, axis, axis] = 1
        matrices[:, axis, after, after] = matrices[:, axis, last, last] = cosines[:, axis]
        matrices[:, axis, last, after] = sines[:, axis]
        matrices[:, axis, after, last] = -sines[:, axis]
    return matrices


def frames(batch: LandmarkBatch) -> NDArray[np.bool_]:
    """(N,) bool: the spontaneous faces, which are frames of a recording; the others are posed."""
    return np.asarray(batch.sequences != "")


def eye_centres(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """The middles of the right and of the left lower lid: (N, 2, 3) float64 of points (N, 83, 3)."""
    return np.stack([points[:, lid].mean(axis=1, dtype=np.float64) for lid in LOWER_LIDS], axis=1)


def prepared(batch: LandmarkBatch) -> LandmarkBatch:
    """The faces as the thesis prepares them: computed in float64, kept as float32.

    Frames of recordings are turned back by their `angles`, which become 0; posed faces keep their angles,
    unused, as in the thesis. Then the origin is midway between the eyes and their distance 1. Prepared faces
    stay as they are. Neutral faces that the batch already has are moved and scaled alike, and not turned.
    Raises: DataError naming the face and its person where `faults` finds one.
    """
    found = faults(batch)
    if found:
        face = min(found)
        raise DataError(f"{where(batch, face)}: {found[face]}")
    turned = frames(batch)
    points = _in_parts(batch.points, np.where(turned[:, None], batch.angles, np.float32(0)))
    neutral = None if batch.neutral is None else _in_parts(batch.neutral, np.zeros_like(batch.angles))
    angles = np.where(turned[:, None], np.float32(0), batch.angles)
    return replace(batch, points=points, neutral=neutral, angles=angles)


def without_faults(batch: LandmarkBatch, bad: BadRows) -> LandmarkBatch:
    """The faces in which `faults` finds none; the others are reported.

    Raises: DataError at the first of them, unless they are skipped.
    """
    found = faults(batch)
    bad.add_all(lambda face: where(batch, face), found)
    return batch.select(np.setdiff1d(np.arange(len(batch)), list(found))) if found else batch


def where(batch: LandmarkBatch, face: int) -> str:
    """How a message names a face: its source, its own name and its person's."""
    return f"{batch.source or 'the data'}, face {batch.names[face]} of {batch.subjects[face]}"


def faults(batch: LandmarkBatch) -> dict[int, str]:
    """What makes faces unusable, by their positions: coordinates that are not finite or eyes that coincide,
    also in the neutral face that a batch has; a lower lid above the upper one by more than `CROSSED`, which a
    turned or misnumbered face has."""
    found: dict[int, str] = {}
    for start in range(0, len(batch), _ROWS):
        part = batch.select(np.arange(start, min(start + _ROWS, len(batch))))
        found |= {start + face: why for face, why in _faults(part).items()}
    return found


def _faults(batch: LandmarkBatch) -> dict[int, str]:
    finite = np.asarray(np.isfinite(batch.points).all(axis=(1, 2)) & np.isfinite(batch.angles).all(axis=1))
    angles = np.where((frames(batch) & finite)[:, None], batch.angles, np.float32(0))
    points = _straight(np.where(finite[:, None, None], batch.points, np.float32(0)), angles)
    eyes, apart, coincide = _eyes(points)
    upper = np.stack([points[:, lid, 1].mean(axis=1) for lid in UPPER_LIDS], axis=1)
    crossed = (eyes[:, :, 1] - upper).max(axis=1) > CROSSED * apart
    # The first that holds is the one that is told.
    reasons = (
        (~finite, "a coordinate or angle is not finite: expected numbers"),
        (coincide, "its eyes coincide: expected the lower lids of two eyes apart"),
        (crossed, "a lower lid lies above its upper lid: expected y upwards and the points in order"),
        *(() if batch.neutral is None else _faults_of_neutral(batch.neutral)),
    )
    return {int(face): why for wrong, why in reversed(reasons) for face in np.flatnonzero(wrong)}


def _faults_of_neutral(neutral: Points) -> tuple[tuple[NDArray[np.bool_], str], ...]:
    """What may be wrong with the neutral faces that a source gives: which have it (N,), and its name."""
    finite = np.asarray(np.isfinite(neutral).all(axis=(1, 2)))
    *_, coincide = _eyes(np.where(finite[:, None, None], neutral, np.float32(0)).astype(np.float64))
    return (
        (~finite, "a coordinate of its neutral face is not finite: expected numbers"),
        (coincide, "the eyes of its neutral face coincide: expected the lower lids of two eyes apart"),
    )


def _eyes(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """The eyes' centres (N, 2, 3), how far they lie apart (N,), and where they coincide (N,)."""
    eyes = eye_centres(points)
    apart = np.linalg.norm(eyes[:, 1] - eyes[:, 0], axis=1)
    return eyes, apart, np.asarray(apart <= _COINCIDE * np.ptp(points, axis=1).max(axis=1))


def _in_parts(points: Points, angles: Points) -> Points:
    done = np.empty_like(points)
    for start in range(0, len(points), _ROWS):
        part = slice(start, start + _ROWS)
        done[part] = _by_eyes(_straight(points[part], angles[part]))
    return done


def _straight(points: Points, angles: Points) -> NDArray[np.float64]:
    """(N, 83, 3) float64: faces turned back by their angles, p → Rᵀ p."""
    straight = points.astype(np.float64)
    turned = np.flatnonzero(angles.any(axis=1))
    # Rows times R are columns times R transposed.
    straight[turned] = straight[turned] @ rotations(angles[turned])
    return straight


def _by_eyes(points: NDArray[np.float64]) -> NDArray[np.float64]:
    eyes = eye_centres(points)
    middle = eyes.mean(axis=1)
    apart = np.linalg.norm(eyes[:, 1] - eyes[:, 0], axis=1)
    # What was prepared once lies so but for float32's rounding, and is to stay the same to the bit.
    done = (np.abs(middle).max(axis=1) < _PREPARED) & (np.abs(apart - 1) < _PREPARED)
    middle[done], apart[done] = 0, 1
    return np.asarray((points - middle[:, None]) / apart[:, None, None])
