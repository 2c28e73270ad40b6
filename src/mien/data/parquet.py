"""Parquet files as Hugging Face's `datasets` writes and reads them: pictures as PNG bytes.

Columns: `image` struct{bytes, path} · `label` integer in the order of `EMOTIONS` · `usage` Training,
PublicTest or PrivateTest · `votes` list<uint8>[10] in the order of `FERPLUS_CHOICES`, null where unknown ·
`subject` text, who the face shows, where the source names all.
A folder holds one or more such files; they are joined with the training split first.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.data.formats import SPLIT_NAMES, USAGE_OF_SPLIT, Format, Reading, first_bytes
from mien.data.pictures import decode_all, encode_png
from mien.errors import DataError, MissingDependency
from mien.faces import FaceBatch, UInt8
from mien.labels import EMOTIONS, FERPLUS_CHOICES, SYNONYMS, emotion_index
from mien.storage import atomic

if TYPE_CHECKING:
    import pyarrow as pa

_MAGIC = b"PAR1"
_LABEL_COLUMNS = ("label", "labels", "emotion")


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependency(
            "reading and writing parquet needs pyarrow: install it with pip install 'mien[analysis]'"
        ) from error
    return pyarrow, pyarrow.parquet


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def recognises(path: Path) -> bool:
    """A file that starts as parquet does, or a folder that holds `*.parquet` files."""
    if path.is_dir():
        return any(path.glob("*.parquet"))
    return first_bytes(path, len(_MAGIC)) == _MAGIC


def read(path: Path, reading: Reading) -> FaceBatch:
    """Reads one file, or all of a folder; in a folder `rows` count on from file to file.

    Raises: DataError when a file is no whole parquet file or lacks a column, or at the first bad row.
    """
    parts = [_read_file(file, reading) for file in _files(path)]
    # Training first, so that the rows of FER-2013 in several files are those of its official CSV.
    parts.sort(key=lambda part: int(part[0].splits[0]) if len(part[0]) else len(USAGE_OF_SPLIT))
    counted, start = [], 0
    for batch, total in parts:
        counted.append(replace(batch, rows=batch.rows + start))
        start += total
    filled = [batch for batch in counted if len(batch)] or counted[:1]
    return FaceBatch.concatenate(filled, str(path))


def _read_file(path: Path, reading: Reading) -> tuple[FaceBatch, int]:
    """The faces of one file with their rows in it, and how many rows it has."""
    arrow, parquet = _arrow()
    try:
        table: pa.Table = parquet.read_table(path)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(
            f"{path} does not read as parquet ({error}): it may be truncated, fetch or write it again"
        ) from error
    contents = _picture_column(table, path)
    faults: dict[int, str] = {}
    splits = _splits(table, path, reading.assume_split, faults)
    labels = _labels(table, path, faults)
    votes = _votes(table, faults)
    subjects = _subjects(table)
    images, undecodable = decode_all(contents, reading.size)
    faults |= undecodable
    reading.bad.add_all(lambda row: f"{path} row {row}", faults)
    kept = np.array([row for row in range(len(table)) if row not in faults], np.int64)
    decoded = [image for row, image in enumerate(images) if image is not None and row not in faults]
    batch = FaceBatch(
        images=np.stack(decoded) if decoded else np.zeros((0, 0, 0), np.uint8),
        labels=labels[kept],
        splits=splits[kept],
        rows=kept,
        votes=votes[kept],
        source=str(path),
        subjects=None if subjects is None else subjects[kept],
    )
    return batch, len(table)


def _picture_column(table: pa.Table, path: Path) -> list[bytes | None]:
    import pyarrow.types as kinds

    if "image" not in table.column_names and {"points", "person"} <= set(table.column_names):
        raise DataError(f"{path} holds landmarks: expected pictures; recipes of system E read it")
    if "image" not in table.column_names:
        raise DataError(f"{path} has the columns {', '.join(table.column_names)}: expected image and label")
    column = table["image"].combine_chunks()
    if kinds.is_struct(column.type) and column.type.get_field_index("bytes") >= 0:
        column = column.field("bytes")
    if not (kinds.is_binary(column.type) or kinds.is_large_binary(column.type)):
        raise DataError(f"{path} column image is {column.type}: expected the bytes of pictures")
    contents: list[bytes | None] = column.to_pylist()
    return contents


def _labels(table: pa.Table, path: Path, faults: dict[int, str]) -> NDArray[np.int64]:
    name = next((name for name in _LABEL_COLUMNS if name in table.column_names), None)
    if name is None:
        raise DataError(f"{path} has the columns {', '.join(table.column_names)}: expected image and label")
    meanings = _meanings(table, name)
    labels = np.zeros(len(table), np.int64)
    for row, value in enumerate(table[name].to_pylist()):
        found = meanings.get(value.strip().lower() if isinstance(value, str) else value)
        # A boolean would pass for 0 or 1.
        if found is None or isinstance(value, bool):
            faults[row] = f"label {value!r}: expected {', '.join(map(str, meanings))}"
        else:
            labels[row] = found
    return labels


def _meanings(table: pa.Table, column: str) -> dict[int | str, int]:
    """What each value of the label column stands for in `EMOTIONS`.

    Other people's files may count in another order, which they name in their metadata: `datasets` under
    `huggingface`, ours under `label_names`. Without names, numbers are in the order of `EMOTIONS`.
    """
    import pyarrow.types as kinds

    if not kinds.is_integer(table[column].type):
        return {name: emotion_index(name) for name in (*EMOTIONS, *SYNONYMS)}
    metadata = table.schema.metadata or {}
    names: list[str] = metadata.get(b"label_names", b"").decode("utf-8", "replace").split(",")
    with contextlib.suppress(ValueError, KeyError, TypeError):
        names = json.loads(metadata[b"huggingface"])["info"]["features"][column]["names"]
    if names in ([""], []):
        names = list(EMOTIONS)
    meanings: dict[int | str, int] = {}
    for value, name in enumerate(names):
        with contextlib.suppress(DataError):
            meanings[value] = emotion_index(name)
    return meanings


def _splits(table: pa.Table, path: Path, assumed: int | None, faults: dict[int, str]) -> NDArray[np.int8]:
    """Each row's split: from the column `usage`, else from the file's name, else as assumed."""
    if "usage" not in table.column_names:
        named = next((at for name, at in SPLIT_NAMES.items() if path.stem.lower().startswith(name)), assumed)
        if named is None:
            raise DataError(
                f"{path} has no column usage and its name tells no split: say which with --assume-split"
            )
        return np.full(len(table), named, np.int8)
    splits = np.zeros(len(table), np.int8)
    for row, value in enumerate(table["usage"].to_pylist()):
        found = SPLIT_NAMES.get(str(value).strip().lower(), assumed if value is None else None)
        if found is None:
            faults[row] = f"usage {value!r}: expected {', '.join(USAGE_OF_SPLIT)}"
        else:
            splits[row] = found
    return splits


def _votes(table: pa.Table, faults: dict[int, str]) -> UInt8:
    votes = np.zeros((len(table), len(FERPLUS_CHOICES)), np.uint8)
    if "votes" not in table.column_names:
        return votes
    for row, value in enumerate(table["votes"].to_pylist()):
        if value is None:
            continue
        if len(value) == len(FERPLUS_CHOICES) and all(isinstance(n, int) and 0 <= n <= 255 for n in value):
            votes[row] = value
        else:
            faults[row] = f"votes {value!r}: expected {len(FERPLUS_CHOICES)} counts of 0…255"
    return votes


def _subjects(table: pa.Table) -> NDArray[np.str_] | None:
    """Who the faces show, where the file says it of every face."""
    names = table["subject"].to_pylist() if "subject" in table.column_names else [None]
    return None if None in names else np.array([str(name) for name in names], np.str_)


def write(batch: FaceBatch, path: Path) -> None:
    """Writes one parquet file, null for unknown votes; `datasets` finds pictures and class names in it."""
    arrow, parquet = _arrow()
    known = batch.has_votes
    named = (
        {} if batch.subjects is None else {"subject": arrow.array(batch.subjects.tolist(), arrow.string())}
    )
    picture = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
    table = arrow.table(
        {
            "image": arrow.array(
                [
                    {"bytes": encode_png(image), "path": f"face{i:08d}.png"}
                    for i, image in enumerate(batch.images)
                ],
                picture,
            ),
            # `datasets` gives classes their names only where they are int64.
            "label": arrow.array(batch.labels, arrow.int64()),
            "usage": arrow.array([USAGE_OF_SPLIT[split] for split in batch.splits], arrow.string()),
            "votes": arrow.array(
                [row.tolist() if there else None for row, there in zip(batch.votes, known, strict=True)],
                arrow.list_(arrow.uint8()),
            ),
            **named,
        }
    ).replace_schema_metadata(_metadata(list(named)))
    with atomic(path) as temporary:
        parquet.write_table(table, temporary)


def _metadata(texts: list[str]) -> dict[str, str]:
    """Names of classes and votes, for readers without `datasets` and, in its own key, with it.

    texts: names of further columns of text.
    """
    features = {
        "image": {"_type": "Image"},
        "label": {"_type": "ClassLabel", "names": list(EMOTIONS)},
        "usage": {"_type": "Value", "dtype": "string"},
        "votes": {"_type": "List", "feature": {"_type": "Value", "dtype": "uint8"}},
        **{name: {"_type": "Value", "dtype": "string"} for name in texts},
    }
    return {
        "label_names": ",".join(EMOTIONS),
        "vote_names": ",".join(FERPLUS_CHOICES),
        "huggingface": json.dumps({"info": {"features": features}}),
    }


PARQUET = Format(
    name="parquet",
    description="parquet file, or a folder of them, as Hugging Face's datasets stores pictures",
    suffixes=(".parquet",),
    recognises=recognises,
    read=read,
    write=write,
    keeps=frozenset({"votes", "subjects"}),
)
