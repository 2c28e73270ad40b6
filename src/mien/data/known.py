"""Published training sets, recognised face by face without having them, by hashes that come with mien.

`mien data hashes PATH --split training --out FILE` writes such a file.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.hashes import pixel_hashes
from mien.errors import DataError
from mien.faces import FaceBatch, UInt8
from mien.labels import SPLITS
from mien.storage import atomic, packaged

_FOLDER = "data/known"


def known_names() -> list[str]:
    """The training sets whose hashes come with mien."""
    return sorted(file.stem for file in packaged(_FOLDER).glob("*.npy"))


def known_hashes(name: str = "fer2013-training") -> NDArray[np.uint64]:
    """(M,) uint64, sorted and unique: `pixel_hashes` of a published training set.

    Raises: DataError when no such set comes with mien.
    """
    file = packaged(_FOLDER) / f"{name}.npy"
    if not file.is_file():
        raise DataError(f"no hashes of {name!r} come with mien: expected one of {', '.join(known_names())}")
    hashes: NDArray[np.uint64] = np.load(file, allow_pickle=False)
    return hashes


def known_copies(images: UInt8, name: str = "fer2013-training") -> NDArray[np.bool_]:
    """(N,) bool: the faces that are pixel copies of one in a published training set.

    Shape: images (N, H, W) uint8, at the size at which the set was published (FER-2013: 48×48).
    Raises: DataError when no such set comes with mien.
    """
    return np.isin(pixel_hashes(images), known_hashes(name))


def copies_of_training(images: UInt8, training: UInt8) -> NDArray[np.bool_]:
    """(N,) bool: the faces that are pixel copies of a training face.

    Shape: images (N, H, W) uint8; training (M, H, W) uint8, the training faces at hand, M may be 0: those of
    FER-2013, which most networks are trained on, are known without them.
    """
    return known_copies(images) | np.isin(pixel_hashes(images), pixel_hashes(training))


def originals(faces: FaceBatch) -> NDArray[np.bool_]:
    """(N,) bool: the first of each training face's copies, and faces of other splits that are none."""
    training = faces.splits == SPLITS.index("training")
    kept = ~copies_of_training(faces.images, faces.images[training])
    first = np.unique(pixel_hashes(faces.images[training]), return_index=True)[1]
    kept[np.flatnonzero(training)[first]] = True
    return kept


def write_hashes(images: UInt8, path: Path) -> int:
    """Writes the sorted unique hashes of the faces as a `.npy` file; returns how many there are."""
    hashes = np.unique(pixel_hashes(images))
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, hashes, allow_pickle=False)
    return len(hashes)
