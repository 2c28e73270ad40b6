"""A connected surface through the 83 landmarks, and a face drawn by it.

Landmarks say nothing of the ridge of the nose, the cheeks and the forehead. They are those of a plain face
(`face_plan`), bent as the landmarks ask: what each landmark differs from the plain face's is spread over the
surface by a thin-plate spline (Duchon 1977; Bookstein 1989) on a map of the face, which passes through every
landmark. Eyeballs and the dark of the mouth are there for the eye alone: no landmark tells of them.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError
from mien.landmark_layout import COUNT, MIRROR, REGIONS
from mien.rendering.face_plan import MIDDLE, RIGHT, RIGHT_LANDMARKS, RIGHT_TRIANGLES
from mien.rendering.parts import Part, joined, openings, region
from mien.rendering.rasteriser import Camera, Floats, Integers, Light, render, vertex_normals

_HALVINGS = 2
"""How often each triangle's sides are halved: about 2,300 vertices."""

_LINE_STEPS = 6
"""Parts of a line from one landmark to the next."""

_LINE_WIDTH, _LINE_LIFT = 0.016, 0.02
"""Of lines, in distances between the eyes: how wide, and how far before the surface, to be seen on it."""

_SKIN = (0.93, 0.86, 0.80)
_LIPS = (0.80, 0.55, 0.52)
_BROWS = (0.45, 0.37, 0.33)
_COLOURS = (_SKIN, _BROWS, _LIPS)
_LINES = (0.25, 0.22, 0.24)

CENTRE = (0.0, -0.42, -0.25)
"""The middle of a prepared face, with its forehead and the depth to its ears."""

HEIGHT = 3.2
"""How much a picture of a prepared face shows: some air around an open mouth."""

_FOREHEAD, _AIR = 0.5, 1.12
"""How much of the surface lies above the brows, and how many times a face's extent a picture shows."""


def _mirrored(points: Floats) -> Floats:
    return points * np.array([-1.0, 1.0, 1.0])


def _nodes() -> Floats:
    """All points of the plain face: landmarks, middle, right, left: (N, 3)."""
    landmarks = np.zeros((COUNT, 3))
    for number, place in RIGHT_LANDMARKS.items():
        landmarks[number] = place
        landmarks[MIRROR[number]] = _mirrored(np.array(place))
    return np.vstack([landmarks, MIDDLE, RIGHT, _mirrored(np.array(RIGHT))])


def _triangles() -> Integers:
    """Both halves: (F, 3)."""
    right = np.array(RIGHT_TRIANGLES, np.int64)
    middle = COUNT + np.arange(len(MIDDLE))
    side = COUNT + len(MIDDLE) + np.arange(len(RIGHT))
    other = np.concatenate([MIRROR, middle, side + len(RIGHT), side])
    return np.vstack([right, other[right][:, ::-1]])


NODES: Floats = _nodes()
"""(N, 3): the plain face's 83 landmarks, and the points between and around them."""

TRIANGLES: Integers = _triangles()
"""(F, 3) numbers of `NODES`, against the clock: all but the eyes and what the inner lips enclose."""


@dataclass(frozen=True, slots=True, eq=False)
class _Mesh:
    """A fine surface or line. plain (V, 3): the plain face's. follows (V, 83): how far each vertex goes along
    with each landmark. triangles (F, 3), kinds (F,): which of `_COLOURS` each has.
    """

    plain: Floats
    follows: Floats
    triangles: Integers
    kinds: Integers

    def through(self, points: Floats) -> Floats:
        return self.plain + self.follows @ (points - NODES[:COUNT])


