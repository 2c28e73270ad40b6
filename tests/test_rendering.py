"""The z-buffer against a pixel-by-pixel one, and the surface through the landmarks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.errors import DataError
from mien.landmark_layout import COUNT, MIRROR, REGIONS
from mien.rendering import surface
from mien.rendering.rasteriser import (
    EMPTY,
    Camera,
    Light,
    averaged,
    rasterise,
    render,
    turning,
    vertex_normals,
)
from mien.rendering.surface import draw_face

Floats = NDArray[np.float64]

SQUARE = np.array([[-0.5, -0.5, 0], [0.5, -0.5, 0], [0.5, 0.5, 0], [-0.5, 0.5, 0]], np.float64)
HALVES = np.array([[0, 1, 2], [0, 2, 3]])
"""Against the clock as the viewer sees them."""


def slow(projected: Floats, triangles: NDArray[np.int64], size: tuple[int, int]) -> tuple[Floats, Floats]:
    """One pixel and one triangle at a time: the nearest triangle (H, W), and how near (H, W)."""
    found = np.full(size, float(EMPTY))
    nearest = np.full(size, -np.inf)
    for row in range(size[0]):
        for column in range(size[1]):
            for number, face in enumerate(triangles):
                system = np.vstack([projected[face, :2].T, np.ones(3)])
                if abs(np.linalg.det(system)) < 1e-12:
                    continue
                shares = np.linalg.solve(system, [column + 0.5, row + 0.5, 1])
                nearness = float(shares @ projected[face, 2])
                if shares.min() >= 0 and nearness > nearest[row, column]:
                    found[row, column], nearest[row, column] = number, nearness
    return found, nearest


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("distance", [np.inf, 4.0])
def test_as_a_slow_z_buffer(seed: int, distance: float) -> None:
    rng = np.random.default_rng(seed)
    vertices, triangles = rng.uniform(-1.2, 1.2, (15, 3)), rng.integers(0, 15, (12, 3))
    size = (17, 23)
    projected = Camera(10, 20, 30, distance=distance).project(vertices, size)
    expected, nearest = slow(projected, triangles, size)
    found = rasterise(projected, triangles, size)
    assert np.array_equal(found.triangle, expected)
    near = found.interpolate(projected[:, 2:], triangles)[:, 0]
    assert np.allclose(near, nearest[np.isfinite(nearest)])
    assert (expected != EMPTY).any()


def test_parts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    projected = Camera().project(rng.uniform(-1, 1, (20, 3)), (30, 30))
    triangles = np.vstack([rng.integers(0, 20, (25, 3))] * 2)
    whole = rasterise(projected, triangles, (30, 30))
    monkeypatch.setattr("mien.rendering.rasteriser._PAIRS", 50)
    parts = rasterise(projected, triangles, (30, 30))
    assert np.array_equal(whole.triangle, parts.triangle)
    assert np.array_equal(whole.weights, parts.weights)
    # Every triangle comes twice: the first of two equally near ones is kept.
    assert whole.triangle.max() < 25


@pytest.mark.parametrize("distance", [np.inf, 5.0])
@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_the_nearer_surface_hides_the_other(order: list[int], distance: float) -> None:
    vertices = np.vstack([SQUARE, SQUARE + np.array([0, 0, 0.5])])
    faces = np.stack([HALVES, HALVES + 4])[order].reshape(-1, 3)
    albedo = np.repeat([0.2, 0.9], 4)
    picture = render(
        vertices, faces, size=20, camera=Camera(distance=distance), albedo=albedo, light=Light((0, 0, 1))
    )
    assert picture[10, 10] == round(0.9 * 255)


def test_edges_are_where_they_should_be() -> None:
    picture = render(SQUARE, HALVES, size=20, albedo=np.zeros(4), background=200)
    expected = np.full((20, 20), 200)
    expected[5:15, 5:15] = 0
    assert np.array_equal(picture, expected)


def test_edges_are_smooth() -> None:
    # The square ends in the middle of a pixel.
    picture = render(
        SQUARE, HALVES, size=(10, 10), albedo=np.zeros(4), background=200, camera=Camera(height=2.5)
    )
    assert np.array_equal(np.unique(picture), [0, 200])
    picture = render(
        SQUARE * 1.125, HALVES, size=(10, 10), albedo=np.zeros(4), background=200, camera=Camera(height=2.5)
    )
    assert picture[5, 2] == 100


def test_an_empty_scene_is_its_background() -> None:
    none = np.zeros((0, 3), np.int64)
    assert (render(SQUARE, none, size=8, background=77) == 77).all()
    assert (render(np.zeros((0, 3)), none, size=8) == 255).all()
    behind = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert np.array_equal(render(SQUARE, none, size=8, background=behind), behind)
    assert render(SQUARE, none, size=(4, 6), albedo=np.ones((4, 3)), background=(1, 2, 3)).shape == (4, 6, 3)


def test_triangles_without_area_cover_nothing() -> None:
    flat = np.array([[0, 0, 0], [0, 1, 1], [1, 1, 2]])
    assert (render(SQUARE, flat, size=16, background=9) == 9).all()
    both = render(SQUARE, np.vstack([flat, HALVES]), size=16)
    assert np.array_equal(both, render(SQUARE, HALVES, size=16))


def test_what_lies_outside_the_picture_is_cut() -> None:
    wide = render(SQUARE * 100, HALVES, size=16, albedo=np.ones(4), light=Light((0, 0, 1)))
    assert (wide == 255).all()
    assert (render(SQUARE + np.array([9, 0, 0]), HALVES, size=16, background=3) == 3).all()


def ball(rings: int = 16) -> tuple[Floats, NDArray[np.int64]]:
    """A unit sphere, its triangles against the clock as seen from outside."""
    down, round_ = np.meshgrid(np.linspace(0, np.pi, rings + 1), np.arange(2 * rings) * np.pi / rings)
    vertices = np.stack([np.sin(down) * np.sin(round_), np.cos(down), np.sin(down) * np.cos(round_)], -1)
    number = np.arange(vertices[..., 0].size).reshape(down.shape)
    a, b = number[:, :-1], number[:, 1:]
    c, d = np.roll(a, -1, axis=0), np.roll(b, -1, axis=0)
    faces = np.concatenate([np.stack([a, b, d], -1).reshape(-1, 3), np.stack([a, d, c], -1).reshape(-1, 3)])
    return vertices.reshape(-1, 3), faces


def test_light_comes_from_its_side() -> None:
    vertices, faces = ball()
    left = render(vertices, faces, size=40, light=Light((-1, 0, 0.5)), background=0).astype(int)
    right = render(vertices, faces, size=40, light=Light((1, 0, 0.5)), background=0).astype(int)
    assert left[:, :20].sum() > 1.3 * right[:, :20].sum()
    assert left[20, 5] > left[20, 34]
    behind = render(
        vertices, faces, size=40, light=Light((0, 0, -1), ambient=0.25), albedo=np.ones(len(vertices))
    )
    assert behind[20, 20] == round(0.25 * 255)


def test_a_ball_has_the_shade_of_a_ball() -> None:
    vertices, faces = ball(48)
    picture = render(
        vertices, faces, size=61, light=Light((0.6, 0, 0.8), 0), albedo=np.ones(len(vertices)), supersample=1
    )
    across = (np.arange(61) + 0.5 - 30.5) * 2 / 61
    x, y = across[None, :], -across[:, None]
    inside = x**2 + y**2 < 0.85
    z = np.sqrt(np.where(inside, 1 - x**2 - y**2, 0))
    expected = 255 * np.clip(0.6 * x + 0.8 * z, 0, None)
    assert np.abs(picture - expected)[inside].max() < 4


def test_backs_get_ambient_light_alone() -> None:
    back = render(SQUARE, HALVES[:, ::-1], size=16, light=Light((0, 0, 1), 0.5), albedo=np.ones(4))
    assert back[8, 8] == 128


def test_a_camera_that_turns_is_the_space_turned_the_other_way() -> None:
    rng = np.random.default_rng(0)
    vertices = rng.normal(size=(9, 3))
    camera = Camera(10, -25, 5, centre=(0.1, 0.2, 0.3))
    moved = (vertices - camera.centre) @ turning(10, -25, 5).T
    assert np.allclose(camera.project(vertices, (30, 40)), Camera().project(moved, (30, 40)))
    assert np.allclose(turning(10, -25, 5) @ turning(10, -25, 5).T, np.eye(3))
    # Nose down, to the right of the picture, and the top to the left.
    nose, top = np.array([0, 0, 1.0]), np.array([0, 1.0, 0])
    assert (turning(20, 0, 0) @ nose)[1] < 0 < (turning(0, 20, 0) @ nose)[0]
    assert (turning(0, 0, 20) @ top)[0] < 0


def test_what_is_near_looks_larger() -> None:
    far, near = (Camera(distance=4).project(SQUARE + np.array([0, 0, z]), (100, 100)) for z in (-1, 1))
    assert np.ptp(near[:, 0]) > np.ptp(far[:, 0])
    assert np.allclose(
        Camera(distance=4).project(SQUARE, (100, 100))[:, :2], Camera().project(SQUARE, (100, 100))[:, :2]
    )


def test_normals_point_to_the_viewer() -> None:
    assert np.allclose(vertex_normals(SQUARE, HALVES)[:, :2], 0)
    assert (vertex_normals(SQUARE, HALVES)[:, 2] > 0).all()
    vertices, faces = ball()
    normals = vertex_normals(vertices, faces)
    assert (np.einsum("vk,vk->v", normals, vertices) >= 0).all()


def test_the_mean_over_squares() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (6, 8, 3))
    expected = [
        [picture[2 * r : 2 * r + 2, 2 * c : 2 * c + 2].mean((0, 1)) for c in range(4)] for r in range(3)
    ]
    assert np.array_equal(averaged(picture, 2), np.rint(expected))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"vertices": SQUARE[:, :2]}, "expected (V, 3)"),
        ({"vertices": SQUARE * np.nan}, "not finite"),
        ({"triangles": HALVES + 2}, "outside 0…3"),
        ({"albedo": np.ones(3)}, "albedo of shape (3,)"),
        ({"background": (1, 2, 3)}, "background (3,)"),
        ({"camera": Camera(distance=0.1), "vertices": SQUARE + np.array([0, 0, 1])}, "behind the viewer"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change: dict[str, object], said: str) -> None:
    given: dict[str, object] = {"vertices": SQUARE, "triangles": HALVES, **change}
    with pytest.raises(DataError) as raised:
        render(**given, size=8)  # type: ignore[arg-type]
    assert said in str(raised.value)


def test_a_camera_or_light_that_cannot_be() -> None:
    for wrong in (lambda: Camera(height=0), lambda: Light((0, 0, 0)), lambda: Light(ambient=2)):
        with pytest.raises(DataError):
            wrong()


FACE = surface.NODES[:COUNT]


def test_the_surface_goes_through_every_landmark() -> None:
    points = FACE + np.random.default_rng(1).normal(0, 0.05, FACE.shape)
    vertices, triangles = surface.surface(points)
    assert np.allclose(vertices[:COUNT], points, atol=1e-8)
    assert triangles.max() == len(vertices) - 1
    # Between the landmarks it is as smooth as the plain face: no vertex strays far from it.
    assert np.abs(vertices - surface.surface(FACE)[0]).max() < 0.3


def test_a_mirrored_face_has_the_mirrored_surface() -> None:
    points = FACE + np.random.default_rng(2).normal(0, 0.03, FACE.shape)
    turned = points[MIRROR] * [-1, 1, 1]
    one, other = surface.surface(points)[0], surface.surface(turned)[0] * [-1, 1, 1]
    apart = np.linalg.norm(one[:, None] - other[None], axis=2)
    assert apart.min(axis=0).max() < 1e-9
    assert apart.min(axis=1).max() < 1e-9


def test_a_camera_shows_all_of_its_faces() -> None:
    faces = np.stack([FACE, FACE * 1.4 - [0, 0.3, 0], np.full_like(FACE, np.nan)])
    seen = surface.camera_for(faces, 20).project(surface.surface(faces[1])[0], (100, 100))
    assert seen[:, :2].min() > 0
    assert seen[:, :2].max() < 100
    assert surface.camera_for(np.full_like(FACE, np.nan)) == Camera(
        centre=surface.CENTRE, height=surface.HEIGHT
    )


def test_the_surface_is_one_piece_with_three_openings() -> None:
    triangles = surface.TRIANGLES
    sides = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    # Neighbours run along a side in opposite directions, so that all look to the same side.
    assert len(np.unique(sides, axis=0)) == len(sides)
    unique, times = np.unique(np.sort(sides, axis=1), axis=0, return_counts=True)
    assert set(times) == {1, 2}
    assert np.array_equal(np.unique(triangles), np.arange(len(surface.NODES)))
    # Euler: corners − sides + faces of a disc with three holes.
    assert len(surface.NODES) - len(unique) + len(triangles) == 1 - 3
    borders = {tuple(side) for side in unique[times == 1].tolist()}
    for region in REGIONS:
        if region.name in {"right_eye", "left_eye", "inner_lips"}:
            ring = [*region.indices, region.start]
            assert {tuple(sorted(side)) for side in itertools.pairwise(ring)} <= borders


def test_a_face_is_drawn_with_its_lines() -> None:
    plain, lined = (
        draw_face(FACE, size=(80, 60), lines=lines, background=(10, 20, 30)) for lines in (False, True)
    )
    assert plain.shape == (80, 60, 3)
    assert plain.dtype == np.uint8
    assert plain[0, 0].tolist() == [10, 20, 30]
    assert lined.mean() < plain.mean()
    camera = Camera(centre=surface.CENTRE, height=surface.HEIGHT)
    chin = camera.project(FACE[75:76], (80, 60))[0]
    under = lined[round(chin[1]) - 1 : round(chin[1]) + 1, round(chin[0])].min(axis=0)
    assert (under < plain[round(chin[1]) - 3, round(chin[0])]).all()
    assert np.array_equal(draw_face(FACE.reshape(-1), size=40), draw_face(FACE, size=40))


def test_an_open_mouth_is_dark_inside() -> None:
    picture = draw_face(FACE, size=200, lines=False)
    camera = Camera(centre=surface.CENTRE, height=surface.HEIGHT)
    column, row, _ = camera.project(FACE[[62, 66]].mean(axis=0, keepdims=True), (200, 200))[0]
    assert picture[int(row), int(column)].max() < 100


@pytest.mark.parametrize("points", [np.zeros((68, 3)), np.full((83, 3), np.nan)])
def test_no_face_is_refused(points: Floats) -> None:
    with pytest.raises(DataError):
        draw_face(points)
