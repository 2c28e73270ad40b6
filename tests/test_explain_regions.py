"""Facial regions from landmarks, shares of maps in them, averages, and how findings are judged."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from mien.errors import DataError
from mien.explain.regions import (
    REGIONS,
    FaceRegions,
    areas,
    half_areas,
    halves,
    hull,
    regions_of,
    shares,
    signed_distance,
)
from mien.explain.template import regions_at, template
from mien.landmark_layout import MIRROR

pytest.importorskip("torch")

from mien.explain import emotions

SIZE = 48


def faces(n: int) -> FaceRegions:
    return regions_at([None] * n, SIZE)


def only(region: str, n: int = 1) -> np.ndarray:
    """Maps with all evidence in one region."""
    return (faces(n).maps == REGIONS.index(region)).astype(float)


def test_distance_to_a_polygon_is_opencvs() -> None:
    rng = np.random.default_rng(0)
    corners = hull(rng.uniform(5, 40, (9, 2)))
    places = rng.uniform(0, 48, (200, 2))
    expected = [
        -cv2.pointPolygonTest(corners.astype(np.float32)[:, None], tuple(map(float, place)), True)
        for place in places
    ]
    assert signed_distance(places, corners) == pytest.approx(expected, abs=1e-4)


def test_the_template_is_a_symmetric_face_in_order_from_brows_to_mouth() -> None:
    points = template(SIZE)
    assert points[MIRROR] * (-1, 1) + (SIZE - 1, 0) == pytest.approx(points, abs=1e-3)
    parts, upper = regions_of(points, SIZE)
    heights = [np.argwhere(parts == REGIONS.index(name))[:, 0].mean() for name in REGIONS[:4]]
    brows, eyes, nose, mouth = heights
    assert brows < eyes < nose < mouth
    assert set(np.unique(parts)) == set(range(len(REGIONS)))
    assert upper[parts == REGIONS.index("forehead")].all()
    assert not upper[parts == REGIONS.index("mouth")].any()
    assert (parts == parts[:, ::-1]).mean() > 0.97


def test_regions_turn_with_the_face() -> None:
    turned = (template(SIZE) - 23.5) * -1 + 23.5
    parts, upper = regions_of(turned, SIZE)
    straight, straight_upper = regions_of(template(SIZE), SIZE)
    assert (parts == straight[::-1, ::-1]).mean() > 0.99
    assert (upper == straight_upper[::-1, ::-1]).mean() > 0.97


def test_shares_sum_to_one_and_lie_where_the_evidence_is() -> None:
    maps = np.random.default_rng(1).normal(size=(4, SIZE, SIZE))
    found = shares(maps, faces(4))
    assert found.sum(axis=1) == pytest.approx(np.ones(4))
    naive = np.zeros((4, len(REGIONS)))
    parts = faces(4).maps
    for n, y, x in np.ndindex(*maps.shape):
        naive[n, parts[n, y, x]] += max(maps[n, y, x], 0)
    assert found == pytest.approx(naive / naive.sum(axis=1, keepdims=True))
    for number, name in enumerate(REGIONS):
        assert shares(only(name), faces(1))[0, number] == pytest.approx(1)
    assert np.isnan(shares(-np.ones((1, SIZE, SIZE)), faces(1))).all()
    assert halves(only("forehead"), faces(1))[0] == pytest.approx([1, 0])
    assert halves(only("outside"), faces(1))[0] == pytest.approx([0, 0])
    assert areas(faces(2)).sum(axis=1) == pytest.approx([1, 1])
    assert half_areas(faces(1)).sum() == pytest.approx(1 - areas(faces(1))[0, -1])


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="expected the same shape"):
        shares(np.zeros((2, SIZE, SIZE)), faces(1))
    with pytest.raises(DataError, match="expected \\(83, 2\\)"):
        regions_of(np.zeros((68, 2)), SIZE)


def test_an_even_map_has_density_one_everywhere() -> None:
    found = emotions.described(np.ones((5, SIZE, SIZE)), faces(5))
    assert (found["faces"], found["empty"]) == (5, 0)
    for name in REGIONS:
        assert found["density"][name] == pytest.approx([1, 1, 1], abs=1e-4)
    assert found["upper_density"] == pytest.approx([1, 1, 1], abs=1e-4)


def test_faces_without_evidence_are_counted_and_left_out() -> None:
    maps = np.concatenate([only("mouth", 3), -np.ones((2, SIZE, SIZE))])
    found = emotions.described(maps, faces(5))
    assert (found["faces"], found["empty"]) == (3, 2)
    assert found["share"]["mouth"] == pytest.approx([1, 1, 1])
    assert found["upper"][0] == pytest.approx(0)
    nothing = emotions.described(-np.ones((2, SIZE, SIZE)), faces(2))
    assert nothing["share"]["mouth"] == [None, None, None]


def maps_of(region: str) -> np.ndarray:
    """Thirty maps, most of whose evidence lies in a region."""
    noise = np.random.default_rng(len(region)).random((30, SIZE, SIZE))
    return noise + 20 * only(region, 30)


@pytest.mark.parametrize(
    ("angry", "happy", "expected"),
    [
        ("brows", "mouth", ["holds", "holds", "holds"]),
        ("mouth", "brows", ["does not hold", "does not hold", "does not hold"]),
        ("mouth", "mouth", ["does not hold", "holds", "not told"]),
    ],
)
def test_findings_are_judged_by_their_intervals(angry: str, happy: str, expected: list[str]) -> None:
    maps = {"angry": maps_of(angry), "happy": maps_of(happy)}
    found = emotions.judged(maps, {name: faces(30) for name in maps})
    assert [each["verdict"] for each in found.values()] == expected
    assert all(each["value"][1] <= each["value"][0] <= each["value"][2] for each in found.values())
    assert emotions.judged({"happy": maps["happy"]}, {"happy": faces(30)}) == {}


def test_an_average_lies_upon_the_template_and_needs_many_faces() -> None:
    angle, scale, shift = 0.2, 0.9, np.array([3.0, -2.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    own = template(SIZE) @ turn.T + shift
    move = emotions.laid_upon(own, template(SIZE))
    assert own @ move[:, :2].T + move[:, 2] == pytest.approx(template(SIZE))
    one = np.zeros((SIZE, SIZE))
    x, y = np.rint(own[60]).astype(int)
    one[y, x] = 1
    maps = np.repeat(one[None], emotions.LEAST, axis=0)
    assert emotions.average(maps[1:], [own] * (emotions.LEAST - 1)) is None
    found = np.array(emotions.average(maps, [own] * emotions.LEAST))
    assert abs(found.sum() - 1_000_000) < 600
    row, column = np.unravel_index(found.argmax(), found.shape)
    wanted = (template(SIZE)[60] + 0.5) / 2
    assert abs(column + 0.5 - wanted[0]) <= 1
    assert abs(row + 0.5 - wanted[1]) <= 1
