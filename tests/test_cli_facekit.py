"""`mien data facekit` as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mien.data.landmarks.parquet import read_parquet
from mien.data.landmarks.posing import Variation, posed_faces
from mien.data.landmarks.procedural import procedural

pytestmark = pytest.mark.slow


def facekit(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mien", "data", "facekit", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def assert_one_line(done: subprocess.CompletedProcess[str], *said: str) -> None:
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("mien: ")
    assert done.stderr.count("\n") == 1
    for text in said:
        assert text in done.stderr


def test_posed_people_without_a_basis(tmp_path: Path) -> None:
    file = tmp_path / "posed" / "faces.parquet"
    done = facekit("posed", "--out", file, "--people", 10, "--unseen", 3, "--seed", 5)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("mien: no --basis: the faces are of a small procedural face")
    assert "325 synthetic faces of 13 people" in done.stdout
    assert "75 unseen" in done.stdout
    held = read_parquet(file)
    assert held.synthetic
    np.testing.assert_array_equal(held.points, posed_faces(procedural(), people=10, unseen=3, seed=5).points)
    assert repr(Variation()).encode() in file.read_bytes()

    assert_one_line(facekit("posed", "--out", file), "faces.parquet exists", "--force")
    before = file.read_bytes()
    again = facekit("posed", "--out", file, "--people", 10, "--unseen", 3, "--seed", 5, "--force")
    assert again.returncode == 0
    assert file.read_bytes() == before


def test_spontaneous_recordings_as_json(tmp_path: Path) -> None:
    file = tmp_path / "frames.parquet"
    done = facekit("spontaneous", "--out", file, "--people", 5, "--unseen", 0, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "target": str(file),
        "source": "spontaneous-like faces of a procedural face, seed 0",
        "synthetic": True,
        "n": 2400,
        "people": 5,
        "splits": {"training": 1440, "public": 480, "private": 480},
    }
    held = read_parquet(file)
    assert held.synthetic
    assert len(np.unique(held.sequences)) == 40
    assert 0.3 < held.coded.mean() < 0.5


def test_people_of_facekit(data_folder: Path, tmp_path: Path) -> None:
    basis = data_folder / "ict_facekit_light.npz"
    if not basis.is_file():
        pytest.skip(f"no FaceKit basis at {basis}")
    file = tmp_path / "faces.parquet"
    done = facekit("posed", "--basis", basis, "--out", file, "--people", 10, "--unseen", 0, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["source"] == "posed faces of ICT-FaceKit, seed 0"
    assert read_parquet(file).synthetic


def test_mistakes_cost_one_line(tmp_path: Path) -> None:
    absent, file = tmp_path / "absent.npz", tmp_path / "faces.parquet"
    assert_one_line(facekit("posed", "--basis", absent, "--out", file), str(absent), "does not exist")
    assert_one_line(facekit("spontaneous", "--out", tmp_path / "faces.csv"), "faces.csv", ".parquet")
    assert_one_line(facekit("posed", "--out", file, "--people", 3), "--people")
    assert not list(tmp_path.iterdir())
