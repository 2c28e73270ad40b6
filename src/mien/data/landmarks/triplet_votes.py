"""Votes on triplets: counted by agreement, simulated for faces drawn from a model, made from FER+'s.

Both of the latter are stand-ins for people who were asked about triplets, and each says so in its source.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.landmarks.triplet_selection import KINDS
from mien.data.landmarks.triplets import check_splits, oriented
from mien.errors import DataError
from mien.evaluation.humans import shares
from mien.labels import EMOTIONS, LANDMARK_SPLITS, SPLITS, ferplus_columns
from mien.landmark_layout import ACTION_UNITS
from mien.landmarks import LandmarkBatch, Text, Triplets

Matrix = NDArray[np.float64]
_Rows = NDArray[np.int64]

RATERS = 5
"""Answers a triplet in the thesis; an odd number always has a majority."""

ALL = "all splits"
"""What the agreement over every split is called."""

MIXED = "two of one person"
"""A kind that rules draw, and that people are never asked about (thesis, 5.2.2)."""

SALIENCE: dict[int, float] = {
    1: 1.0, 2: 1.0, 4: 1.2, 6: 0.8, 7: 0.6, 10: 1.0, 12: 1.5, 14: 0.7, 15: 1.0, 17: 0.8, 23: 0.6, 24: 0.6,
}  # fmt: skip
"""How much each action unit counts for simulated raters. Our choice, not measured: smile and frown most."""

SPREAD = 0.5
"""By how much, as a standard deviation of the logarithm, raters differ in what counts. Our choice."""

UNANIMOUS: dict[str, float] = {KINDS[0]: 2081 / 5593, KINDS[1]: 1725 / 5598, MIXED: 3806 / 11191}
"""Share of triplets on which all five agree (thesis, Table 5.4); of mixed ones that of all."""

PANELS = 10
"""How often the FER+ raters of three faces are drawn anew; each draw is one vote."""

LEAST = 6
"""A triplet from FER+ votes whose agreement is less is ambiguous and left out: fewer than 8 of 10 for it."""

PER_FACE = 4
"""Triplets from FER+ votes for each face."""

_ROUNDS = 12
_CHUNK = 20_000
_STEPS = 60


def kinds_of(batch: LandmarkBatch, rows: _Rows) -> NDArray[np.str_]:
    """Whose the three faces of each triplet are: (T,) of `KINDS` and `MIXED`."""
    a, b, c = batch.subjects[rows].T.reshape(3, -1)
    equal = (a == b).astype(np.int64) + (a == c) + (b == c)
    return np.array([KINDS[1], MIXED, "", KINDS[0]])[equal]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many triplets there are of each difference of votes, as Table 5.4.

    differences: the differences that occur, falling; 5, 3 and 1 of five answers.
    counts: by split, `ALL` last where there are several, and by kind: as many numbers as differences.
    """

    differences: tuple[int, ...]
    counts: dict[str, dict[str, tuple[int, ...]]]

    def total(self, split: str) -> tuple[int, ...]:
        """Of every kind together."""
        return tuple(map(sum, zip(*self.counts[split].values(), strict=True)))

    def to_dict(self) -> dict[str, object]:
        """The object that `mien triplets show --json` prints."""
        return {
            split: {
                kind: dict(zip(map(str, self.differences), numbers, strict=True))
                for kind, numbers in {**kinds, "all": self.total(split)}.items()
            }
            for split, kinds in self.counts.items()
        }


def agreement(batch: LandmarkBatch, triplets: Triplets) -> Agreement:
    """Counts a batch's triplets by split, by whose faces they are and by how far people agreed.

    Raises: DataError when there are none, one names a face that the batch does not hold, or crosses splits.
    """
    if not len(triplets):
        raise DataError(f"no triplets in {triplets.source or 'the data'}: expected some")
    rows = check_splits(triplets, batch)
    splits, kinds = batch.splits[rows[:, 0]], kinds_of(batch, rows)
    found = triplets.agreement
    differences = tuple(sorted(set(found.tolist()), reverse=True))
    there = [kind for kind in (*KINDS, MIXED) if (kinds == kind).any()]

    def count(chosen: NDArray[np.bool_]) -> dict[str, tuple[int, ...]]:
        return {
            kind: tuple(int((chosen & (kinds == kind) & (found == each)).sum()) for each in differences)
            for kind in there
        }

    counts = {name: count(splits == LANDMARK_SPLITS.index(name)) for name in batch.splits_held}
    counts = {name: count for name, count in counts.items() if any(map(sum, count.values()))}
    if len(counts) > 1:
        counts[ALL] = count(np.ones(len(rows), np.bool_))
    return Agreement(differences, counts)


