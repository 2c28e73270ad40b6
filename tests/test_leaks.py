"""Other crops of one photograph are found; FER-2013's leaks are listed, told of, and left out of training."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mien import data
from mien.cli.app import app
from mien.data import leaks
from mien.data.audit import near_copies
from mien.data.hashes import pixel_hashes
from mien.data.leaks import (
    find_leaks,
    leak_reasons,
    leaked,
    leaked_public,
    leaked_training,
    read_list,
    write_list,
)
from mien.data.recrops import NARROW, near_pairs, recrops, warped
from mien.errors import DataError
from mien.evaluation.figures import measure
from mien.evaluation.protocols import Scores
from mien.experiments.splits import read_splits
from mien.faces import FaceBatch, UInt8
from mien.training.recipe import load
from synthetic import face_batch
from test_audit import smooth


def cut(photograph: UInt8, left: float, top: float, side: float, mirrored: bool = False) -> UInt8:
    """A square part of a photograph, as a face of 48×48."""
    matrix = np.array([[side / 48, 0, left], [0, side / 48, top]], np.float32)
    small = cv2.warpAffine(photograph, matrix, (48, 48), flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP)
    return np.ascontiguousarray(small[:, ::-1] if mirrored else small)


CROPS = {
    "as it is": (20, 20, 60, False),
    "shifted": (25, 16, 60, False),
    "closer": (26, 24, 50, False),
    "from afar": (14, 16, 70, False),
    "mirrored": (22, 19, 63, True),
}


@pytest.fixture(scope="module")
def photographs() -> UInt8:
    return smooth(12, 11, side=100)


def test_other_crops_of_a_photograph_are_found_and_only_those(photographs: UInt8) -> None:
    left = np.stack([cut(photograph, 20, 20, 60) for photograph in photographs[:6]])
    right = np.stack([cut(photographs[i], *where) for i, where in enumerate(CROPS.values(), start=1)])
    found = recrops(left, right)
    assert found.left.tolist() == [1, 2, 3, 4, 5]
    assert found.right.tolist() == [0, 1, 2, 3, 4]
    assert found.mirrored.tolist() == [how == "mirrored" for how in CROPS]
    assert found.correlation.min() > 0.9
    assert 0.3 <= found.overlap.min() <= found.overlap.max() <= 1
    for i, j, matrix in zip(found.left, found.right, found.matrices, strict=True):
        shown = warped(left[i].astype(np.float32), matrix)[8:-8, 8:-8]
        assert np.corrcoef(shown.ravel(), right[j][8:-8, 8:-8].ravel())[0, 1] > 0.95


def test_the_threshold_can_be_moved(photographs: UInt8) -> None:
    left = np.stack([cut(photograph, 20, 20, 60) for photograph in photographs[:6]])
    right = np.stack([cut(photographs[i], *where) for i, where in enumerate(CROPS.values(), start=1)])
    usual = recrops(left, right)
    middle = float(np.median(usual.correlation))
    assert recrops(left, right, correlation=middle).correlation.tolist() == [
        each for each in usual.correlation.tolist() if each >= middle
    ]
    assert recrops(left, right, correlation=1.1).matrices.shape == (0, 2, 3)


def test_what_lies_shifted_is_missed_by_the_aligned_method_alone(photographs: UInt8) -> None:
    left = np.stack([cut(photograph, 20, 20, 60) for photograph in photographs[:3]])
    right = np.stack([cut(photographs[1], *CROPS["closer"]), left[0] // 2 + 40])
    aligned = near_copies(np.concatenate([left, right]))
    assert list(zip(aligned.first, aligned.second, strict=True)) == [(0, 4)]
    first, second = near_pairs(left, right)
    assert list(zip(first, second, strict=True)) == [(0, 1), (1, 0)]


def test_blank_faces_and_none_at_all_have_no_other_crops() -> None:
    blank = np.stack([np.full((48, 48), value, np.uint8) for value in (0, 128)])
    assert len(recrops(blank, blank)) == 0
    assert len(recrops(blank[:0], blank)) == len(recrops(blank, blank[:0])) == 0


def made_up() -> FaceBatch:
    """Ten training faces, then four public ones, some of each copies or no faces."""
    batch = face_batch(14)
    images, labels, votes = batch.images.copy(), batch.labels.copy(), np.zeros((14, 10), np.uint8)
    votes[:, 0] = 10
    images[11] = images[0]  # A copy of public, which repeats as well.
    images[1] = images[0]
    images[3] = images[2]  # A repeat with another label.
    labels[2:4] = 0, 1
    images[5] = images[4]  # A repeat with the same label.
    labels[4:6] = 3
    votes[6] = 0, 0, 0, 0, 0, 0, 0, 0, 3, 7
    votes[7] = 0
    splits = np.array([0] * 10 + [1] * 4, np.int8)
    return replace(batch, images=images, labels=labels, votes=votes, splits=splits, rows=np.arange(14))


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FaceBatch]:
    """The made-up faces, whose lists are in place of FER-2013's. Face 8 is a near copy of public face 12."""
    batch = made_up()
    found = find_leaks(batch.split("training"), batch.split("public"), np.array([8]), np.array([2]))
    for split, hashes in found.items():
        write_list(hashes, tmp_path / f"{split}.csv")
    leaks._listed.cache_clear()
    monkeypatch.setattr(leaks, "packaged", lambda folder: tmp_path)
    yield batch
    leaks._listed.cache_clear()


