"""Intervals over people: the bootstrap that draws people again, with all their faces.

Faces of one person are alike, so a test of ten people has far fewer than its 250 faces' worth of evidence:
each resample draws as many people as there are, with replacement, and takes every face of each. All intervals
are the 2.5 % and 97.5 % percentiles (Efron & Tibshirani 1993, chapter 13).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError

Matrix = NDArray[np.float64]
Counts = Mapping[str, Sequence[int]]
"""A person's name to how many of theirs hold, and how many there are: `{"F0001": [21, 25]}`."""

Interval = tuple[float, float]

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more often something holds in one representation than in another, on the same people.

    value: the difference of the two shares. ci95: its interval; None with fewer than two people.
    """

    value: float
    ci95: Interval | None
    people: int
    runs: tuple[int, int]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "value": self.value,
            "ci95": None if self.ci95 is None else list(self.ci95),
            "people": self.people,
            "runs": list(self.runs),
        }


def drawn(people: int, resamples: int = RESAMPLES, seed: int = 0) -> Matrix:
    """How often each of P people is drawn in each resample: (resamples, P), rows summing to P.

    The same numbers for the same three arguments: two representations of the same people are resampled alike.
    """
    return _drawn(people, resamples, seed, 0xFACE)


def _drawn(n: int, resamples: int, seed: int, purpose: int) -> Matrix:
    rng = np.random.default_rng(np.random.SeedSequence([seed, purpose]))
    return rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64)


def percentiles(values: Matrix) -> Interval | None:
    """The 95 % percentile interval of resampled values; those that are not defined (NaN) are left out."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return None
    low, high = np.quantile(defined, (0.025, 0.975))
    return float(low), float(high)


def tally(subjects: NDArray[np.str_], holds: NDArray[np.bool_]) -> dict[str, list[int]]:
    """For each person how many of theirs hold and how many there are, people sorted by name.

    Shape: subjects (N,) text, holds (N,) bool.
    """
    people, whose = np.unique(subjects, return_inverse=True)
    total = np.bincount(whose, minlength=len(people))
    held = np.bincount(whose[holds], minlength=len(people))
    return {str(name): [int(k), int(n)] for name, k, n in zip(people, held, total, strict=True)}


def share_interval(counts: Counts, *, resamples: int = RESAMPLES, seed: int = 0) -> Interval | None:
    """The interval of the share that holds; None with fewer than two people, of whom nothing can be said."""
    if len(counts) < 2:
        return None
    held, total = _columns(counts)
    weights = drawn(len(counts), resamples, seed)
    return percentiles((weights @ held) / (weights @ total))


def difference_interval(
    ours: Sequence[Counts], theirs: Sequence[Counts], *, resamples: int = RESAMPLES, seed: int = 0
) -> Difference:
    """The share of ours less that of theirs, and its interval, on the same people.

    ours, theirs: counts of one or more runs each (one a training seed). A resample draws people once, for
    both sides, and of each side as many runs as it has: the interval covers the choice of people and, where
    there are several runs, that of the seed. With one run it covers people alone.
    Raises: DataError when a side has no run, or the people differ.
    """
    if not ours or not theirs:
        raise DataError("no run on one side of the difference: expected at least one on each")
    people = sorted(ours[0])
    for counts in (*ours, *theirs):
        unlike = set(people) ^ set(counts)
        if unlike:
            raise DataError(
                f"{min(unlike)!r} is in one run and not in the other: expected the same people in both"
            )
    runs = (len(ours), len(theirs))
    value = _difference(ours, theirs, np.ones((1, len(people))), *(np.ones((1, n)) for n in runs))
    ends = None
    if len(people) > 1:
        times = (_drawn(n, resamples, seed, side) for n, side in zip(runs, (0x0A25, 0x7E15), strict=True))
        ends = percentiles(_difference(ours, theirs, drawn(len(people), resamples, seed), *times))
    return Difference(float(value[0]), ends, len(people), runs)


def _difference(
    ours: Sequence[Counts], theirs: Sequence[Counts], people: Matrix, our_times: Matrix, their_times: Matrix
) -> Matrix:
    return _share(ours, people, our_times) - _share(theirs, people, their_times)


def _share(runs: Sequence[Counts], people: Matrix, times: Matrix) -> Matrix:
    """The share that holds in each resample (R,); people (R, P), times (R, S): how often each is drawn."""
    columns = [_columns(counts) for counts in runs]
    held = times @ np.stack([held for held, _ in columns])
    total = times @ np.stack([total for _, total in columns])
    share: Matrix = (people * held).sum(axis=1) / (people * total).sum(axis=1)
    return share


def _columns(counts: Counts) -> tuple[Matrix, Matrix]:
    """How many hold, and how many there are, people sorted by name: two of (P,)."""
    table = np.array([counts[name] for name in sorted(counts)], np.float64)
    return table[:, 0], table[:, 1]
