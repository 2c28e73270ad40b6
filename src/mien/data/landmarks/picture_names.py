"""How a face found in a dataset of pictures is called, so that its row and its votes are found again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.faces import FaceBatch
from mien.labels import SPLITS


def picture_names(batch: FaceBatch) -> NDArray[np.str_]:
    """The names (N,) of a dataset's faces: their split and their row in it, from 0, such as training-00012.

    The row is counted as `FaceBatch.rows` counts it: in a folder of several files on from file to file, so
    that landmarks and votes agree where both are read from the same path.
    """
    names = [f"{SPLITS[split]}-{row:05d}" for split, row in zip(batch.splits, batch.rows, strict=True)]
    return np.array(names, np.str_)
