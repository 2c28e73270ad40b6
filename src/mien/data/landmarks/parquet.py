"""Our own format of landmarks: one parquet file, a face a row; `docs/landmarks.md` lists its columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.data.formats import BadRows, first_bytes
from mien.data.landmarks.formats import LandmarkFormat
from mien.data.landmarks.splits import split_by_person
from mien.errors import DataError, MissingDependency
from mien.labels import EMOTIONS, LANDMARK_SPLITS, emotion_index
from mien.landmark_layout import ACTION_UNITS, COUNT, UNKNOWN_UNIT
from mien.landmarks import UNLABELLED, LandmarkBatch
from mien.storage import atomic

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "faces.parquet"
"""The faces in a folder of ours."""

_MAGIC = b"PAR1"
_KEY = b"mien_landmarks"
_NUMBERS = COUNT * 3
_MOST_DEGREES = 4
_ANGLES = ("pitch", "yaw", "roll")
UNIT_COLUMNS: tuple[str, ...] = tuple(f"AU{unit}" for unit in ACTION_UNITS)
"""The columns of the twelve action units."""


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependency(
            "reading and writing parquet needs pyarrow: install it with pip install 'mien[analysis]'"
        ) from error
    return pyarrow, pyarrow.parquet


def _file(path: Path) -> Path:
    return path / FILE if path.is_dir() else path


def recognises(path: Path) -> bool:
    """A parquet file with the columns `points` and `person`, or a folder that holds it as faces.parquet."""
    file = _file(path)
    if not file.is_file() or first_bytes(file, len(_MAGIC)) != _MAGIC:
        return False
    arrow, parquet = _arrow()
    try:
        return {"points", "person"} <= set(parquet.read_schema(file).names)
    except (arrow.ArrowException, OSError):
        return False


def read_parquet(path: Path | str) -> LandmarkBatch:
    """The faces of a file, or of a folder's faces.parquet, exactly as `write_parquet` was given them.

    `source` is the file. Splits are drawn as by `read` with seed 0 where the file names none.
    Raises: DataError when it is no such file or a value is wrong; MissingDependency without pyarrow.
    """
    return _read(Path(path), BadRows(), 0)


def _read(path: Path, bad: BadRows, split_seed: int) -> LandmarkBatch:
    file = _file(path)
    arrow, parquet = _arrow()
    try:
        table: pa.Table = parquet.read_table(file)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(
            f"{file} does not read as parquet ({error}): it may be truncated, fetch or write it again"
        ) from error
    absent = [name for name in ("points", "person") if name not in table.column_names]
    if absent:
        raise DataError(f"{file} has no column {absent[0]}: expected faces as docs/landmarks.md lists them")
    described = _described(table, file)
    n = len(table)
    names = _texts(table, "name", [f"{row:08d}" for row in range(n)])
    batch = LandmarkBatch(
        points=_points(table, "points", file),
        names=names,
        subjects=_texts(table, "person", [""] * n),
        labels=_codes(table, "emotion", file, UNLABELLED, emotion_index).astype(np.int64),
        degrees=_degrees(table, file),
        units=_units(table, file),
        splits=_codes(table, "split", file, 0, _split).astype(np.int8),
        sequences=_texts(table, "sequence", [""] * n),
        angles=np.stack([_numbers(table, name, 0, file) for name in _ANGLES], axis=1).astype(np.float32),
        neutral=_points(table, "neutral", file) if "neutral" in table.column_names else None,
        source=str(file),
        synthetic=bool(described.get("synthetic", False)),
        left_out=tuple(described.get("left_out", ())),
    )
    named = "split" in table.column_names and table["split"].null_count == 0
    return batch if named or not n else split_by_person(batch, seed=split_seed)


def _described(table: pa.Table, file: Path) -> dict[str, Any]:
    """What the file's metadata say under `mien_landmarks`; nothing where it is not of ours."""
    written = (table.schema.metadata or {}).get(_KEY)
    if written is None:
        return {}
    try:
        described = json.loads(written)
    except ValueError as error:
        raise DataError(f"{file}: its metadata mien_landmarks are no JSON ({error})") from error
    return described if isinstance(described, dict) else {}


def _texts(table: pa.Table, name: str, otherwise: list[str]) -> NDArray[np.str_]:
    values = table[name].to_pylist() if name in table.column_names else otherwise
    return np.array(["" if value is None else str(value) for value in values], np.str_)


def _codes(table: pa.Table, name: str, file: Path, otherwise: int, meaning: Any) -> NDArray[np.int64]:
    """Numbers for a column of names; `otherwise` where it is absent or null."""
    if name not in table.column_names:
        return np.full(len(table), otherwise, np.int64)
    values = table[name].to_pylist()
    try:
        codes = {value: otherwise if value is None else meaning(str(value)) for value in set(values)}
    except DataError as error:
        raise DataError(f"{file} column {name}: {error}") from error
    return np.array([codes[value] for value in values], np.int64)


