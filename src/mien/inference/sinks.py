"""Where predictions go while they are made: a JSON array, a CSV file, a folder of annotated pictures."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import numpy as np
from numpy.typing import NDArray

from mien import storage
from mien.errors import StorageError
from mien.faces import Prediction
from mien.inference.annotate import annotate

MARK = "_mien"
"""Stands before the suffix of an annotated picture's name."""

_JPEG_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})
_JPEG_LONGEST = 65_500
_COLUMNS = (
    "source", "frame", "time_s", "face", "x", "y", "width", "height", "detection", "label", "confidence",
    "unsure", "could_be", "familiar",
)  # fmt: skip


class JsonArray:
    """One array on a stream, one object a face, written as they come and closed whatever happens."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._opening = "[\n"

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Adds predictions to the array."""
        for prediction in predictions:
            self._stream.write(self._opening + json.dumps(prediction.to_dict(), allow_nan=False))
            self._opening = ",\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        begun = self._opening != "[\n"
        # Where nothing was read and an error is on its way, an empty array would look like an answer.
        if begun or kind is None:
            self._stream.write("\n]\n" if begun else "[]\n")
            self._stream.flush()


class CsvTable:
    """One row a face: the keys of the JSON contract, the box as x, y, width, height, a column an emotion.

    What the face could be stands in one cell, as 'happy|surprise', empty where the network states nothing.

    The file takes its name when the block ends well, so that no half of it is ever read.
    Raises: StorageError when it cannot be written.
    """

    def __init__(self, path: Path, labels: tuple[str, ...]) -> None:
        self._columns = [*_COLUMNS, *labels]
        self._target = storage.atomic(path)

    def __enter__(self) -> Self:
        # File names that are no UTF-8 keep their bytes.
        self._file = self._target.__enter__().open(
            "w", newline="", encoding="utf-8", errors="surrogateescape"
        )
        self._rows = csv.DictWriter(self._file, self._columns)
        self._rows.writeheader()
        return self

    def write(self, predictions: Iterable[Prediction]) -> None:
        """Adds a row for each prediction."""
        for prediction in predictions:
            fields = prediction.to_dict()
            box = dict(zip(("x", "y", "width", "height"), fields.pop("box"), strict=True))
            could_be = {"could_be": "|".join(fields.pop("could_be") or ())}
            self._rows.writerow(fields.pop("emotions") | fields | box | could_be)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._target.__exit__(kind, error, trace)


class Gallery:
    """Annotated pictures in a folder, as the sources lie in theirs; no source is overwritten.

    `photo.jpg` becomes `photo_mien.jpg`; what is not JPEG becomes PNG. A name that is a source's, or that
    an earlier picture of this run has taken, gets a number: `photo_mien-2.jpg`.
    Raises: StorageError when the folder cannot be made or written.
    """

    def __init__(self, folder: Path, sources: Iterable[Path]) -> None:
        self.folder = folder
        self._taken = {_key(source) for source in sources}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make {folder}: {error.strerror}; choose another folder") from error

    def save(self, name: Path, image: NDArray[np.uint8], predictions: list[Prediction]) -> Path:
        """Writes the annotated picture of a source; `name` is its path in its folder. Returns where."""
        small = max(image.shape[:2]) <= _JPEG_LONGEST
        suffix = name.suffix if name.suffix.lower() in _JPEG_SUFFIXES and small else ".png"
        target = self._free(self.folder / name.parent / f"{name.stem}{MARK}", suffix)
        with storage.atomic(target) as temporary:
            drawn = annotate(image, predictions)
            if suffix == ".png":
                drawn.save(temporary, "PNG")
            else:
                drawn.save(temporary, "JPEG", quality=92)
        return target

    def _free(self, stem: Path, suffix: str) -> Path:
        target, number = stem.with_name(stem.name + suffix), 2
        while _key(target) in self._taken:
            target, number = stem.with_name(f"{stem.name}-{number}{suffix}"), number + 1
        self._taken.add(_key(target))
        return target


def _key(path: Path) -> str:
    # Some file systems know no difference between upper and lower case.
    return str(path.resolve()).casefold()
