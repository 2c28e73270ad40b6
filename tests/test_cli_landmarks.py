"""`mien landmarks` in a real process: pictures and datasets in, landmarks and counts out, and bad input."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien import fetching
from mien.data import write
from mien.data.landmarks import read, read_parquet
from mien.errors import FetchError
from mien.faces import FaceBatch
from mien.labels import EMOTIONS
from mien.landmark_layout import NAMES

pytestmark = pytest.mark.slow

Run = Callable[..., subprocess.CompletedProcess[str]]
FACE = (160, 55, 292, 187)
"""The square of the astronaut's face: left, top, right, bottom."""


@pytest.fixture(scope="module")
def cache() -> Path:
    """The cache with the network, fetched where it was not."""
    try:
        fetching.fetch("facemesh")
    except FetchError as error:
        pytest.skip(f"the network cannot be fetched: {error}")
    return fetching.fetchable("facemesh").folder


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `mien landmarks` in a folder of its own with Haar's detector; with=the cache's network."""

    def call(*arguments: object, network: Path | None = None) -> subprocess.CompletedProcess[str]:
        folder = tmp_path / "cache"
        folder.mkdir(exist_ok=True)
        if network and not (folder / "facemesh").exists():
            (folder / "facemesh").symlink_to(network)
        command = [sys.executable, "-m", "mien", "landmarks", *map(str, arguments)]
        environment = os.environ | {"MIEN_CACHE": str(folder), "COLUMNS": "200"}
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120, check=False
        )

    return call


@pytest.fixture(scope="module")
def astronaut() -> Image.Image:
    data = pytest.importorskip("skimage.data", reason="the photograph comes with scikit-image")
    return Image.fromarray(data.astronaut())


def one_line(text: str) -> str:
    assert text.count("\n") == 1
    assert text.startswith("mien: ")
    assert "Traceback" not in text
    return text


def test_pictures_give_json_csv_and_parquet(
    run: Run, cache: Path, tmp_path: Path, astronaut: Image.Image
) -> None:
    astronaut.save(tmp_path / "a.png")
    Image.new("RGB", (200, 150), "navy").save(tmp_path / "blank.png")
    done = run("a.png", "blank.png", "--json", "--csv", "out.csv", "--out", "faces.parquet", network=cache)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == ["wrote out.csv", "wrote 1 face to faces.parquet"]
    (found,) = json.loads(done.stdout)
    assert list(found) == [
        "name", "box", "detection", "emotion", "split", "score", "angles", "points", "left_out",
    ]  # fmt: skip
    assert (found["name"], found["emotion"], found["left_out"]) == ("a.png#0", None, None)
    points = np.array(found["points"])
    x, y, width, height = found["box"]
    eyes = points[[0, 4, 12, 8]]
    assert (np.diff(eyes[:, 0]) > 0).all()
    assert ((eyes[:, 0] > x) & (eyes[:, 0] < x + width)).all()
    assert ((-eyes[:, 1] > y) & (-eyes[:, 1] < y + height)).all()
    (row,) = csv.DictReader((tmp_path / "out.csv").open())
    assert [float(row[f"{name}_{axis}"]) for name in NAMES for axis in "xyz"] == points.ravel().tolist()
    assert [float(row[name]) for name in ("pitch", "yaw", "roll")] == found["angles"]
    batch = read_parquet(tmp_path / "faces.parquet")
    np.testing.assert_allclose(batch.points[0], points, atol=1e-3)
    assert batch.names.tolist() == ["a.png#0"]
    assert not batch.synthetic


def test_the_table_tells_faces_that_are_left_out(
    run: Run, cache: Path, tmp_path: Path, astronaut: Image.Image
) -> None:
    astronaut.crop(FACE).save(tmp_path / "face.png")
    noise = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    done = run("face.png", "noise.png", "--crop", network=cache)
    assert done.returncode == 0, done.stderr
    _, face, left = done.stdout.splitlines()
    assert face.split()[:5] == ["face.png#0", "0", "0", "132", "132"]
    assert "left out: no face seen" in left
    assert done.stderr == "landmarks of 1 of 2 faces; left out: 1 no face seen\n"
    done = run("noise.png", "--crop", "--out", "none.parquet", network=cache)
    assert done.returncode == 0
    assert "no face to write: none.parquet was not written" in done.stderr
    assert not (tmp_path / "none.parquet").exists()


@pytest.fixture
def faces(tmp_path: Path, astronaut: Image.Image) -> Path:
    """A dataset of six rows: four faces, one noise, and a last one that is private."""
    face = np.asarray(astronaut.crop(FACE).convert("L").resize((48, 48), Image.Resampling.BOX))
    images = np.stack([face, face[:, ::-1], face, face, face, face])
    images[2] = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    n = len(images)
    batch = FaceBatch(
        images=np.ascontiguousarray(images),
        labels=np.arange(n, dtype=np.int64),
        splits=np.array([0, 0, 0, 1, 1, 2], np.int8),
        rows=np.arange(n, dtype=np.int64),
        votes=np.ones((n, 10), np.uint8),
    )
    path = tmp_path / "data.parquet"
    write(batch, path, "parquet")
    return path


def test_a_dataset_keeps_labels_splits_and_rows(run: Run, cache: Path, tmp_path: Path, faces: Path) -> None:
    done = run(faces.name, "--out", "landmarks/faces.parquet", network=cache)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "not read: 1 face of private; '--split private' reads such",
        "wrote 4 faces to landmarks/faces.parquet",
        "landmarks of 2 of 3 faces of training; left out: 1 no face seen",
        "landmarks of 2 of 2 faces of public",
    ]
    batch = read_parquet(tmp_path / "landmarks" / "faces.parquet")
    assert batch.names.tolist() == ["training-00000", "training-00001", "public-00003", "public-00004"]
    assert batch.labels.tolist() == [0, 1, 3, 4]
    assert batch.splits_held == ["training", "public"]
    assert batch.left_out == ("1 of 3 training faces: no face seen",)
    # Turned straight, a face and its mirror image have their eyes alike.
    prepared = read(tmp_path / "landmarks").faces
    assert prepared.neutral is None
    np.testing.assert_allclose(prepared.angles, 0)
    np.testing.assert_allclose(prepared.points[0, [0, 4], 1], prepared.points[1, [8, 12], 1], atol=0.03)
    done = run(faces.name, "--split", "public", network=cache)
    assert done.stdout == "landmarks of 2 of 2 faces of public\n"
    done = run(faces.name, "--split", "private", "--json", network=cache)
    assert [(row["name"], row["emotion"]) for row in json.loads(done.stdout)] == [
        ("private-00005", EMOTIONS[5])
    ]


def test_copies_of_training_faces_are_left_out(run: Run, cache: Path, tmp_path: Path, faces: Path) -> None:
    """Both public faces are the first training face again; its mirror image and the noise are their own."""
    done = run(faces.name, "--without-copies", "--split", "training", "--out", "own.parquet", network=cache)
    assert "not read: 0 copies of training faces" in done.stderr
    assert read_parquet(tmp_path / "own.parquet").names.tolist() == ["training-00000", "training-00001"]
    done = run(faces.name, "--without-copies", "--out", "two.parquet", network=cache)
    assert "not read: 2 copies of training faces" in done.stderr
    assert read_parquet(tmp_path / "two.parquet").splits_held == ["training"]


def test_without_the_network_one_line_says_what_to_do(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    done = run("a.png", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "run 'mien fetch facemesh'" in one_line(done.stderr)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("a.png", "--out", "faces.csv"), "--out faces.csv: expected a file whose name ends in .parquet"),
        (("data.parquet", "--out", "data.parquet"), "--out data.parquet is what is to be read"),
        (("data.parquet", "a.png"), "data.parquet is a dataset: give it alone"),
        (("data.parquet", "--split", "pubic"), "unknown split 'pubic': did you mean 'public'?"),
        (("none.parquet",), "no such file or folder: none.parquet"),
        (("none.png",), "none.png does not exist"),
        (("a.png", "--detector", "har"), "unknown detector 'har': did you mean 'haar'?"),
    ],
)
def test_bad_input_is_one_line(
    run: Run, cache: Path, tmp_path: Path, faces: Path, arguments: tuple[str, ...], expected: str
) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    before = sorted(path.name for path in tmp_path.iterdir() if path.name != "cache")
    done = run(*arguments, network=cache)
    assert done.returncode == 2
    assert done.stdout == ""
    assert expected in one_line(done.stderr)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == before
    assert faces.is_file()
