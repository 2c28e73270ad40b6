"""Files that a map of emotions comes from: confusion matrices and labelled points, in JSON or CSV.

`KINDS` holds every kind; a file's is found by its content. What `open_source` returns is made into the
statistics' own `Confusion` or `Embeddings` by its `make`, for the emotions that are wanted.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, hint
from mien.evaluation.maps import responses
from mien.labels import EMOTIONS, SIX, SYNONYMS, emotion_index

_LABEL_COLUMNS = (["label"], ["emotion"])


class Content(Protocol):
    """What a source file holds.

    name: of the source, for titles and messages. emotions: those of the six that it has, in their order.
    """

    @property
    def name(self) -> str: ...

    @property
    def emotions(self) -> tuple[str, ...]: ...

    def make(self, emotions: Sequence[str]) -> responses.Source:
        """The source for the statistics, of these emotions alone.

        Raises: DataError when an emotion is unknown or not there, or `responses` refuses what is left.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A confusion matrix as it was read: values (R, C), rows truth, the same names for rows and columns."""

    name: str
    names: tuple[str, ...]
    values: NDArray[np.float64]

    @property
    def emotions(self) -> tuple[str, ...]:
        """Those of the six that the matrix names."""
        return tuple(emotion for emotion in SIX if emotion in self.names)

    def make(self, emotions: Sequence[str]) -> responses.Source:
        """The rows and columns of these emotions; rows of others may be empty."""
        if self.values.ndim != 2 or self.values.shape != (len(self.names), len(self.names)):
            # Says what is wrong with the shape or the number of names.
            return responses.confusion(self.values, self.names, self.name)
        for emotion in emotions:
            _check_held(emotion, self.names, f"row of {emotion} in {self.name}")
        # Whether entries count faces shows in whole rows, before columns are dropped.
        filled = [i for i, row in enumerate(self.values) if row.any() or self.names[i] in emotions]
        whole = responses.confusion(
            self.values[np.ix_(filled, filled)], [self.names[i] for i in filled], self.name
        )
        chosen = [self.names.index(emotion) for emotion in emotions]
        return responses.confusion(self.values[np.ix_(chosen, chosen)], emotions, self.name, whole.counted)


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Embeddings as they were read: points (N, D); labels (N,), indices into `EMOTIONS`."""

    name: str
    points: NDArray[np.float64]
    labels: NDArray[np.int64]

    @property
    def emotions(self) -> tuple[str, ...]:
        """Those of the six that label a point."""
        return present(self.labels)

    def make(self, emotions: Sequence[str]) -> responses.Source:
        """The points of these emotions."""
        return responses.embeddings(self.points, self.labels, emotions, self.name)


def present(labels: NDArray[np.int64]) -> tuple[str, ...]:
    """Those of the six that are among the labels (N,), indices into `EMOTIONS`."""
    held = set(np.unique(labels).tolist())
    return tuple(emotion for emotion in SIX if EMOTIONS.index(emotion) in held)


def _check_held(emotion: str, names: Sequence[str], what: str) -> None:
    if emotion not in EMOTIONS:
        raise DataError(f"unknown emotion {emotion!r}: {hint(emotion, EMOTIONS)}")
    if emotion not in names:
        raise DataError(f"no {what}: it has {', '.join(names)}")


@dataclass(frozen=True, slots=True)
class Peek:
    """What is seen of a source before its kind is known.

    value: what its JSON holds, None where it is none. lines: else its lines that hold anything, each with its
    number from 1 and its cells.
    """

    path: Path
    value: Any = None
    lines: tuple[tuple[int, list[str]], ...] = ()

    @property
    def head(self) -> list[str]:
        """The cells of the first line, in lower case."""
        return [cell.lower() for cell in self.lines[0][1]] if self.lines else []


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of source file: how it is recognised by its content, and read.

    read: the file, and the split that is wanted or None.
    """

    description: str
    recognises: Callable[[Peek], bool]
    read: Callable[[Peek, str | None], Content]


def open_source(path: Path, split: str | None = None) -> Content:
    """A source file of any kind but a dataset of faces, which `open_faces` reads.

    split: chooses among the splits of a ledger entry.
    Raises: DataError when the file is of no known kind, or not what its kind promises.
    """
    seen = _peek(path)
    for kind in KINDS.values():
        if kind.recognises(seen):
            return kind.read(seen, split)
    if seen.value is not None:
        told = "; ".join(kind.description for kind in KINDS.values())
        raise DataError(f"{path} is JSON of no known kind: expected {told}")
    raise DataError(f"{path} is no source of a map: expected a dataset of faces; {_described()}")


def _described() -> str:
    return "; ".join(kind.description for kind in KINDS.values())


def _peek(path: Path) -> Peek:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is no source of a map ({error}): expected a dataset of faces; {_described()}"
        ) from error
    if text.lstrip()[:1] in ("{", "["):
        try:
            return Peek(path, json.loads(text))
        except ValueError as error:
            raise DataError(f"{path} does not parse as JSON: {error}") from error
    try:
        return Peek(path, lines=tuple(_lines(text)))
    except csv.Error as error:
        raise DataError(f"{path} does not read as CSV: {error}") from error


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines of a CSV file that hold anything, with their numbers from 1.

    Where spreadsheets write a decimal comma, they put semicolons or tabs between cells.
    """
    rows = text.splitlines()
    mark = max(",;\t", key=rows[0].count) if rows else ","
    reader = csv.reader(rows, delimiter=mark)
    for row in reader:
        cells = [cell.strip() if mark == "," else cell.strip().replace(",", ".") for cell in row]
        if any(cells):
            yield reader.line_num, cells


