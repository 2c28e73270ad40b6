"""The pictures that a command is given: found, read one after another, and what cannot be read told of."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mien.errors import ImageError, MienError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class PictureFile(NamedTuple):
    """A file to read, its path relative to the folder that was named, and whether it was named itself."""

    path: Path
    name: Path
    named: bool


class Pictures:
    """The files of all sources, each once; iterating reads them and tells of those that cannot be read.

    outside: a folder that is not looked into, such as where results go.
    files: what was found. read: how many pictures were read so far. failures: how many files and folders
    could not be.
    """

    def __init__(self, sources: list[Path], outside: Path | None = None) -> None:
        self.read = 0
        self.failures = 0
        self._named_failures = 0
        self.files = list(self._find(sources, outside).values())

    def __iter__(self) -> Iterator[tuple[PictureFile, NDArray[np.uint8]]]:
        from mien.inference.images import read_picture

        for file in _with_progress(self.files):
            try:
                image = read_picture(file.path)
            except ImageError as error:
                _report(error)
                self.failures += 1
                self._named_failures += file.named
                continue
            self.read += 1
            yield file, image

    @property
    def refused(self) -> bool:
        """Nothing was read, and a source that was named is at fault: the input was bad."""
        return bool(self._named_failures) and not self.read

    def _find(self, sources: list[Path], outside: Path | None) -> dict[Path, PictureFile]:
        from mien.inference.images import find_pictures

        files: dict[Path, PictureFile] = {}
        for source in sources:
            try:
                paths, unreadable = find_pictures(source, outside=outside)
            except ImageError as error:
                _report(error)
                self._named_failures += 1
                self.failures += 1
                continue
            for problem in unreadable:
                _report(problem)
            self.failures += len(unreadable)
            for path in paths:
                named = path == source
                name = Path(path.name) if named else path.relative_to(source)
                files.setdefault(path.resolve(), PictureFile(path, name, named))
        return files


def _with_progress(files: list[PictureFile]) -> Iterator[PictureFile]:
    """The files, with a bar on standard error where that is a terminal and there is more than one."""
    if len(files) < 2 or not sys.stderr.isatty():
        yield from files
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(files)


def _report(error: MienError) -> None:
    print(f"mien: {' '.join(str(error).split())}", file=sys.stderr)


def printable(name: str) -> str:
    """A file's name as it can be printed, also where it is no UTF-8."""
    return name.encode("utf-8", "replace").decode()


def no_face(pictures: int) -> str:
    """The line that says that there is no face."""
    return f"no face in {pictures} picture{'s' * (pictures != 1)}"


def suggest_detector() -> None:
    """Tells people at a terminal, on standard error, that a better detector may be had."""
    from mien.inference.detectors import DETECTORS, available

    preferred = next(iter(DETECTORS.values()))
    if preferred.name not in available() and sys.stderr.isatty():
        print(
            f"faces were found with {available()[0]}; {preferred.name} finds more and invents fewer:"
            f" 'mien fetch {preferred.fetchable}'",
            file=sys.stderr,
        )
