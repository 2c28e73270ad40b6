"""Pictures of landmarks: figures, faces out of a latent space, moving ones, a run's page, rendered people."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
from numpy.typing import NDArray
from PIL import Image
from sklearn.decomposition import PCA

from mien import data
from mien.cli import latent as command
from mien.data.landmarks import prepared, with_neutrals
from mien.data.landmarks.facekit import FaceBasis
from mien.data.landmarks.pictures import COUNTS, rendered_pictures
from mien.data.landmarks.posing import posed_faces
from mien.data.landmarks.procedural import procedural
from mien.errors import DataError, ModelError
from mien.evaluation.landmarks.evaluate import evaluate
from mien.labels import EMOTIONS, SIX, SPLITS
from mien.landmark_layout import COUNT
from mien.landmarks import LandmarkBatch
from mien.papers.pair_table import PUBLISHED, implied
from mien.rendering import surface
from mien.report import landmark_animation as moving
from mien.report import landmark_figures as still
from mien.report import landmark_generation as made
from mien.report.landmark_page import one_of_each, page
from mien.report.latent_pictures import PICTURES, Wanted, write_picture
from mien.report.style import EMOTION_COLOURS

Floats = NDArray[np.float64]

FACE = surface.NODES[:COUNT]


class Linear:
    """A stand-in for a trained network whose every answer is known: z holds coordinates of x − y.

    Of Model 1 (`neutral` false) it holds those of x itself.
    """

    name = "linear"
    latent = 6

    def __init__(self, neutral: bool = True) -> None:
        self.neutral = neutral
        weights = np.random.default_rng(5).normal(size=(3 * COUNT, self.latent))
        self.weights = np.linalg.qr(weights)[0] * 0.1

    def encode(self, x: Floats, y: Floats | None) -> tuple[Floats, Floats]:
        z = (x - self._base(y)) @ self.weights / 0.01
        return z, np.full_like(z, -3.0)

    def decode(self, z: Floats, y: Floats | None) -> Floats:
        return self._base(y) + z @ self.weights.T

    def _base(self, y: Floats | None) -> Floats:
        assert (y is not None) == self.neutral
        return FACE.reshape(1, -1) if y is None else y


@pytest.fixture(scope="module")
def basis() -> FaceBasis:
    return procedural()


@pytest.fixture(scope="module")
def faces(basis: FaceBasis) -> LandmarkBatch:
    return with_neutrals(prepared(posed_faces(basis, people=20, unseen=2)))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of a size that is soon drawn."""
    monkeypatch.setattr(still, "_SIDE", 40)
    monkeypatch.setattr(moving, "_SIDE", 60)


def hexes(artist: Any) -> list[str]:
    return [to_hex(colour) for colour in artist.get_facecolors()]


def test_dimensions_that_say_nothing_are_grey() -> None:
    divergence, norms = np.array([2.0, 0.001, 0.5]), np.array([1.0, 2.0, 3.0])
    figure = still.latent_use(divergence, norms)
    for axes, values in zip(figure.axes, (divergence, norms), strict=True):
        assert [bar.get_height() for bar in axes.containers[0]] == values.tolist()
        colours = [to_hex(bar.get_facecolor()) for bar in axes.patches]
        assert colours[0] == colours[2] != colours[1]
    assert "2 of 3" in figure.axes[0].get_title(loc="left")
    with pytest.raises(DataError, match="expected both"):
        still.latent_use(divergence, norms[:2])


def test_each_coordinate_of_the_neutral_face_has_its_bar() -> None:
    norms = np.random.default_rng(0).random(3 * COUNT)
    figure = still.neutral_use(norms)
    for axis, axes in enumerate(figure.axes):
        bars = [bar.get_height() for bar in axes.containers[0]]
        assert bars == [norms[3 * landmark + axis] for landmark in range(COUNT)]
    with pytest.raises(DataError, match="249"):
        still.neutral_use(norms[:-1])


@pytest.mark.parametrize("count", [2, 3])
def test_principal_components_are_scikit_learns(count: int) -> None:
    x = np.random.default_rng(1).normal(size=(40, 7)) * np.arange(1, 8)
    places, held = still.principal(x, count)
    oracle = PCA(count).fit(x)
    expected = oracle.transform(x)
    expected = expected / expected[:, 0].std() * np.sign((expected * places).sum(axis=0))
    assert np.allclose(places, expected)
    assert np.allclose(held, oracle.explained_variance_ratio_)
    # However the same points are turned round, the view is the same.
    assert np.allclose(still.principal(x[::-1], count)[0][::-1], places)


