"""Faces on a map: the mapper against the same network in numpy, what lies near a face, and `mien embed`."""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import mien
from mien.cli import models
from mien.cli.embed import embed
from mien.errors import ImageError, ModelError
from mien.inference import lookup
from mien.inference.detectors import Detection, Framing
from mien.inference.exported import BATCH, ExportedNetwork
from mien.inference.mapper import Mapper, Place, Reference
from mien.inference.neighbours import others, shares
from mien.labels import EMOTIONS, SIX
from mien.report.embed_figure import NewFaces, embed_map, short_name, write
from tiny_network import SIZE, reference_places, write_embedder, write_network


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_embedder(tmp_path_factory.mktemp("map") / "tiny.onnx")


@pytest.fixture
def faces() -> np.ndarray:
    return np.random.default_rng(6).integers(0, 256, (BATCH + 5, SIZE, SIZE), np.uint8)


@pytest.mark.parametrize("n", [0, 1, BATCH, BATCH + 5])
def test_places_agree_with_numpy(network: Path, faces: np.ndarray, n: int) -> None:
    mapper = Mapper(network, threads=1)
    places = mapper.places(faces[:n])
    assert places.dtype == np.float32
    assert places.shape == (n, 2)
    np.testing.assert_allclose(places, reference_places(faces[:n]), atol=1e-4)
    assert (mapper.card.kind, mapper.card.dimensions, mapper.labels) == ("embedding", 2, SIX)
    assert ExportedNetwork(network).card == mapper.card


def test_faces_of_the_wrong_shape_are_refused(network: Path) -> None:
    with pytest.raises(ImageError, match="expected uint8"):
        Mapper(network).places(np.zeros((1, 47, 48), np.uint8))


def test_a_classifier_is_refused(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx")
    with pytest.raises(ModelError, match=r"names expressions: .*'mien predict' serves") as caught:
        Mapper(path)
    assert "\n" not in str(caught.value)


def test_an_embedder_of_other_dimensions_than_it_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="names 3 dimensions for 2 columns of its embedding"):
        Mapper(write_embedder(tmp_path / "n.onnx", dimensions=3))


def write_map(network: Path, **changes: Any) -> dict[str, Any]:
    """Writes a card beside the network, with a map of four faces."""
    points = [[0.0, 1.0], [0.5, -2.0], [3.0, 0.25], [1.0, 1.0]]
    card = {"map": {"split": "public", "labels": ["happy", "sad", "fear", "happy"], "points": points}}
    card["map"] |= changes
    network.with_suffix(".json").write_text(json.dumps(card))
    return card["map"]


def test_reference_faces_are_read_from_the_card(tmp_path: Path) -> None:
    network = write_embedder(tmp_path / "n.onnx")
    assert Mapper(network).reference is None
    network.with_suffix(".json").write_text("{}")
    assert Mapper(network).reference is None
    given = write_map(network)
    found = Mapper(network).reference
    assert found is not None
    assert found.split == "public"
    assert [EMOTIONS[label] for label in found.labels] == given["labels"]
    np.testing.assert_array_equal(found.points, given["points"])


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ["happy", "sad", "fear"]},
        {"labels": ["happy", "sad", "fear", "bored"]},
        {"points": [[0.0], [1.0], [2.0], [3.0]]},
        {"points": [[0.0, 1.0], [2.0], [3.0, 1.0], [0.0, 0.0]]},
        {"points": [[0.0, 1.0], [2.0, float("nan")], [3.0, 1.0], [0.0, 0.0]]},
        {"points": None},
    ],
)
def test_a_damaged_map_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    network = write_embedder(tmp_path / "n.onnx")
    write_map(network, **changes)
    with pytest.raises(ModelError, match="cannot read the map in") as caught:
        _ = Mapper(network).reference
    assert "\n" not in str(caught.value)