def simulated(batch: LandmarkBatch, rows: _Rows, raters: int = RATERS, seed: int = 0) -> Triplets:
    """Synthetic judgements of questions (T, 3), rows of a batch: the reference and two faces to choose from.

    A rater sees the action units of the faces and not their points. How unlike two faces are is the root of
    the summed salience of the units present in one alone, and each rater finds other units salient
    (`SALIENCE`, `SPREAD`). Of two faces the less unlike is chosen with probability
    1/(1 + exp(−margin/t)); for each kind of triplet t is set so that all raters agree as often as in the
    thesis (`UNANIMOUS`), on different persons less often than on one.
    Raises: DataError when the number of raters is even or less than 1, or a unit of a face was not coded.
    """
    if raters < 1 or raters % 2 == 0:
        raise DataError(f"{raters} raters: expected an odd number, so that every triplet has a majority")
    uncoded = np.flatnonzero(~batch.coded[rows].all(axis=1))
    if len(uncoded):
        face = next(row for row in rows[uncoded[0]] if not batch.coded[row])
        raise DataError(
            f"face {str(batch.names[face])!r} of {batch.source or 'the data'} has action units that were not "
            "coded: simulated raters compare them; choose faces of which all are"
        )
    rng = np.random.default_rng(seed)
    salience = np.array([SALIENCE[unit] for unit in ACTION_UNITS])
    margins = _margins(batch.units, rows, salience * rng.lognormal(0, SPREAD, (raters, len(salience))))
    kinds = kinds_of(batch, rows)
    chances = np.empty_like(margins)
    for kind, share in UNANIMOUS.items():
        at = kinds == kind
        if at.any():
            chances[at] = _chances(margins[at], share)
    first = (rng.random(chances.shape) < chances).sum(axis=1)
    source = f"simulated judgements (synthetic), {raters} raters, seed {seed}"
    return oriented(batch.names[rows], np.c_[first, raters - first].astype(np.int64), source)


def _margins(units: NDArray[np.int8], rows: _Rows, salience: Matrix) -> Matrix:
    """(T, R) how much more unlike the reference the second face is than the first, to raters of (R, 12)."""

    def unlike(other: int) -> Matrix:
        differ = units[rows[:, 0]] != units[rows[:, other]]
        return np.sqrt(differ.astype(np.float64) @ salience.T)

    return unlike(2) - unlike(1)


def _chances(margins: Matrix, unanimous: float) -> Matrix:
    """(T, R) chances to choose the first face, at the noise at which so many are expected to be unanimous.

    Halved on a logarithmic scale; where no noise will do, as among faces that all look alike, the nearest.
    """
    low, high = 1e-3, 1e3
    for _ in range(_STEPS):
        middle = np.sqrt(low * high)
        chances = _logistic(margins / middle)
        expected = (chances.prod(axis=1) + (1 - chances).prod(axis=1)).mean()
        low, high = (middle, high) if expected > unanimous else (low, middle)
    return _logistic(margins / high)


def _logistic(x: Matrix) -> Matrix:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))


def from_votes(
    names: Text,
    votes: NDArray[np.uint8],
    splits: NDArray[np.int8],
    *,
    per_face: int = PER_FACE,
    least: int = LEAST,
    seed: int = 0,
) -> Triplets:
    """Triplets of pictures by how FER+'s raters saw them: nearer is the face whose votes are shared alike.

    Two faces are as far apart as their shares of votes for the seven emotions (Euclidean). Faces of whose
    votes fewer than half are for these are left out. FER+ does not say who voted: how sure a triplet is, is
    found by drawing each face's voters anew (with replacement, as many as it has), `PANELS` times; each draw
    is a vote for the face that it finds nearer, and for none where both are as near.
    Every face is the reference of up to `per_face`; of the two others each is drawn from the faces of its
    split whose raters' first choice is an emotion that is drawn before, so that rare emotions are there too.
    What the draws do not find nearer by `least` votes is ambiguous and drawn anew.
    names: (N,) text. votes: (N, 10) counts in the order of `FERPLUS_CHOICES`. splits: (N,) of `SPLITS`.
    Raises: DataError when nothing is left to draw from.
    """
    if per_face < 1 or not 1 <= least <= PANELS:
        raise DataError(
            f"{per_face} triplets per face of agreement {least}: expected 1 or more, and 1…{PANELS}"
        )
    known = np.flatnonzero(np.isfinite(shares(votes)).all(axis=1))
    found = [(np.zeros((0, 3), np.int64), np.zeros((0, 2), np.int64))]
    for split in np.unique(splits[known]).tolist():
        here = known[splits[known] == split]
        if len(here) >= 3:
            rng = np.random.default_rng((seed, split))
            found.append(_of_votes(here, votes, per_face, least, rng))
    rows, counts = (np.concatenate(part) for part in zip(*found, strict=True))
    if not len(rows):
        held = ", ".join(f"{int((splits[known] == i).sum())} {name}" for i, name in enumerate(SPLITS))
        raise DataError(f"no triplets from the votes of {held} faces: expected three or more that differ")
    return oriented(names[rows], counts, "FER+ votes")


