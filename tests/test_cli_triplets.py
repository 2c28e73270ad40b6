"""`mien triplets`: every command on small datasets, in real processes; one line for what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from landmark_trees import posed, spontaneous
from mien import data
from mien.cli import app as application
from mien.data.landmarks import read, write_parquet
from mien.data.landmarks.triplet_selection import KINDS
from mien.data.landmarks.triplets import read_questions, read_triplets
from mien.errors import DataError
from mien.landmarks import LandmarkBatch
from mien.papers import landmark_data
from mien.papers.sources import Sources
from synthetic import face_batch


def mien(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mien", *map(str, arguments)],
        capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Exit code, standard output and standard error of `main()`: a process without its start."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            application.main()
        said = capsys.readouterr()
        return int(stopped.value.code or 0), said.out, said.err

    return run


def by_person(batch: LandmarkBatch, splits: Sequence[int]) -> LandmarkBatch:
    """The same faces with a split for each person, in the order of their names."""
    where = np.unique(batch.subjects, return_inverse=True)[1]
    return replace(batch, splits=np.array(splits, np.int8)[where])


@pytest.fixture(scope="module")
def poses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landmarks") / "posed"
    write_parquet(by_person(posed(people=6), [0, 0, 0, 1, 1, 2]), folder / "faces.parquet")
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landmarks") / "spontaneous"
    batch = by_person(spontaneous(people=8, frames=30), [0, 0, 0, 0, 1, 1, 1, 1])
    write_parquet(batch, folder / "faces.parquet")
    return folder


def test_rules_beside_the_data(poses: Path, tmp_path: Path) -> None:
    out = poses / "triplets.csv"
    done = mien("triplets", "rules", poses, "--out", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert "600 triplets written to" in done.stdout
    assert out.read_text().startswith("# by rules, 4 per face, seed 0; synthetic faces of ")
    dataset = read(poses)
    assert dataset.triplets is not None
    assert len(dataset.triplets) == 600
    shown = mien("triplets", "show", poses, "--json")
    counted = json.loads(shown.stdout)["agreement"]
    assert {name: sum(kinds["all"].values()) for name, kinds in counted.items()} == {
        "training": 300, "public": 200, "private": 100, "all splits": 600,
    }  # fmt: skip


def test_questions_answers_and_the_table(recordings: Path, tmp_path: Path, in_process: Any) -> None:
    code, said, _ = in_process("triplets", "select", recordings, "--out", tmp_path / "q.csv", "--json")
    assert code == 0
    selected = json.loads(said)
    asked = read_questions(tmp_path / "q.csv")
    assert len(asked) == selected["n"] == selected["one_person"] + selected["different_persons"] > 50

    code, said, _ = in_process(
        "triplets",
        "simulate",
        recordings,
        "--questions",
        tmp_path / "q.csv",
        "--out",
        tmp_path / "a.csv",
        "--json",
    )
    assert code == 0
    answered = json.loads(said)
    assert answered["n"] == len(asked)
    assert "synthetic" in answered["source"]
    assert "# simulated judgements (synthetic), 5 raters" in (tmp_path / "a.csv").read_text()
    counted = answered["agreement"]["all splits"]["all"]
    assert counted.keys() <= {"5", "3", "1"}
    assert sum(counted.values()) == len(asked)

    done = mien("triplets", "simulate", recordings, "--out", tmp_path / "b.csv")
    assert done.returncode == 0, done.stderr
    assert (
        read_triplets(tmp_path / "a.csv").faces.tolist() == read_triplets(tmp_path / "b.csv").faces.tolist()
    )

    code, said, _ = in_process("triplets", "show", recordings, tmp_path / "a.csv")
    assert code == 0
    assert "different persons" in said
    assert "one person" in said


def test_answers_of_people_are_read_as_collected(recordings: Path, tmp_path: Path, in_process: Any) -> None:
    assert in_process("triplets", "select", recordings, "--every-image", "--out", tmp_path / "q.csv")[0] == 0
    note, _, *lines = (tmp_path / "q.csv").read_text().splitlines()
    header = "reference,first,second,votes_first,votes_second"
    answers = [f"{line},{number % 6},{5 - number % 6}" for number, line in enumerate(lines)]
    (tmp_path / "a.csv").write_text("\n".join([note, header, *answers]))
    code, said, _ = in_process("triplets", "show", recordings, tmp_path / "a.csv", "--json")
    assert code == 0
    found = json.loads(said)
    assert found["n"] == len(lines)
    assert set(found["agreement"]["all splits"]["all"]) == {"5", "3", "1"}


def test_votes_on_pictures(tmp_path: Path, in_process: Any) -> None:
    rng = np.random.default_rng(0)
    pictures = face_batch(120)
    votes = np.stack([rng.multinomial(10, rng.dirichlet(np.full(7, 0.2))) for _ in range(120)])
    pictures = replace(pictures, votes=np.c_[votes, np.zeros((120, 3))].astype(np.uint8))
    data.write(pictures, tmp_path / "faces.parquet", "parquet")
    found = posed(people=4).select(np.arange(90))
    names = np.array(
        [f"{('training', 'public')[split]}-{row:05d}" for row, split in enumerate(pictures.splits)]
    )
    # Landmarks were found in three pictures of four.
    kept = np.flatnonzero(np.arange(120) % 4 != 3)
    found = replace(found, names=names[kept], subjects=names[kept], splits=pictures.splits[kept])
    write_parquet(found, tmp_path / "points" / "faces.parquet")
    code, said, wrong = in_process(
        "triplets", "votes", tmp_path / "faces.parquet", "--landmarks", tmp_path / "points",
        "--out", tmp_path / "points" / "triplets.csv", "--json",
    )  # fmt: skip
    assert code == 0, wrong
    held = read(tmp_path / "points")
    assert held.triplets is not None
    assert len(held.triplets) == json.loads(said)["n"] > 200
    assert set(held.triplets.agreement.tolist()) <= {6, 7, 8, 9, 10}


def test_one_line_for_what_is_wrong(poses: Path, recordings: Path, tmp_path: Path, in_process: Any) -> None:
    (tmp_path / "t.csv").write_text(
        "reference,nearer,farther,votes_nearer,votes_farther\nno one,F0001_NE00WH_F3D,F0001_HA01WH_F3D,1,0\n"
    )
    write_parquet(posed(people=2).select(np.arange(2)), tmp_path / "two.parquet")
    wrong = {
        ("rules", poses, "--out", tmp_path / "t.txt"): "expected a name that ends in .csv",
        ("rules", recordings, "--out", tmp_path / "o.csv"): "has no emotion",
        ("simulate", poses, "--every-image", "--out", tmp_path / "o.csv"): "not coded",
        ("simulate", recordings, "--raters", 2, "--out", tmp_path / "o.csv"): "2 raters: expected an odd",
        ("simulate", recordings, "--questions", tmp_path / "t.csv", "--out", tmp_path / "o.csv"): "votes",
        ("show", poses, tmp_path / "t.csv"): "names the face 'no one'",
        ("show", poses, tmp_path / "absent.csv"): "no such file",
        ("show", recordings): "no triplets lie beside",
    }  # fmt: skip
    for arguments, said in wrong.items():
        code, printed, error = in_process("triplets", *arguments)
        assert (code, printed) == (2, "")
        assert error.startswith("mien: ")
        assert error.count("\n") == 1
        assert said in error
    assert not (tmp_path / "o.csv").exists()


@pytest.mark.parametrize("table", ["5.1", "5.2", "5.3", "5.4"])
def test_the_tables_of_data_alone(table: str, in_process: Any) -> None:
    code, said, wrong = in_process("reproduce", f"E/{table}", "--json")
    assert (code, wrong) == (0, "")
    assert json.loads(said)["data"] is None


def test_the_tables_of_data_beside_ours(recordings: Path, tmp_path: Path, in_process: Any) -> None:
    folder = tmp_path / "with triplets"
    faces = read(recordings).faces
    write_parquet(faces, folder / "faces.parquet")
    assert in_process("triplets", "simulate", folder, "--out", folder / "triplets.csv")[0] == 0
    sources = Sources([], [], folder)

    size = landmark_data.data_sheet(landmark_data.SPONTANEOUS, sources).data["data"]["rows"]
    assert size["people"] == {"training": 4, "public": 4, "all splits": 8}
    assert size["faces"]["all splits"] == len(faces)
    assert size["with action units"]["training"] == int(faces.split("training").coded.sum())

    shares = landmark_data.data_sheet(landmark_data.UNITS, sources)
    coded = faces.split("public")
    expected = (coded.units[coded.coded, 6] == 1).mean()
    assert shares.data["data"]["rows"]["AU12"]["public"] == pytest.approx(expected)
    assert "synthetic" in shares.blocks[1].title

    agreed = landmark_data.agreement_sheet(sources)
    held = read(folder).triplets
    assert held is not None
    assert sum(agreed.data["data"]["rows"]["all splits"]["all"].values()) == len(held)
    assert [block.heads[0] for block in agreed.blocks] == ["difference"] * 2
    with pytest.raises(DataError, match="no triplets lie beside"):
        landmark_data.agreement_sheet(Sources([], [], recordings))


def test_posed_faces_have_no_shares_of_action_units(poses: Path) -> None:
    sheet = landmark_data.data_sheet(landmark_data.UNITS, Sources([], [], poses))
    assert sheet.data["data"]["rows"]["AU1"] == dict.fromkeys(("training", "public", "private", "all splits"))
    assert "no action units of these faces are coded" in sheet.notes
    sizes = landmark_data.data_sheet(landmark_data.POSED, Sources([], [], poses)).data["data"]["rows"]
    assert sizes["faces"] == {"training": 75, "public": 50, "private": 25, "all splits": 150}


def test_the_thesis_adds_up() -> None:
    for table in (landmark_data.POSED, landmark_data.SPONTANEOUS):
        assert all(sum(values[:3]) == values[3] for values in table.rows.values())
    counts = landmark_data.AGREEMENT.counts
    for kind in KINDS:
        parts = [counts[split][kind] for split in ("training", "public", "private")]
        assert tuple(map(sum, zip(*parts, strict=True))) == counts["all splits"][kind]
    assert sum(landmark_data.AGREEMENT.total("all splits")) == 11_191
    shares = np.array(list(landmark_data.UNITS.rows.values()))
    weights = np.linalg.lstsq(shares[:, :3], shares[:, 3], rcond=None)[0]
    assert weights.round(2).tolist() == [0.61, 0.39, 0.0]
    assert np.abs(shares[:, :3] @ weights - shares[:, 3]).max() < 0.001
