"""A small face of our own, for tests and demonstrations where FaceKit's basis is not at hand.

A sheet of some six hundred vertices, bent into a face. What people and expressions do to it are smooth bumps,
placed by hand, under FaceKit's names. It is made for no measurement: nothing that is learned from it says
anything about people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.landmarks.facekit import FaceBasis
from mien.landmark_layout import COUNT, MIRROR

_Doubles = NDArray[np.float64]

_COLUMNS = (0.0, 0.35, 0.75, 1.2, 1.7, 2.2, 2.7, 3.2, 3.8, 4.4, 5.0, 5.7, 6.5, 7.4)
_ROWS = (
    9.5, 8.5, 7.5, 6.8, 6.2, 5.7, 5.1, 4.5, 4.0, 3.5, 3.0, 2.2, 1.3, 0.7, 0.0, -0.6, -1.1, -1.8, -2.5, -2.9,
    -3.3, -3.45, -3.9, -4.3, -4.9, -5.6, -6.5, -7.1, -7.5,
)  # fmt: skip
_OUTLINE = (
    (-7.5, 0.15), (-7.1, 0.31), (-6.5, 0.53), (-5.5, 0.72), (-3.9, 0.85), (-1.5, 0.93), (0.75, 0.97),
    (3.1, 1.0), (7.5, 0.95), (9.5, 0.75),
)  # fmt: skip
"""How high, in centimetres up from the nose, and how wide there, in shares of the widest."""

_MOUTH_LINE = -3.375
_MOUTH = 2.25
"""How high the lips meet, and how far from the middle they end."""

_RIGHT: tuple[tuple[int, tuple[tuple[float, float], ...]], ...] = (
    (0, ((4.5, 3.5), (3.9, 3.9), (3.2, 4.0), (2.5, 3.9), (1.85, 3.4), (2.5, 3.05), (3.2, 3.0), (3.9, 3.1))),
    (16, ((5.8, 5.2), (4.9, 5.95), (3.8, 6.25), (2.7, 6.25), (1.8, 6.05))),
    (21, ((1.2, 5.7), (1.8, 5.6), (2.7, 5.8), (3.8, 5.75), (4.9, 5.5))),
    (36, ((0.85, 3.2), (1.2, 1.3), (1.8, 0.0))),
    (42, ((1.25, -1.1), (0.75, -1.1), (0.3, -1.1))),
    (48, ((2.6, -3.35), (1.7, -2.75), (0.75, -2.45), (0.0, -2.5))),
    (57, ((0.0, -4.35), (1.0, -4.25), (1.8, -4.0))),
    (60, ((2.2, -3.42), (1.0, -3.3), (0.0, -3.3))),
    (66, ((0.0, -3.45), (1.0, -3.45))),
    (68, ((7.4, 3.1), (7.2, 0.75), (6.9, -1.5), (6.3, -3.9))),
    (72, ((5.3, -5.5), (3.9, -6.5), (2.3, -7.1), (0.0, -7.5))),
)  # fmt: skip
"""Landmarks of the right half: the first one's number, and each one's way from the middle and up."""


@dataclass(frozen=True, slots=True)
class _Bump:
    """A smooth move of one part of the face, of the person's right side or across the middle.

    x, y: its centre, x from the middle. size: the Gaussian's standard deviation. move: how far its centre
    goes, inwards, up and forward. lip: −1 leaves the face above the mouth alone, 1 the face below it.
    """

    x: float
    y: float
    size: float
    move: tuple[float, float, float]
    lip: int = 0


_SIDED: dict[str, _Bump] = {
    "browInnerUp": _Bump(1.6, 5.9, 1.2, (0.0, 0.6, 0.05)),
    "browOuterUp": _Bump(4.6, 5.8, 1.3, (0.0, 0.6, 0.05)),
    "browDown": _Bump(2.2, 5.8, 1.6, (0.2, -0.5, 0.05)),
    "eyeWide": _Bump(3.2, 4.3, 0.6, (0.0, 0.3, 0.0)),
    "eyeSquint": _Bump(3.2, 2.7, 0.6, (0.0, 0.25, 0.1)),
    "eyeBlink": _Bump(3.2, 4.0, 0.6, (0.0, -0.8, 0.05)),
    "cheekSquint": _Bump(3.8, 1.9, 1.3, (0.0, 0.6, 0.3)),
    "noseSneer": _Bump(1.4, 0.4, 1.1, (0.0, 0.7, 0.2)),
    "mouthUpperUp": _Bump(1.2, -2.6, 0.9, (0.0, 0.6, 0.1), 1),
    "mouthSmile": _Bump(2.5, -3.3, 1.3, (-0.7, 0.8, -0.4)),
    "mouthDimple": _Bump(2.5, -3.4, 0.8, (-0.4, 0.1, -0.4)),
    "mouthFrown": _Bump(2.4, -3.6, 1.0, (-0.1, -0.6, -0.1)),
    "mouthLowerDown": _Bump(1.2, -4.2, 0.9, (0.0, -0.5, 0.0), -1),
    "mouthStretch": _Bump(2.5, -3.6, 1.1, (-0.7, -0.2, -0.4)),
    "mouthPress": _Bump(1.2, -3.4, 0.9, (-0.2, 0.0, -0.3)),
}
_MIDDLE: dict[str, _Bump] = {
    "jawOpen": _Bump(0.0, -5.2, 3.0, (0.0, -2.4, -0.6), -1),
    "mouthFunnel": _Bump(0.0, -3.4, 1.6, (0.4, 0.0, 0.9)),
    "mouthPucker": _Bump(0.0, -3.4, 1.7, (0.9, 0.0, 0.8)),
    "mouthRollLower": _Bump(0.0, -4.0, 1.0, (0.0, 0.3, -0.5), -1),
    "mouthRollUpper": _Bump(0.0, -2.8, 1.0, (0.0, -0.3, -0.5), 1),
    "mouthShrugLower": _Bump(0.0, -4.6, 1.3, (0.0, 0.7, 0.2), -1),
    "mouthShrugUpper": _Bump(0.0, -2.7, 1.2, (0.0, 0.5, 0.2), 1),
}
"""Expression shapes, sided and not, by FaceKit's names."""

