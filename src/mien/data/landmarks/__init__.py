"""Datasets of faces as 83 landmarks: `read` finds the format by the content, and prepares the faces."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mien.data.formats import BadRows
from mien.data.landmarks.bp4d import BP4D
from mien.data.landmarks.bu3dfe import BU3DFE
from mien.data.landmarks.formats import LandmarkFormat
from mien.data.landmarks.neutral import with_neutrals
from mien.data.landmarks.parquet import FILE, PARQUET, read_parquet, write_parquet
from mien.data.landmarks.preprocessing import prepared, without_faults
from mien.data.landmarks.splits import check_people, split_by_person
from mien.errors import DataError
from mien.landmarks import LandmarkBatch, Triplets

__all__ = [
    "FACES", "FORMATS", "TRIPLETS", "LandmarkFormat", "LandmarkSet", "detect", "prepared", "read",
    "read_parquet", "split_by_person", "with_neutrals", "write", "write_parquet",
]  # fmt: skip

_KNOWN = (PARQUET, BU3DFE, BP4D)

FORMATS: dict[str, LandmarkFormat] = {known.name: known for known in _KNOWN}
"""Every format by name, in the order in which they are tried."""

FACES = FILE
"""The faces in a folder of ours."""

TRIPLETS = "triplets.csv"
"""The triplets beside them, where people or rules judged them."""


@dataclass(frozen=True, slots=True)
class LandmarkSet:
    """A dataset: its faces, prepared, with splits and neutral faces, and the triplets beside them.

    skipped: one line for each face, recording or person that was left out because it was wrong.
    """

    faces: LandmarkBatch
    triplets: Triplets | None = None
    skipped: tuple[str, ...] = ()


def detect(path: Path | str) -> LandmarkFormat | None:
    """The format of landmarks at a file or folder by its content, None where it holds no landmarks.

    Raises: DataError when there is nothing at the path, or it cannot be read.
    """
    path = Path(path)
    try:
        there = path.exists()
        found = next((known for known in FORMATS.values() if known.recognises(path)), None) if there else None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if not there:
        raise DataError(f"no such file or folder: {path}")
    return found


def read(path: Path | str, *, skip_bad: bool = False, split_seed: int = 0) -> LandmarkSet:
    """Reads a dataset in any of `FORMATS`, found by its content: prepared, split, its neutral faces chosen.

    A neutral face that the source itself gives is kept. Triplets are read where they lie beside the faces.
    skip_bad: leave out faces that are wrong, and people without a neutral face, and say in
    `LandmarkBatch.left_out` how many, rather than stop; triplets that name them are left out too.
    split_seed: draws the splits of a source that tells none (`splits.split_by_person`).
    Raises: DataError when there is no readable dataset or no face in it, where a person has faces in two
    splits or a triplet names an absent face, and, unless `skip_bad`, at the first face that is wrong or the
    first person without a neutral one; MissingDependency when the format needs a package that is absent.
    """
    path = Path(path)
    known = detect(path)
    if known is None:
        expected = "; ".join(f"{each.name} ({each.description})" for each in FORMATS.values())
        raise DataError(f"{path} holds no landmarks in a known format: expected {expected}")
    bad = BadRows(skip=skip_bad)
    faces = known.read(path, bad, split_seed)
    check_people(faces)
    usable = prepared(without_faults(faces, bad))
    if usable.neutral is None and len(usable):
        usable = with_neutrals(usable, bad)
    if not len(usable):
        first = f", the first fault: {bad.lines[0]}" if bad.lines else ""
        raise DataError(f"no face could be read from {path}{first}")
    if bad.lines:
        faults = "1 fault" if len(bad.lines) == 1 else f"{len(bad.lines):,} faults"
        line = f"{faults}, the faces left out; the first: {bad.lines[0]}"
        usable = replace(usable, left_out=(*usable.left_out, line))
    return LandmarkSet(usable, _triplets(path, usable, bool(bad.lines)), tuple(bad.lines))


def _triplets(path: Path, faces: LandmarkBatch, partly: bool) -> Triplets | None:
    """Those beside the faces; partly: faces were left out, and with them the triplets that name them."""
    file = path / TRIPLETS
    if not path.is_dir() or not file.is_file():
        return None
    from mien.data.landmarks.triplets import read_triplets

    triplets = read_triplets(file)
    if partly:
        triplets = triplets.within(faces)
    triplets.rows(faces)
    return triplets


def write(dataset: LandmarkSet, folder: Path | str) -> None:
    """Writes a folder of ours: faces.parquet and, where there are any, triplets.csv.

    Raises: StorageError when writing fails; MissingDependency without pyarrow.
    """
    folder = Path(folder)
    write_parquet(dataset.faces, folder / FACES)
    if dataset.triplets is not None:
        from mien.data.landmarks.triplets import write_triplets

        write_triplets(dataset.triplets, folder / TRIPLETS)
