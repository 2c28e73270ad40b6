"""Triplets as a CSV file: which of two faces is more like a third, and how many people said so.

Columns `reference,nearer,farther,votes_nearer,votes_farther`: three names of faces, two numbers. A file
of raw answers has `reference,first,second,votes_first,votes_second` instead and is turned by the majority
as it is read; one of questions that no one has answered yet has no votes. Lines before the header that start
with # are notes. docs/triplets.md describes the format.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.landmarks import LandmarkBatch, Text, Triplets
from mien.storage import write_text

QUESTIONS = ("reference", "first", "second")
"""Columns of questions without answers."""

RAW = (*QUESTIONS, "votes_first", "votes_second")
"""Columns of raw answers."""

COLUMNS = ("reference", "nearer", "farther", "votes_nearer", "votes_farther")
"""Columns of judgements."""

MOST_VOTES = int(np.iinfo(np.int16).max)

_NOTE = "#"
_Fault = Callable[[list[str]], str]


def oriented(faces: Text, votes: NDArray[np.int64], source: str = "") -> Triplets:
    """Raw answers as judgements: the face that more people chose comes to be the nearer one.

    faces: (T, 3) names of the reference and of the two to choose from. votes: (T, 2) for each of the two.
    Raises: DataError when as many chose the one as the other, naming the faces.
    """
    tied = np.flatnonzero(votes[:, 0] == votes[:, 1])
    if len(tied):
        reference, first, second = map(str, faces[tied[0]])
        raise DataError(
            f"{source or 'the answers'}: {votes[tied[0], 0]} chose {first!r} and as many {second!r} as more "
            f"like {reference!r}: expected a majority; ask an odd number of people or leave it out"
        )
    swapped = votes[:, 0] < votes[:, 1]
    turned, counts = faces.copy(), votes.astype(np.int16)
    turned[swapped, 1:] = turned[swapped, :0:-1]
    counts[swapped] = counts[swapped, ::-1]
    return Triplets(turned, counts, source)


def read_triplets(path: Path | str) -> Triplets:
    """Reads a file of judgements, or of raw answers, which it turns by the majority.

    Raises: DataError naming file and row (from 0, after the header) when there is no such file, columns are
    missing, a name is empty or comes twice, a number of votes is none, or no majority stands behind a row.
    """
    path = Path(path)
    header, lines = _table(path, {COLUMNS: _judgement, RAW: _answer, QUESTIONS: _unanswered})
    faces = _names([fields[:3] for fields in lines])
    votes = np.array([[int(field) for field in fields[3:]] for fields in lines], np.int64).reshape(-1, 2)
    if header == RAW:
        return oriented(faces, votes, str(path))
    return Triplets(faces, votes.astype(np.int16), str(path))


def write_triplets(triplets: Triplets, path: Path | str, note: str = "") -> None:
    """Writes judgements, which `read_triplets` gives back exactly.

    note: where they came from, for people who open the file; its lines precede the header.
    Raises: DataError when a row has no majority, which no reader would take; StorageError when it cannot.
    """
    tied = np.flatnonzero(triplets.agreement == 0)
    if len(tied):
        raise DataError(
            f"triplet {tied[0]} of {triplets.source or 'the triplets'} has as many votes either way: "
            "expected a majority; leave it out"
        )
    rows = [
        [*names, *votes]
        for names, votes in zip(triplets.faces.tolist(), triplets.votes.tolist(), strict=True)
    ]
    _write(Path(path), COLUMNS, rows, note)


def read_questions(path: Path | str) -> Text:
    """The faces of a file of questions: (T, 3), the reference and the two to choose from.

    Raises: DataError as `read_triplets`; also when the file already holds votes.
    """
    path = Path(path)
    _, lines = _table(path, {QUESTIONS: _question, RAW: _answered, COLUMNS: _answered})
    return _names(lines)


def write_questions(faces: Text, path: Path | str, note: str = "") -> None:
    """Writes questions to ask people: faces (T, 3), the reference and the two to choose from."""
    _write(Path(path), QUESTIONS, faces.tolist(), note)


def check_splits(triplets: Triplets, batch: LandmarkBatch) -> NDArray[np.int64]:
    """Where a batch holds the faces, as `Triplets.rows`: (T, 3) int64.

    Raises: DataError naming a face that the batch does not hold, or the faces of a triplet across splits.
    """
    rows = triplets.rows(batch)
    splits = batch.splits[rows]
    across = np.flatnonzero((splits != splits[:, :1]).any(axis=1))
    if len(across):
        names = ", ".join(map(repr, map(str, triplets.faces[across[0]])))
        raise DataError(
            f"triplet {across[0]} of {triplets.source or 'the triplets'} ({names}) has faces of two "
            "splits: expected all three of one, or the test would be trained on"
        )
    return rows


def _names(rows: Sequence[Sequence[str]]) -> Text:
    return np.array(rows, np.str_).reshape(-1, 3)


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]], note: str) -> None:
    text = io.StringIO()
    for line in note.splitlines():
        text.write(f"{_NOTE} {line}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _table(path: Path, kinds: dict[tuple[str, ...], _Fault]) -> tuple[tuple[str, ...], list[list[str]]]:
    """A file's header and the fields of its rows, in none of which its kind of file finds a fault."""
    lines = _lines(path)
    header = tuple(name.strip().lower() for name in lines[0]) if lines else ()
    if header not in kinds:
        found = ",".join(lines[0]) if lines else ""
        expected = " or ".join(",".join(kind) for kind in list(kinds)[:2])
        raise DataError(f"{path} starts with {found!r}: expected the columns {expected}")
    for row, fields in enumerate(lines[1:]):
        if fault := _misshapen(fields, len(header)) or kinds[header](fields):
            raise DataError(f"{path}, row {row}: {fault}")
    return header, lines[1:]


