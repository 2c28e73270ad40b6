"""From the face mesh's 468 points to the 83 landmarks, and how the head is turned: fixed tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.landmark_layout import EYE_CORNERS, MIRROR, REGIONS

Floats = NDArray[np.float32]

MESH_POINTS: NDArray[np.int64] = np.array(
    (
        33, 161, 159, 157, 133, 154, 145, 163,
        263, 388, 386, 384, 362, 381, 374, 390,
        70, 63, 105, 66, 107, 55, 65, 52, 53, 46,
        300, 293, 334, 296, 336, 285, 295, 282, 283, 276,
        193, 198, 129,
        417, 420, 358,
        64, 98, 97, 326, 327, 294,
        61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91,
        78, 81, 13, 311, 308, 402, 14, 178,
        234, 132, 58, 172, 136, 150, 176, 152, 400, 379, 365, 397, 288, 361, 454,
    )
)  # fmt: skip
"""(83,) int64: the mesh's point for each landmark of `landmark_layout`, a region to a line.

Eyes, brows, lips and jaw are points of the lines that MediaPipe names (FACEMESH_RIGHT_EYE and so on): every
second point of a lid, all of a brow, the lips' corners, middles and evenly between, with the upper lip's two
peaks; of the oval the ears, the chin and what divides the line between them most evenly. The sides of the
nose are at the bridge beside the inner corners of the eyes, on the flank and at the wing; the nostrils from
wing to wing.
"""

_RIGID: dict[int, tuple[float, float, float]] = {
    0: (-0.729, 0.058, -0.088),
    4: (-0.283, 0.024, -0.001),
    36: (-0.126, 0.090, 0.193),
    37: (-0.227, -0.364, 0.277),
    38: (-0.335, -0.526, 0.109),
    42: (-0.307, -0.582, 0.229),
    43: (-0.276, -0.637, 0.157),
    44: (-0.124, -0.677, 0.252),
}
"""The landmarks of the right side that expressions move least, eye corners and nose, on a straight head.

The mean over the meshes of training faces of FER-2013, laid upon each other and made symmetric; the distance
between the eyes is 1. So a pitch of 0 is how people hold their heads in pictures on average.
"""

RIGID: NDArray[np.int64] = np.array([*_RIGID, *MIRROR[list(_RIGID)]])
"""Numbers of the landmarks by which a head's turn is told, first those of the right side."""

STRAIGHT: NDArray[np.float64] = np.array([*_RIGID.values(), *((-x, y, z) for x, y, z in _RIGID.values())])
"""(16, 3): where `RIGID` lie on a straight head."""

_IN_PICTURE = np.array(
    [i for region in REGIONS if not region.name.endswith(("brow", "jaw")) for i in region.indices]
)
"""Landmarks that must lie in the picture: brows and jaw are often cut off, and well guessed."""


def landmarks_of(mesh: NDArray[np.floating]) -> Floats:
    """The 83 landmarks of meshes, (…, 468, 3) with y down and z away → (…, 83, 3) float32 in the axes of
    `landmark_layout`: x to the person's left, y up, z towards the viewer; the unit stays."""
    return np.asarray(mesh[..., MESH_POINTS, :] * np.array([1, -1, -1]), np.float32)


def mirrored_landmarks_of(mesh: NDArray[np.floating]) -> Floats:
    """As `landmarks_of`, of meshes read in a mirror and turned back (`MeshReading.mirrored`)."""
    return landmarks_of(mesh)[..., MIRROR, :]


def eye_distance(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """How far the middles of the eyes' corners lie apart: landmarks (…, 83, 3) → (…)."""
    right, left = (points[..., list(corners), :].mean(axis=-2) for corners in EYE_CORNERS)
    return np.asarray(np.linalg.norm(left - right, axis=-1), np.float64)


def disagreement(points: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """The mean distance in the picture's plane between two readings (…, 83, 3), in distances between the
    eyes: (…)."""
    apart = np.linalg.norm(points[..., :2] - other[..., :2], axis=-1).mean(axis=-1)
    return np.asarray(apart / np.maximum(eye_distance(points), 1e-9))


def share_within(points: NDArray[np.floating], width: int, height: int) -> float:
    """The share of eyes, nose and lips (83, 3) that lie in a picture of that size, y up from its top."""
    x, y = points[_IN_PICTURE, 0], -points[_IN_PICTURE, 1]
    return float(((x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)).mean())


def head_angles(points: NDArray[np.floating]) -> Floats:
    """By how many degrees heads are turned: landmarks (N, 83, 3) → pitch, yaw and roll (N, 3) float32.

    The rotation of `data.landmarks.preprocessing.rotations`, R = Rz(roll) · Ry(yaw) · Rx(pitch), that with a
    scale and a shift lays a straight head's `RIGID` landmarks nearest to the face's (least squares).
    Source: Umeyama 1991.
    """
    seen = points[:, RIGID].astype(np.float64)
    seen = seen - seen.mean(axis=1, keepdims=True)
    straight = STRAIGHT - STRAIGHT.mean(axis=0)
    left, _, right = np.linalg.svd(np.einsum("npi,pj->nij", seen, straight))
    # A reflection is no turn: the least direction is flipped where the best fit would be one.
    flips = np.ones((len(seen), 3))
    flips[:, 2] = np.sign(np.linalg.det(left @ right))
    turn = (left * flips[:, None]) @ right
    yaw = np.arcsin(np.clip(-turn[:, 2, 0], -1, 1))
    pitch = np.arctan2(turn[:, 2, 1], turn[:, 2, 2])
    roll = np.arctan2(turn[:, 1, 0], turn[:, 0, 0])
    return np.degrees(np.stack([pitch, yaw, roll], axis=1)).astype(np.float32)
