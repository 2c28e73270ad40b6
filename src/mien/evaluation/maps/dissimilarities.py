"""How unlike two emotions are: from the mean answers to their faces, or the centroids of their points.

Rows are (C, K): one row an emotion, as `Responses.rows`, `Embeddings.rows` and `Confusion.rows` give them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, hint
from mien.evaluation.maps.responses import Embeddings, Source

Matrix = NDArray[np.float64]

DEFAULT = "euclidean"


@dataclass(frozen=True, slots=True)
class Measure:
    """One way to compare rows.

    function: rows (C, K) → dissimilarities (C, C), symmetric, non-negative, zero on the diagonal.
    how: what it is, as a phrase that ends with "between ROWS". of_answers: whether the rows must be shares
    of answers over the emotions themselves. least_columns: below it, every pair is alike or opposite.
    """

    function: Callable[[Matrix], Matrix]
    how: str
    of_answers: bool = False
    least_columns: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Dissimilarities:
    """values: (C, C), symmetric with a zero diagonal, by `measure`; `how` says it in a sentence."""

    emotions: tuple[str, ...]
    values: Matrix
    measure: str
    how: str


def euclidean(rows: Matrix) -> Matrix:
    """‖a − b‖ of every two rows: (C, K) → (C, C)."""
    values: Matrix = np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(axis=-1))
    return values


def cosine(rows: Matrix) -> Matrix:
    """1 − cos of the angle between every two rows; 1 beside a row of zeros: (C, K) → (C, C)."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    # Not 1 − a·b, which rounding leaves a little beside zero where two rows are the same.
    values = euclidean(unit) ** 2 / 2
    empty = length[:, 0] == 0
    values[empty] = values[:, empty] = 1.0
    np.fill_diagonal(values, 0.0)
    return values


def correlation(rows: Matrix) -> Matrix:
    """1 − Pearson's r of every two rows; 1 beside a row that does not vary: (C, K) → (C, C)."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    # What rounding leaves of a constant row is no variation.
    centred[np.ptp(rows, axis=1) <= 1e-12 * np.abs(rows).max(axis=1)] = 0.0
    return cosine(centred)


def hellinger(rows: Matrix) -> Matrix:
    """‖√a − √b‖ / √2 of every two rows of shares, 0…1: (C, K) → (C, C)."""
    return euclidean(np.sqrt(rows)) / np.sqrt(2)


def confusability(rows: Matrix) -> Matrix:
    """1 − s_ij / √(p_ii p_jj), where s_ij = (p_ij + p_ji) / 2 and p is the share of answers: (C, C) → (C, C).

    Cut off at 0 where two emotions are confused more than they are recognised. A pair that is never
    confused is at 1 even where one of them is never recognised.
    """
    mutual = (rows + rows.T) / 2
    recognised = np.sqrt(np.outer(np.diag(rows), np.diag(rows)))
    beyond = np.where(mutual > 0, 1.0, 0.0)
    similar = np.divide(mutual, recognised, out=beyond, where=recognised > 0)
    values: Matrix = 1 - np.minimum(similar, 1.0)
    np.fill_diagonal(values, 0.0)
    return values


MEASURES: dict[str, Measure] = {
    "euclidean": Measure(euclidean, "Euclidean distance"),
    "correlation": Measure(correlation, "1 − Pearson's r", least_columns=3),
    "cosine": Measure(cosine, "1 − cosine"),
    "hellinger": Measure(hellinger, "Hellinger distance", of_answers=True),
    "confusion": Measure(
        confusability,
        "1 − mutual confusion over the geometric mean of the two recognition rates",
        of_answers=True,
    ),
}
"""By name; the first is the default."""

_ROWS = {
    "votes": "the mean votes for the faces of two emotions",
    "probabilities": "the mean probabilities of the faces of two emotions",
    "embeddings": "the centroids of two emotions' points",
    "confusion": "the answers to two emotions",
}


def applicable(source: Source) -> tuple[str, ...]:
    """Names of the measures that fit a source."""
    return tuple(name for name in MEASURES if _misfit(name, source) is None)


def function(source: Source, measure: str) -> Callable[[Matrix], Matrix]:
    """The measure by name, once it is known to fit the source.

    Raises: DataError when it is unknown or does not.
    """
    if measure not in MEASURES:
        raise DataError(f"unknown measure {measure!r}: {hint(measure, MEASURES)}")
    misfit = _misfit(measure, source)
    if misfit:
        raise DataError(f"the measure {measure!r} {misfit}: expected one of {', '.join(applicable(source))}")
    return MEASURES[measure].function


def dissimilarities(source: Source, measure: str = DEFAULT) -> Dissimilarities:
    """How unlike every two emotions of a source are.

    Raises: DataError when the measure is unknown or does not fit, or all emotions come out the same.
    """
    values = function(source, measure)(source.rows)
    if not values.any():
        raise DataError(
            f"all emotions of {source.source or 'the source'} are alike by the measure {measure!r}: "
            "nothing to map"
        )
    how = f"{MEASURES[measure].how} between {_ROWS[source.kind]}"
    return Dissimilarities(source.emotions, values, measure, how)


def _misfit(measure: str, source: Source) -> str | None:
    """Why a measure does not fit, or None."""
    points = isinstance(source, Embeddings)
    if points and MEASURES[measure].of_answers:
        return "compares shares of answers, and embeddings are none"
    least = MEASURES[measure].least_columns
    if source.rows.shape[1] < least:
        return f"needs at least {least} numbers a face, of {source.rows.shape[1]}"
    return None