def _split(name: str) -> int:
    if name not in LANDMARK_SPLITS:
        raise DataError(f"unknown split {name!r}: expected one of {', '.join(LANDMARK_SPLITS)}")
    return LANDMARK_SPLITS.index(name)


def _numbers(table: pa.Table, name: str, otherwise: int, file: Path) -> NDArray[Any]:
    """A column of numbers; `otherwise` where it is absent or null."""
    if name not in table.column_names:
        return np.full(len(table), otherwise)
    import pyarrow.types as kinds
    from pyarrow import compute

    column = table[name]
    if not (kinds.is_integer(column.type) or kinds.is_floating(column.type)):
        raise DataError(f"{file} column {name} is {column.type}: expected numbers")
    filled = compute.fill_null(column, otherwise).combine_chunks()
    return np.asarray(filled.to_numpy(zero_copy_only=False))


def _degrees(table: pa.Table, file: Path) -> NDArray[np.int8]:
    degrees = _numbers(table, "degree", 0, file)
    wrong = np.flatnonzero(~np.isin(degrees, range(_MOST_DEGREES + 1)))
    if len(wrong):
        raise DataError(
            f"{file} row {wrong[0]}: degree is {degrees[wrong[0]]}: expected 1 to {_MOST_DEGREES}, or 0, "
            "neutral or unknown"
        )
    return degrees.astype(np.int8)


def _units(table: pa.Table, file: Path) -> NDArray[np.int8]:
    there = [name for name in UNIT_COLUMNS if name in table.column_names]
    absent = [name for name in UNIT_COLUMNS if name not in table.column_names]
    if there and absent:
        raise DataError(f"{file} has no columns {', '.join(absent)}: expected all twelve or none")
    columns = [_numbers(table, name, UNKNOWN_UNIT, file) for name in UNIT_COLUMNS]
    return np.stack(columns, axis=1).astype(np.int8)


def _points(table: pa.Table, name: str, file: Path) -> NDArray[np.float32]:
    """(N, 83, 3) of a column of lists of 249 numbers."""
    import pyarrow.types as kinds
    from pyarrow import compute

    column = table[name].combine_chunks()
    lists = (kinds.is_list, kinds.is_large_list, kinds.is_fixed_size_list)
    inner = column.type.value_type if any(is_kind(column.type) for is_kind in lists) else None
    if inner is None or not (kinds.is_floating(inner) or kinds.is_integer(inner)):
        raise DataError(f"{file} column {name} is {column.type}: expected lists of {_NUMBERS} numbers")
    lengths = compute.fill_null(compute.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(lengths != _NUMBERS)
    if len(wrong):
        raise DataError(
            f"{file} row {wrong[0]}: {name} holds {lengths[wrong[0]]} numbers: expected {_NUMBERS}, "
            f"x, y and z of {COUNT} points"
        )
    numbers = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(numbers, np.float32).reshape(-1, COUNT, 3)


def write_parquet(batch: LandmarkBatch, path: Path | str) -> None:
    """Writes a batch into one file, whole or not at all; `read_parquet` gives the same back.

    Raises: StorageError when writing fails; MissingDependency without pyarrow.
    """
    arrow, parquet = _arrow()
    points = arrow.list_(arrow.float32(), _NUMBERS)

    def lists(array: NDArray[np.float32]) -> pa.Array:
        return arrow.FixedSizeListArray.from_arrays(arrow.array(array.reshape(-1)), type=points)

    columns: dict[str, Any] = {
        "name": arrow.array(batch.names.tolist(), arrow.string()),
        "person": arrow.array(batch.subjects.tolist(), arrow.string()),
        "split": arrow.array([LANDMARK_SPLITS[split] for split in batch.splits], arrow.string()),
        "emotion": arrow.array(
            [None if label == UNLABELLED else EMOTIONS[label] for label in batch.labels], arrow.string()
        ),
        "degree": arrow.array(batch.degrees),
        "sequence": arrow.array(batch.sequences.tolist(), arrow.string()),
        **{name: arrow.array(batch.units[:, at]) for at, name in enumerate(UNIT_COLUMNS)},
        **{name: arrow.array(batch.angles[:, at]) for at, name in enumerate(_ANGLES)},
        "points": lists(batch.points),
    }
    if batch.neutral is not None:
        columns["neutral"] = lists(batch.neutral)
    described = {
        "format": 1, "synthetic": batch.synthetic, "source": batch.source, "left_out": list(batch.left_out),
    }  # fmt: skip
    table = arrow.table(columns).replace_schema_metadata({_KEY: json.dumps(described)})
    with atomic(Path(path)) as temporary:
        parquet.write_table(table, temporary, compression="zstd")


PARQUET = LandmarkFormat(
    name="parquet",
    description=f"our parquet file of landmarks, or a folder with {FILE}",
    recognises=recognises,
    read=_read,
)