def _names(values: Iterable[Any], where: str) -> tuple[str, ...]:
    found = []
    for value in values:
        try:
            found.append(EMOTIONS[emotion_index(str(value))])
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
    return tuple(found)


def _array(values: Any, where: str) -> NDArray[np.float64]:
    """Numbers in rows of one length.

    Raises: DataError naming the place.
    """
    try:
        found = np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where} holds what is no table of numbers: expected rows of one length") from error
    return found


def _read_matrix(seen: Peek, split: str | None) -> Content:
    _refuse_split(seen, split)
    return _matrix(seen.value, seen.path.name)


def _matrix(value: dict[str, Any], name: str) -> Table:
    labels = value.get("labels", list(value.get("per_class", ())))
    if not isinstance(labels, list) or not labels:
        raise DataError(f"{name} has a confusion matrix without labels: expected the names of its rows")
    return Table(name, _names(labels, name), _array(value["confusion"], f"the confusion matrix of {name}"))


def _read_entry(seen: Peek, split: str | None) -> Content:
    """A classifier's ledger entry: the confusion matrix of one of its splits."""
    split, figures = _of_split(seen, seen.value["figures"], split)
    if "confusion" not in figures:
        raise DataError(f"{seen.path.name} has no confusion matrix of {split}: expected one in its figures")
    return _matrix(figures, f"{seen.value.get('recipe', seen.path.name)} (confusion on {split})")


def _read_map_entry(seen: Peek, split: str | None) -> Content:
    """The ledger entry of a network that maps faces: the faces that it keeps of one of its splits."""
    split, found = _of_split(seen, seen.value["maps"], split)
    if "points" not in found:
        raise DataError(f"{seen.path.name} has no points of {split}: expected labels and points in its maps")
    name = f"{seen.value.get('recipe', seen.path.name)} (faces of {split} in its entry)"
    return _labelled(found, name)


def _of_split(seen: Peek, held: dict[str, Any], split: str | None) -> tuple[str, dict[str, Any]]:
    """What an entry holds of a split, or of the only one that it has."""
    if split is None:
        if len(held) != 1:
            raise DataError(f"{seen.path.name} has figures of {', '.join(held)}: choose with --split")
        split = next(iter(held))
    if split not in held:
        raise DataError(f"{seen.path.name} has no figures of {split!r}: {hint(split, held)}")
    return split, held[split]


def _read_card(seen: Peek, split: str | None) -> Content:
    """The labelled faces that a card holds to read its network's map by."""
    _refuse_split(seen, split)
    return _labelled(seen.value["map"], f"{seen.value.get('name', seen.path.name)} (faces on its card)")


def _read_points(seen: Peek, split: str | None) -> Content:
    _refuse_split(seen, split)
    return _labelled(seen.value, seen.path.name)


def _read_faces(seen: Peek, split: str | None) -> Content:
    """A list of objects, one a face."""
    _refuse_split(seen, split)
    for number, face in enumerate(seen.value):
        if not isinstance(face, dict) or "point" not in face:
            raise DataError(
                f'{seen.path.name}: entry {number} has no "point": expected objects with label and point'
            )
    return _points([(face.get("label"), face["point"]) for face in seen.value], seen.path.name)


