"""Fetching: pinned checksums, one-line failures, and the real thing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mien import fetching
from mien.errors import FetchError, ModelError
from mien.fetching import Fetchable, Member

MODEL, LICENCE = b"the model", b"the licence"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing/model.bin", MODEL)
        archive.writestr("thing-1.0.dist-info/LICENSE", LICENCE)
        archive.writestr("thing/setup.py", "raise SystemExit('nothing of a wheel is run')")
    return path


@pytest.fixture
def thing(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fetchable:
    made = Fetchable(
        "thing", "a thing", "MIT", "thing", "1.0", sha256(wheel.read_bytes()),
        (
            Member("thing/model.bin", "model.bin", len(MODEL), sha256(MODEL)),
            Member("thing-1.0.dist-info/LICENSE", "LICENSE", len(LICENCE), sha256(LICENCE)),
        ),
    )  # fmt: skip
    monkeypatch.setitem(fetching.FETCHABLES, "thing", made)
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    return made


def test_a_wheel_is_unpacked_once_and_mended_when_damaged(thing: Fetchable, wheel: Path) -> None:
    assert not fetching.is_present("thing")
    assert fetching.fetch("thing", wheel)
    assert fetching.file_of("thing").read_bytes() == MODEL
    assert sorted(path.name for path in thing.folder.iterdir()) == ["LICENSE", "model.bin"]
    assert not fetching.fetch("thing", wheel.with_name("is not even looked at"))
    fetching.file_of("thing").write_bytes(MODEL[::-1])
    assert fetching.is_present("thing")
    assert not fetching.is_intact("thing")
    assert fetching.fetch("thing", wheel)
    assert fetching.is_intact("thing")


def test_another_wheel_leaves_nothing_behind(thing: Fetchable, wheel: Path) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("more", b"")
    with pytest.raises(FetchError, match="expected"):
        fetching.fetch("thing", wheel)
    assert not thing.folder.exists()


def test_a_changed_member_is_refused(thing: Fetchable, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = dataclasses.replace(thing.members[0], sha256=sha256(b"another"))
    other = dataclasses.replace(thing, members=(changed, thing.members[1]))
    monkeypatch.setitem(fetching.FETCHABLES, "thing", other)
    with pytest.raises(FetchError, match=r"thing/model\.bin has the sha256"):
        fetching.fetch("thing", wheel)
    assert not thing.folder.exists()


def test_what_is_no_wheel_is_refused(
    thing: Fetchable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FetchError, match="cannot read"):
        fetching.fetch("thing", tmp_path / "nowhere.whl")
    text = tmp_path / "text.whl"
    text.write_text("no archive")
    monkeypatch.setitem(
        fetching.FETCHABLES, "thing", dataclasses.replace(thing, wheel_sha256=sha256(text.read_bytes()))
    )
    with pytest.raises(FetchError, match="not a zip file"):
        fetching.fetch("thing", text)


def test_pip_without_a_network_gives_one_line(thing: Fetchable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(FetchError, match="No matching distribution") as caught:
        fetching.fetch("thing")
    assert "--wheel" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_python_without_pip_gives_one_line(
    thing: Fetchable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(empty)], check=True)
    python = empty / ("Scripts" if os.name == "nt" else "bin") / "python"
    monkeypatch.setattr(fetching.sys, "executable", str(python))
    with pytest.raises(FetchError, match="has no pip"):
        fetching.fetch("thing")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ModelError, match="'blazface': did you mean 'blazeface'"):
        fetching.fetch("blazface")


def mien(cache: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mien", "fetch", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"MIEN_CACHE": str(cache)} | environment,
        check=False,
    )


def test_the_command_lists_and_refuses(tmp_path: Path) -> None:
    (listed,) = json.loads(mien(tmp_path, "--json").stdout)
    assert listed["name"] == "blazeface"
    assert listed["present"] is False
    assert "not here: mien fetch blazeface" in mien(tmp_path).stdout
    done = mien(tmp_path, "nothing")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    done = mien(tmp_path, "blazeface", PIP_NO_INDEX="1")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_blazeface_is_brought_and_finds_the_astronaut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pytest.importorskip("skimage.data", reason="the photograph comes with scikit-image")
    done = mien(tmp_path, "blazeface")
    if done.returncode and "sha256" not in done.stderr:
        pytest.skip(f"the index cannot be reached: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert "is now at" in done.stdout
    again = json.loads(mien(tmp_path, "blazeface", "--json", PIP_NO_INDEX="1").stdout)
    assert (again["present"], again["brought"]) == (True, False)
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    from mien.inference.detectors import make_detector

    detector = make_detector()
    assert detector.name == "blazeface"
    (found,) = detector.detect(data.astronaut())
    assert found.score > 0.8
