"""What a dataset format is, and how the formats report rows that are wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mien.errors import DataError
from mien.faces import FaceBatch
from mien.labels import SPLITS, USAGES


@dataclass(slots=True)
class BadRows:
    """Collects the rows that are wrong; without `skip` the first one stops the reading.

    lines: one line a row: where it is, what it holds, what was expected.
    """

    skip: bool = False
    lines: list[str] = field(default_factory=list)

    def add(self, where: str, why: str) -> None:
        """Reports one row.

        Raises: DataError with the line, unless bad rows are skipped.
        """
        line = f"{where}: {why}"
        if not self.skip:
            raise DataError(f"{line}; --skip-bad leaves such rows out")
        self.lines.append(line)

    def add_all(self, where: Callable[[int], str], faults: Mapping[int, str]) -> None:
        """Reports faults keyed by row, in the order of the rows."""
        for row in sorted(faults):
            self.add(where(row), faults[row])


@dataclass(frozen=True, slots=True)
class Reading:
    """How a source is to be read.

    bad: where wrong rows are reported.
    assume_split: index into `SPLITS` for faces whose source does not say it; None to refuse them.
    size: side in pixels at which pictures are decoded, as `pictures.squared` makes it; None as they are.
    split_seed: draws the splits of a source that names subjects and no splits.
    """

    bad: BadRows
    assume_split: int | None = None
    size: int | None = None
    split_seed: int = 0


@dataclass(frozen=True, slots=True)
class Format:
    """One dataset format: how it is recognised by its content, read and written.

    suffixes: what the names of its files end with, the usual one first; "" for folders.
    write: None where we only read it.
    keeps: what a round trip preserves beside images, labels, splits and order.
    unsized: its pictures are large and of several sizes, so that they are always read at one size.
    """

    name: str
    description: str
    suffixes: tuple[str, ...]
    recognises: Callable[[Path], bool]
    read: Callable[[Path, Reading], FaceBatch]
    write: Callable[[FaceBatch, Path], None] | None
    keeps: frozenset[str] = frozenset()
    unsized: bool = False


SPLIT_NAMES: dict[str, int] = {
    **{name: SPLITS.index(name) for name in SPLITS},
    **{usage.lower(): SPLITS.index(split) for usage, split in USAGES.items()},
    "train": SPLITS.index("training"),
    "val": SPLITS.index("public"),
    "valid": SPLITS.index("public"),
    "validation": SPLITS.index("public"),
}
"""Names of splits in sources, in lower case. `test` is missing: some call public so, some private."""

USAGE_OF_SPLIT: tuple[str, ...] = tuple(
    next(usage for usage, split in USAGES.items() if split == name) for name in SPLITS
)
"""FER-2013's name of each of `SPLITS`."""


def first_bytes(path: Path, count: int) -> bytes:
    """The first bytes of a file, fewer where it is shorter; empty for a folder.

    Raises: DataError when the file cannot be read.
    """
    if path.is_dir():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