_PEOPLE: tuple[_Bump, ...] = (
    _Bump(6.5, -1.0, 4.0, (-0.35, 0.0, 0.0)),
    _Bump(5.0, -5.5, 2.5, (-0.35, 0.0, 0.1)),
    _Bump(0.0, -7.0, 2.2, (0.0, -0.4, 0.1)),
    _Bump(0.0, -7.0, 2.2, (0.0, 0.0, 0.4)),
    _Bump(3.2, 3.4, 1.6, (-0.2, 0.0, 0.0)),
    _Bump(3.2, 3.9, 0.7, (0.0, 0.12, 0.0)),
    _Bump(3.2, 5.8, 2.0, (0.0, 0.25, 0.0)),
    _Bump(3.2, 5.8, 1.6, (0.0, 0.0, 0.3)),
    _Bump(0.0, 0.3, 1.6, (0.0, 0.0, 0.4)),
    _Bump(0.0, -0.4, 1.6, (0.0, -0.3, 0.0)),
    _Bump(1.5, -0.2, 1.0, (-0.2, 0.0, 0.0)),
    _Bump(2.4, -3.4, 1.1, (-0.2, 0.0, 0.0)),
    _Bump(0.0, -3.4, 1.6, (0.0, -0.25, 0.0)),
    _Bump(0.0, -2.6, 0.7, (0.0, 0.12, 0.1), 1),
    _Bump(0.0, -4.2, 0.7, (0.0, -0.12, 0.1), -1),
    _Bump(4.5, 1.0, 1.8, (-0.1, 0.0, 0.3)),
)
"""How people differ: a standard deviation of each."""


def procedural() -> FaceBasis:
    """The basis of our own face; needs no files, and is the same at every call."""
    mean, triangles, landmarks = _sheet()
    expression = {name: _moved(mean, bump, sides=(-1, 1)) for name, bump in _MIDDLE.items()}
    for name, bump in _SIDED.items():
        expression |= {
            f"{name}_{letter}": _moved(mean, bump, (side,)) for letter, side in (("R", -1), ("L", 1))
        }
    names = tuple(sorted(expression))
    return FaceBasis(
        mean=mean.astype(np.float32),
        triangles=triangles,
        identity=np.stack([_moved(mean, bump, sides=(-1, 1)) for bump in _PEOPLE]).astype(np.float32),
        expression=np.stack([expression[name] for name in names]).astype(np.float32),
        names=names,
        landmarks=landmarks,
        source="the procedural face",
        model="a procedural face",
    )