def _lines(path: Path) -> list[list[str]]:
    """The fields of every line that holds any, from the header on."""
    if not path.is_file():
        raise DataError(f"no such file: {path}: expected triplets as CSV")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
        while text.startswith(_NOTE):
            text = text.partition("\n")[2]
        return [fields for fields in csv.reader(io.StringIO(text, newline=""), strict=True) if fields]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} does not read as CSV in UTF-8 ({error}): expected triplets") from error


def _misshapen(fields: list[str], columns: int) -> str:
    """What is wrong with a row's names, or with how many fields it has; empty where nothing is."""
    if len(fields) != columns:
        return f"{len(fields)} fields: expected {columns}; a name that holds a comma goes in quotes"
    names = fields[:3]
    if not all(names):
        return "a name is empty: expected three names of faces"
    twice = next((name for name in names if names.count(name) > 1), None)
    return f"{twice!r} comes twice: expected three faces" if twice else ""


def _counts(fields: list[str]) -> str:
    for field in fields[3:]:
        if not (field.strip().isascii() and field.strip().isdecimal() and int(field) <= MOST_VOTES):
            return f"{field!r} votes: expected a whole number, 0…{MOST_VOTES}"
    return ""


def _judgement(fields: list[str]) -> str:
    if fault := _counts(fields):
        return fault
    nearer, farther = map(int, fields[3:])
    if nearer > farther:
        return ""
    return (
        f"{nearer} voted for the nearer face and {farther} for the farther: expected a majority; raw answers "
        f"have the columns {','.join(RAW)}"
    )


def _answer(fields: list[str]) -> str:
    if fault := _counts(fields):
        return fault
    first, second = map(int, fields[3:])
    if first != second:
        return ""
    return f"{first} votes for the first face and as many for the second: expected a majority; leave it out"


def _question(_: list[str]) -> str:
    return ""


def _unanswered(_: list[str]) -> str:
    return f"a question without votes: expected also {','.join(RAW[3:])}; ask people, or simulate answers"


def _answered(_: list[str]) -> str:
    return f"votes, where questions alone were expected: {','.join(QUESTIONS)}"
