"""Agreement with people, where FER+ votes are known (Barsoum et al. 2016: ten raters a face, ten choices).

A network answers with one of its own emotions; a rater may also choose contempt, 'unknown' or 'not a face'.
What is done with those three:

- the vote of the majority is sought among all ten choices; a face whose top choice is one of the three, or is
  shared, has no clear majority and is left out;
- vote distributions are shares of the votes for the network's emotions alone, and faces where these are fewer
  than half of all votes are left out;
- a rater who chose one of the three did not answer the network's question: the rater ceiling leaves that vote
  out, and `accuracy_all_answers` counts it as wrong instead.

Votes are (N, 10) counts in the order of `FERPLUS_CHOICES`; `emotions` are the network's labels in its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.evaluation import metrics
from mien.labels import EMOTIONS, FERPLUS_CHOICES, ferplus_columns

Votes = NDArray[np.uint8]
Rates = NDArray[np.float64]

SMOOTHING = 1e-6
"""Added to predicted probabilities before KL, which is infinite where people saw what a network excludes."""


def _columns(emotions: Sequence[str]) -> list[int]:
    places = ferplus_columns()
    return [places[EMOTIONS.index(emotion)] for emotion in emotions]


def shares(votes: Votes, emotions: Sequence[str] = EMOTIONS) -> Rates:
    """Distribution of each face's votes over the emotions: (N, C) float64, rows summing to 1.

    A row is NaN where fewer than half of the face's votes are for these emotions, or none is known.
    """
    chosen = votes[:, _columns(emotions)].astype(np.float64)
    among = chosen.sum(axis=1)
    enough = (among > 0) & (2 * among >= votes.sum(axis=1, dtype=np.int64))
    spread = np.full(chosen.shape, np.nan)
    spread[enough] = chosen[enough] / among[enough, None]
    return spread


def majority(votes: Votes, emotions: Sequence[str] = EMOTIONS) -> NDArray[np.int64]:
    """The emotion that more raters chose than any other of the ten choices: (N,) index into `emotions`.

    −1 where there is none: the first place is shared, or is not one of the emotions, or no votes are known.
    """
    names = np.full(len(FERPLUS_CHOICES), -1)
    names[_columns(emotions)] = np.arange(len(emotions))
    alone = (votes == votes.max(axis=1, keepdims=True)).sum(axis=1) == 1
    return np.where(alone, names[votes.argmax(axis=1)], -1)


@dataclass(frozen=True, slots=True, eq=False)
class Seats:
    """Every rater of every face, seen against the others: exact expectations from the vote counts.

    weight: (N, C, C): for each face, how many raters chose emotion j while the others' majority was
    emotion i, at [face, i, j]. A tie among the others counts for each tied choice in equal parts, as if
    drawn by lot.
    declined: (N, C): the same for raters who chose none of the emotions.
    """

    weight: Rates
    declined: Rates

    @property
    def truth(self) -> Rates:
        """(N, C): how often each emotion was the others' majority, over the raters who chose an emotion."""
        return self.weight.sum(axis=2)


def seats(votes: Votes, emotions: Sequence[str] = EMOTIONS) -> Seats:
    """Removes one vote of each kind, weighted by its count, and takes the majority of the remaining votes."""
    columns = _columns(emotions)
    n, c = len(votes), len(columns)
    weight, declined = np.zeros((n, c, c)), np.zeros((n, c))
    counts = votes.astype(np.int64)
    for choice in range(votes.shape[1]):
        others = counts.copy()
        others[:, choice] -= 1
        # A face with no such vote weighs nothing; one with this single vote has no others to agree with.
        raters = np.where(others.sum(axis=1) > 0, counts[:, choice], 0)
        top = others == others.max(axis=1, keepdims=True)
        credit = raters[:, None] * top[:, columns] / top.sum(axis=1, keepdims=True)
        if choice in columns:
            weight[:, :, columns.index(choice)] = credit
        else:
            declined += credit
    return Seats(weight, declined)


def _ratio(right: float, of: float) -> float | None:
    return float(right / of) if of > 0 else None