def _wanted() -> tuple[_Doubles, NDArray[np.bool_]]:
    """Where the landmarks are to lie, x and y (83, 2), and which are of the right half or the middle."""
    places, right = np.zeros((COUNT, 2)), np.zeros(COUNT, np.bool_)
    for first, points in _RIGHT:
        here = slice(first, first + len(points))
        places[here] = np.array(points) * (-1, 1)
        right[here] = True
    places[MIRROR[right]] = places[right] * (-1, 1)
    return places, right


def _sheet() -> tuple[_Doubles, NDArray[np.int32], NDArray[np.int64]]:
    """The vertices (V, 3), row by row from the top and each from the right, the triangles, the landmarks."""
    across = np.array([*(-x for x in _COLUMNS[:0:-1]), *_COLUMNS])
    down = np.array(_ROWS)
    heights, widths = zip(*_OUTLINE, strict=True)
    narrower = np.interp(down, heights, widths)[:, None]
    places = np.stack(np.broadcast_arrays(across * narrower, down[:, None]), axis=-1)
    number = np.arange(places[..., 0].size).reshape(places.shape[:2])

    corners = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], axis=-1)
    parted = ((down[:-1] > _MOUTH_LINE) & (down[1:] < _MOUTH_LINE))[:, None]
    quads = corners[~(parted & (np.maximum(np.abs(across[:-1]), np.abs(across[1:])) < _MOUTH))]
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]).astype(np.int32)

    landmarks = _nearest(places, number)
    flat = places.reshape(-1, 2)
    flat[landmarks] = _wanted()[0]
    return np.column_stack([flat, _height(flat[:, 0], flat[:, 1])]), triangles, landmarks


def _nearest(places: _Doubles, number: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each landmark a vertex of its own, near where it is to lie: (83,). Left ones mirror right ones."""
    wanted, right = _wanted()
    middle = places.shape[1] // 2
    half = places[:, : middle + 1].reshape(-1, 2)
    numbers, mirrored = number[:, : middle + 1].ravel(), number[:, ::-1][:, : middle + 1].ravel()
    landmarks, taken = np.zeros(COUNT, np.int64), np.zeros(len(half), np.bool_)
    for landmark in np.flatnonzero(right):
        apart = np.linalg.norm(half - wanted[landmark], axis=1)
        apart[taken | ((half[:, 0] == 0) != (wanted[landmark, 0] == 0))] = np.inf
        vertex = int(apart.argmin())
        taken[vertex] = True
        landmarks[landmark], landmarks[MIRROR[landmark]] = numbers[vertex], mirrored[vertex]
    return landmarks


def _height(x: _Doubles, y: _Doubles) -> _Doubles:
    """How far forward the face reaches at x and y: an egg, a nose, hollows for the eyes, lips and a chin."""

    def bump(across: float, up: float, wide: float, high: float) -> _Doubles:
        return np.asarray(np.exp(-(((np.abs(x) - across) / wide) ** 2 + ((y - up) / high) ** 2) / 2))

    egg = 11 * np.sqrt(np.clip(1 - (x / 9.5) ** 2 - (y / 14) ** 2, 0, 1))
    nose = np.exp(-((x / 0.9) ** 2) / 2) * np.interp(y, (-1.2, 0.3, 4.0), (0.0, 2.2, 0.0))
    soft = 0.5 * bump(0, -3.4, 1.8, 0.7) + 0.4 * bump(0, -6.6, 1.5, 0.8) - 0.9 * bump(3.2, 3.5, 1.2, 0.8)
    return np.asarray(egg + nose + soft)


def _moved(mean: _Doubles, bump: _Bump, sides: tuple[int, ...]) -> _Doubles:
    """The offsets (V, 3) of a bump on the sides given: −1 right, 1 left."""
    x, y = mean[:, 0], mean[:, 1]
    total = np.zeros_like(mean)
    for side in sides:
        weight = np.exp(-((x - side * bump.x) ** 2 + (y - bump.y) ** 2) / (2 * bump.size**2))
        if bump.x == 0:
            # One bump across the middle: each side takes its half.
            weight *= (1 + side * np.tanh(x / 1.5)) / 2
        if bump.lip:
            # Lips part sharply; beyond the corner of the mouth the skin gives way over a centimetre.
            gives = 0.02 + 1 / (1 + np.exp((_MOUTH + 0.3 - np.abs(x)) / 0.2))
            weight /= 1 + np.exp(np.clip(bump.lip * (_MOUTH_LINE - y) / gives, -50, 50))
        total += weight[:, None] * bump.move * (-side, 1, 1)
    return total