def test_a_place_that_is_not_finite_is_refused(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mapper, "run", lambda *_: (np.array([[0.0, np.nan]], np.float32),))
    with pytest.raises(ModelError, match="no finite place"):
        Mapper(network).places(np.zeros((1, SIZE, SIZE), np.uint8))


def test_every_face_of_a_picture_has_its_place(network: Path, faces: np.ndarray, tmp_path: Path) -> None:
    expected = reference_places(faces[:1])[0]
    path = tmp_path / "a.png"
    Image.fromarray(faces[0]).save(path)
    for (place,) in (mien.embed(path, network, crop=True), mien.Mapper(network).embed(path, crop=True)):
        assert isinstance(place, Place)
        assert (place.source, place.face, place.box, place.detection) == (str(path), 0, (0, 0, 48, 48), 1.0)
        np.testing.assert_allclose(place.point, expected, atol=1e-4)
    assert mien.embed(path.read_bytes(), network, crop=True)[0].source == "image"
    assert mien.embed(np.zeros((90, 90), np.uint8), network, detector="haar") == []


POINTS = st.lists(st.tuples(*[st.integers(-4, 4)] * 2), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(POINTS, st.integers(1, 14))
def test_the_nearest_other_faces_agree_with_sorting_all_pairs(points: list[tuple[int, int]], k: int) -> None:
    for i, found in enumerate(others(points, k)):
        pairs = [(math.dist(points[i], other), j) for j, other in enumerate(points) if j != i]
        assert [j for j, _ in found] == [j for _, j in sorted(pairs)][:k]
        np.testing.assert_allclose([d for _, d in found], [d for d, _ in sorted(pairs)][:k])


@settings(max_examples=60, deadline=None)
@given(POINTS, st.lists(st.tuples(st.floats(-4, 4), st.floats(-4, 4)), max_size=4), st.integers(1, 14))
def test_shares_of_emotions_agree_with_counting(
    known: list[tuple[int, int]], points: list[tuple[float, float]], k: int
) -> None:
    names = [SIX[(x * x + y) % 6] for x, y in known]
    reference = Reference(
        "public", np.array(known, np.float64), np.array([SIX.index(name) for name in names], np.int64)
    )
    for point, found in zip(points, shares(points, reference, k), strict=True):
        pairs = sorted((math.dist(point, other), j) for j, other in enumerate(known))[:k]
        near = [names[j] for _, j in pairs]
        assert found == pytest.approx({name: near.count(name) / len(near) for name in sorted(set(names))})
        assert list(found) == [name for name in EMOTIONS if name in names]


def test_shares_are_of_the_25_nearest() -> None:
    points = np.array([[i, 0.0] for i in range(40)])
    labels = np.array([3] * 10 + [4] * 20 + [0] * 10)
    (found,) = shares([[0.0, 0.0]], Reference("public", points, labels))
    assert found == {"angry": 0.0, "happy": 10 / 25, "sad": 15 / 25}


def known_faces() -> Reference:
    random = np.random.default_rng(3)
    labels = np.repeat(np.arange(6), 10)
    return Reference("public", random.normal(0, 3, (60, 2)), labels)


@pytest.mark.parametrize(
    ("n", "artists"), [(1, "pictures"), (24, "pictures"), (25, "numbers"), (121, "dots")]
)
def test_the_map_shows_every_face_where_it_lies(n: int, artists: str) -> None:
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    points = np.random.default_rng(n).normal(0, 2, (n, 2))
    points[: n // 3] = points[0]
    pictures = np.full((n, 48, 48), 77, np.uint8)
    names = [f"$a_{{{i}$" for i in range(n)]
    figure = embed_map(NewFaces.of(points, names, pictures), known_faces(), "a map")
    (axes,) = figure.axes
    figure.draw_without_rendering()
    boxes = [each for each in axes.artists if isinstance(each, AnnotationBbox)]
    texts = [text.get_text() for text in axes.texts]
    shown = {
        "pictures": (n, [short_name(name) for name in names]),
        "numbers": (0, [str(i + 1) for i in range(n)]),
        "dots": (0, []),
    }
    assert (len(boxes), texts) == shown[artists]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    everything = np.vstack([points, known_faces().points])
    assert ((everything > [left, bottom]) & (everything < [right, top])).all()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(SIX)
    # A mark stands at its place, or a line leads from there to it.
    middles = np.array([box.xybox if box.xybox is not None else box.xy for box in boxes])
    led = {tuple(line.get_xydata()[0]): tuple(line.get_xydata()[-1]) for line in axes.lines}
    for point, middle in zip(points, middles, strict=False):
        near = np.hypot(*(point - middle)) <= 0.011 * (right - left)
        assert near or tuple(point) in led
    extents = [box.get_window_extent() for box in boxes]
    overlaps = [
        (a, b) for i, a in enumerate(extents) for b in extents[:i]
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]  # fmt: skip
    assert not overlaps
    for box in boxes:
        assert isinstance(box.offsetbox, OffsetImage)
        assert set(np.unique(box.offsetbox.get_data())) == {77}


def test_a_map_without_reference_faces_and_with_strange_names(tmp_path: Path) -> None:
    faces = NewFaces.of([[1.0, 1.0], [1.0, 1.0]], ["笑顔", "x" * 30], np.zeros((2, 48, 48), np.uint8))
    figure = embed_map(faces, None)
    assert not figure.legends
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write(figure, tmp_path / "map.png")
    with Image.open(tmp_path / "map.png") as image:
        assert image.size == (1152, 1152)


@pytest.mark.parametrize(
    ("points", "names"), [([[1.0, 2.0, 3.0]], ["a"]), ([], []), ([[1.0, 2.0]], ["a", "b"])]
)
def test_what_fits_no_map_is_refused(points: list[list[float]], names: list[str]) -> None:
    with pytest.raises(ModelError, match="expected"):
        NewFaces.of(points, names, np.zeros((len(points), 48, 48), np.uint8))


def test_names_are_cut_in_their_middle() -> None:
    assert short_name("IMG_20240501_1") == "IMG_20…501_1"
    assert len(short_name("IMG_20240501_1")) == len(short_name("x" * 12)) == 12
    assert short_name("x" * 12) == "x" * 12


def face(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 48), np.uint8)


def run(
    folder: Path, *arguments: object, code: str = "from mien.cli.app import main; main()"
) -> subprocess.CompletedProcess[str]:
    """Runs `mien` in a folder, without a fetched detector."""
    environment = os.environ | {"MIEN_CACHE": str(folder / "cache"), "COLUMNS": "200", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, env=environment, cwd=folder, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the small network, its map, and pictures that are faces."""
    write_map(write_embedder(tmp_path / "tiny.onnx"))
    (tmp_path / "faces").mkdir()
    for seed in range(3):
        Image.fromarray(face(seed)).save(tmp_path / "faces" / f"{seed}.png")
    return tmp_path


def test_json_csv_and_the_drawn_map(folder: Path) -> None:
    flags = ("--crop", "--json", "--csv", "t.csv", "--out", "map.png", "--neighbours", 1)
    done = run(folder, "embed", "faces", "--model", "tiny.onnx", *flags)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "wrote t.csv\nwrote map.png\n"
    found = json.loads(done.stdout)
    places = reference_places(np.stack([face(seed) for seed in range(3)]))
    sources = [str(Path("faces") / f"{seed}.png") for seed in range(3)]
    for i, each in enumerate(found):
        assert list(each) == ["source", "face", "box", "detection", "point", "neighbours"]
        assert [each[key] for key in ("source", "face", "box", "detection")] == [
            sources[i], 0, [0, 0, 48, 48], 1.0,
        ]  # fmt: skip
        np.testing.assert_allclose(each["point"], places[i], atol=1e-3)
        # All four reference faces are among the 25 nearest.
        assert each["neighbours"]["emotions"] == {"fear": 0.25, "happy": 0.5, "sad": 0.25}
        near = min((math.dist(places[i], places[j]), j) for j in range(3) if j != i)
        (other,) = each["neighbours"]["faces"]
        assert other == {
            "source": sources[near[1]],
            "face": 0,
            "distance": pytest.approx(near[0], abs=1e-3),
        }
    with Image.open(folder / "map.png") as image:
        assert image.format == "PNG"
    rows = list(csv.DictReader((folder / "t.csv").open(encoding="utf-8")))
    for row, each in zip(rows, found, strict=True):
        (other,) = each["neighbours"]["faces"]
        assert (row["source"], row["nearest_1"]) == (each["source"], other["source"])
        assert [float(row[f"point_{axis}"]) for axis in (1, 2)] == each["point"]
        assert [int(row[key]) for key in ("x", "y", "width", "height")] == each["box"]
        assert {name: float(row[name]) for name in ("fear", "happy", "sad")} == each["neighbours"]["emotions"]
        assert float(row["nearest_1_distance"]) == other["distance"]


def test_the_plain_install_gives_numbers_and_says_what_a_drawing_needs(folder: Path) -> None:
    code = (
        "import sys; sys.modules |= dict.fromkeys(['torch', 'matplotlib', 'scipy', 'sklearn', 'pyarrow']);"
        "from mien.cli.app import main; main()"
    )
    Image.new("RGB", (200, 150), "navy").save(folder / "blank.png")
    flags = ("--crop", "--model", "tiny.onnx")
    done = run(folder, "embed", "faces", "faces/1.png", *flags, code=code)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    for number in range(3):
        (line,) = [each for each in lines if f"faces/{number}.png" in each]
        assert "happy 50%, fear 25%, sad 25%" in line
    done = run(folder, "embed", "faces", *flags, "--out", "map.png", code=code)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "pip install 'mien[analysis]'" in done.stderr


class Fixed:
    """A detector that finds two faces of 48 × 48 pixels, side by side."""

    name = "fixed"
    framing = Framing(1.0, 0.0)

    def detect(self, image: np.ndarray) -> list[Detection]:
        return [Detection((48.0 * i, 0.0, 48.0, 48.0), 0.75) for i in range(image.shape[1] // 48)]


def test_faces_of_one_picture_are_numbered(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(np.hstack([face(0), face(1)])).save(folder / "two.png")
    places = Mapper(folder / "tiny.onnx", detector=Fixed()).embed(folder / "two.png", source="both")
    assert [(each.source, each.face, each.box) for each in places] == [
        ("both", 0, (0, 0, 48, 48)), ("both", 1, (48, 0, 48, 48)),
    ]  # fmt: skip
    np.testing.assert_allclose(
        [each.point for each in places], reference_places(np.stack([face(0), face(1)])), atol=1e-4
    )
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("mien.inference.exported.make_detector", lambda _: Fixed())
    (folder / "tiny.json").unlink()
    embed([Path("two.png"), Path("faces/2.png")], model="tiny.onnx", neighbours=2)
    said = capsys.readouterr()
    # The last column: the two nearest of each face.
    head, *lines = said.out.rstrip().splitlines()
    last = head.index("nearest faces")
    assert [line[last:].strip() for line in lines] == [
        "2.png 0.50", "two.png #1 0.55", "2.png 0.19", "two.png #0 0.55", "two.png #1 0.19",
        "two.png #0 0.50",
    ]  # fmt: skip
    assert said.err == "no emotions nearby: tiny.json holds no reference faces\n"


def test_a_picture_without_a_face_adds_none_and_is_no_error(folder: Path) -> None:
    Image.new("RGB", (200, 150), "navy").save(folder / "blank.png")
    done = run(folder, "embed", "blank.png", "--model", "tiny.onnx", "--json", "--out", "map.png")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert done.stderr == "no face to draw: map.png was not written\n"
    assert not (folder / "map.png").exists()
    done = run(folder, "embed", "blank.png", "--model", "tiny.onnx")
    assert (done.returncode, done.stdout, done.stderr) == (0, "no face in 1 picture\n", "")


def test_a_corrupt_picture_among_good_ones_is_named(folder: Path) -> None:
    (folder / "faces" / "3.png").write_bytes((folder / "faces" / "1.png").read_bytes()[:600])
    done = run(folder, "embed", "faces", "--crop", "--model", "tiny.onnx", "--json")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "3.png is damaged or truncated" in done.stderr
    assert len(json.loads(done.stdout)) == 3
    done = run(folder, "embed", "faces/3.png", "--crop", "--model", "tiny.onnx", "--json")
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("embed", "faces", "--neighbours", "0"), "--neighbours"),
        (("embed", "faces", "--model", "siamese"), "unknown network 'siamese': expected "),
        (("embed", "faces", "--model", "n.onnx"), "n.onnx names expressions: "),
        (("embed", "faces", "--detector", "nose"), "unknown detector 'nose'"),
        (("embed", "faces", "--out", "map.pdf"), "expected a file whose name ends in .png"),
        (("embed", "faces", "--out", "faces/1.png"), "is one of the pictures to read"),
        (("embed", "nowhere.png"), "nowhere.png does not exist"),
        (("predict", "faces"), "'mien embed' serves"),
        (("evaluate", "tiny.onnx", "--data", "faces.csv", "--split", "public"), "'mien embed' serves"),
    ],
)
def test_wrong_words_cost_one_line(
    folder: Path,
    arguments: tuple[str, ...],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from mien.cli.app import main

    write_network(folder / "n.onnx")
    before = {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()}
    if "--model" not in arguments and arguments[0] != "evaluate":
        arguments = (*arguments, "--model", "tiny.onnx")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["mien", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capsys.readouterr()
    assert (stopped.value.code, said.out) == (2, "")
    assert said.err.startswith("mien: ")
    assert said.err.count("\n") == 1
    assert words in said.err
    assert {path: path.read_bytes() for path in folder.rglob("*.*") if path.is_file()} == before


def test_wrong_words_in_a_process_of_their_own(folder: Path) -> None:
    write_network(folder / "n.onnx")
    for arguments, words in (
        (("--neighbours", "0", "--model", "tiny.onnx"), "--neighbours"),
        (("--model", "n.onnx"), "'mien predict' serves"),
    ):
        done = run(folder, "embed", "faces", "--crop", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1
        assert words in done.stderr


def test_models_list_networks_of_both_kinds(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    weights = folder / "weights"
    weights.mkdir()
    (folder / "tiny.onnx").replace(weights / "tiny_map.onnx")
    shared = {
        "parameters": 20, "bytes": 900, "summary": "a small one", "file": "tiny.onnx", "sha256": "0" * 64,
        "architecture": "residual_net", "recipe": "mien/s", "seed": 0, "commit": "0" * 40,
        "date": "2026-11-22",
    }  # fmt: skip
    maps = {"public": {"n": 9, "neighbours": {"accuracy": 0.5234}}}
    points = {"split": "public", "labels": ["sad"], "points": [[0.125, 4.0625]]}
    cards = {"tiny_map": {"maps": maps, "map": points}, "tiny": {"figures": {"public": {"accuracy": 0.25}}}}
    write_network(weights / "tiny.onnx")
    for name, card in cards.items():
        (weights / f"{name}.json").write_text(json.dumps({"name": name} | shared | card))
    monkeypatch.setattr(lookup.storage, "packaged", lambda name: folder / name)
    models.models(None, False)
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "public neighbours 0.523" in lines["tiny_map"]
    assert "public 0.250" in lines["tiny"]
    models.models("tiny_map", False)
    said = capsys.readouterr().out
    assert "0.5234" in said
    assert "0.125" not in said
    models.models("tiny_map", True)
    assert json.loads(capsys.readouterr().out)["shipped"] == {"name": "tiny_map"} | shared | {"maps": maps}