def _labelled(value: dict[str, Any], name: str) -> Points:
    labels, points = value.get("labels"), value.get("points")
    if not isinstance(labels, list) or not isinstance(points, list) or len(labels) != len(points):
        raise DataError(f"{name}: expected labels and points, a list each and as many")
    return _points(list(zip(labels, points, strict=True)), name)


def _points(pairs: Sequence[tuple[Any, Any]], name: str) -> Points:
    """Labelled points; those without a label are left out."""
    known = [(label, point) for label, point in pairs if label not in (None, "")]
    if not known:
        raise DataError(f"no point of {name} has a label: expected the emotion of each face")
    labels = [EMOTIONS.index(label) for label in _names((label for label, _ in known), name)]
    points = _array([point for _, point in known], name)
    if points.ndim != 2 or not points.shape[1]:
        raise DataError(f"{name} has points of shape {points.shape[1:]}: expected a list of numbers each")
    return Points(name, points, np.array(labels, np.int64))


def _numbers(cells: Sequence[str], where: str) -> list[float]:
    found = []
    for cell in cells:
        try:
            # A rate may be written as 12.5 %.
            found.append(float(cell.removesuffix("%")))
        except ValueError as error:
            raise DataError(f"{where}: {cell!r} is no number") from error
    return found


def _read_points_csv(seen: Peek, split: str | None) -> Content:
    _refuse_split(seen, split)
    pairs = []
    for line, cells in seen.lines[1:]:
        where = f"{seen.path.name}, line {line}"
        if len(cells) != len(seen.head):
            raise DataError(f"{where} has {len(cells)} cells: expected {len(seen.head)}")
        pairs.append((cells[0], _numbers(cells[1:], where)))
    return _points(pairs, seen.path.name)


def _read_matrix_csv(seen: Peek, split: str | None) -> Content:
    """First row and first column: emotions; rows are the truth."""
    _refuse_split(seen, split)
    name, (first, head) = seen.path.name, seen.lines[0]
    across = _names(head[1:], f"{name}, line {first}")
    values: list[list[float]] = []
    down: list[str] = []
    for line, cells in seen.lines[1:]:
        where = f"{name}, line {line}"
        down += _names(cells[:1], where)
        if len(cells) != len(across) + 1:
            raise DataError(f"{where} has {len(cells) - 1} numbers: expected {len(across)}, one a column")
        values.append(_numbers(cells[1:], where))
    if len(down) != len(across):
        raise DataError(
            f"the confusion matrix of {name} is not square: {len(down)} rows and {len(across)} columns"
        )
    if sorted(down) != sorted(across):
        strange = next(emotion for emotion in down if emotion not in across or down.count(emotion) > 1)
        raise DataError(
            f"the rows and columns of {name} disagree: a row {strange!r} and the columns {', '.join(across)}"
        )
    order = [across.index(emotion) for emotion in down]
    return Table(name, tuple(down), _array(values, name)[:, order])


def _refuse_split(seen: Peek, split: str | None) -> None:
    if split is not None:
        raise DataError(f"{seen.path.name} knows no splits: --split is of datasets and ledger entries")


def _has(key: str, kind: type) -> Callable[[Peek], bool]:
    """Recognises a JSON object with a key that holds such a thing."""
    return lambda seen: isinstance(seen.value, dict) and isinstance(seen.value.get(key), kind)


KINDS: dict[str, Kind] = {
    "matrix": Kind(
        'JSON with "labels" and "confusion", as mien evaluate --json prints it',
        _has("confusion", list),
        _read_matrix,
    ),
    "points": Kind('JSON with "labels" and "points"', _has("points", list), _read_points),
    "card": Kind("the card of a network that maps faces", _has("map", dict), _read_card),
    "map entry": Kind("the ledger entry of such a network", _has("maps", dict), _read_map_entry),
    "entry": Kind("the ledger entry of a classifier", _has("figures", dict), _read_entry),
    "faces": Kind(
        'a JSON list of objects with "label" and "point"',
        lambda seen: isinstance(seen.value, list),
        _read_faces,
    ),
    "points in CSV": Kind(
        "CSV with the columns label, x, y, …",
        lambda seen: (
            seen.head[:1] in _LABEL_COLUMNS
            and not {SYNONYMS.get(cell, cell) for cell in seen.head[1:]} & set(EMOTIONS)
        ),
        _read_points_csv,
    ),
    "matrix in CSV": Kind(
        "CSV whose first row and first column are emotions, rows the truth",
        lambda seen: len(seen.head) > 1,
        _read_matrix_csv,
    ),
}
"""Every kind of source beside datasets of faces, in the order in which they are tried."""