def rater_ceiling(seated: Seats, emotions: Sequence[str] = EMOTIONS) -> dict[str, Any]:
    """One rater against the majority of the others, in expectation over faces and raters.

    Returns: `accuracy`, over raters who chose one of the emotions; `accuracy_all_answers`, where any other
    choice is wrong; `per_class`, by what the others' majority chose. None where no rater can be compared.
    """
    table = seated.weight.sum(axis=0)
    right, of = np.diag(table), table.sum(axis=1)
    return {
        "accuracy": _ratio(right.sum(), of.sum()),
        "accuracy_all_answers": _ratio(right.sum(), of.sum() + seated.declined.sum()),
        "per_class": {name: _ratio(right[i], of[i]) for i, name in enumerate(emotions)},
    }


def in_a_raters_seat(
    seated: Seats, predicted: ArrayLike, emotions: Sequence[str] = EMOTIONS
) -> dict[str, Any]:
    """The network in the place of each rater in turn: same faces, other raters and weights as the ceiling.

    predicted: (N,) index into `emotions`. Returns: `accuracy` and `per_class`, as `rater_ceiling` does.
    """
    answer = np.eye(len(emotions))[np.asarray(predicted, np.int64)]
    right, of = (seated.truth * answer).sum(axis=0), seated.truth.sum(axis=0)
    return {
        "accuracy": _ratio(right.sum(), of.sum()),
        "per_class": {name: _ratio(right[i], of[i]) for i, name in enumerate(emotions)},
    }


def kl(spread: Rates, probabilities: ArrayLike) -> Rates:
    """KL(votes ‖ predicted) of each face in nats: (N,); NaN where `shares` is.

    A choice without votes adds 0. Predictions are smoothed: q' = (q + 1e-6) / (1 + C·1e-6).
    Shape: spread (N, C) as `shares` gives, probabilities (N, C).
    """
    q = np.asarray(probabilities, np.float64)
    q = (q + SMOOTHING) / (q.sum(axis=1, keepdims=True) + q.shape[1] * SMOOTHING)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(spread == 0, 0.0, spread * np.log(spread / q))
    return terms.sum(axis=1)


def agreement(
    votes: Votes, labels: ArrayLike, probabilities: ArrayLike, emotions: Sequence[str] = EMOTIONS
) -> dict[str, Any] | None:
    """How a network, and the dataset's own labels, agree with people; None where no votes are known.

    Shape: votes (N, 10), labels (N,) and probabilities (N, C) in the order of `emotions`.
    Returns: `n` faces with votes and `clear` ones with a clear majority; on these `accuracy` with
    `accuracy_ci95`, `balanced_accuracy` and `label_agreement` (the dataset's labels); `rater_ceiling`;
    `in_a_raters_seat`; `kl` on `kl_n` faces, and `kl_constant`, that of always answering their mean votes.
    """
    known = votes.any(axis=1)
    if not known.any():
        return None
    truth, p = np.asarray(labels, np.int64)[known], np.asarray(probabilities, np.float64)[known]
    votes = votes[known]
    predicted, people = p.argmax(axis=1), majority(votes, emotions)
    seated = seats(votes, emotions)
    return {
        "n": len(votes),
        **_against_majority(people, predicted, truth, len(emotions)),
        "rater_ceiling": rater_ceiling(seated, emotions),
        "in_a_raters_seat": in_a_raters_seat(seated, predicted, emotions),
        **_distances(shares(votes, emotions), p),
    }


def _against_majority(
    people: NDArray[np.int64], predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int
) -> dict[str, Any]:
    clear = people >= 0
    n = int(clear.sum())
    if not n:
        names = ("accuracy", "accuracy_ci95", "balanced_accuracy", "label_agreement")
        return {"clear": 0, **dict.fromkeys(names)}
    table = metrics.confusion(people[clear], predicted[clear], classes)
    return {
        "clear": n,
        "accuracy": metrics.accuracy(table),
        "accuracy_ci95": list(metrics.wilson(int(np.trace(table)), n)),
        "balanced_accuracy": metrics.balanced_accuracy(table),
        "label_agreement": float((labels[clear] == people[clear]).mean()),
    }


def _distances(spread: Rates, probabilities: Rates) -> dict[str, Any]:
    usable = np.isfinite(spread).all(axis=1)
    if not usable.any():
        return {"kl": None, "kl_constant": None, "kl_n": 0}
    mean = np.broadcast_to(spread[usable].mean(axis=0), spread[usable].shape)
    return {
        "kl": float(kl(spread[usable], probabilities[usable]).mean()),
        "kl_constant": float(kl(spread[usable], mean).mean()),
        "kl_n": int(usable.sum()),
    }
