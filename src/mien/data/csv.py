"""FER-2013's CSV: `fer2013.csv` (emotion, pixels, Usage) and `icml_face_data.csv` (emotion,  Usage,  pixels).

Columns are found by name in any order, without regard to case and to the blanks in the second file's names.
A row is one line: an emotion 0…6 or its name, 2304 numbers in 0…255 between blanks, and a usage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.data.formats import SPLIT_NAMES, USAGE_OF_SPLIT, Format, Reading, first_bytes
from mien.data.pixel_text import fault, parse_block
from mien.errors import DataError, MissingDependency
from mien.faces import FaceBatch, UInt8
from mien.labels import EMOTIONS, FERPLUS_CHOICES, emotion_index
from mien.storage import atomic

SIDE = 48
"""FER-2013's faces are 48×48 pixels."""

_COLUMNS = ("emotion", "pixels", "usage")
_HEADER_LIMIT = 4096
_LABELS = {str(label): label for label in range(len(EMOTIONS))}
# Large enough to parse by whole arrays, small enough that the temporary arrays stay in tens of megabytes.
_BLOCK = 4 << 20


def _header(path: Path) -> dict[str, str]:
    """The file's own spelling of each of the columns that it has, by the plain name."""
    start = first_bytes(path, _HEADER_LIMIT).removeprefix(b"\xef\xbb\xbf")
    names = start.splitlines()[0].decode("utf-8", "replace").split(",") if start else []
    plain = {name.strip(' "\t').lower(): name for name in names}
    return {name: plain[name] for name in _COLUMNS if name in plain}


def recognises(path: Path) -> bool:
    """A file whose first line names the columns emotion and pixels."""
    return path.is_file() and {"emotion", "pixels"} <= _header(path).keys()


def read(path: Path, reading: Reading) -> FaceBatch:
    """Reads the file block by block, so that 287 MB of text need little more memory than their pixels.

    Raises: DataError when it has no usable header, or at the first bad row.
    """
    header = _header(path)
    if "usage" not in header and reading.assume_split is None:
        raise DataError(f"{path} has no column Usage: say with --assume-split which split its faces are")
    parts = [block.faces(header, reading) for block in _blocks(path, header)]
    if not parts:
        parts = [(np.zeros((0, SIDE * SIDE), np.uint8), *(np.zeros(0, np.int64) for _ in range(3)))]
    pixels, labels, splits, rows = (np.concatenate(column) for column in zip(*parts, strict=True))
    return FaceBatch(
        images=pixels.reshape(-1, SIDE, SIDE),
        labels=labels,
        splits=splits.astype(np.int8),
        rows=rows,
        votes=np.zeros((len(rows), len(FERPLUS_CHOICES)), np.uint8),
        source=str(path),
    )


def _blocks(path: Path, header: dict[str, str]) -> Iterator[_Block]:
    """Yields the file's lines in blocks, in order.

    Raises: DataError when the file cannot be read as lines of fields.
    """
    try:
        import pyarrow as arrow
    except ImportError as error:
        raise MissingDependency(
            "reading a CSV of faces needs pyarrow: install it with pip install 'mien[analysis]'"
        ) from error
    misshapen: dict[int, str] = {}
    next_row = 0
    try:
        for table in _stream(path, list(header.values()), misshapen):
            # Enough candidates for every row of the block, less the numbers that refused lines have taken.
            candidates = np.arange(next_row, next_row + table.num_rows + len(misshapen))
            rows = np.setdiff1d(candidates, list(misshapen))[: table.num_rows]
            next_row = int(rows[-1]) + 1 if len(rows) else next_row
            before = {row: misshapen.pop(row) for row in sorted(misshapen) if row < next_row}
            yield _Block(path, table, rows, before)
        if misshapen:
            yield _Block(path, None, np.zeros(0, np.int64), misshapen)
    except (arrow.ArrowException, OSError) as error:
        raise DataError(
            f"{path} does not read as CSV ({error}): expected lines of emotion,pixels,Usage"
        ) from error


def _stream(path: Path, names: list[str], misshapen: dict[int, str]) -> Any:
    """pyarrow's reader of record batches; it adds lines with a wrong number of fields to `misshapen`."""
    import pyarrow as arrow
    import pyarrow.csv as arrow_csv

    def note(line: Any) -> str:
        # The parser counts lines from 1, and the first one is the header.
        misshapen[line.number - 2] = (
            f"{line.actual_columns} fields: expected {line.expected_columns}; a truncated line looks so"
        )
        return "skip"

    return arrow_csv.open_csv(
        path,
        # Only the single-threaded reader knows the numbers of the lines that it refuses.
        read_options=arrow_csv.ReadOptions(block_size=_BLOCK, use_threads=False),
        # Without quoting, a stray quote spoils one row and not all that follow.
        parse_options=arrow_csv.ParseOptions(
            quote_char=False, ignore_empty_lines=False, invalid_row_handler=note
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types={name: arrow.binary() for name in names},
            include_columns=names,
            strings_can_be_null=False,
        ),
    )