EXPECTED = {
    "copy of public": [0, 1],
    "near copy of public": [8],
    "not a face": [6, 7],
    "conflicting labels": [2, 3],
    "repeat": [5],
}


def test_each_face_has_its_weightiest_reason(listed: FaceBatch) -> None:
    training, public = listed.split("training"), listed.split("public")
    reasons = leak_reasons(training.images)
    assert {reason: np.flatnonzero(faces).tolist() for reason, faces in reasons.items()} == EXPECTED
    assert np.flatnonzero(leaked_training(training.images)).tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    assert np.flatnonzero(leaked_public(public.images)).tolist() == [1, 2]
    assert leaked_public(public.images[:0]).shape == (0,)
    of_public = leaked(public.images, "public")
    assert of_public is not None
    assert np.flatnonzero(of_public).tolist() == [1, 2]
    assert leaked(public.images, "private") is leaked(training.images, "training") is None


def test_training_leaves_them_out_and_validation_stays_whole(listed: FaceBatch, tmp_path: Path) -> None:
    data.write(listed, tmp_path / "faces.parquet", "parquet")
    lines: list[str] = []
    recipe = load("b/first", overrides=("data.drop_leaks=true",))
    splits = read_splits(recipe, tmp_path / "faces.parquet", note=lines.append)
    assert splits.train.rows.tolist() == [4, 9]
    assert splits.validation.rows.tolist() == [10, 11, 12, 13]
    assert lines == [
        "8 of 10 training faces left out as leaks: copy of public 2, near copy of public 1, not a face 2, "
        "conflicting labels 2, repeat 1"
    ]


def test_the_check_tells_of_them(listed: FaceBatch, tmp_path: Path) -> None:
    data.write(listed, tmp_path / "faces.parquet", "parquet")
    done = CliRunner().invoke(app, ["data", "check", str(tmp_path / "faces.parquet"), "--json"])
    assert json.loads(done.stdout)["audit"]["leaks"] == {
        "training": {reason: len(rows) for reason, rows in EXPECTED.items()},
        "public": {"copy of training": 1, "near copy of training": 1},
    }
    done = CliRunner().invoke(app, ["data", "check", str(tmp_path / "faces.parquet")])
    assert "conflicting labels" in done.stdout


