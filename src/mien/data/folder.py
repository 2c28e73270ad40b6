"""Kaggle's folder layout: `train/angry/Training_00000000.png`, `test/angry/PublicTest_00028709.png`.

A picture's split is told by its name's prefix (Training_, PublicTest_, PrivateTest_), else by the name of
the folder above the emotion (`train`, `validation`, `public`, `private` …). The folder `test` alone tells
none: Kaggle's holds PublicTest and PrivateTest together, so its files need the prefixes, or the reader must
be told a split. Without folders of splits (`angry/…`) the same holds. Pictures are in the order of the
numbers that end their names.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mien.data.formats import SPLIT_NAMES, USAGE_OF_SPLIT, Format, Reading
from mien.data.pictures import decode_all, encode_png
from mien.errors import DataError, StorageError
from mien.faces import FaceBatch
from mien.labels import EMOTIONS, FERPLUS_CHOICES, SPLITS, emotion_index

_FOLDER_OF_SPLIT = {"training": "train", "public": "test", "private": "test"}
_AMBIGUOUS = "test"
_NOT_PICTURES = {"thumbs.db", "desktop.ini"}


def _emotion(name: str) -> int | None:
    try:
        return emotion_index(name)
    except DataError:
        return None


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(child for child in path.iterdir() if child.is_dir() and not child.name.startswith("."))
    except OSError as error:
        raise DataError(f"cannot read the folder {path}: {error.strerror or error}") from error


def _split_of_folder(name: str) -> int | None:
    return SPLIT_NAMES.get(name.lower())


def recognises(path: Path) -> bool:
    """A folder with folders named as emotions, or with folders of splits that have such folders."""
    if not path.is_dir():
        return False
    children = _folders(path)
    if any(_emotion(child.name) is not None for child in children):
        return True
    return any(
        _emotion(grandchild.name) is not None
        for child in children
        if _split_of_folder(child.name) is not None or child.name.lower() == _AMBIGUOUS
        for grandchild in _folders(child)
    )


def _pictures(path: Path) -> list[tuple[Path, str | None]]:
    """Every picture with the name of its split's folder, if any, in the order of the numbers."""
    found: list[tuple[Path, str | None]] = []
    for child in _folders(path):
        below = _folders(child)
        if _emotion(child.name) is None and below:
            found += [(file, child.name) for folder in below for file in _files(folder)]
        else:
            found += [(file, None) for file in _files(child)]

    def order(item: tuple[Path, str | None]) -> tuple[bool, int, str]:
        number = re.search(r"([0-9]+)$", item[0].stem)
        return number is None, int(number[1]) if number else 0, str(item[0])

    return sorted(found, key=order)


def _files(folder: Path) -> list[Path]:
    try:
        return [
            file
            for file in folder.iterdir()
            if file.is_file() and not file.name.startswith(".") and file.name.lower() not in _NOT_PICTURES
        ]
    except OSError as error:
        raise DataError(f"cannot read the folder {folder}: {error.strerror or error}") from error


def read(path: Path, reading: Reading) -> FaceBatch:
    """Reads every picture; `rows` are positions in the order of the numbers that end their names.

    Raises: DataError when a folder is unreadable, or at the first picture that is bad or tells no emotion
    or split.
    """
    pictures = _pictures(path)
    faults: dict[int, str] = {}
    labels, splits = np.zeros(len(pictures), np.int64), np.zeros(len(pictures), np.int8)
    for row, (file, folder) in enumerate(pictures):
        label = _emotion(file.parent.name)
        split = _split(file, folder, reading.assume_split)
        if label is None:
            faults[row] = f"folder {file.parent.name!r}: expected an emotion ({', '.join(EMOTIONS)})"
        elif split is None:
            faults[row] = (
                f"neither its name ({', '.join(f'{usage}_' for usage in USAGE_OF_SPLIT)}) nor the folder "
                f"{folder or path.name!r} tells its split: rename it, or say with --assume-split"
            )
        else:
            labels[row], splits[row] = label, split
    images, undecodable = decode_all(_contents(pictures, faults), reading.size)
    for row, why in undecodable.items():
        faults.setdefault(row, why)
    reading.bad.add_all(lambda row: str(pictures[row][0]), faults)
    decoded = [image for row, image in enumerate(images) if image is not None and row not in faults]
    kept = np.setdiff1d(np.arange(len(pictures)), list(faults)).astype(np.int64)
    return FaceBatch(
        images=np.stack(decoded) if decoded else np.zeros((0, 0, 0), np.uint8),
        labels=labels[kept],
        splits=splits[kept],
        rows=kept,
        votes=np.zeros((len(kept), len(FERPLUS_CHOICES)), np.uint8),
        source=str(path),
    )


def _contents(pictures: list[tuple[Path, str | None]], faults: dict[int, str]) -> Iterator[bytes | None]:
    """Yields the bytes of one picture after the other; adds those that cannot be read to `faults`."""
    for row, (file, _) in enumerate(pictures):
        try:
            yield file.read_bytes()
        except OSError as error:
            faults.setdefault(row, f"cannot be read ({error.strerror or error})")
            yield None


def _split(file: Path, folder: str | None, assumed: int | None) -> int | None:
    prefix = file.stem.partition("_")[0].lower()
    for name in (prefix, folder or ""):
        if (found := SPLIT_NAMES.get(name.lower())) is not None:
            return found
    return assumed


def write(batch: FaceBatch, path: Path) -> None:
    """Writes one PNG a face, numbered by its position in the batch, so that the order can be read back.

    An earlier dataset of this layout is replaced whole.
    Raises: DataError when the folder exists and holds something else; StorageError when writing fails.
    """
    with _whole(path) as temporary:
        for i, (image, label, split) in enumerate(zip(batch.images, batch.labels, batch.splits, strict=True)):
            folder = temporary / _FOLDER_OF_SPLIT[SPLITS[split]] / EMOTIONS[label]
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{USAGE_OF_SPLIT[split]}_{i:08d}.png").write_bytes(encode_png(image))


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of `path` when the block ends well, and vanishes otherwise."""
    if path.exists() and not (path.is_dir() and (recognises(path) or not any(path.iterdir()))):
        raise DataError(f"{path} holds something else than faces in folders: choose another name")
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial"))
        written = temporary / "new"
        written.mkdir()
        yield written
        if path.exists():
            path.rename(temporary / "old")
        written.rename(path)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another folder"
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


FOLDER = Format(
    name="folder",
    description="folders of pictures, train/angry/Training_1.png, as Kaggle's",
    suffixes=("",),
    recognises=recognises,
    read=read,
    write=write,
)
