"""Datasets of faces: `read` finds the format by the content, `write` is its inverse."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mien.data.csv import CSV
from mien.data.folder import FOLDER
from mien.data.formats import BadRows, Format, Reading
from mien.data.hdf5 import HDF5
from mien.data.parquet import PARQUET
from mien.data.pictures import all_squared
from mien.data.posed import KDEF, NIMSTIM, SUBJECTS
from mien.data.subjects import check_subjects
from mien.errors import DataError
from mien.faces import FaceBatch
from mien.labels import SPLITS

__all__ = ["FORMATS", "WRITABLE", "detect", "format_of_name", "read", "write"]

# Pictures with names of their own are told by these, even in folders named as emotions.
_KNOWN = (PARQUET, HDF5, NIMSTIM, KDEF, FOLDER, SUBJECTS, CSV)

FORMATS: dict[str, Format] = {known.name: known for known in _KNOWN}
"""Every format by name, in the order in which they are tried."""

WRITABLE: dict[str, Format] = {name: known for name, known in FORMATS.items() if known.write is not None}
"""The formats that can be written; the others are other people's layouts of pictures."""


def _supported() -> str:
    return "; ".join(f"{known.name} ({known.description})" for known in FORMATS.values())


def detect(path: Path | str) -> tuple[Format, Path]:
    """The format of a file or folder by its content, and where it lies: a folder may hold one such file.

    Raises: DataError when there is nothing at the path, or nothing that a format recognises.
    """
    path = Path(path)
    try:
        there = path.exists()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if not there:
        raise DataError(f"no such file or folder: {path}")
    for known in FORMATS.values():
        if known.recognises(path):
            return known, path
    if path.is_dir():
        inside = [
            (known, file)
            for file in sorted(path.iterdir())
            if file.is_file()
            for known in FORMATS.values()
            if known.recognises(file)
        ]
        if len(inside) == 1:
            return inside[0]
        if inside:
            names = ", ".join(file.name for _, file in inside)
            raise DataError(f"{path} holds several datasets ({names}): name one of them")
    elif not path.stat().st_size:
        raise DataError(f"{path} is empty: expected {_supported()}")
    raise DataError(
        f"{path} is in no known format: expected {_supported()}; or landmarks, as docs/landmarks.md has them"
    )


def format_of_name(path: Path | str) -> str:
    """The name of the format that a file or folder to be written has by its ending.

    Raises: DataError when no format has that ending.
    """
    suffix = Path(path).suffix.lower()
    for known in FORMATS.values():
        if suffix in known.suffixes:
            return known.name
    endings = ", ".join(end or "none (a folder)" for known in FORMATS.values() for end in known.suffixes)
    raise DataError(
        f"{Path(path).name!r} ends as no format does: expected {endings}, or say which with --format"
    )


def read(
    path: Path | str,
    *,
    skip_bad: bool = False,
    assume_split: str | None = None,
    size: int | None = None,
    split_seed: int = 0,
) -> FaceBatch:
    """Reads a dataset in any of `FORMATS`, found by its content.

    skip_bad: leave out rows that are wrong and name them in `FaceBatch.skipped`, rather than stop.
    assume_split: one of `SPLITS`, for faces whose source does not tell theirs.
    size: every face as size×size grey: the largest square in its middle, antialiased where it shrinks,
    bicubic where it grows. None leaves crops as they are, and reads formats whose pictures are large and of
    several sizes (`Format.unsized`) at 48×48.
    split_seed: draws the splits of a source that names subjects and no splits (`subjects.split_by_subject`).
    Raises: DataError when there is no readable dataset at the path or no face in it, where a subject has
    faces in two splits, and, unless `skip_bad`, at the first bad row; MissingDependency when the format needs
    a package that is absent.
    """
    if assume_split is not None and assume_split not in SPLITS:
        raise DataError(f"unknown split {assume_split!r}: expected one of {', '.join(SPLITS)}")
    if size is not None and size < 1:
        raise DataError(f"size {size}: expected a side of at least 1 pixel")
    known, where = detect(path)
    bad = BadRows(skip=skip_bad)
    assumed = None if assume_split is None else SPLITS.index(assume_split)
    try:
        batch = known.read(where, Reading(bad, assumed, size, split_seed))
    except MemoryError as error:
        raise DataError(f"{where} does not fit into memory: read it in parts") from error
    if not len(batch):
        first = f"{len(bad.lines)} bad rows, the first: {bad.lines[0]}" if bad.lines else "it has no rows"
        raise DataError(f"no face could be read from {where}: {'; '.join(batch.left_out) or first}")
    images = batch.images if size is None else all_squared(batch.images, size)
    batch = replace(batch, images=images, source=str(where), skipped=tuple(bad.lines))
    check_subjects(batch)
    return batch


def write(batch: FaceBatch, path: Path | str, format: str) -> None:
    """Writes a dataset in one of `WRITABLE`, whole or not at all.

    Raises: DataError when the format is unknown or cannot hold the batch; StorageError when writing fails.
    """
    writing = WRITABLE[format].write if format in WRITABLE else None
    if writing is None:
        kind = "format that is only read" if format in FORMATS else "unknown format"
        raise DataError(f"{kind} {format!r}: expected one of {', '.join(WRITABLE)}")
    writing(batch, Path(path))