def draw_face(
    points: ArrayLike,
    *,
    size: int | tuple[int, int] = 256,
    camera: Camera | None = None,
    light: Light | None = None,
    lines: bool = True,
    background: ArrayLike = 255,
    supersample: int = 2,
) -> NDArray[np.uint8]:
    """A face as a shaded surface with its landmarks' lines.

    points: (83, 3), prepared (`data.landmarks.prepared`), or (249,) of them. size: (height, width), or the
    side of a square. camera: from the front with the whole face where none is given. lines: draw the brows,
    eyes, nose, lips and jaw along their landmarks. background: as `rasteriser.render` takes it.
    Returns: (H, W, 3) uint8.
    Raises: DataError when the points are not 83 or not finite.
    """
    places = _checked(points)
    camera = camera or Camera(centre=CENTRE, height=HEIGHT)
    light = light or Light()
    parts = [_skin(places), *openings(places)]
    if lines:
        parts.append(_lines(places, camera, light))
    whole = joined(parts)
    return render(
        whole.vertices,
        whole.triangles,
        normals=whole.normals,
        albedo=whole.colours,
        size=size,
        camera=camera,
        light=light,
        background=background,
        supersample=supersample,
    )


def camera_for(faces: ArrayLike, yaw: float = 0.0) -> Camera:
    """From the front, or turned by some degrees, and as far as all of some faces (…, 83, 3) need."""
    points = np.asarray(faces, np.float64).reshape(-1, 3)
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return Camera(yaw=yaw, centre=CENTRE, height=HEIGHT)
    low, high = points[:, 1].min(), points[:, 1].max() + _FOREHEAD
    height = max(HEIGHT, _AIR * (high - low), _AIR * 2 * np.abs(points[:, 0]).max())
    return Camera(yaw=yaw, centre=(CENTRE[0], float(low + high) / 2, CENTRE[2]), height=float(height))


def surface(points: ArrayLike) -> tuple[Floats, Integers]:
    """The fine surface through a prepared face's landmarks (83, 3): vertices (V, 3) and triangles (F, 3).

    Raises: DataError when the points are not 83 or not finite.
    """
    mesh = _mesh()
    return mesh.through(_checked(points)), mesh.triangles


def _checked(points: ArrayLike) -> Floats:
    places = np.asarray(points, np.float64)
    if places.size != 3 * COUNT:
        raise DataError(f"a face of shape {places.shape}: expected ({COUNT}, 3)")
    if not np.isfinite(places).all():
        raise DataError("a landmark is not finite: the face cannot be drawn")
    return places.reshape(COUNT, 3)


def _skin(points: Floats) -> Part:
    """The surface, its vertices once for each colour, so that brows and lips end in a sharp line."""
    mesh = _mesh()
    vertices = mesh.through(points)
    normals = vertex_normals(vertices, mesh.triangles)
    return Part(
        np.tile(vertices, (len(_COLOURS), 1)),
        mesh.triangles + len(vertices) * mesh.kinds[:, None],
        np.tile(normals, (len(_COLOURS), 1)),
        np.repeat(_COLOURS, len(vertices), axis=0),
    )


def _lines(points: Floats, camera: Camera, light: Light) -> Part:
    """The regions' lines as ribbons that face the viewer, drawn in their colour whatever the light."""
    along = _line_mesh().through(points)
    across, up, towards = camera.rotation
    vertices, triangles, start = [], [], 0
    for length, closed in _line_lengths():
        line = along[start : start + length]
        ahead = np.roll(line, -1, axis=0) - np.roll(line, 1, axis=0)
        if not closed:
            ahead[0], ahead[-1] = line[1] - line[0], line[-1] - line[-2]
        flat = np.stack([ahead @ across, ahead @ up], axis=1)
        flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
        side = (flat[:, :1] * up - flat[:, 1:] * across) * _LINE_WIDTH / 2
        lifted = line + towards * _LINE_LIFT
        number = 2 * start + np.arange(length)
        after = np.roll(number, -1) if closed else number[1:]
        before = number[: len(after)]
        triangles += [
            np.stack([before, after, before + length], axis=1),
            np.stack([after, after + length, before + length], axis=1),
        ]
        vertices += [lifted - side, lifted + side]
        start += length
    places = np.concatenate(vertices)
    normals = np.tile(np.asarray(light.direction) @ camera.rotation, (len(places), 1))
    return Part(places, np.concatenate(triangles), normals, np.tile(_LINES, (len(places), 1)))


