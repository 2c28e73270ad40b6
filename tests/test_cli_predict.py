"""`mien predict` in a real process: the contract of its output, and bad input."""

from __future__ import annotations

import csv
import io
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.labels import EMOTIONS
from tiny_network import reference, write_network

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("network") / "tiny.onnx")


@pytest.fixture
def run(network: Path, tmp_path: Path) -> Run:
    """Runs `mien predict` in a folder of its own, with the small network and no fetched detector."""

    def call(*arguments: object, model: object = network) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mien", "predict", "--model", str(model), *map(str, arguments)]
        environment = os.environ | {"MIEN_CACHE": str(tmp_path / "cache"), "COLUMNS": "200"}
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120, check=False
        )

    return call


@pytest.fixture(scope="module")
def astronaut() -> Image.Image:
    data = pytest.importorskip("skimage.data", reason="the photograph comes with scikit-image")
    return Image.fromarray(data.astronaut())


def face(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (48, 48), np.uint8)


def save(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(face(seed)).save(path)
    return path


def one_line(text: str) -> str:
    assert text.count("\n") == 1
    assert text.startswith("mien: ")
    assert "Traceback" not in text
    return text


def test_json_follows_the_contract(run: Run, tmp_path: Path, astronaut: Image.Image) -> None:
    astronaut.save(tmp_path / "a.jpg")
    done = run("a.jpg", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (found,) = json.loads(done.stdout)
    assert list(found) == [
        "source", "frame", "time_s", "face", "box", "detection", "label", "confidence", "unsure", "emotions",
        "could_be", "familiar",
    ]  # fmt: skip
    assert (found["source"], found["frame"], found["time_s"], found["face"]) == ("a.jpg", None, None, 0)
    x, y, width, height = found["box"]
    assert x < 226 < x + width
    assert y < 117 < y + height
    assert 0 <= found["detection"] <= 1
    assert list(found["emotions"]) == list(EMOTIONS)
    assert sum(found["emotions"].values()) == pytest.approx(1, abs=1e-3)
    assert found["label"] == max(found["emotions"], key=found["emotions"].get)
    assert found["confidence"] == found["emotions"][found["label"]]
    assert isinstance(found["unsure"], bool)


def test_crops_are_read_as_they_are(run: Run, tmp_path: Path) -> None:
    for seed in range(3):
        save(tmp_path / "faces" / f"{seed}.png", seed)
    found = json.loads(run("faces", "--crop", "--json").stdout)
    read = [list(each["emotions"].values()) for each in found]
    expected = reference(np.stack([face(seed) for seed in range(3)]))[0]
    np.testing.assert_allclose(read, expected, atol=1e-4)
    assert [each["source"] for each in found] == [str(Path("faces") / f"{seed}.png") for seed in range(3)]
    assert {tuple(each["box"]) for each in found} == {(0, 0, 48, 48)}


def test_a_picture_without_a_face_is_no_error(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (200, 150), "navy").save(tmp_path / "blank.png")
    done = run("blank.png", "--json")
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, [], "")
    done = run("blank.png")
    assert (done.returncode, done.stdout) == (0, "no face in 1 picture\n")


def test_the_table_names_faces_and_marks_unsure_ones(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "[red]x.png")
    sure = reference(face()[None])[0][0]
    label = EMOTIONS[int(sure.argmax())]
    for threshold, expected in ((0.0, f" {label} "), (1.0, f" {label}? ")):
        network = write_network(tmp_path / "n.onnx", unsure_below=threshold)
        done = run("[red]x.png", "--crop", model=network)
        assert done.returncode == 0
        assert "[red]x.png" in done.stdout
        assert expected in done.stdout
        assert f"{sure.max():.0%}" in done.stdout


def test_csv_holds_what_json_holds(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "a, b.png")
    done = run("a, b.png", "--crop", "--json", "--csv", "out/t.csv")
    (found,) = json.loads(done.stdout)
    (row,) = csv.DictReader(io.StringIO((tmp_path / "out" / "t.csv").read_text(encoding="utf-8")))
    assert row["source"] == "a, b.png"
    assert [int(row[key]) for key in ("x", "y", "width", "height")] == found["box"]
    assert {name: float(row[name]) for name in EMOTIONS} == found["emotions"]
    assert row["label"] == found["label"]
    assert row["unsure"] == str(found["unsure"])
    assert row["frame"] == ""
    assert (found["could_be"], row["could_be"]) == (None, "")


def test_what_a_face_could_be_is_told_everywhere(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    p = reference(face()[None])[0][0]
    first, second, third = np.argsort(-p)[:3]
    promise = {"coverage": 0.8, "threshold": float(p[second] + p[third]) / 2}
    strange = {"share": 0.9, "energy": -1000.0}
    network = write_network(tmp_path / "n.onnx", conformal=promise, familiar=strange)
    done = run("a.png", "--crop", "--json", "--csv", "t.csv", model=network)
    (found,) = json.loads(done.stdout)
    assert found["could_be"] == [EMOTIONS[first], EMOTIONS[second]]
    assert (found["unsure"], found["familiar"]) == (True, False)
    (row,) = csv.DictReader(io.StringIO((tmp_path / "t.csv").read_text(encoding="utf-8")))
    assert row["could_be"] == f"{EMOTIONS[first]}|{EMOTIONS[second]}"
    assert row["familiar"] == "False"
    assert f" {EMOTIONS[first]} or {EMOTIONS[second]} " in run("a.png", "--crop", model=network).stdout


def bomb() -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


def truncated() -> bytes:
    stream = io.BytesIO()
    Image.effect_noise((300, 300), 80).save(stream, "JPEG")
    return stream.getvalue()[:9000]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"Dear diary, today", "not a picture"),
        (truncated(), "truncated"),
        (bomb(), "million pixels"),
    ],
    ids=["missing", "empty", "text", "truncated", "bomb"],
)
def test_a_bad_picture_is_one_line_and_code_2(
    run: Run, tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "bad.jpg").write_bytes(content)
    for flags in (["--json"], [], ["--csv", "t.csv"]):
        done = run("bad.jpg", *flags)
        line = one_line(done.stderr)
        assert (done.returncode, done.stdout) == (2, "")
        assert "bad.jpg" in line
        assert words in line
    assert not (tmp_path / "t.csv").exists()


