"""`mien data` as a person runs it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data import read, write
from synthetic import face_batch


def mien(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mien", "data", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    write(face_batch(70), tmp_path / "faces.csv", "csv")
    return tmp_path / "faces.csv"


def with_bad_rows(path: Path) -> Path:
    lines = path.read_text().splitlines()
    lines[3] = lines[3].replace("Training", "Someday")
    lines[5] = lines[5].replace(" ", " x", 1)
    path.write_text("\n".join(lines) + "\n")
    return path


def assert_one_line(done: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("mien: ")
    assert done.stderr.count("\n") == 1
    for text in said:
        assert text in done.stderr


def test_convert_there_and_back(csv_file: Path, tmp_path: Path) -> None:
    previous = csv_file
    for name in ("a.parquet", "b.h5", "c", "d.csv"):
        done = mien("convert", previous, tmp_path / name)
        assert (done.returncode, done.stderr) == (0, "")
        assert "70 faces" in done.stdout
        previous = tmp_path / name
    assert previous.read_bytes() == csv_file.read_bytes()


def test_convert_replaces_only_when_forced(csv_file: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    target.write_text("precious")
    assert_one_line(mien("convert", csv_file, target), 2, "out.parquet exists", "--force")
    assert target.read_text() == "precious"
    done = mien("convert", csv_file, target, "--force", "--json")
    assert json.loads(done.stdout) == {
        "source": str(csv_file),
        "target": str(target),
        "format": "parquet",
        "n": 70,
        "skipped": [],
        "not_kept": [],
    }
    assert len(read(target)) == 70


def test_convert_says_what_is_lost(tmp_path: Path) -> None:
    batch = face_batch(7)
    batch.votes[:, 0] = 10
    write(batch, tmp_path / "faces.h5", "hdf5")
    done = mien("convert", tmp_path / "faces.h5", tmp_path / "faces.csv")
    assert "votes are not kept by csv" in done.stdout


def test_convert_of_bad_rows(csv_file: Path, tmp_path: Path) -> None:
    with_bad_rows(csv_file)
    target = tmp_path / "out.h5"
    assert_one_line(
        mien("convert", csv_file, target), 2, "faces.csv row 2 (line 4): usage 'Someday'", "--skip-bad"
    )
    assert not target.exists()
    done = mien("convert", csv_file, target, "--skip-bad")
    assert done.returncode == 0
    assert "left out 2 bad rows, the first: " in done.stderr
    assert read(target).rows.tolist()[:4] == [0, 1, 3, 5]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "absent.csv"), "no such file or folder: absent.csv"),
        (("check", "empty.csv"), "empty.csv is empty"),
        (("check", "text.txt"), "no known format"),
        (("convert", "faces.csv", "out.zip"), "ends as no format does"),
        (("convert", "faces.csv", "out", "--format", "xml"), "unknown format 'xml'"),
        (("convert", "faces.csv", ".", "--force", "--format", "csv"), "is a folder"),
        (("show", "faces.csv", "--split", "test"), "unknown split 'test'"),
        (("show", "faces.csv", "--split", "private"), "no 'private' faces"),
        (("show", "faces.csv", "--out", "sheet.docx"), "sheet.docx"),
        (("show", "cut.parquet"), "truncated"),
        (("hashes", "faces.csv", "--out", "hashes.txt"), "ends in .npy"),
        (("shuffle", "faces.csv"), "No such command"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], said: str, csv_file: Path) -> None:
    folder = csv_file.parent
    (folder / "empty.csv").touch()
    (folder / "text.txt").write_text("hello")
    write(face_batch(7), folder / "cut.parquet", "parquet")
    whole = (folder / "cut.parquet").read_bytes()
    (folder / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    done = mien(*arguments, cwd=folder)
    assert_one_line(done, 2, said)
    assert done.stdout == ""


def test_show_counts_and_draws(csv_file: Path, tmp_path: Path) -> None:
    sheets = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    done = mien("show", csv_file, "--out", sheets[0], "--json")
    result = json.loads(done.stdout)
    assert result["format"] == "csv"
    assert result["n"] == 70
    assert result["pairs"] is None
    assert result["size"] == [48, 48]
    assert result["splits"]["training"]["n"] + result["splits"]["public"]["n"] == 70
    emotions = [part["emotions"]["happy"] for part in result["splits"].values()]
    assert sum(emotions) == result["emotions"]["happy"] == 10
    mien("show", csv_file, "--out", sheets[1])
    mien("show", csv_file, "--out", sheets[2], "--seed", 1)
    pictures = [np.asarray(Image.open(sheet)) for sheet in sheets]
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])
    shown = mien("show", csv_file).stdout
    (line,) = (line for line in shown.splitlines() if "surprise" in line and "10" in line)
    training, public, both = (int(number) for number in re.findall(r"\d+", line))
    assert training + public == both == 10
    assert "all splits" not in mien("show", csv_file, "--split", "public").stdout


def test_sheet_shows_the_faces_of_each_emotion() -> None:
    from mien.data.sheet import sample_sheet

    batch = face_batch(70)
    batch.images[:] = batch.labels[:, None, None].astype(np.uint8) * 30
    picture = np.asarray(sample_sheet(batch, per_emotion=4))
    for label in range(7):
        row = picture[4 + label * 100 : 100 + label * 100, 150:540]
        assert set(np.unique(row).tolist()) == {label * 30, 255}
        assert (row == label * 30).sum() == 4 * 96 * 96 - 96 * 6


def test_check_of_good_data(csv_file: Path) -> None:
    done = mien("check", csv_file, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert result["bad_rows"] == []
    assert result["audit"]["exact_within"] == {"training": 0, "public": 0}
    assert result["audit"]["copies_of_known"]["fer2013-training"] == {"training": 0, "public": 0}


def test_check_reports_every_bad_row_and_copy(csv_file: Path) -> None:
    lines = with_bad_rows(csv_file).read_text().splitlines()
    copied = lines[1].replace("Training", "PublicTest")
    csv_file.write_text("\n".join([*lines, "5" + copied[1:], "3,1 2"]) + "\n")
    done = mien("check", csv_file, "--json")
    assert done.returncode == 1
    result = json.loads(done.stdout)
    assert [line.split("faces.csv ")[1].split(":")[0] for line in result["bad_rows"]] == [
        "row 2 (line 4)",
        "row 4 (line 6)",
        "row 71 (line 73)",
    ]
    assert result["audit"]["exact_across"] == [
        {"split": "public", "in": "training", "faces": 1, "same_label": 0}
    ]
    assert result["audit"]["conflicting_copies"] == [[0, 70]]
    spoken = mien("check", csv_file)
    assert spoken.returncode == 1
    assert "bad row: " in spoken.stdout
    assert "copies with different labels: rows 0, 70" in spoken.stdout
    assert "3 bad rows" in spoken.stdout


def test_hashes_can_be_written(csv_file: Path, tmp_path: Path) -> None:
    from mien.data.audit import pixel_hashes

    done = mien("hashes", csv_file, "--split", "public", "--out", tmp_path / "public.npy")
    assert done.returncode == 0
    expected = np.unique(pixel_hashes(read(csv_file).split("public").images))
    np.testing.assert_array_equal(np.load(tmp_path / "public.npy", allow_pickle=False), expected)


@pytest.mark.parametrize("command", ["convert", "show", "check", "hashes"])
def test_help_has_an_example(command: str) -> None:
    done = mien(command, "--help")
    assert done.returncode == 0
    assert f"mien data {command}" in done.stdout
