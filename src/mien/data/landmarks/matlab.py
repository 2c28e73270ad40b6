"""Landmarks in MATLAB files, whatever the variable is called: found by their shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, MissingDependency
from mien.landmark_layout import COUNT


def read_frames(path: Path) -> NDArray[np.float64]:
    """The landmarks (frames, 83, 3) float64 of one file, which must hold one such array.

    An array of 83×3 a frame, in any order of its three axes, or a cell or a field of a structure array whose
    every element is 83×3 or 3×83.
    Raises: DataError when there is none, or several; MissingDependency without scipy.
    """
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise MissingDependency(
            "reading .mat files needs scipy: install it with pip install 'mien[analysis]'"
        ) from error
    try:
        variables = loadmat(path)
    except NotImplementedError as error:
        raise DataError("it is of MATLAB's version 7.3: save it with -v7") from error
    except (OSError, ValueError, TypeError, MatReadError) as error:
        raise DataError(f"it does not read as a MATLAB file ({error})") from error
    found: dict[str, NDArray[np.float64]] = {}
    for name, value in variables.items():
        if not name.startswith("__"):
            found |= _faces(value, name)
    if len(found) != 1:
        held = ", ".join(found) or "none"
        raise DataError(f"expected one array of {COUNT}x3 points a frame, found {held}")
    return next(iter(found.values()))


def _faces(value: Any, name: str) -> dict[str, NDArray[np.float64]]:
    """The arrays of faces in a variable, by their names."""
    if value.dtype.names:
        fields = {f"{name}.{field}": value[field] for field in value.dtype.names}
        return {key: faces for field, each in fields.items() for key, faces in _faces(each, field).items()}
    if value.dtype == object:
        elements = [np.asarray(element) for element in value.reshape(-1)]
        if len(elements) == 1:
            return _faces(elements[0], name)
        turned = [element.T if element.shape == (3, COUNT) else element for element in elements]
        whole = bool(turned) and all(face.shape == (COUNT, 3) and face.dtype.kind in "fiu" for face in turned)
        return {name: np.array(turned, np.float64)} if whole else {}
    points = _numbers(value)
    return {} if points is None else {name: points}


def _numbers(value: NDArray[Any]) -> NDArray[np.float64] | None:
    """An array of numbers as (frames, 83, 3), where it has one axis of 83, one of 3, and at most another."""
    axes = value.shape
    if value.dtype.kind not in "fiu" or axes.count(COUNT) != 1 or axes.count(3) != 1 or len(axes) > 3:
        return None
    last = np.moveaxis(value, (axes.index(COUNT), axes.index(3)), (-2, -1))
    return last.reshape(-1, COUNT, 3).astype(np.float64)
