"""Figures of maps: every face and emotion in its place, one scale, nothing hidden, readable in a page."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.errors import DataError, StorageError
from mien.evaluation.maps import responses
from mien.evaluation.maps.circumplex import analyse
from mien.labels import EMOTIONS, SIX

pytest.importorskip("matplotlib")

from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mien.report import map_figures
from mien.report.circumplex_page import page
from mien.report.circumplex_words import arrows, parts
from mien.report.spacing import spread_angles, spread_points
from mien.report.style import EMOTION_COLOURS, png, svg

DAILEY = np.array(
    [
        [80, 12, 3, 0, 5, 0],
        [15, 74, 2, 1, 8, 0],
        [3, 5, 52, 1, 9, 30],
        [0, 1, 0, 97, 0, 2],
        [6, 9, 8, 1, 75, 1],
        [0, 0, 24, 5, 1, 70],
    ],
    np.float64,
)
"""Answers in percent; only fear and surprise are often confused."""

COUNTS = 2 * DAILEY
"""The same of 200 faces each: faces that can be drawn again."""


@pytest.fixture(scope="module")
def alone() -> dict[str, Any]:
    return analyse(responses.confusion(COUNTS, SIX, "a study"), resamples=20).to_dict()


@pytest.fixture(scope="module")
def beside() -> dict[str, Any]:
    other = responses.confusion(COUNTS[::-1, ::-1], SIX, "another study")
    return analyse(responses.confusion(COUNTS, SIX, "a study"), resamples=20, against=other).to_dict()


def cloud(n: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(SIX)
    middles = 3 * np.array([[np.cos(angle), np.sin(angle)] for angle in np.arange(6) * np.pi / 3])
    return middles[labels] + rng.normal(0, 0.4, (n, 2)), labels


def texts(figure: Figure | Axes) -> list[str]:
    axes = figure.axes if isinstance(figure, Figure) else [figure]
    return [text.get_text() for each in axes for text in each.texts]


def scattered(axes: Axes) -> Any:
    """The collection of all faces: the first that was drawn."""
    return axes.collections[0]


def test_every_face_is_drawn_at_its_place_in_its_emotions_colour() -> None:
    points, labels = cloud()
    faces = scattered(map_figures.embedding_map(points, labels, "a map").axes[0])
    drawn = {(round(x, 9), round(y, 9)): to_hex(colour) for (x, y), colour in
             zip(faces.get_offsets(), faces.get_facecolors(), strict=True)}  # fmt: skip
    assert drawn == {
        (round(x, 9), round(y, 9)): EMOTION_COLOURS[EMOTIONS[label]].lower()
        for (x, y), label in zip(points, labels, strict=True)
    }


def test_the_legend_has_the_papers_short_names() -> None:
    points, labels = cloud()
    (legend,) = map_figures.embedding_map(points, labels).legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "an: angry", "di: disgust", "fe: fear", "ha: happy", "sa: sad", "sp: surprise",
    ]  # fmt: skip


def test_faces_without_a_label_are_grey_and_have_no_badge() -> None:
    points, labels = cloud()
    figure = map_figures.embedding_map(points, np.where(labels == 2, -1, labels))
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "not labelled" in names
    assert not any("fear" in name for name in names)
    assert "fe" not in texts(figure)


def test_badges_stand_at_the_centroids_where_these_are_apart() -> None:
    points, labels = cloud()
    axes = map_figures.embedding_map(points, labels).axes[0]
    assert {text.get_text(): np.round(text.get_position(), 2).tolist() for text in axes.texts} == {
        map_figures.SHORT_NAMES[name]: np.round(points[labels == number].mean(axis=0), 2).tolist()
        for number, name in enumerate(SIX)
    }


def test_badges_of_one_place_do_not_hide_each_other() -> None:
    points, labels = np.zeros((6, 2)), np.arange(6)
    points[0] = (1.0, 1.0)
    axes = map_figures.embedding_map(points, labels).axes[0]
    places = axes.transData.transform([text.get_position() for text in axes.texts]) / axes.figure.dpi
    assert min(np.hypot(*(a - b)) for a, b in itertools.combinations(places, 2)) > 0.29


def test_panels_share_axes_that_hold_every_point_and_stretch_none() -> None:
    points, labels = cloud()
    maps = [("start", points / 10 + 5, labels), ("2,000", points, labels), ("end", points * 2, labels)]
    figure = map_figures.map_panels(maps)
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title("left") for axes in shown] == ["start", "2,000", "end"]
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in shown}) == 1
    (left, right), (bottom, top) = shown[0].get_xlim(), shown[0].get_ylim()
    assert right - left == pytest.approx(top - bottom)
    everything = np.vstack([each for _, each, _ in maps])
    assert (everything > (left, bottom)).all()
    assert (everything < (right, top)).all()
    assert {axes.get_aspect() for axes in shown} == {1.0}


@pytest.mark.parametrize(
    ("points", "labels", "said"),
    [
        (np.zeros((3, 3)), [0, 1, 2], r"\(N, 2\)"),
        (np.zeros((0, 2)), [], "N ≥ 1"),
        ([[0, 0], [np.nan, 1]], [0, 1], "not finite"),
        (np.zeros((2, 2)), [0], "labels of shape"),
        (np.zeros((2, 2)), [0, 7], "−1…6"),
        (np.zeros((2, 2)), [0, -2], "−1…6"),
    ],
)
def test_what_is_no_map_is_refused(points: Any, labels: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        map_figures.embedding_map(points, labels, "x")


def test_no_map_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least one"):
        map_figures.map_panels([])
    with pytest.raises(DataError, match="at least one"):
        map_figures.map_animation([], [], tmp_path / "x.gif")


def test_one_face_can_be_drawn() -> None:
    assert png(map_figures.embedding_map([[2.0, 3.0]], [3])).startswith(b"\x89PNG")


def test_an_animation_shows_every_map_and_the_last_one_longest(tmp_path: Path) -> None:
    points, labels = cloud(60)
    path = tmp_path / "training.gif"
    map_figures.map_animation([(f"{t}", points * t) for t in (0.1, 0.5, 1)], labels, path, seconds=0.3)
    with Image.open(path) as film:
        assert (film.format, film.n_frames, film.info["loop"]) == ("GIF", 3, 0)
        frames, times = [], []
        for number in range(3):
            film.seek(number)
            frames.append(np.asarray(film.convert("RGB")))
            times.append(film.info["duration"])
    assert times == [300, 300, 2500]
    assert all((frame[0, 0] == 255).all() for frame in frames)
    assert len({frame.tobytes() for frame in frames}) == 3
    assert [file.name for file in tmp_path.iterdir()] == ["training.gif"]


def test_an_animation_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        map_figures.map_animation([("x", np.eye(2))], [0, 1], tmp_path / "file" / "x.gif")


def test_the_ring_names_every_emotion_on_its_ray(alone: dict[str, Any]) -> None:
    (axes,) = map_figures.circumplex(alone).axes
    rays = {text.get_text(): np.degrees(np.arctan2(*text.get_position()[::-1])) for text in axes.texts}
    for name in SIX:
        away = (rays[name] - alone["metric"]["angles"][name] + 180) % 360 - 180
        assert abs(away) < 18, name


def test_the_dots_are_the_metric_map(alone: dict[str, Any]) -> None:
    (axes,) = map_figures.circumplex(alone).axes
    dots = np.asarray(scattered(axes).get_offsets())
    wanted = np.array([alone["metric"]["points"][name] for name in alone["order"]])
    assert np.allclose(dots, wanted - wanted.mean(axis=0))


def test_emotions_that_are_not_told_apart_get_an_arc_that_is_explained(alone: dict[str, Any]) -> None:
    assert alone["overlaps"]["joined"] == [["fear", "surprise"]]
    assert "broad line: not told apart" in texts(map_figures.circumplex(alone))
    separate = {**alone, "overlaps": {**alone["overlaps"], "joined": []}}
    assert "broad line: not told apart" not in texts(map_figures.circumplex(separate))


def test_a_second_source_is_laid_over_the_first(beside: dict[str, Any]) -> None:
    figure = map_figures.circumplex(beside)
    assert len(figure.axes) == 2
    dots = [tuple(np.round(each.get_offsets()[0], 9)) for each in figure.axes[1].collections]
    for pair in beside["against"]["procrustes"]["points"].values():
        assert tuple(np.round(pair["ours"], 9)) in dots
        assert tuple(np.round(pair["theirs"], 9)) in dots
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a study", "another study"]


def test_one_source_has_no_overlay(alone: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="second"):
        map_figures.overlay(alone)


def test_long_names_of_sources_are_cut_in_their_middle(alone: dict[str, Any]) -> None:
    long = {**alone, "source": {**alone["source"], "name": "a" * 60 + "b" * 60}}
    title = map_figures.circumplex(long).axes[0].get_title("left").splitlines()[0]
    assert title.startswith("aaa")
    assert title.endswith("bbb")
    assert len(title) < 60


@settings(max_examples=12, deadline=None)
@given(st.lists(st.floats(0, 359), min_size=6, max_size=6, unique=True))
def test_no_name_on_the_ring_covers_another(degrees: list[float]) -> None:
    angles = dict(zip(SIX, degrees, strict=True))
    points = {name: [np.cos(np.radians(a)), np.sin(np.radians(a))] for name, a in angles.items()}
    order = sorted(SIX, key=angles.__getitem__)
    found = {
        "source": {"name": "x"}, "order": order, "against": None, "overlaps": {"joined": []},
        "metric": {"stress": 0.1, "points": points, "angles": angles, "order": order},
    }  # fmt: skip
    figure = map_figures.circumplex(found)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


@given(st.lists(st.floats(0, 360, exclude_max=True), min_size=1, max_size=7), st.floats(1, 50))
def test_angles_are_spread_and_keep_their_order(degrees: list[float], gap: float) -> None:
    spread = np.array(spread_angles(degrees, gap))
    order = np.argsort(degrees, kind="stable")
    ring = spread[order]
    following = np.append(ring[1:], ring[0] + 360)
    assert (following - ring >= gap - 1e-2).all()


@given(st.integers(1, 7), st.floats(1, 50))
def test_angles_that_are_apart_stay(count: int, gap: float) -> None:
    degrees = [number * 360 / count for number in range(count)]
    assert spread_angles(degrees, gap) == pytest.approx(degrees)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=2, max_size=7))
def test_points_are_spread(points: list[tuple[float, float]]) -> None:
    spread = spread_points(np.array(points), 0.3)
    assert min(np.hypot(*(a - b)) for a, b in itertools.combinations(spread, 2)) > 0.29


def test_points_that_are_apart_stay() -> None:
    points = np.array([[0.0, 0], [1, 0], [0, 1]])
    assert np.abs(spread_points(points, 0.5) - points).max() < 1e-3


def test_the_account_says_every_number(beside: dict[str, Any]) -> None:
    told = " ".join(sentence for part in parts(beside) for sentence in part.sentences)
    assert arrows(beside["order"]) in told
    assert f"{beside['metric']['stress']:.3f}" in told
    assert f"{beside['nonmetric']['stress']:.3f}" in told
    assert "1 in 60" in told
    assert beside["overlaps"]["criterion"] in told
    assert f"{round(60 * beside['expected']['chance'])} of 60" in told
    assert f"{100 * beside['bootstrap']['share']:.1f}% gave the found order" in told
    mantel = beside["against"]["mantel"]
    assert f"r = {mantel['r']:.3f}" in told
    assert f"{round(720 * mantel['p'])} of 720" in told
    assert f"disparity {beside['against']['procrustes']['disparity']:.3f}" in told


def test_a_table_of_rates_says_why_it_has_no_bootstrap() -> None:
    rates = responses.confusion(DAILEY, SIX, "rates")
    found = analyse(rates).to_dict()
    assert found["bootstrap"] is None
    assert any("no faces to draw" in sentence for part in parts(found) for sentence in part.sentences)


def test_the_page_is_whole_and_refers_to_nothing_outside(beside: dict[str, Any]) -> None:
    told = page({**beside, "source": {**beside["source"], "name": "<b>a & b"}}, "mien circumplex 'a b'")
    assert told.count("<svg") == 2
    assert told.count('role="img"') == 2
    assert "http" not in told
    assert "<b>a" not in told
    assert "&lt;b&gt;a &amp; b" in told
    assert "mien circumplex &#x27;a b&#x27;" in told
    for part in parts(beside):
        assert part.heading in told


def test_many_faces_are_a_picture_inside_a_pages_drawing() -> None:
    points, labels = cloud(3000)
    drawing = svg(map_figures.embedding_map(points, labels), "faces")
    assert len(drawing) < 600_000
    assert "data:image/png;base64" in drawing
