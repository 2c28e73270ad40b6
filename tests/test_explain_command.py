"""`mien explain` and `mien explanations` in real processes, and what wrong words cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.cli import extras
from mien.cli.app import main
from mien.explain.regions import REGIONS
from synthetic import face_batch

pytest.importorskip("torch")
pytest.importorskip("captum")


def mien(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"MIEN_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mien", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=folder, timeout=300, check=False
    )


@pytest.fixture
def face(tmp_path: Path) -> Path:
    Image.fromarray(face_batch(7).images[3]).save(tmp_path / "face.png")
    return tmp_path / "face.png"


@pytest.mark.slow
def test_faces_give_shares_and_pictures(tmp_path: Path, face: Path) -> None:
    methods = ("--method", "grad_cam", "--method", "region_occlusion")
    done = mien(
        tmp_path, "explain", face.name, "--crop", *methods, "--target", "anger", "--json", "--out", "o"
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["method"] for row in rows] == ["grad_cam", "region_occlusion"]
    for row in rows:
        assert (row["target"], row["regions"], row["source"]) == ("angry", "template", "face.png")
        assert list(row["share"]) == list(row["density"]) == list(REGIONS)
        held = [value for value in row["share"].values() if value is not None]
        assert not held or sum(held) == pytest.approx(1, abs=1e-3)
    assert done.stderr == "wrote 1 picture to o\n"
    with Image.open(tmp_path / "o" / "face_explained.png") as drawn:
        assert drawn.width > drawn.height


@pytest.mark.slow
def test_a_picture_without_a_face_is_no_error(tmp_path: Path) -> None:
    Image.new("RGB", (120, 90), "navy").save(tmp_path / "blank.png")
    done = mien(tmp_path, "explain", "blank.png", "--detector", "haar", "--method", "grad_cam")
    assert (done.returncode, done.stdout, done.stderr) == (0, "no face in 1 picture\n", "")


def said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    found = capsys.readouterr()
    return int(stopped.value.code or 0), found.out, found.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("explain", "face.png", "--method", "gradcam"),
            "unknown method 'gradcam': did you mean 'grad_cam'?",
        ),
        (("explain", "face.png", "--target", "hapy"), "unknown emotion 'hapy': did you mean 'happy'?"),
        (("explain", "face.png", "--model", "siamese_conv"), "'mien embed' serves this one"),
        (("explain", "absent.png", "--crop", "--method", "grad_cam"), "absent.png"),
        (("explanations", "draw", "absent.json", "--out", "a.png"), "expected what 'mien explanations"),
        (("explanations", "template", "--data", "absent", "--out", "t.json"), "mien fetch facemesh"),
        (
            ("explanations", "measure", "conv_net", "--data", "absent", "--out", "t.json"),
            "no such file or folder: absent",
        ),
    ],
)
def test_wrong_words_cost_one_line(
    arguments: tuple[str, ...],
    message: str,
    face: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    code, out, err = said(monkeypatch, capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("mien: ")
    assert err.count("\n") == 1
    assert message in err
    assert [path.name for path in tmp_path.iterdir()] == [face.name]


def test_without_captum_a_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "captum" else found(name))
    code, out, err = said(monkeypatch, capsys, "explain", "face.png")
    assert (code, out) == (2, "")
    assert err == "mien: this command needs captum: install it with pip install 'mien[train]'\n"


@pytest.mark.slow
def test_pictures_are_named_beside_each_other(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, number in (("a.png", 0), ("a.jpg", 1)):
        Image.fromarray(np.repeat(face_batch(7).images[number][..., None], 3, 2)).save(tmp_path / "in" / name)
    done = mien(tmp_path, "explain", "in", "--crop", "--method", "saliency", "--out", "o")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == [
        "a_explained-2.png", "a_explained.png",
    ]  # fmt: skip
    assert "saliency" in done.stdout