def _of_votes(
    here: _Rows, votes: NDArray[np.uint8], per_face: int, least: int, rng: np.random.Generator
) -> tuple[_Rows, _Rows]:
    """Rows (T, 3) and votes (T, 2) of a split's faces, sorted by their reference."""
    first = shares(votes[here]).argmax(axis=1)
    groups = [here[first == emotion] for emotion in range(len(EMOTIONS)) if (first == emotion).any()]
    sizes = np.array([len(group) for group in groups])
    members, starts = np.concatenate(groups), np.cumsum(sizes) - sizes
    pending = np.repeat(here, per_face)
    rows, counts = [np.zeros((0, 3), np.int64)], [np.zeros((0, 2), np.int64)]
    for _ in range(_ROUNDS):
        of = rng.integers(len(groups), size=(len(pending), 2))
        drawn = np.c_[pending, members[starts[of] + rng.integers(sizes[of])]]
        answers = _answers(drawn, votes, rng)
        kept = np.abs(answers[:, 0] - answers[:, 1]) >= least
        kept &= (drawn[:, 0] != drawn[:, 1]) & (drawn[:, 0] != drawn[:, 2]) & (drawn[:, 1] != drawn[:, 2])
        kept &= _first_of_its_kind(drawn, np.concatenate(rows))
        rows.append(drawn[kept])
        counts.append(answers[kept])
        pending = pending[~kept]
    order = np.argsort(np.concatenate(rows)[:, 0], kind="stable")
    return np.concatenate(rows)[order], np.concatenate(counts)[order]


def _first_of_its_kind(drawn: _Rows, before: _Rows) -> NDArray[np.bool_]:
    """(T,) the triplets that ask something new, in whatever order they name the two faces to choose from."""
    every = np.concatenate([before, drawn])
    every[:, 1:].sort(axis=1)
    new = np.zeros(len(every), np.bool_)
    new[np.unique(every, axis=0, return_index=True)[1]] = True
    return new[len(before) :]


def _answers(rows: _Rows, votes: NDArray[np.uint8], rng: np.random.Generator) -> _Rows:
    """(T, 2) how many of `PANELS` find the second face nearer to the first, and how many the third."""
    voters = votes[:, ferplus_columns()].sum(axis=1, dtype=np.int64)
    spread = shares(votes)
    found = [np.zeros((0, 2), np.int64)]
    for start in range(0, len(rows), _CHUNK):
        part = np.tile(rows[start : start + _CHUNK], (PANELS, 1, 1))
        # Whole numbers of votes times the other face's voters: equal distances are equal, none is rounded.
        drawn, n = rng.multinomial(voters[part], spread[part]), voters[part]
        apart = [_unlike(drawn[:, :, 0], drawn[:, :, other], n[:, :, 0], n[:, :, other]) for other in (1, 2)]
        second, third = apart[0] * n[:, :, 2] ** 2, apart[1] * n[:, :, 1] ** 2
        found.append(np.c_[(second < third).sum(axis=0), (third < second).sum(axis=0)])
    return np.concatenate(found)


def _unlike(a: _Rows, b: _Rows, voters_a: _Rows, voters_b: _Rows) -> _Rows:
    """(P, T) squared distance of two faces' shares of votes (P, T, 7), times the square of their voters."""
    return np.asarray(((a * voters_b[..., None] - b * voters_a[..., None]) ** 2).sum(axis=-1))
