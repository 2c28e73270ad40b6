"""HDF5: the whole dataset in one file that every language reads.

Datasets, one row a face: `images` (N, H, W) uint8 grey · `labels` (N,) int64, indices into the attribute
`emotions` · `splits` (N,) int8, indices into the attribute `splits` · `votes` (N, 10) uint8, counts in the
order of the attribute `vote_choices`, all zero where unknown · `rows` (N,) int64, each face's row in the
source that the file was written from · `subjects` (N,) text, who each face shows; absent where the source
names none. Attribute `format` is "mien faces", `version` is 1.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.formats import Format, Reading, first_bytes
from mien.errors import DataError, MissingDependency
from mien.faces import FaceBatch
from mien.labels import EMOTIONS, FERPLUS_CHOICES, SPLITS
from mien.storage import atomic

_MAGIC = b"\x89HDF\r\n\x1a\n"
_KIND = "mien faces"
_VERSION = 1
_DATASETS = {"images": np.uint8, "labels": np.int64, "splits": np.int8, "votes": np.uint8, "rows": np.int64}
_ORDERS = {"emotions": EMOTIONS, "splits": SPLITS, "vote_choices": FERPLUS_CHOICES}
_FACES_PER_CHUNK = 256


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise MissingDependency(
            "reading and writing HDF5 needs h5py: install it with pip install 'mien[analysis]'"
        ) from error
    return h5py


def recognises(path: Path) -> bool:
    """A file that starts as HDF5 does."""
    return first_bytes(path, len(_MAGIC)) == _MAGIC


def read(path: Path, reading: Reading) -> FaceBatch:
    """Reads the file; `rows` are as stored.

    Raises: DataError when it is truncated, of another layout or of another order of emotions, or at the first
    face whose label or split does not exist.
    """
    h5py = _h5py()
    try:
        with h5py.File(path, "r") as file:
            _check_layout(path, file, h5py)
            columns = {name: file[name][...] for name in _DATASETS}
            subjects = file["subjects"].asstr()[...].astype(np.str_) if "subjects" in file else None
    except (OSError, RuntimeError, KeyError) as error:
        raise DataError(
            f"{path} does not read as HDF5 ({error}): it may be truncated, write it again"
        ) from error
    faults: dict[int, str] = {}
    for name, limit in (("labels", len(EMOTIONS)), ("splits", len(SPLITS))):
        for row in np.flatnonzero((columns[name] < 0) | (columns[name] >= limit)):
            faults.setdefault(int(row), f"{name} {columns[name][row]}: expected 0…{limit - 1}")
    reading.bad.add_all(lambda row: f"{path} row {row}", faults)
    kept = np.setdiff1d(np.arange(len(columns["images"])), list(faults))
    return FaceBatch(
        **{name: column[kept].astype(_DATASETS[name]) for name, column in columns.items()},
        source=str(path),
        subjects=None if subjects is None else subjects[kept],
    )


def _check_layout(path: Path, file: Any, h5py: Any) -> None:
    """Raises: DataError when a dataset or attribute is missing, or stands for another order of names."""
    there = all(hasattr(file.get(name), "dtype") for name in _DATASETS)
    if not there or file.attrs.get("format") != _KIND:
        raise DataError(
            f"{path} is HDF5 of another layout (it holds {', '.join(file) or 'nothing'}): "
            f"expected the attribute format {_KIND!r} and the datasets {', '.join(_DATASETS)}"
        )
    if file.attrs.get("version") != _VERSION:
        raise DataError(f"{path} has layout version {file.attrs.get('version')}: expected {_VERSION}")
    for name, order in _ORDERS.items():
        stored = tuple(np.atleast_1d(file.attrs.get(name, ())).tolist())
        if stored != order:
            raise DataError(
                f"{path} has the {name} {', '.join(map(str, stored))}: expected {', '.join(order)}"
            )
    for name, dtype in _DATASETS.items():
        wide = name not in ("images", "votes") and file[name].dtype.kind in "iu"
        if file[name].dtype != dtype and not wide:
            raise DataError(f"{path} has {name} of type {file[name].dtype}: expected {np.dtype(dtype)}")
    if "subjects" in file and h5py.check_string_dtype(file["subjects"].dtype) is None:
        raise DataError(f"{path} has subjects of type {file['subjects'].dtype}: expected text")
    shapes = {name: file[name].shape for name in (*_DATASETS, "subjects") if name in file}
    faces = shapes["images"][:1]
    expected = {
        **{name: faces for name in shapes if name != "images"},
        "votes": (*faces, len(FERPLUS_CHOICES)),
    }
    for name, shape in expected.items():
        if shapes[name] != shape or len(shapes["images"]) != 3:
            raise DataError(f"{path} has {name} of {shapes[name]} beside images of {shapes['images']}")


def write(batch: FaceBatch, path: Path) -> None:
    """Writes one file, the images compressed without loss."""
    h5py = _h5py()
    # Through memory: the HDF5 library crashes the whole process when the disk is full as it closes a file.
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["format"], file.attrs["version"] = _KIND, _VERSION
        for name, order in _ORDERS.items():
            file.attrs[name] = list(order)
        chunk = (min(len(batch), _FACES_PER_CHUNK), *batch.images.shape[1:])
        file.create_dataset("images", data=batch.images, chunks=chunk, compression="gzip", shuffle=False)
        for name in ("labels", "splits", "votes", "rows"):
            file.create_dataset(name, data=getattr(batch, name))
        if batch.subjects is not None:
            file.create_dataset("subjects", data=batch.subjects.tolist(), dtype=h5py.string_dtype())
    with atomic(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


HDF5 = Format(
    name="hdf5",
    description="HDF5 file with images, labels, splits, votes and rows",
    suffixes=(".h5", ".hdf5"),
    recognises=recognises,
    read=read,
    write=write,
    keeps=frozenset({"votes", "rows", "subjects"}),
)