def test_what_has_no_principal_components_is_refused() -> None:
    for wrong in (np.zeros((1, 5)), np.zeros((5, 1)), np.full((5, 5), np.nan)):
        with pytest.raises(DataError):
            still.principal(wrong, 2)
    assert np.array_equal(still.principal(np.ones((4, 5)), 2)[0], np.zeros((4, 2)))


def test_spaces_have_the_emotions_colours() -> None:
    rng = np.random.default_rng(2)
    labels = np.array([0, 1, 2, 3, 4, 5, 6, -1] * 5)
    x, z = rng.normal(size=(40, 9)), rng.normal(size=(40, 4))
    figure = still.principal_maps([("original data", x), ("latent space", z)], labels)
    wanted = {EMOTION_COLOURS[EMOTIONS[label]].lower() for label in labels if label >= 0}
    for axes, name in zip(figure.axes, ("original data", "latent space"), strict=True):
        assert wanted < set(hexes(axes.collections[0]))
        assert axes.get_title(loc="left").startswith(name)
    views = still.principal_views(z, labels, "latent space")
    assert len(views.axes) == 4
    turns = [axes.azim for axes in views.axes]  # type: ignore[attr-defined]
    assert np.diff(turns).tolist() == [90, 90, 90]
    names = {text.get_text() for text in views.legends[0].get_texts()}
    assert names == {*EMOTIONS, "not labelled"}


def test_faces_stand_in_rows_and_columns() -> None:
    tiles = np.stack([FACE, FACE * 1.1, np.full_like(FACE, np.nan)])[None]
    picture = still.sheet(tiles, 40)
    assert picture.shape == (40, 120, 3)
    assert (picture[:, 80:] == still.PAPER).all()
    assert (picture[:, :40] != picture[:, 40:80]).any()
    figure = still.faces(tiles, ["one"], ["a", "b", "c"], across="z1", beside=("neutral face", FACE))
    beside, axes = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    assert beside.get_title(loc="center") == "neutral face"
    with pytest.raises(DataError, match="names"):
        still.faces(tiles, ["one"], ["a"])
    with pytest.raises(DataError, match="expected"):
        still.sheet(FACE)


