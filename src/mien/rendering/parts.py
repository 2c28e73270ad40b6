"""Parts of a drawn face that no landmark tells of: eyeballs, and the dark between the lips.

They are there so that a face looks like one. All is in prepared coordinates: the eyes are 1 apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mien.landmark_layout import REGIONS
from mien.rendering.rasteriser import Floats, Integers

_MOUTH = (0.30, 0.13, 0.13)
_WHITE = (0.97, 0.96, 0.94)
_IRIS = (0.36, 0.45, 0.50)
_PUPIL = (0.08, 0.08, 0.09)

_EYE_DEPTH, _EYE_RADIUS = 0.235, 0.24
"""How far an eyeball's middle lies behind its lids, and its size."""

_RINGS = (
    (0.0, _PUPIL), (0.036, _PUPIL), (0.038, _IRIS), (0.080, _IRIS), (0.088, _WHITE), (0.15, _WHITE),
    (0.20, _WHITE), (0.235, _WHITE),
)  # fmt: skip
"""An eyeball's front: radius and colour of rings around where it looks."""

_RING_POINTS = 32


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Something to draw: vertices, normals and colours (V, 3), triangles (F, 3)."""

    vertices: Floats
    triangles: Integers
    normals: Floats
    colours: Floats


def joined(parts: Sequence[Part]) -> Part:
    """Several parts as one."""
    starts = np.cumsum([0, *(len(part.vertices) for part in parts[:-1])])
    return Part(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.triangles + start for part, start in zip(parts, starts, strict=True)]),
        np.concatenate([part.normals for part in parts]),
        np.concatenate([part.colours for part in parts]),
    )


def openings(points: Floats) -> list[Part]:
    """What is seen through the mouth and the two eyes of a prepared face's landmarks (83, 3)."""
    return [_mouth(points), _eye(points, "right_eye"), _eye(points, "left_eye")]


def region(name: str) -> range:
    """The landmarks of a region by its name."""
    return next(known.indices for known in REGIONS if known.name == name)


def _mouth(points: Floats) -> Part:
    """The dark between the lips: a fan behind them, as wide as the outer lips so that no gap is seen."""
    rim = points[list(region("outer_lips"))] - [0, 0, 0.05]
    middle = points[list(region("inner_lips"))].mean(axis=0) - [0, 0, 0.2]
    number = np.arange(len(rim))
    fan = np.stack([np.full_like(number, len(rim)), np.roll(number, -1), number], axis=1)
    vertices = np.vstack([rim, middle])
    ahead = np.tile([0.0, 0.0, 1.0], (len(vertices), 1))
    return Part(vertices, fan, ahead, np.tile(_MOUTH, (len(vertices), 1)))


def _eye(points: Floats, name: str) -> Part:
    """An eyeball's front that looks ahead, behind the lids: rings around its axis, each of one colour."""
    lids = points[list(region(name))]
    across = (lids[0, 0] + lids[4, 0]) / 2
    centre = np.array([across, lids[:, 1].mean(), lids[:, 2].mean() - _EYE_DEPTH])
    turns = np.linspace(0, 2 * np.pi, _RING_POINTS, endpoint=False)
    radii = np.repeat([radius for radius, _ in _RINGS], len(turns))
    around = np.tile(turns, len(_RINGS))
    depth = np.sqrt(_EYE_RADIUS**2 - radii**2)
    ball = np.stack([radii * np.cos(around), radii * np.sin(around), depth], axis=1)
    number = np.arange(len(ball)).reshape(len(_RINGS), len(turns))
    a, b = number[:-1], np.roll(number[:-1], -1, axis=1)
    c, d = number[1:], np.roll(number[1:], -1, axis=1)
    faces = [np.stack(three, axis=-1).reshape(-1, 3) for three in ((a, c, d), (a, d, b))]
    colours = np.repeat([colour for _, colour in _RINGS], len(turns), axis=0)
    return Part(ball + centre, np.concatenate(faces), ball, colours)