def test_one_bad_picture_among_good_ones(run: Run, tmp_path: Path) -> None:
    for number in range(30):
        save(tmp_path / "many" / f"{number:02}.png", number)
    (tmp_path / "many" / "13.png").write_bytes(truncated())
    done = run("many", "--crop", "--json")
    assert done.returncode == 1
    assert "13.png" in one_line(done.stderr)
    assert len(json.loads(done.stdout)) == 29
    done = run("many/01.png", "many/13.png", "nowhere.png", "--crop", "--json")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 2
    assert len(json.loads(done.stdout)) == 1


def test_a_folder_of_bad_pictures_gives_valid_json(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"x")
    done = run("bad", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (1, [])
    one_line(done.stderr)


def test_an_empty_folder_an_unknown_network_and_detector(run: Run, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    save(tmp_path / "a.png")
    for arguments, model, words in (
        (["none"], None, "no picture in the folder none"),
        (["a.png"], "no_such", "unknown network 'no_such'"),
        (["a.png", "--detector", "nose"], None, "unknown detector 'nose'"),
        (["a.png", "--detector", "blazeface"], None, "mien fetch blazeface"),
    ):
        done = run(*arguments, **({"model": model} if model else {}))
        assert done.returncode == 2
        assert words in one_line(done.stderr)


def test_no_source_is_a_usage_error(run: Run) -> None:
    done = run()
    assert done.returncode == 2
    one_line(done.stderr)


def test_annotated_pictures_overwrite_nothing(run: Run, tmp_path: Path) -> None:
    sources = [
        save(tmp_path / name, seed)
        for seed, name in enumerate(("a/x.png", "b/x.png", "b/x.bmp", "b/x_mien.png", "b/deep/x.jpg"))
    ]
    before = [source.read_bytes() for source in sources]
    done = run("a", "b", "a/x.png", "--crop", "--out", "new")
    assert done.returncode == 0, done.stderr
    assert "wrote 5 annotated pictures to new" in done.stderr
    made = sorted((tmp_path / "new").rglob("*.*"))
    names = [path.relative_to(tmp_path / "new").as_posix() for path in made]
    assert names == ["deep/x_mien.jpg", "x_mien-2.png", "x_mien-3.png", "x_mien.png", "x_mien_mien.png"]
    for path in made:
        with Image.open(path) as image:
            assert image.size == (48, 48)
    done = run("a", "b/x_mien.png", "--crop", "--out", "b")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "b" / "x_mien-2.png").is_file()
    assert [source.read_bytes() for source in sources] == before


def test_a_folder_for_annotated_pictures_inside_the_source_is_not_read(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "in" / "x.png")
    for _ in range(2):
        done = run("in", "--crop", "--out", "in/marked", "--json")
        assert len(json.loads(done.stdout)) == 1
    assert [path.name for path in (tmp_path / "in" / "marked").iterdir()] == ["x_mien.png"]


@pytest.mark.parametrize("flag", ["--out", "--csv"])
def test_a_place_that_cannot_be_written_is_one_line_and_code_1(run: Run, tmp_path: Path, flag: str) -> None:
    save(tmp_path / "x.png")
    (tmp_path / "file").write_text("in the way")
    done = run("x.png", "--crop", flag, "file/below")
    assert done.returncode == 1
    assert "file" in one_line(done.stderr)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_what_may_not_be_read_is_named(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "good" / "x.png")
    (tmp_path / "good" / "shut").mkdir(mode=0)
    try:
        done = run("good", "--crop", "--json")
        assert done.returncode == 1
        assert "shut" in one_line(done.stderr)
        assert len(json.loads(done.stdout)) == 1
        done = run("good/shut", "--json")
        assert (done.returncode, done.stdout) == (2, "")
        one_line(done.stderr)
    finally:
        (tmp_path / "good" / "shut").chmod(0o700)


def test_names_that_are_no_text_are_printed(run: Run, tmp_path: Path) -> None:
    try:
        raw = Path(os.fsdecode(os.fsencode(str(tmp_path)) + b"/\xff.png"))
        save(raw)
    except (OSError, ValueError):
        pytest.skip("this file system has no such names")
    for flags in ([], ["--json"], ["--csv", "t.csv"]):
        done = run(tmp_path, "--crop", *flags)
        assert done.returncode == 0, done.stderr
