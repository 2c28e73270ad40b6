"""Artificial triplets: which of two posed faces is nearer to a third, by rules instead of people (5.2.1).

The thesis's three rules, where neutral is a class of its own:

1. class: a face of the reference's class is closer than one of another class.
2. degree: of two faces of the reference's class, the one whose degree is closer to the reference's is closer.
3. neutral: to an expression, a neutral face is closer than an expression of another class.

Together they order all faces round a reference: its class by degree, then neutral ones, then all others. A
triplet is drawn only where a rule decides it.

The thesis does not say how its triplets were drawn. Here every face is the reference of as many as every
other; for each a rule is drawn, evenly among those that decide anything about it, and then evenly one of the
pairs of faces of the same split that the rule decides. Who the three faces are of plays no part.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.labels import EMOTIONS, LANDMARK_SPLITS
from mien.landmarks import UNLABELLED, LandmarkBatch, Triplets

PER_FACE = 4
"""Triplets for each face: 8,000 for the thesis's 2,000 training faces, 1,000 for 250."""

_NEUTRAL = EMOTIONS.index("neutral")
_ROUNDS = 30

_Rows = NDArray[np.int64]


@dataclass(frozen=True)
class _Choice:
    """Faces any of which is closer to a reference than any of others.

    nearer, farther: rows of the batch, sorted. own: the reference is one of `nearer`.
    """

    nearer: _Rows
    farther: _Rows
    own: bool

    @property
    def pairs(self) -> int:
        """How many pairs of two other faces there are."""
        return (len(self.nearer) - self.own) * len(self.farther)


def by_rules(batch: LandmarkBatch, *, per_face: int = PER_FACE, seed: int = 0) -> Triplets:
    """Triplets drawn within each split: `per_face` times its faces, each face in one or more, no two alike.

    The same seed draws the same triplets of the same faces in the same order. One vote against none.
    Raises: DataError when a face has no emotion, or a split has too few faces of different kinds.
    """
    if per_face < 1:
        raise DataError(f"{per_face} triplets per face: expected 1 or more")
    unknown = np.flatnonzero(batch.labels == UNLABELLED)
    if len(unknown):
        raise DataError(
            f"face {str(batch.names[unknown[0]])!r} of {batch.source or 'the data'} has no emotion, and "
            f"{len(unknown) - 1} more: the rules need every face's; simulate judgements instead"
        )
    parts = [
        _of_split(batch, split, per_face, np.random.default_rng((seed, split)))
        for split in np.unique(batch.splits).tolist()
    ]
    rows = np.concatenate([np.zeros((0, 3), np.int64), *parts])
    votes = np.tile(np.array([1, 0], np.int16), (len(rows), 1))
    return Triplets(batch.names[rows], votes, f"rules, {batch.source}" if batch.source else "rules")


def _of_split(batch: LandmarkBatch, split: int, per_face: int, rng: np.random.Generator) -> _Rows:
    """(T, 3) rows of the batch: reference, nearer and farther face, in the order of the references."""
    here = np.flatnonzero(batch.splits == split)
    kinds, kind_of = np.unique(np.c_[batch.labels, batch.degrees][here], axis=0, return_inverse=True)
    rules = [_rules(batch, here, label, degree) for label, degree in kinds.tolist()]
    able = here[np.array([bool(each) for each in rules])[kind_of]]
    where = f"the {LANDMARK_SPLITS[split]} faces of {batch.source or 'the data'}"
    if not len(able):
        raise DataError(f"no rule says anything about {where}: expected several emotions, of several people")
    total = per_face * len(here)
    # A face that can be no reference, as a lone neutral one, hands its share on.
    references = np.sort(np.resize(rng.permutation(able), total))
    kind_of = kind_of[np.searchsorted(here, references)]
    for _ in range(_ROUNDS):
        rows = _distinct(rules, kind_of, references, rng)
        if rows is not None and len(np.unique(rows)) == len(here):
            return rows
    raise DataError(
        f"the rules give fewer than {total} different triplets of {where} with every face in one: "
        "ask for fewer per face, or bring more faces"
    )


def _rules(batch: LandmarkBatch, here: _Rows, label: int, degree: int) -> list[list[_Choice]]:
    """For references of a class and degree, what each rule that decides anything leaves to choose."""
    labels, degrees = batch.labels[here], batch.degrees[here].astype(np.int64)
    alike, neutral = labels == label, labels == _NEUTRAL
    rules = [[_Choice(here[alike], here[~alike], own=True)]]
    if label != _NEUTRAL:
        # A degree of 0 is that of an expression where it is not known: nothing says what it is close to.
        known = alike & (degrees > 0) & (degree > 0)
        gaps = np.where(known, np.abs(degrees - degree), -1)
        rules.append(
            [
                _Choice(here[gaps == near], here[gaps == far], own=near == 0)
                for near, far in combinations(np.unique(gaps[known]).tolist(), 2)
            ]
        )
        rules.append([_Choice(here[neutral], here[~alike & ~neutral], own=False)])
    deciding = ([choice for choice in rule if choice.pairs] for rule in rules)
    return [rule for rule in deciding if rule]


def _distinct(
    rules: list[list[list[_Choice]]], kind_of: _Rows, references: _Rows, rng: np.random.Generator
) -> _Rows | None:
    """A triplet for each reference by the rules of its kind, no two alike; None where too few are found."""
    rows = np.full((len(references), 3), -1, np.int64)
    again = np.arange(len(rows))
    for _ in range(_ROUNDS):
        for kind in np.unique(kind_of[again]):
            places = again[kind_of[again] == kind]
            rows[places] = _drawn(rules[kind], references[places], rng)
        first = np.unique(rows, axis=0, return_index=True)[1]
        again = np.setdiff1d(np.arange(len(rows)), first)
        if not len(again):
            return rows
    return None


def _drawn(rules: list[list[_Choice]], references: _Rows, rng: np.random.Generator) -> _Rows:
    """A triplet for each reference of one class and degree: (R, 3)."""
    rows = np.empty((len(references), 3), np.int64)
    rows[:, 0] = references
    rule_of = rng.integers(len(rules), size=len(references))
    for number, rule in enumerate(rules):
        places = np.flatnonzero(rule_of == number)
        sizes = np.array([choice.pairs for choice in rule], np.float64)
        choice_of = rng.choice(len(rule), size=len(places), p=sizes / sizes.sum())
        for which, choice in enumerate(rule):
            at = places[choice_of == which]
            nearer = rng.integers(len(choice.nearer) - choice.own, size=len(at))
            if choice.own:
                # Faces from the reference on move up by one, so that it is never drawn itself.
                nearer += nearer >= np.searchsorted(choice.nearer, references[at])
            rows[at, 1] = choice.nearer[nearer]
            rows[at, 2] = choice.farther[rng.integers(len(choice.farther), size=len(at))]
    return rows
