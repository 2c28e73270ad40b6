"""BU-3DFE, BP4D and our own parquet: written as distributed, read back exactly; bad input named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from landmark_trees import BROWS_FIRST, bnd_text, posed, spontaneous, write_bp4d, write_bu3dfe
from mien.data import read as read_pictures
from mien.data.formats import BadRows
from mien.data.landmarks import (
    LandmarkSet,
    bp4d,
    bu3dfe,
    detect,
    prepared,
    read,
    read_parquet,
    with_neutrals,
    write,
    write_parquet,
)
from mien.data.landmarks.bnd import read_points
from mien.data.landmarks.counts import counts
from mien.data.landmarks.splits import split_by_person
from mien.errors import DataError
from mien.landmarks import LandmarkBatch, Triplets

ARRAYS = ("points", "names", "subjects", "labels", "degrees", "units", "splits", "sequences", "angles")


def assert_same(batch: LandmarkBatch, other: LandmarkBatch) -> None:
    """The same faces whatever their order."""
    mine, theirs = (each.select(np.argsort(each.names)) for each in (batch, other))
    for name in ARRAYS:
        assert np.array_equal(getattr(mine, name), getattr(theirs, name)), name
    assert (mine.neutral is None) == (theirs.neutral is None)
    if mine.neutral is not None and theirs.neutral is not None:
        assert np.array_equal(mine.neutral, theirs.neutral)


@pytest.fixture
def bu(tmp_path: Path) -> Path:
    write_bu3dfe(tmp_path / "bu", posed(3))
    return tmp_path / "bu"


@pytest.fixture
def bp(tmp_path: Path) -> Path:
    write_bp4d(tmp_path / "bp", spontaneous())
    return tmp_path / "bp"


def found(path: Path) -> str | None:
    known = detect(path)
    return None if known is None else known.name


def test_bu3dfe_is_read_as_written(bu: Path) -> None:
    assert found(bu) == "bu3dfe"
    batch = split_by_person(posed(3))
    assert_same(bu3dfe.read(bu, BadRows(), 0), batch)
    assert_same(read(bu).faces, with_neutrals(prepared(batch)))
    assert not np.array_equal(read(bu, split_seed=3).faces.splits, read(bu).faces.splits)
    assert found(bu / "F0001") == "bu3dfe"


@pytest.mark.parametrize("brows_first", [False, True])
def test_bp4d_is_read_as_written(tmp_path: Path, brows_first: bool) -> None:
    batch = split_by_person(spontaneous())
    write_bp4d(tmp_path, batch, brows_first=brows_first)
    assert found(tmp_path) == "bp4d"
    assert_same(bp4d.read(tmp_path, BadRows(), 0), batch)
    assert_same(read(tmp_path).faces, with_neutrals(prepared(batch)))


def test_bp4d_with_all_frames_in_one_folder(bp: Path) -> None:
    before = read(bp).faces
    flat = bp / "3DFeatures" / "BND"
    flat.mkdir()
    for file in sorted((bp / "3DFeatures").glob("*/*/*.bndplus")):
        subject, task = file.parts[-3:-1]
        file.rename(flat / f"{subject}_{task}_{file.name}")
    assert found(bp) == "bp4d"
    assert_same(read(bp).faces, before)


@pytest.mark.parametrize("shape", ["frames first", "frames last", "cell", "structure"])
def test_bp4d_with_a_matlab_file_a_recording(bp: Path, shape: str) -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    before = read(bp).faces
    for folder in sorted((bp / "3DFeatures").glob("*/*")):
        files = sorted(folder.glob("*.bndplus"))
        points = np.stack([read_points(file) for file in files])
        for file in files:
            file.unlink()
        cell = np.empty(len(points), object)
        cell[:] = list(points.transpose(0, 2, 1))
        fields = np.array([(face, 1.0) for face in points], [("points", object), ("score", object)])
        variable = {
            "frames first": points,
            "frames last": points.transpose(1, 2, 0),
            "cell": cell,
            "structure": fields,
        }[shape]
        subject, task = folder.parts[-2:]
        savemat(bp / "3DFeatures" / f"{subject}_{task}.mat", {"landmarks": variable, "fps": 25.0})
    assert found(bp) == "bp4d"
    assert_same(read(bp).faces, before)


def test_bp4d_frames_that_the_coders_left_out_are_not_coded(bp: Path) -> None:
    (bp / "AUCoding" / "AU_OCC" / "F001_T1.csv").unlink()
    faces = read(bp).faces
    of_it = faces.sequences == "F001_T1"
    assert not faces.coded[of_it].any()
    assert faces.coded[~of_it].sum() == 5 * 10


@pytest.mark.parametrize("neutral", [False, True])
@pytest.mark.parametrize("batch", [posed(3), spontaneous()], ids=["posed", "spontaneous"])
def test_parquet_round_trip(tmp_path: Path, batch: LandmarkBatch, neutral: bool) -> None:
    batch = split_by_person(replace(batch, left_out=("3 faces left out: blurred", "ä")))
    if neutral:
        batch = with_neutrals(prepared(batch))
    splits = batch.splits.copy()
    splits[batch.subjects == batch.subjects[0]] = 3
    batch = replace(batch, splits=splits)
    file = tmp_path / "a.parquet"
    write_parquet(batch, file)
    again = read_parquet(file)
    assert_same(again, batch)
    assert (again.synthetic, again.left_out, again.source) == (True, batch.left_out, str(file))
    assert found(file) == "parquet"
    first = file.read_bytes()
    write_parquet(batch, file)
    assert file.read_bytes() == first


def test_a_folder_of_ours_keeps_triplets(tmp_path: Path, bu: Path) -> None:
    faces = read(bu).faces
    names = faces.names[[[0, 1, 30], [60, 61, 2]]]
    triplets = Triplets(names, np.array([[5, 0], [1, 0]], np.int16), "rules")
    write(LandmarkSet(faces, triplets), tmp_path / "ours")
    again = read(tmp_path / "ours")
    assert_same(again.faces, faces)
    assert again.triplets is not None
    assert np.array_equal(again.triplets.faces, names)
    write(LandmarkSet(faces.select(faces.names != names[0, 1]), triplets), tmp_path / "fewer")
    with pytest.raises(DataError, match=f"names the face '{names[0, 1]}'"):
        read(tmp_path / "fewer")


def test_parquet_of_other_people_without_splits_or_names(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    batch = posed(4)
    table = arrow.table(
        {
            "person": batch.subjects.tolist(),
            "points": batch.points.reshape(len(batch), -1).astype(np.float64).tolist(),
            "emotion": ["happiness" if label == 3 else None for label in batch.labels],
        }
    )
    parquet.write_table(table, tmp_path / "faces.parquet")
    again = read_parquet(tmp_path)
    assert np.array_equal(again.points, batch.points)
    assert np.array_equal(again.splits, split_by_person(batch).splits)
    assert again.labels.tolist() == [3 if label == 3 else -1 for label in batch.labels]
    assert (again.units == 9).all()
    assert len(set(again.names)) == len(batch)
    assert not again.synthetic
    for change, said in (
        ({"person": None}, "no column person"),
        ({"AU1": [0] * len(batch)}, "has no columns AU2, AU4"),
        ({"degree": [0, 5] + [0] * (len(batch) - 2)}, "row 1: degree is 5: expected 1 to 4"),
        ({"split": ["test"] * len(batch)}, "unknown split 'test'"),
        ({"points": [[1.0, 2.0]] * len(batch)}, "row 0: points holds 2 numbers: expected 249"),
        ({"points": ["a"] * len(batch)}, "column points is string"),
    ):
        changed = {name: table[name] for name in table.column_names} | change
        parquet.write_table(
            arrow.table({name: column for name, column in changed.items() if column is not None}),
            tmp_path / "faces.parquet",
        )
        with pytest.raises(DataError, match=said):
            read_parquet(tmp_path)


def test_other_data_are_no_landmarks(tmp_path: Path) -> None:
    from mien.data import write as write_faces
    from synthetic import face_batch

    write_faces(face_batch(7), tmp_path / "faces.parquet", "parquet")
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    for path in (tmp_path, tmp_path / "faces.parquet", tmp_path / "cut.parquet"):
        assert found(path) is None
        with pytest.raises(DataError, match="no landmarks in a known format"):
            read(path)
    with pytest.raises(DataError, match="no such file or folder"):
        detect(tmp_path / "absent")


LINES = bnd_text(posed(1).points[0]).splitlines()


@pytest.mark.parametrize("numbers", [range(83), range(1, 84), range(500, 583), range(0, 8300, 100)])
def test_points_may_be_numbered_from_0_or_1_or_as_vertices(tmp_path: Path, numbers: range) -> None:
    points = posed(1).points[0]
    text = bnd_text(points, numbers)
    (tmp_path / "a.bnd").write_text(text)
    assert np.array_equal(read_points(tmp_path / "a.bnd").astype(np.float32), points)
    mixed = [text.splitlines()[at] for at in np.random.default_rng(0).permutation(83)]
    (tmp_path / "b.bnd").write_text("\r\n".join(mixed))
    in_order = np.array_equal(read_points(tmp_path / "b.bnd"), read_points(tmp_path / "a.bnd"))
    assert in_order == (numbers in (range(83), range(1, 84)))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (LINES[:40] + LINES[41:], "point 40 is missing: expected 83, numbered from 0"),
        (LINES[2:], "point 1 and 1 more are missing"),
        ([*LINES, LINES[5]], "point 5 comes twice"),
        ([*LINES, "83 0 0 0"], "a point 83: expected 83, numbered from 0"),
        ([*LINES[:-1], "82 0 nan 0"], "point 83 holds [0.0, nan, 0.0]: expected finite"),
        ([*LINES[:-1], "82 0 x 0"], "'x'"),
        ([*LINES[:-1], "82 0 0"], "the line '82 0 0': expected a number, x, y and z"),
        ([], "it holds 0 points: expected 83"),
        ([f"9{line}" for line in LINES[:-1]], "it holds 82 points: expected 83"),
        ([f"9{line}" for line in (*LINES[:3], LINES[2], *LINES[4:])], "vertex 92 comes twice in a row"),
    ],
)
def test_a_bad_bnd_is_named(bu: Path, lines: list[str], said: str) -> None:
    file = bu / "F0002" / "F0002_HA03BL_F3D.bnd"
    assert file.exists()
    file.write_text("\n".join(lines))
    with pytest.raises(DataError) as caught:
        read(bu)
    assert str(caught.value).startswith(f"{file}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    left = read(bu, skip_bad=True)
    assert len(left.faces) == 74
    assert len(left.skipped) == 1
    assert left.skipped[0] in left.faces.left_out[-1]


def rename(old: str, new: str) -> Callable[[Path], object]:
    return lambda folder: (folder / old).rename(folder / new)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (rename("F0001/F0001_AN01WH_F3D.bnd", "F0001/F0001_XX01WH_F3D.bnd"), "its name does not parse"),
        (rename("F0001/F0001_AN01WH_F3D.bnd", "F0001/F0001_AN05WH_F3D.bnd"), "angry of degree 5"),
        (rename("F0001/F0001_NE00WH_F3D.bnd", "F0001/F0001_NE01WH_F3D.bnd"), "neutral of degree 1"),
        (rename("F0001/F0001_AN01WH_F3D.bnd", "M0001/F0001_AN01WH_F3D.bnd"), "in the folder of M0001"),
        (lambda folder: (folder / "F0001/F0001_NE00WH_F3D.bnd").unlink(), "F0001: no neutral face among 24"),
    ],
)
def test_bad_bu3dfe_is_named(bu: Path, spoil: Callable[[Path], object], said: str) -> None:
    spoil(bu)
    with pytest.raises(DataError, match=said):
        read(bu)
    assert len(read(bu, skip_bad=True).skipped) >= 1


def edited(name: str, old: str, new: str) -> Callable[[Path], object]:
    def edit(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1))

    return edit


UNITS, POSE = "AUCoding/AU_OCC/F001_T1.csv", "HeadPose/F001_T1.csv"


@pytest.mark.parametrize(
    ("spoil", "said", "kept"),
    [
        (edited(UNITS, ",12,14,", ",120,140,"), "no column of AU12, AU14", 72),
        (edited(UNITS, "\n3,", "\n99,"), "1 frames of .*F001_T1.csv have no landmarks, the first 99", 72),
        (edited(UNITS, "\n3,", "\n2,"), "whole numbers of frames in the first column, each once", 72),
        (edited(UNITS, "\n3,", "\n3,7"), "an action unit is 7[01]: expected 0, 1 or 9", 72),
        (edited(POSE, "\n3,", "\n99,"), "1 of 12 frames have no head pose in .*, the first 3", 60),
        (edited(POSE, "frame,pitch,yaw,roll", "frame,yaw,pitch,roll"), "has the columns frame, yaw", 60),
        (edited(POSE, "\n3,", "\n3,x"), "no table of numbers", 60),
        (lambda folder: (folder / POSE).unlink(), "F001_T1: no head pose: expected .*F001_T1.csv", 60),
        (
            edited("3DFeatures/F001/T1/0003.bndplus", "\n7\t", "\n8\t"),
            "0003.bndplus: point 8 comes",
            71,
        ),
    ],
)
def test_bad_bp4d_is_named(bp: Path, spoil: Callable[[Path], object], said: str, kept: int) -> None:
    spoil(bp)
    with pytest.raises(DataError, match=said) as caught:
        read(bp)
    assert "F001" in str(caught.value)
    left = read(bp, skip_bad=True)
    assert len(left.faces) == kept
    assert left.skipped


def test_a_matlab_file_of_something_else_is_named(bp: Path) -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    savemat(bp / "3DFeatures" / "M009_T1.mat", {"pose": np.zeros((10, 3))})
    with pytest.raises(DataError, match=r"M009_T1.mat: expected one array of 83x3 points .*, found none"):
        read(bp)
    (bp / "3DFeatures" / "M009_T1.mat").write_bytes(b"MATLAB 5.0 but not")
    with pytest.raises(DataError, match=r"M009_T1.mat: it does not read as a MATLAB file"):
        read(bp)


def test_one_person_cannot_be_split(bu: Path) -> None:
    with pytest.raises(DataError, match=r"of one subject \(F0001\)"):
        read(bu / "F0001")


def test_figures_of_a_dataset(bp: Path, bu: Path) -> None:
    faces = read(bp).faces
    counted = counts(faces)
    assert (counted["people"], counted["n"], counted["recordings"], counted["coded"]) == (3, 72, 6, 60)
    one = faces.split("public")
    shares = counted["splits"]["public"]["units"]
    assert shares["AU24"] == pytest.approx((one.units[one.coded, 11] == 1).sum() / one.coded.sum())
    emotions = counts(read(bu).faces)["emotions"]
    assert emotions["fear"] == {"1": 3, "2": 3, "3": 3, "4": 3}
    assert emotions["neutral"] == {"0": 3}


def mien(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mien", "data", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_check_and_convert_as_a_person_runs_them(bu: Path, tmp_path: Path) -> None:
    checked = mien("check", bu)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "75 faces of 3 people as landmarks" in checked.stdout
    assert "degree 4" in checked.stdout
    done = mien("convert", bu, tmp_path / "ours.parquet", "--json")
    assert json.loads(done.stdout)["n"] == 75
    assert_same(read(tmp_path / "ours.parquet").faces, read(bu).faces)
    again = mien("convert", bu, tmp_path / "ours.parquet")
    assert again.returncode == 2
    assert "--force" in again.stderr
    (bu / "F0002" / "F0002_HA03BL_F3D.bnd").write_text("")
    checked = mien("check", bu, "--json")
    assert checked.returncode == 1
    result = json.loads(checked.stdout)
    assert (result["n"], result["format"], len(result["skipped"])) == (74, "bu3dfe", 1)
    refused = mien("check", bu, "--size", 48)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_a_person_across_splits_is_one_line(bu: Path, tmp_path: Path) -> None:
    faces = read(bu).faces
    splits = faces.splits.copy()
    splits[0] = 3
    write_parquet(replace(faces, splits=splits), tmp_path / "faces.parquet")
    done = mien("check", tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "subject 'F0001'" in done.stderr
    assert "faces.parquet" in done.stderr


def test_brows_first_is_a_permutation() -> None:
    assert sorted(BROWS_FIRST.tolist()) == list(range(83))


def test_landmarks_where_pictures_are_shown(tmp_path: Path) -> None:
    write_parquet(posed(2, 1), tmp_path / "faces.parquet")
    with pytest.raises(DataError, match="holds landmarks: expected pictures"):
        read_pictures(tmp_path / "faces.parquet")
