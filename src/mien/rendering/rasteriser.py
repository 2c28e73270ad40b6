"""Triangles as pictures: a z-buffer with shading by interpolated normals, without any window system.

All triangles are rasterised at once: each is laid over the pixels of its bounding box, and of all that cover
a pixel's middle the nearest is kept (Catmull 1974). Normals are interpolated within a triangle (Phong 1975),
the surface is matt (Lambert). Edges are smoothed by rendering larger and averaging.

Space: x to the right of the picture, y up, z towards the viewer. Units are the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

_PAIRS = 1 << 20
"""Pairs of a triangle and a pixel that are looked at together: some tens of megabytes."""

_ON_EDGE = 1e-9
"""How far outside a triangle counts as on its edge: none of two neighbours would leave a crack."""

EMPTY = -1
"""The triangle of a pixel that none covers."""


@dataclass(frozen=True, slots=True)
class Camera:
    """Where the viewer stands.

    pitch, yaw, roll: degrees by which what is seen is turned about x, then y, then z (positive: chin down,
    towards the picture's right, against the clock).
    centre: the point in the picture's middle, about which is turned.
    height: how much of the space the picture's height shows, in its unit.
    distance: of the viewer from the centre; infinite: parallel rays.
    """

    pitch: float = 0.0
    yaw: float = 0.0
    roll: float = 0.0
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    height: float = 2.0
    distance: float = math.inf

    def __post_init__(self) -> None:
        if not self.height > 0 or not self.distance > 0:
            raise DataError(f"camera height {self.height}, distance {self.distance}: expected more than 0")

    @property
    def rotation(self) -> Floats:
        """(3, 3): turns column vectors."""
        return turning(self.pitch, self.yaw, self.roll)

    def project(self, vertices: ArrayLike, size: tuple[int, int]) -> Floats:
        """Vertices (V, 3) in a picture of size (height, width): (V, 3) of column, row and nearness.

        Columns and rows are in pixels, 0 the left or upper edge; the larger the nearness, the nearer. It is
        linear within a triangle as it is seen, also with a viewer near by.
        Raises: DataError when a vertex lies at the viewer or behind.
        """
        turned = (np.asarray(vertices, np.float64) - self.centre) @ self.rotation.T
        grown = np.ones(len(turned))
        nearness = turned[:, 2]
        if math.isfinite(self.distance):
            away = self.distance - turned[:, 2]
            if len(away) and away.min() <= 0:
                raise DataError(f"a vertex lies behind the viewer: expected a distance above {self.distance}")
            grown = nearness = self.distance / away
        scale = size[0] / self.height
        columns = size[1] / 2 + scale * grown * turned[:, 0]
        rows = size[0] / 2 - scale * grown * turned[:, 1]
        return np.stack([columns, rows, nearness], axis=1)


@dataclass(frozen=True, slots=True)
class Light:
    """Light from one side and from all. direction: towards it, in the viewer's space, of any length.

    ambient: 0…1, the share that comes from everywhere.
    """

    direction: tuple[float, float, float] = (-0.35, 0.45, 1.0)
    ambient: float = 0.35

    def __post_init__(self) -> None:
        if not np.isfinite(self.direction).all() or not np.any(self.direction):
            raise DataError(f"light from {self.direction}: expected a direction that is not zero")
        if not 0 <= self.ambient <= 1:
            raise DataError(f"ambient light {self.ambient}: expected 0…1")

    def on(self, normals: Floats) -> Floats:
        """The light on surfaces of some normals (…, 3), of any length: (…) 0…1."""
        towards = np.asarray(self.direction, np.float64) / np.linalg.norm(self.direction)
        lengths = np.linalg.norm(normals, axis=-1)
        facing = normals @ towards / np.where(lengths > 0, lengths, 1.0)
        return np.asarray(self.ambient + (1 - self.ambient) * np.clip(facing, 0, None))


@dataclass(frozen=True, slots=True, eq=False)
class Fragments:
    """What each pixel shows: triangle (H, W) int64, or `EMPTY`; weights (H, W, 3) of its three corners."""

    triangle: Integers
    weights: Floats

    def interpolate(self, values: Floats, triangles: Integers) -> Floats:
        """Values of the corners (V, C) at the pixels that are covered, in rows' order: (covered, C)."""
        covered = self.triangle != EMPTY
        corners = values[triangles[self.triangle[covered]]]
        return np.asarray(np.einsum("pk,pkc->pc", self.weights[covered], corners))


def turning(pitch: float, yaw: float, roll: float) -> Floats:
    """(3, 3): turns column vectors about x by pitch, then y by yaw, then z by roll, in degrees."""
    (cp, cy, cr), (sp, sy, sr) = (fn(np.radians([pitch, yaw, roll])) for fn in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def vertex_normals(vertices: ArrayLike, triangles: Integers) -> Floats:
    """Normals (V, 3), the sums of those of the triangles around, larger ones counting more; not of length 1.

    A triangle is seen from its front where its corners run against the clock.
    """
    places = np.asarray(vertices, np.float64)
    first, second, third = (places[triangles[:, corner]] for corner in range(3))
    across = np.cross(second - first, third - first)
    normals = np.zeros_like(places)
    for corner in range(3):
        for axis in range(3):
            normals[:, axis] += np.bincount(triangles[:, corner], across[:, axis], len(places))
    return normals


def rasterise(projected: Floats, triangles: Integers, size: tuple[int, int]) -> Fragments:
    """The nearest triangle at the middle of each pixel of a picture of size (height, width).

    projected: (V, 3) as `Camera.project` gives them. triangles: (F, 3) numbers of vertices, seen from both
    sides. Those without area cover nothing. Of triangles equally near, the first is kept.
    """
    height, width = size
    nearest = np.full(height * width, -np.inf)
    winner = np.full(height * width, EMPTY, np.int64)
    weights = np.zeros((height * width, 3))
    planes = _planes(projected[triangles])
    for boxed, columns, rows in _candidates(projected[triangles][:, :, :2], size):
        values = planes[boxed, 0] * (columns + 0.5)[:, None]
        values += planes[boxed, 1] * (rows + 0.5)[:, None]
        values += planes[boxed, 2]
        inside = np.flatnonzero(values[:, :3].min(axis=1) >= -_ON_EDGE)
        pixels, nearness = (rows * width + columns)[inside], values[inside, 3]
        before = nearest[pixels]
        np.maximum.at(nearest, pixels, nearness)
        best = np.flatnonzero((nearness == nearest[pixels]) & (nearness > before))
        # Backwards, so that of equally near ones the first is written last.
        at = best[::-1]
        winner[pixels[at]] = boxed[inside[at]]
        weights[pixels[at]] = values[inside[at], :3]
    return Fragments(winner.reshape(size), weights.reshape(height, width, 3))


def _planes(corners: Floats) -> Floats:
    """What is linear within triangles (F, 3, 3), as factors of column, row and 1: (F, 3, 4).

    The four are the shares of the three corners, and the nearness. Without area: no share is ever enough.
    """
    x, y, near = np.moveaxis(corners, 2, 0)
    after, last = np.roll(np.arange(3), -1), np.roll(np.arange(3), -2)
    factors = np.stack([y[:, after] - y[:, last], x[:, last] - x[:, after], np.zeros_like(x)], axis=1)
    area = (x * factors[:, 0]).sum(axis=1)
    flat = area == 0
    factors /= np.where(flat, 1.0, area)[:, None, None]
    # From a corner of its own each share is measured, so that shares are exact near the triangle.
    factors[:, 2] = -factors[:, 0] * x[:, after] - factors[:, 1] * y[:, after]
    planes = np.concatenate([factors, np.einsum("fik,fk->fi", factors, near)[:, :, None]], axis=2)
    planes[flat] = [[0], [0], [-1]]
    return np.asarray(planes)


def _candidates(corners: Floats, size: tuple[int, int]) -> Iterator[tuple[Integers, Integers, Integers]]:
    """Triangles and the pixels of their bounding boxes, in parts: (P,) triangle, column and row.

    corners: (F, 3, 2). A pixel counts where its middle lies in the box. Parts come in the triangles' order.
    """
    height, width = size
    ends = np.array([width, height])
    low = np.clip(np.ceil(corners.min(axis=1) - 0.5), 0, ends)
    high = np.clip(np.floor(corners.max(axis=1) - 0.5) + 1, 0, ends)
    sides = np.maximum(high - low, 0)
    drawn = np.flatnonzero(sides.prod(axis=1) > 0)
    low, sides = low[drawn].astype(np.int64), sides[drawn].astype(np.int64)
    counts = sides.prod(axis=1)
    part = (np.cumsum(counts) - counts) // _PAIRS
    for number in np.unique(part):
        chosen = np.flatnonzero(part == number)
        repeated = np.repeat(chosen, counts[chosen])
        start = np.repeat(np.cumsum(counts[chosen]) - counts[chosen], counts[chosen])
        place = np.arange(len(repeated)) - start
        columns = low[repeated, 0] + place % sides[repeated, 0]
        rows = low[repeated, 1] + place // sides[repeated, 0]
        yield drawn[repeated], columns, rows


def render(
    vertices: ArrayLike,
    triangles: ArrayLike,
    *,
    size: int | tuple[int, int] = 256,
    camera: Camera | None = None,
    light: Light | None = None,
    albedo: ArrayLike | None = None,
    normals: ArrayLike | None = None,
    background: ArrayLike = 255,
    supersample: int = 2,
) -> NDArray[np.uint8]:
    """A matt surface as a picture.

    vertices: (V, 3). triangles: (F, 3) numbers of vertices, against the clock as seen from their front; a
    back gets the ambient light alone.
    size: (height, width), or the side of a square. albedo: (V,) grey or (V, 3) colour, 0…1, how much light
    each vertex returns; 0.85 where none is given. normals: (V, 3), those of the triangles around where none
    are given. background: the grey, or the colour (3,), or a picture
    (H, W[, 3]) of what is behind, 0…255.
    supersample: how often larger each side is rendered before it is averaged.
    Returns: (H, W) uint8, or (H, W, 3) where the albedo has colours. The same input gives the same bytes.
    Raises: DataError when shapes or numbers of vertices do not fit, or a vertex is not finite.
    """
    places, faces, returned = _checked(vertices, triangles, albedo)
    camera, light = camera or Camera(), light or Light()
    height, width = (size, size) if isinstance(size, int) else size
    large = (height * supersample, width * supersample)
    fragments = rasterise(camera.project(places, large), faces, large)
    upright = vertex_normals(places, faces) if normals is None else np.asarray(normals, np.float64)
    shade = light.on(fragments.interpolate(upright @ camera.rotation.T, faces))
    colour = fragments.interpolate(returned, faces) * shade[:, None]
    channels = returned.shape[1]
    picture = _behind(background, (height, width, channels)).repeat(supersample, 0).repeat(supersample, 1)
    picture[fragments.triangle != EMPTY] = 255 * np.clip(colour, 0, 1)
    return averaged(picture if channels > 1 else picture[:, :, 0], supersample)


def averaged(picture: NDArray[Any], times: int) -> NDArray[np.uint8]:
    """A picture (H·times, W·times[, C]) 0…255, smaller by the mean over squares: (H, W[, C]) uint8."""
    height, width = picture.shape[0] // times, picture.shape[1] // times
    parts = picture.reshape(height, times, width, times, *picture.shape[2:])
    return np.asarray(np.rint(parts.mean(axis=(1, 3)))).astype(np.uint8)


def _behind(background: ArrayLike, shape: tuple[int, int, int]) -> Floats:
    behind = np.asarray(background, np.float64)
    if behind.shape == shape[:2]:
        behind = behind[:, :, None]
    try:
        return np.broadcast_to(behind, shape).copy()
    except ValueError as error:
        raise DataError(f"background {behind.shape}: expected a grey, a colour or {shape}") from error


def _checked(
    vertices: ArrayLike, triangles: ArrayLike, albedo: ArrayLike | None
) -> tuple[Floats, Integers, Floats]:
    places = np.asarray(vertices, np.float64)
    if places.ndim != 2 or places.shape[1] != 3:
        raise DataError(f"vertices of shape {places.shape}: expected (V, 3)")
    if not np.isfinite(places).all():
        raise DataError("a vertex is not finite: nothing can be drawn there")
    faces = np.asarray(triangles, np.int64).reshape(-1, 3)
    if len(faces) and (faces.min() < 0 or faces.max() >= len(places)):
        raise DataError(f"a triangle names a vertex outside 0…{len(places) - 1}")
    returned = np.full(len(places), 0.85) if albedo is None else np.asarray(albedo, np.float64)
    if returned.shape not in ((len(places),), (len(places), 3)):
        raise DataError(f"albedo of shape {returned.shape}: expected ({len(places)},) or ({len(places)}, 3)")
    return places, faces, returned if returned.ndim == 2 else returned[:, None]