def test_the_grid_is_what_the_network_decodes_at_its_values() -> None:
    network = Linear()
    tiles = made.grid(network, FACE, across=4, up=1)
    assert tiles.shape == (5, 5, COUNT, 3)
    for row, above in enumerate(reversed(made.VALUES)):
        for column, right in enumerate(made.VALUES):
            z = np.zeros((1, network.latent))
            z[0, 4], z[0, 1] = right, above
            expected = network.decode(z, FACE.reshape(1, -1)).reshape(COUNT, 3)
            assert np.allclose(tiles[row, column], expected)
    along = made.traversed(network, FACE, (1, 4))
    assert np.allclose(along[0], tiles[::-1, 2])
    assert np.allclose(along[1], tiles[2])
    figure = still.generated(tiles, made.VALUES, 4, 1, FACE)
    axes = figure.axes[1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["5", "2.5", "0", "−2.5", "−5"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("z5", "z2")


@pytest.mark.parametrize("dimensions", [(0, 6), (-1, 2), (3, 3)])
def test_dimensions_that_are_none_are_refused(dimensions: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="dimension"):
        made.grid(Linear(), FACE, *dimensions)


def test_between_two_faces_the_way_is_straight() -> None:
    network, rng = Linear(), np.random.default_rng(3)
    z = rng.normal(size=(2, network.latent))
    ends = made.decoded(network, z, FACE)
    way = made.between(network, ends[0], ends[1], FACE, 5)
    assert np.allclose(way[[0, -1]], ends)
    assert np.allclose(np.diff(way, n=2, axis=0), 0)
    assert np.allclose(made.reconstructed(network, ends, FACE), ends)


def test_an_expression_moves_to_another_face() -> None:
    network = Linear()
    other = FACE * [1.2, 0.9, 1]
    posed = made.decoded(network, np.ones((1, network.latent)), FACE)[0]
    mine, theirs = made.transferred(network, posed, FACE, other, 3)
    assert np.allclose(mine[0], FACE)
    assert np.allclose(mine[-1], posed)
    assert np.allclose(theirs[0], other)
    # The network is linear: what it adds to a neutral face is the same for all.
    assert np.allclose(theirs - other, mine - FACE)
    with pytest.raises(ModelError, match="Models 2 and 3"):
        made.transferred(Linear(neutral=False), posed, FACE, other)
    with pytest.raises(ModelError, match="neutral face"):
        made.encoded(network, posed, None)


def frames_of(path: Path) -> list[NDArray[np.uint8]]:
    with Image.open(path) as opened:
        shown = []
        for number in range(getattr(opened, "n_frames", 1)):
            opened.seek(number)
            shown.append(np.asarray(opened.convert("RGB")))
        return shown


@pytest.mark.parametrize("ending", [".gif", ".webp"])
def test_faces_move_there_and_back(tmp_path: Path, ending: str) -> None:
    steps = np.stack([[FACE + np.array([0, share, 0]), FACE] for share in (0.0, 0.2, 0.4)])
    path = tmp_path / f"moving{ending}"
    moving.changing_faces(steps, ["one", "two"], path, note="synthetic faces")
    shown = [frame.astype(int) for frame in frames_of(path)]
    assert len(shown) == 4
    apart = [np.abs(frame - shown[0]).mean() for frame in shown]
    assert apart[2] > apart[1] > 0.5
    assert np.abs(shown[3] - shown[1]).mean() < 0.5
    # The second face rests.
    half = shown[0].shape[1] // 2
    assert np.abs(shown[2] - shown[0])[:, half + 5 :].mean() < 0.5
    assert list(tmp_path.iterdir()) == [path]


def test_moving_pictures_that_cannot_be_are_refused(tmp_path: Path) -> None:
    steps = np.stack([FACE[None]] * 2)
    for frames, titles, name in (
        (steps, ["a", "b"], "a.gif"),
        (FACE, ["a"], "a.gif"),
        (steps, ["a"], "a.avi"),
    ):
        with pytest.raises(DataError):
            moving.changing_faces(frames, titles, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_space_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "_FRAMES", 4)
    rng = np.random.default_rng(4)
    moving.turning_space(rng.normal(size=(30, 5)), np.arange(30) % 7, tmp_path / "turn.gif", "latent space")
    shown = frames_of(tmp_path / "turn.gif")
    assert len(shown) == 4
    assert (shown[0] != shown[1]).any()


class Reader(HTMLParser):
    """Counts elements, and collects text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: dict[str, int] = {}
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1

    def handle_data(self, data: str) -> None:
        self.words += f" {data.strip()}"


@pytest.fixture(scope="module")
def entry(faces: LandmarkBatch) -> dict[str, Any]:
    splits = {name: faces.split(name) for name in faces.splits_held}
    points = {name: part.points.reshape(len(part), -1)[:, :8].astype(float) for name, part in splits.items()}
    found = evaluate(points, splits, {}, resamples=10)
    latent = {"divergence": [1.0] * 6, "norms": [1.0] * 6, "neutral_norms": [0.5] * 249}
    return {
        "splits": splits,
        "points": points,
        "entry": {
            "recipe": "e/<model>",
            "seed": 0,
            "budget": {"name": "smoke", "best_epoch": 1},
            "history": [],
            "selected_on": {"figure": "validation_elbo", "value": -12.5, "split": "public"},
            "landmarks": {"synthetic": True, **found, "latent": latent},
        },
    }


@pytest.mark.parametrize("network", [Linear(), Linear(neutral=False), None])
def test_the_page_of_a_run(entry: dict[str, Any], network: Linear | None) -> None:
    text = page(entry["entry"], entry["splits"], entry["points"], network)
    reader = Reader(text)
    assert "http" not in text.replace("http-equiv", "")
    assert "<model>" in reader.words
    assert "synthetic faces" in reader.words
    accuracy = entry["entry"]["landmarks"]["splits"]["private"]["accuracy"]
    assert f"{100 * accuracy:.1f}%" in reader.words
    assert "-12.5" in reader.words
    # Maps, views, dimensions, neutral face; then reconstructions, grid, between and, of Model 2, transfer.
    drawn = 4 + (0 if network is None else 3 + network.neutral)
    assert reader.tags["figure"] == drawn


def test_what_a_baseline_lacks_is_left_out(entry: dict[str, Any]) -> None:
    found = {name: value for name, value in entry["entry"]["landmarks"].items() if name != "latent"}
    words = Reader(page({**entry["entry"], "landmarks": found}, entry["splits"], entry["points"])).words
    assert "What its dimensions do" not in words
    assert "Faces that it makes" not in words


def test_one_face_of_each_emotion_of_one_person(faces: LandmarkBatch) -> None:
    rows = one_of_each(faces)
    assert [EMOTIONS[label] for label in faces.labels[rows]] == list(SIX)
    assert len(np.unique(faces.subjects[rows])) == 1
    assert set(faces.degrees[rows].tolist()) == {4}


@pytest.mark.parametrize("name", [name for name in PICTURES if name != "space"])
def test_every_picture_of_a_latent_space(name: str, faces: LandmarkBatch, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    write_picture(name, Linear(), faces.split("private"), Wanted(), out)
    with Image.open(out) as opened:
        assert min(opened.size) > 100
    if PICTURES[name].animate is None:
        with pytest.raises(DataError, match=r"\.png"):
            write_picture(name, Linear(), faces, Wanted(), tmp_path / "out.gif")


def test_an_interpolation_moves(faces: LandmarkBatch, tmp_path: Path) -> None:
    person = faces.people[3]
    write_picture(
        "interpolate", Linear(), faces, Wanted(person, first="fear", last="angry"), tmp_path / "a.gif"
    )
    assert len(frames_of(tmp_path / "a.gif")) == 2 * 20 - 2


@pytest.mark.parametrize(
    ("name", "wanted", "said"),
    [
        ("gird", Wanted(), "did you mean 'grid'"),
        ("grid", Wanted(dimensions=(1,)), "expected two"),
        ("grid", Wanted(dimensions=(1, 99)), "expected 1…6"),
        ("grid", Wanted(person="nobody"), "no person 'nobody'"),
        ("transfer", Wanted(other="nobody"), "no person 'nobody'"),
        ("interpolate", Wanted(first="contempt"), "unknown emotion"),
        ("grid", Wanted(person="nobody"), "in .*(training|public|private|unseen)"),
    ],
)
def test_pictures_that_cannot_be(
    name: str, wanted: Wanted, said: str, faces: LandmarkBatch, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=said):
        write_picture(name, Linear(), faces, wanted, tmp_path / "out.png")
    assert not list(tmp_path.iterdir())


def test_transfer_needs_neutral_faces(faces: LandmarkBatch, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Models 2 and 3"):
        write_picture("transfer", Linear(neutral=False), faces, Wanted(), tmp_path / "out.png")


def test_dimensions_on_the_command_line_count_from_one() -> None:
    assert command._dimensions("16,2") == (15, 1)
    assert command._dimensions(None) == ()
    for wrong in ("a", "0,2", "1;2"):
        with pytest.raises(DataError, match="--dims"):
            command._dimensions(wrong)


def test_training_pictures_are_those_of_table_1() -> None:
    assert {name: implied(row[0]) for name, row in zip(SIX, PUBLISHED, strict=True)} == COUNTS
    assert sum(COUNTS.values()) == 504


def test_pictures_of_people_who_do_not_exist(basis: FaceBasis, tmp_path: Path) -> None:
    counts, people = {"happy": 4, "angry": 2}, {"training": 2, "public": 1, "private": 1}
    one, again, other = (
        rendered_pictures(basis, counts=counts, people=people, size=48, seed=seed) for seed in (0, 0, 1)
    )
    assert np.array_equal(one.images, again.images)
    assert not np.array_equal(one.images, other.images)
    assert one.images.shape == (12, 48, 48)
    assert one.subjects is not None
    splits = [set(one.subjects[one.splits == number].tolist()) for number in range(len(SPLITS))]
    assert not splits[0] & splits[1] | splits[0] & splits[2] | splits[1] & splits[2]
    assert all(name.startswith("synthetic ") for names in splits for name in names)
    training = one.split("training")
    assert np.bincount(training.labels, minlength=7).tolist() == [2, 0, 0, 4, 0, 0, 0]
    # Something is drawn, and no two takes are alike.
    assert one.images.std(axis=(1, 2)).min() > 5
    assert len({image.tobytes() for image in one.images}) == len(one)
    data.write(one, tmp_path / "pictures.parquet", "parquet")
    read = data.read(tmp_path / "pictures.parquet")
    assert np.array_equal(read.images, one.images)
    assert read.subjects is not None
    assert np.array_equal(read.subjects, one.subjects)


def test_pictures_need_people_and_a_surface(basis: FaceBasis) -> None:
    with pytest.raises(DataError, match="one or more"):
        rendered_pictures(basis, people={"training": 3})
    with pytest.raises(DataError, match="triangles"):
        rendered_pictures(basis.at_landmarks)


def test_no_network_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mien", "latent", str(tmp_path), "grid", "--data", str(tmp_path)],
        capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(tmp_path) in done.stderr
