"""Detectors against slow obvious ones, framing against geometry, and a real photograph."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from mien import fetching
from mien.errors import ModelError
from mien.inference.detectors import DETECTORS, Detection, Framing, available, make_detector
from mien.inference.detectors.base import arrange
from mien.inference.detectors.blazeface import (
    CELLS,
    INPUT,
    STRIDE,
    TILE_OVERLAP,
    cut_off,
    decode,
    letterbox,
    merge,
    overlap,
    tiles,
)
from mien.inference.framing import centre_square, cut, square_of


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    data = pytest.importorskip("skimage.data", reason="the photograph comes with scikit-image")
    return data.astronaut()


def usable(name: str) -> str:
    if name not in available():
        pytest.skip(f"{name} was not fetched: mien fetch {DETECTORS[name].fetchable}")
    return name


def slow_decode(logits: np.ndarray, values: np.ndarray, threshold: float) -> list[tuple[list[float], float]]:
    found = []
    for row in range(CELLS):
        for column in range(CELLS):
            cell = row * CELLS + column
            score = 1 / (1 + math.exp(-float(logits[cell])))
            if score >= threshold:
                dx, dy, w, h = (float(value) for value in values[cell, :4])
                x, y = (column + 0.5) * STRIDE + dx, (row + 0.5) * STRIDE + dy
                found.append(([x - w / 2, y - h / 2, x + w / 2, y + h / 2], score))
    return found


def slow_overlap(a: np.ndarray, b: np.ndarray) -> float:
    wide = min(float(a[2]), float(b[2])) - max(float(a[0]), float(b[0]))
    high = min(float(a[3]), float(b[3])) - max(float(a[1]), float(b[1]))
    shared = max(wide, 0.0) * max(high, 0.0)
    areas = sum(float(c[2] - c[0]) * float(c[3] - c[1]) for c in (a, b))
    return shared / (areas - shared) if areas > shared else 0.0


def slow_merge(boxes: np.ndarray, scores: np.ndarray, at_least: float) -> list[tuple[np.ndarray, float]]:
    left = sorted(range(len(scores)), key=lambda i: -scores[i])
    merged = []
    while left:
        group = [i for i in left if i == left[0] or slow_overlap(boxes[left[0]], boxes[i]) > at_least]
        total = sum(float(scores[i]) for i in group)
        mean = sum(boxes[i].astype(np.float64) * float(scores[i]) for i in group) / total
        merged.append((mean, float(scores[left[0]])))
        left = [i for i in left if i not in group]
    return merged


def test_decoding_agrees_with_a_loop_over_cells() -> None:
    random = np.random.default_rng(3)
    logits = random.normal(-2, 2, CELLS**2).astype(np.float32)
    values = random.normal(0, 10, (CELLS**2, 16)).astype(np.float32)
    values[:, 2:4] = np.abs(values[:, 2:4])
    boxes, scores = decode(logits, values, 0.5)
    expected = slow_decode(logits, values, 0.5)
    assert len(expected) > 50
    np.testing.assert_allclose(boxes, [box for box, _ in expected], atol=1e-4)
    np.testing.assert_allclose(scores, [score for _, score in expected], rtol=1e-5)


boxes_and_scores = st.integers(0, 25).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.float32, (n, 4), elements=st.integers(0, 40).map(float)),
        hnp.arrays(np.float32, n, elements=st.integers(50, 100).map(lambda percent: percent / 128)),
    )
)


@given(boxes_and_scores)
def test_merging_agrees_with_a_slow_one(drawn: tuple[np.ndarray, np.ndarray]) -> None:
    corners, scores = drawn
    corners = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
    # 0.3 as float32 and as float64 decide differently at exactly 3/10: a bound that both can write.
    boxes, best = merge(corners, scores, 0.3125)
    expected = slow_merge(corners, scores, 0.3125)
    assert len(boxes) == len(expected)
    for box, score, (mean, top) in zip(boxes, best, expected, strict=True):
        np.testing.assert_allclose(box, mean, rtol=1e-4, atol=1e-3)
        assert score == pytest.approx(top)


def test_overlap_of_empty_and_equal_boxes() -> None:
    box = np.array([2, 2, 6, 6], np.float32)
    others = np.array([[2, 2, 6, 6], [4, 2, 8, 6], [6, 6, 9, 9], [3, 3, 3, 3]], np.float32)
    np.testing.assert_allclose(overlap(box, others), [1, 1 / 3, 0, 0], rtol=1e-6)
    np.testing.assert_array_equal(overlap(np.zeros(4, np.float32), np.zeros((1, 4), np.float32)), [0])


@pytest.mark.parametrize(("height", "width"), [(192, 192), (100, 400), (1000, 300), (1, 900), (20, 30)])
def test_the_letterbox_keeps_proportions_and_says_where_the_picture_lies(height: int, width: int) -> None:
    pixels, scale, left, top = letterbox(np.full((height, width, 3), 255, np.uint8))
    assert pixels.shape == (1, 3, INPUT, INPUT)
    white = np.argwhere(pixels[0, 0] == 1.0)
    assert white.min(axis=0).tolist() == [top, left]
    high, wide = white.max(axis=0) - white.min(axis=0) + 1
    assert (wide, high) == (max(1, round(width * scale)), max(1, round(height * scale)))
    assert max(wide, high) == INPUT
    assert (pixels == -1.0).sum() == 3 * (INPUT**2 - wide * high)


@given(st.integers(1, 5000), st.integers(1, 5000), st.data())
def test_a_small_face_anywhere_lies_whole_in_a_tile_of_every_look(
    width: int, height: int, data: st.DataObject
) -> None:
    first, *finer = tiles(width, height)
    assert first == (0, 0, width, height)
    for x, y, wide, high in finer:
        assert 0 <= x <= x + wide <= width
        assert 0 <= y <= y + high <= height
    for side in {max(wide, high) for _, _, wide, high in finer}:
        look = [tile for tile in finer if max(tile[2:]) == side]
        # Two pixels less: the tiles' corners are rounded.
        face = max(1, int(side * TILE_OVERLAP) - 2)
        left = data.draw(st.integers(0, max(0, width - face)))
        top = data.draw(st.integers(0, max(0, height - face)))
        right, bottom = min(left + face, width), min(top + face, height)
        assert any(
            x <= left and right <= x + wide and y <= top and bottom <= y + high for x, y, wide, high in look
        )


def test_small_pictures_are_looked_at_once_and_large_ones_often() -> None:
    assert [len(tiles(*size)) for size in ((200, 100), (512, 512), (512, 200), (4000, 3000))] == [1, 5, 3, 17]


def test_boxes_cut_off_by_a_tile_are_left_to_another_look() -> None:
    boxes = np.array([[10, 10, 20, 20], [-5, 10, 20, 20], [90, 10, 105, 20], [10, 95, 20, 104]], np.float32)
    assert cut_off(boxes, (0, 0, 100, 100), 100, 100).tolist() == [False] * 4
    assert cut_off(boxes, (0, 0, 100, 100), 300, 100).tolist() == [False, False, True, False]
    assert cut_off(boxes + 50, (50, 50, 100, 100), 150, 200).tolist() == [False, True, False, True]


@pytest.mark.parametrize("side", [2, 4])
@pytest.mark.parametrize("name", DETECTORS)
def test_many_small_faces_are_all_found(name: str, side: int, astronaut: np.ndarray) -> None:
    detector = make_detector(usable(name))
    found = detector.detect(np.tile(astronaut, (side, side, 1)))
    cells = {(int(x + w / 2) // 512, int(y + h / 2) // 512) for x, y, w, h in (each.box for each in found)}
    assert len(cells) == side * side
    assert len(found) <= side * side + 1


def test_detections_come_largest_first_clipped_and_inside() -> None:
    boxes = [(5, 5, 10, 10), (50, 0, 20, 20), (-8, -8, 20, 20), (-30, 0, 20, 20), (2, 5, 10, 10)]
    found = arrange([Detection(tuple(map(float, box)), 0.5) for box in boxes], 60, 60)
    faces = [detection.face(60, 60).box for detection in found]
    assert faces == [(0, 0, 12, 12), (50, 0, 10, 20), (2, 5, 10, 10), (5, 5, 10, 10)]


@pytest.mark.parametrize("name", DETECTORS)
def test_the_astronaut_is_found_anywhere_and_at_any_size(name: str, astronaut: np.ndarray) -> None:
    detector = make_detector(usable(name))
    found = detector.detect(astronaut)
    assert len(found) == 1
    x, y, width, height = found[0].box
    assert abs(x + width / 2 - 226) < 12  # the face's middle, read off the photograph
    assert abs(y + height / 2 - 117) < 15
    assert 70 < width < 140
    assert 0.5 <= found[0].score <= 1
    larger = detector.detect(np.asarray(Image.fromarray(astronaut).resize((1536, 1536))))
    moved = detector.detect(np.pad(astronaut, ((0, 0), (200, 0), (0, 0))))
    np.testing.assert_allclose(np.array(larger[0].box) / 3, found[0].box, atol=10)
    np.testing.assert_allclose(np.array(moved[0].box) - [200, 0, 0, 0], found[0].box, atol=12)


@pytest.mark.parametrize("name", DETECTORS)
def test_pictures_without_a_face_and_of_odd_sizes(name: str) -> None:
    detector = make_detector(usable(name))
    for shape in ((1, 1, 3), (1, 500, 3), (37, 23, 3), (3000, 40, 3)):
        assert detector.detect(np.full(shape, 90, np.uint8)) == []


@pytest.mark.parametrize("name", DETECTORS)
def test_one_detector_serves_several_threads(name: str, astronaut: np.ndarray) -> None:
    detector = make_detector(usable(name))
    pictures = [
        astronaut,
        astronaut[:, ::-1].copy(),
        np.zeros_like(astronaut),
        astronaut[:300, :300].copy(),
    ] * 3
    alone = [detector.detect(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(detector.detect, pictures)) == alone


def test_unknown_and_unfetched_detectors_say_what_to_do(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    assert make_detector().name == "haar"
    with pytest.raises(ModelError, match="mien fetch blazeface"):
        make_detector("blazeface")
    with pytest.raises(ModelError, match="unknown detector 'harr': did you mean 'haar'"):
        make_detector("harr")
    file = fetching.file_of("blazeface")
    file.parent.mkdir()
    file.write_bytes(b"\0" * fetching.fetchable("blazeface").members[0].size)
    with pytest.raises(ModelError, match="not the BlazeFace model"):
        make_detector("blazeface")


def test_framing_scales_and_shifts_about_the_box() -> None:
    assert square_of((10, 20, 30, 30), Framing(1.0, 0.0)) == (10, 20, 30)
    assert square_of((10, 20, 30, 30), Framing(2.0, 0.1)) == (-5, 8, 60)
    x, y, side = square_of((0, 0, 40, 10), Framing(1.0, 0.0))
    assert (x, y, side) == (10, -5, 20)
    assert centre_square(7, 4) == (1, 0, 4)
    assert centre_square(4, 9) == (0, 2, 4)


def test_a_face_of_the_networks_size_is_taken_unchanged() -> None:
    grey = np.random.default_rng(2).integers(0, 256, (48, 48), np.uint8)
    np.testing.assert_array_equal(cut(np.repeat(grey[:, :, None], 3, 2), (0, 0, 48), 48), grey)


def test_cutting_agrees_with_padding_the_whole_picture() -> None:
    random = np.random.default_rng(4)
    image = random.integers(0, 256, (40, 30, 3), np.uint8)
    padded = np.pad(image, ((60, 60), (60, 60), (0, 0)), mode="edge")
    for square in (
        (3.0, 5.0, 20.0),
        (-9.3, 2.7, 33.2),
        (20.5, 30.25, 25.0),
        (-20.0, -15.5, 80.0),
        (4.2, 4.9, 1.0),
    ):
        x, y, side = square
        whole = Image.fromarray(padded).convert("L")
        box = (x + 60, y + 60, x + side + 60, y + side + 60)
        expected = np.asarray(whole.resize((48, 48), Image.Resampling.BILINEAR, box=box), int)
        # The filter may see further than one pixel beyond the square, at its rim.
        np.testing.assert_allclose(
            cut(image, square, 48).astype(int)[2:-2, 2:-2], expected[2:-2, 2:-2], atol=1
        )