def test_the_command_writes_both_lists(tmp_path: Path) -> None:
    batch = made_up()
    data.write(batch, tmp_path / "faces.parquet", "parquet")
    done = CliRunner().invoke(
        app, ["data", "leaks", str(tmp_path / "faces.parquet"), "--out", str(tmp_path / "lists"), "--json"]
    )
    counts = json.loads(done.stdout)["hashes"]
    training = read_list(tmp_path / "lists/training.csv", leaks.TRAINING_REASONS)
    assert counts["training"] == {reason: len(hashes) for reason, hashes in training.items()}
    assert training["copy of public"].tolist() == pixel_hashes(batch.images[:1]).tolist()
    assert training["repeat"].tolist() == pixel_hashes(batch.images[4:5]).tolist()
    public = read_list(tmp_path / "lists/public.csv", leaks.PUBLIC_REASONS)
    assert public["copy of training"].tolist() == pixel_hashes(batch.images[:1]).tolist()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hash;reason\n", "line 1: expected the columns hash, reason"),
        ("hash,reason\n12zz,repeat\n", "line 2: '12zz,repeat': expected a hexadecimal hash and one of"),
        ("hash,reason\n12ab,guess\n", "line 2: '12ab,guess'"),
        ("hash,reason\n12ab\n", "line 2: '12ab'"),
    ],
)
def test_damaged_lists(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        read_list(tmp_path / "list.csv", leaks.TRAINING_REASONS)


def test_no_such_list(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no leaks of 'private'.*training, public"):
        leak_reasons(smooth(1, 0), "private")
    with pytest.raises(DataError, match="is missing"):
        read_list(tmp_path / "list.csv", leaks.TRAINING_REASONS)


def test_other_faces_are_on_no_list() -> None:
    assert not leaked_training(smooth(5, 6)).any()
    assert not leaked_public(smooth(5, 6)).any()


def test_figures_without_leaks() -> None:
    faces = face_batch(140)
    rng = np.random.default_rng(4)
    logits = rng.normal(size=(140, 7)).astype(np.float32)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    on_list = rng.random(140) < 0.3
    told = partial(measure, Scores(shares, logits), faces, model="m", dataset="d", split="public")
    found = told(leaks=on_list)
    right = shares.argmax(axis=1) == faces.labels
    assert found.without_leaks is not None
    assert found.without_leaks.n == (~on_list).sum()
    assert found.without_leaks.accuracy == pytest.approx(right[~on_list].mean())
    assert found.to_dict()["without_leaks"]["leaks"] == found.leaks == on_list.sum()
    assert found.without_copies is None
    assert told(leaks=np.zeros(140, bool)).to_dict()["without_leaks"] is None


class TestRealFaces:
    def test_the_shipped_lists_in_number(self, fer2013: FaceBatch) -> None:
        training, public = (fer2013.split(split).images for split in ("training", "public"))
        assert {reason: int(faces.sum()) for reason, faces in leak_reasons(training).items()} == {
            "copy of public": 351,
            "near copy of public": 1747,
            "not a face": 134,
            "conflicting labels": 71,
            "repeat": 977,
        }
        assert int(leaked_training(training).sum()) == 3280
        assert int(leaked_public(public).sum()) == 1138

    def test_all_but_the_near_copies_are_found_anew(self, fer2013: FaceBatch, tmp_path: Path) -> None:
        training, public = fer2013.split("training"), fer2013.split("public")
        near = np.flatnonzero(leak_reasons(training.images)["near copy of public"])
        measured = np.flatnonzero(leak_reasons(public.images, "public")["near copy of training"])
        for split, listed in find_leaks(training, public, near, measured).items():
            write_list(listed, tmp_path / f"{split}.csv")
            shipped = leaks.packaged("data/fer2013_leaks") / f"{split}.csv"
            assert (tmp_path / f"{split}.csv").read_bytes() == shipped.read_bytes()

    @pytest.mark.slow
    def test_near_copies_of_some_public_faces_are_found_anew(self, fer2013: FaceBatch) -> None:
        training, public = fer2013.split("training").images, fer2013.split("public").images[::150]
        found = recrops(public, training)
        assert np.unique(found.left).tolist() == np.flatnonzero(leaked_public(public)).tolist()
        left_out = recrops(public, training, NARROW)
        listed = leak_reasons(training)
        assert (listed["copy of public"] | listed["near copy of public"])[left_out.right].all()
