"""Linear support vector machines that find action units, and the thesis's F1 and AUC over them.

Thesis (system E), 6.3.3: one classifier for each unit, of which the rarer class weighs as much as the other.
F1 is formed of the mean precision and the mean recall, both weighted by the units' positives, and is not the
weighted mean of the units' F1. The AUC is weighted likewise. C is found on the validation faces as in
`probes`, by that F1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.evaluation.landmarks.people import RESAMPLES, Interval, drawn, percentiles
from mien.evaluation.landmarks.probes import scaled
from mien.landmark_layout import UNKNOWN_UNIT

Matrix = NDArray[np.float64]
Units = NDArray[np.int8]

COSTS: tuple[float, ...] = tuple(10.0**step for step in range(-2, 4))
"""The C that are tried, 0.01 to 1,000, for data scaled as in `probes`."""

MOST_FACES = 5_000
"""Training faces of a classifier at most, drawn from the seed: twelve of them are trained for every C."""

_MOST_STEPS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class UnitProbe:
    """What the classifiers made of each split.

    cost: the C that was chosen, the same for all units. tried: each C and its F1 on validation. columns:
    which of `ACTION_UNITS` were learned. scores: by split, (N, U) signed distances; above 0 is "present".
    """

    cost: float
    tried: tuple[tuple[float, float], ...]
    columns: tuple[int, ...]
    scores: Mapping[str, Matrix]


def learnable(units: Units) -> tuple[int, ...]:
    """The columns of units (N, 12) that were coded both present and absent."""
    return tuple(column for column in range(units.shape[1]) if {0, 1} <= set(np.unique(units[:, column])))


def action_units(
    train: Matrix,
    train_units: Units,
    validation: Matrix,
    validation_units: Units,
    others: Mapping[str, Matrix],
    *,
    most: int = MOST_FACES,
    seed: int = 0,
) -> UnitProbe:
    """Trains a classifier for each unit, tunes C on the validation faces, and scores all.

    Shape: train (N, F), train_units (N, 12) of 0, 1 and 9 (not coded); others by name, (N, F). The scores of
    the two are under "training" and "public".
    Raises: DataError when no unit is coded both ways in training, none is present in validation, or a
    number is not finite.
    """
    from sklearn.svm import LinearSVC

    columns = learnable(train_units)
    if not columns:
        raise DataError("no action unit is coded both present and absent in the training faces")
    if not (validation_units[:, columns] == 1).any():
        raise DataError("no action unit is present in the public split: C is tuned on it; expected some")
    shown = scaled({"training": train, "public": validation, **others})
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0xAC70]))
    learned = []
    for column in columns:
        coded = np.flatnonzero(train_units[:, column] != UNKNOWN_UNIT)
        rows = coded if len(coded) <= most else np.sort(rng.choice(coded, most, replace=False))
        learned.append((shown["training"][rows], train_units[rows, column]))
    tried, best, found = [], -1.0, []
    for cost in COSTS:
        settings = {"C": cost, "dual": False, "class_weight": "balanced", "max_iter": _MOST_STEPS}
        machines = [LinearSVC(**settings, random_state=0).fit(x, y) for x, y in learned]
        scores = _scores(machines, shown["public"])
        score = f1(validation_units[:, columns], scores)
        tried.append((cost, score))
        if score > best:
            best, found = score, machines
    chosen = tuple(found)
    return UnitProbe(
        float(chosen[0].C), tuple(tried), columns, {name: _scores(chosen, x) for name, x in shown.items()}
    )


def _scores(machines: Sequence[Any], x: Matrix) -> Matrix:
    weights = np.concatenate([machine.coef_ for machine in machines])
    offsets = np.concatenate([machine.intercept_ for machine in machines])
    return np.asarray(x @ weights.T + offsets, np.float64)


def f1(units: Units, scores: Matrix) -> float:
    """The thesis's F1: NaN where no unit is present. A unit that is never found has a precision of 0.

    Shape: units (N, U) of 0, 1 and 9, scores (N, U), above 0 present.
    """
    return float(_f1(_outcomes(units, scores).sum(axis=0)[None])[0])


def f1_interval(
    units: Units,
    scores: Matrix,
    subjects: NDArray[np.str_],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """The interval of the F1 over people; None with fewer than two."""
    people, whose = np.unique(subjects, return_inverse=True)
    if len(people) < 2:
        return None
    outcomes = _outcomes(units, scores)
    each = np.zeros((len(people), *outcomes.shape[1:]))
    np.add.at(each, whose, outcomes)
    weights = drawn(len(people), resamples, seed)
    return percentiles(_f1(np.tensordot(weights, each, 1)))


def auc(units: Units, scores: Matrix) -> float:
    """The area under the ROC curve, a mean over units weighted by their positives; ties count half.

    Units without a positive or without a negative have none and are left out; NaN where all are.
    Shape: units (N, U) of 0, 1 and 9, scores (N, U).
    """
    return float(_auc(*_wins(units, scores, np.zeros(len(units), np.int64)), np.ones((1, 1)))[0])


def auc_interval(
    units: Units,
    scores: Matrix,
    subjects: NDArray[np.str_],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval | None:
    """The interval of the AUC over people; None with fewer than two."""
    people, whose = np.unique(subjects, return_inverse=True)
    if len(people) < 2:
        return None
    return percentiles(_auc(*_wins(units, scores, whose), drawn(len(people), resamples, seed)))


def _outcomes(units: Units, scores: Matrix) -> Matrix:
    """True positives, false positives and false negatives: (N, U, 3) of 0 and 1."""
    found, present, absent = scores > 0, units == 1, units == 0
    return np.stack([found & present, found & absent, ~found & present], axis=-1).astype(np.float64)


def _f1(counts: Matrix) -> Matrix:
    """F1 of counts (R, U, 3), as `_outcomes` orders them: (R,)."""
    hit, false, missed = np.moveaxis(counts, -1, 0)
    weight = hit + missed
    precision = _divided(hit, hit + false, 0.0)
    recall = _divided(hit, weight, 0.0)
    total = weight.sum(axis=1)
    mean_precision = _divided((weight * precision).sum(axis=1), total, np.nan)
    mean_recall = _divided((weight * recall).sum(axis=1), total, np.nan)
    both = mean_precision + mean_recall
    return _divided(2 * mean_precision * mean_recall, both, np.where(np.isnan(both), np.nan, 0.0))


def _wins(units: Units, scores: Matrix, whose: NDArray[np.int64]) -> tuple[Matrix, Matrix, Matrix]:
    """How often the positives of a person outscore the negatives of another: (U, P, P), ties half.

    Also the positives and the negatives of each person: (U, P) each. With these three the AUC of any choice
    of people is a matter of two products.
    """
    people, width = int(whose.max()) + 1, units.shape[1]
    wins = np.zeros((width, people, people))
    positives, negatives = np.zeros((width, people)), np.zeros((width, people))
    for unit in range(width):
        present, absent = units[:, unit] == 1, units[:, unit] == 0
        positives[unit] = np.bincount(whose[present], minlength=people)
        negatives[unit] = np.bincount(whose[absent], minlength=people)
        high = scores[present, unit]
        for other in np.flatnonzero(negatives[unit]):
            low = np.sort(scores[absent & (whose == other), unit])
            below = (np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")) / 2
            wins[unit, :, other] = np.bincount(whose[present], weights=below, minlength=people)
    return wins, positives, negatives


def _auc(wins: Matrix, positives: Matrix, negatives: Matrix, weights: Matrix) -> Matrix:
    """The weighted AUC where people are drawn so often (R, P): (R,)."""
    total, area = np.zeros(len(weights)), np.zeros(len(weights))
    for won, present, absent in zip(wins, positives, negatives, strict=True):
        n, others = weights @ present, weights @ absent
        defined = (n > 0) & (others > 0)
        value = _divided(((weights @ won) * weights).sum(axis=1), n * others, 0.0)
        area += np.where(defined, n * value, 0.0)
        total += np.where(defined, n, 0.0)
    return _divided(area, total, np.nan)


def _divided(above: Matrix, below: Matrix, otherwise: float | Matrix) -> Matrix:
    """above / below, and `otherwise` where below is 0 or not a number."""
    where = below > 0
    return np.where(where, above / np.where(where, below, 1.0), otherwise)