@dataclass(frozen=True, slots=True)
class _Block:
    """Some lines of the file: a record batch, if any, its row numbers, and faults by row, found so far."""

    path: Path
    table: Any
    rows: NDArray[np.int64]
    faults: dict[int, str]

    def faces(self, header: dict[str, str], reading: Reading) -> tuple[Any, ...]:
        """Pixels (G, 2304), labels, splits and rows of the good lines; reports the bad ones."""
        if self.table is None:
            pixels, labels = np.zeros((0, SIDE * SIDE), np.uint8), np.zeros(0, np.int64)
            splits, good = labels, np.zeros(0, np.bool_)
        else:
            blank = self._blank(header)
            labels = self._decode(header["emotion"], _label, blank)
            if "usage" in header:
                splits = self._decode(header["usage"], _split, blank)
            else:
                splits = np.full(len(self.rows), reading.assume_split, np.int64)
            pixels, good = self._pixels(header["pixels"], blank)
        reading.bad.add_all(lambda row: f"{self.path} row {row} (line {row + 2})", self.faults)
        kept = good & ~np.isin(self.rows, list(self.faults))
        return pixels[kept[good]], labels[kept], splits[kept], self.rows[kept]

    def _blank(self, header: dict[str, str]) -> NDArray[np.bool_]:
        """(N,) bool: lines without content, which are no rows."""
        lengths = sum(np.diff(_offsets(self.table[name])) for name in header.values())
        blank: NDArray[np.bool_] = np.asarray(lengths == 0)
        return blank

    def _decode(self, name: str, meaning: Any, blank: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Looks each distinct text of a column up once; a text without meaning is a fault of its rows."""
        coded = self.table[name].dictionary_encode()
        values = np.array([meaning(text) for text in coded.dictionary.to_pylist()], object)
        codes = coded.indices.to_numpy(zero_copy_only=False)
        found = values[codes]
        for at in np.flatnonzero([isinstance(value, str) for value in found] & ~blank):
            self.faults.setdefault(int(self.rows[at]), found[at])
        return np.array([0 if isinstance(value, str) else value for value in found], np.int64)

    def _pixels(self, name: str, blank: NDArray[np.bool_]) -> tuple[UInt8, NDArray[np.bool_]]:
        column = self.table[name]
        text = np.frombuffer(column.buffers()[2] or b"", np.uint8)
        pixels, good = parse_block(text, _offsets(column), SIDE * SIDE)
        for at in np.flatnonzero(~good & ~blank):
            self.faults.setdefault(int(self.rows[at]), fault(column[int(at)].as_py(), SIDE * SIDE))
        return pixels, good


def _offsets(column: Any) -> NDArray[np.int64]:
    """Where each text of a binary array starts in its buffer, and where the last one ends: (N + 1,)."""
    offsets = np.frombuffer(column.buffers()[1], np.int32)
    return offsets[column.offset : column.offset + len(column) + 1].astype(np.int64)


def _text(field: bytes) -> str:
    return field.decode("utf-8", "replace").strip(' "\t')


def _label(field: bytes) -> int | str:
    """A label, or what is wrong with it."""
    text = _text(field)
    if text in _LABELS:
        return _LABELS[text]
    try:
        return emotion_index(text)
    except DataError:
        return f"emotion {text[:40]!r}: expected 0…{len(EMOTIONS) - 1} ({', '.join(EMOTIONS)})"


def _split(field: bytes) -> int | str:
    """A split, or what is wrong with it."""
    text = _text(field)
    return SPLIT_NAMES.get(text.lower(), f"usage {text[:40]!r}: expected {', '.join(USAGE_OF_SPLIT)}")


def write(batch: FaceBatch, path: Path) -> None:
    """Writes what `fer2013.csv` is: its columns, its order, its names.

    Raises: DataError when the faces are not 48×48.
    """
    if batch.images.shape[1:] != (SIDE, SIDE):
        height, width = batch.images.shape[1:]
        raise DataError(
            f"faces of {width}×{height} do not fit FER-2013's CSV: expected {SIDE}×{SIDE}, or another format"
        )
    # Each number with the blank that follows it, and which of these four characters it really has.
    characters = np.array([list(f"{value} ".encode().ljust(4)) for value in range(256)], np.uint8)
    used = np.array([[at <= len(str(value)) for at in range(4)] for value in range(256)])
    with atomic(path) as temporary, temporary.open("wb") as file:
        file.write(b"emotion,pixels,Usage\n")
        for image, label, split in zip(batch.images, batch.labels, batch.splits, strict=True):
            pixels = image.reshape(-1)
            file.write(b"%d," % label)
            file.write(characters[pixels][used[pixels]][:-1].tobytes())
            file.write(b",%s\n" % USAGE_OF_SPLIT[split].encode())


CSV = Format(
    name="csv",
    description="FER-2013's CSV with the columns emotion, pixels, Usage",
    suffixes=(".csv",),
    recognises=recognises,
    read=read,
    write=write,
)