def _plan(places: Floats) -> Floats:
    """The face's map (N, 2): around the head and up, so that cheeks seen from the side keep their width."""
    return np.stack([1.3 * np.arctan2(places[:, 0], places[:, 2] + 1.5), places[:, 1]], axis=1)


def _spline(knots: Floats, at: Floats) -> Floats:
    """Thin-plate spline on a plane: how much the value at each of `at` (M, 2) follows each knot's: (M, K)."""

    def kernel(places: Floats) -> Floats:
        squared = ((places[:, None] - knots[None]) ** 2).sum(axis=2)
        bent = squared * np.log(np.where(squared > 0, squared, 1.0))
        return np.hstack([bent, np.ones((len(places), 1)), places])

    flat = np.vstack([np.ones(len(knots)), knots.T])
    system = np.vstack([kernel(knots), np.hstack([flat, np.zeros((3, 3))])])
    return np.asarray(kernel(at) @ np.linalg.inv(system)[:, : len(knots)])


def _halved(plan: Floats, triangles: Integers) -> tuple[Floats, Integers]:
    """A mesh with every triangle in four: vertices (V, 2) with the sides' middles, triangles (4F, 3)."""
    sides = np.sort(
        np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1
    )
    unique, which = np.unique(sides, axis=0, return_inverse=True)
    ab, bc, ca = len(plan) + which.reshape(3, -1)
    a, b, c = triangles.T
    quarters = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return np.vstack([plan, plan[unique].mean(axis=1)]), np.concatenate(
        [np.stack(q, axis=1) for q in quarters]
    )


def _meshed(plan: Floats, triangles: Integers, kinds: Integers) -> _Mesh:
    knots = _plan(NODES)
    return _Mesh(_spline(knots, plan) @ NODES, _spline(knots[:COUNT], plan), triangles, kinds)


@functools.cache
def _mesh() -> _Mesh:
    knots = _plan(NODES)
    middles = knots[TRIANGLES].mean(axis=1)
    kinds = np.zeros(len(TRIANGLES), np.int64)
    for kind, names in ((1, ("right_brow", "left_brow")), (2, ("outer_lips",))):
        for name in names:
            kinds[_within(knots[list(region(name))], middles)] = kind
    plan, triangles = knots, TRIANGLES
    for _ in range(_HALVINGS):
        plan, triangles = _halved(plan, triangles)
        kinds = np.tile(kinds, 4)
    return _meshed(plan, triangles, kinds)


def _within(outline: Floats, places: Floats) -> NDArray[np.bool_]:
    """Which places (N, 2) lie within a closed outline (K, 2), by the crossings of a ray: (N,)."""
    first, second = outline, np.roll(outline, -1, axis=0)
    x, y = places[:, :1], places[:, 1:]
    rise = np.where(second[:, 1] == first[:, 1], 1.0, second[:, 1] - first[:, 1])
    crossing = first[:, 0] + (y - first[:, 1]) / rise * (second[:, 0] - first[:, 0])
    crossed = ((first[:, 1] > y) != (second[:, 1] > y)) & (x < crossing)
    return np.asarray(crossed.sum(axis=1) % 2 == 1)


@functools.cache
def _line_lengths() -> tuple[tuple[int, bool], ...]:
    """How many points each region's line has, and whether it is closed."""
    return tuple(
        (len(region.indices) * _LINE_STEPS if region.closed else (len(region.indices) - 1) * _LINE_STEPS + 1,
         region.closed)
        for region in REGIONS
    )  # fmt: skip


@functools.cache
def _line_mesh() -> _Mesh:
    """The regions' lines one after another, `_LINE_STEPS` points a part."""
    knots, lines = _plan(NODES), []
    for known in REGIONS:
        corners = knots[list(known.indices)]
        stops = np.vstack([corners, corners[:1]]) if known.closed else corners
        shares = np.arange(_LINE_STEPS)[:, None] / _LINE_STEPS
        parts = [a + shares * (b - a) for a, b in itertools.pairwise(stops)]
        lines += parts if known.closed else [*parts, stops[-1:]]
    plan = np.vstack(lines)
    return _meshed(plan, np.zeros((0, 3), np.int64), np.zeros(0, np.int64))
