"""The text files of 83 numbered points in which BU-3DFE and BP4D store landmarks: `.bnd`, `.bndplus`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.landmark_layout import COUNT

_FIELDS = 4
"""A line's number and its x, y and z."""


def read_points(path: Path) -> NDArray[np.float64]:
    """The points of one file: (83, 3) float64 in the order of `landmark_layout`, in the file's unit.

    Each line holds a number, x, y and z between blanks or tabs. Where all numbers are below 84 they are the
    points' own, from 0 or from 1, and order them. Else they are vertices of the scan, as in BU-3DFE, and the
    lines are in order; a vertex may serve two landmarks where lips touch, but not two lines in a row.
    Raises: DataError saying what is wrong: points that are missing or come twice, a field that is no number,
    a coordinate that is not finite. It does not name the file.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from error
    rows = _rows(text, strict=path.suffix.lower() == ".bnd")
    numbers = rows[:, 0]
    if not np.isfinite(rows).all():
        line = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        raise DataError(f"point {line + 1} holds {rows[line, 1:].tolist()}: expected finite coordinates")
    if len(rows) and numbers.max() <= COUNT:
        return rows[_order(numbers), 1:]
    again = np.flatnonzero(numbers[1:] == numbers[:-1])
    if len(again):
        raise DataError(
            f"vertex {numbers[again[0]]:.0f} comes twice in a row: expected {COUNT} points once each"
        )
    if len(rows) != COUNT:
        raise DataError(f"it holds {len(rows)} points: expected {COUNT}")
    return rows[:, 1:]


def _rows(text: str, *, strict: bool) -> NDArray[np.float64]:
    """(lines, 4) of a file; lines of another length are an error where strict, and else passed over."""
    lines = [line for line in (line.split() for line in text.splitlines()) if line]
    if not strict:
        lines = [line for line in lines if len(line) == _FIELDS]
    odd = next((line for line in lines if len(line) != _FIELDS), None)
    if odd is not None:
        raise DataError(f"the line {' '.join(odd)[:60]!r}: expected a number, x, y and z")
    try:
        return np.array(lines, np.float64).reshape(-1, _FIELDS)
    except ValueError as error:
        raise DataError(f"{error}: expected a number, x, y and z on each line") from error


def _order(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    """Where each point's line is, of points numbered from 0 or from 1."""
    whole = numbers.astype(np.int64)
    values, counts = np.unique(whole, return_counts=True)
    if (counts > 1).any():
        raise DataError(f"point {values[counts > 1][0]} comes twice: expected {COUNT} points once each")
    first = 0 if 0 in values else 1
    expected = np.arange(first, first + COUNT)
    missing, strange = np.setdiff1d(expected, values), np.setdiff1d(values, expected)
    if len(missing):
        more = f" and {len(missing) - 1} more are missing" if len(missing) > 1 else " is missing"
        raise DataError(f"point {missing[0]}{more}: expected {COUNT}, numbered from {first}")
    if len(strange):
        raise DataError(f"a point {strange[0]}: expected {COUNT}, numbered from {first}")
    return np.argsort(whole)
