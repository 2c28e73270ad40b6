"""Sets of emotions that hold the true one as often as is stated: split conformal prediction.

For faces drawn like those that the threshold was fitted on, whatever the network, as long as it was fixed
before and has seen neither, a set holds the label with at least the stated probability (Vovk et al. 2005; Lei
et al. 2018). The promise is over all faces together: of one emotion, or of other pictures, it says nothing.
Labels are class indices, probabilities (N, C).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError
from mien.evaluation.metrics import checked, wilson

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

COVERAGE = 0.8
"""How often the sets of exported networks are to hold the label.

Chosen for what it leaves a user with, since the labels themselves are noisy: docs/calibration.md has the
figures at other coverages.
"""


def likely(probabilities: ArrayLike) -> Floats:
    """How well each class conforms: its probability. Sets by it are the smallest on average.

    Source: Sadinle, Lei & Wasserman 2019 ("least ambiguous" sets, LAC). Shape: (N, C) → (N, C).
    """
    return np.asarray(probabilities, np.float64)


def cumulative(probabilities: ArrayLike) -> Floats:
    """How well each class conforms: minus the probability of all that are as likely or likelier, itself too.

    Sets by it adapt to each face: wide where the network wavers. The draw that would make them exact is left
    out, so that the same face always has the same set.
    Source: Romano, Sesia & Candès 2020 (adaptive sets, APS). Shape: (N, C) → (N, C).
    """
    p = np.asarray(probabilities, np.float64)
    order = np.argsort(-p, axis=1, kind="stable")
    summed = np.empty_like(p)
    np.put_along_axis(summed, order, np.take_along_axis(p, order, axis=1).cumsum(axis=1), axis=1)
    return -summed


CONFORMITY: dict[str, Callable[[ArrayLike], Floats]] = {"lac": likely, "aps": cumulative}
"""Measures of how well classes conform to a face, by the names of their sets; the first is exported."""


def threshold(conformity: ArrayLike, coverage: float) -> float:
    """The largest value that at least ⌈(n + 1)·coverage⌉ of n true classes reach; −∞ where n is too small.

    The probability that a further face's true class reaches it is at least `coverage`, and at most
    1 / (n + 1) more where no two conformities are equal.
    Shape: conformity (n,) of each face's true class.
    Raises: DataError when there is no face or the coverage lies outside 0…1.
    """
    values = np.asarray(conformity, np.float64)
    if values.ndim != 1 or not len(values):
        raise DataError(f"conformities {values.shape}: expected (n,), n ≥ 1")
    if not 0 < coverage < 1:
        raise DataError(f"a coverage of {coverage}: expected more than 0 and less than 1")
    # Rounding must not ask for one face more, as of 9 · 0.7 + 0.7 = 7.000000000000001.
    needed = math.ceil(round((len(values) + 1) * coverage, 9))
    return float(np.sort(values)[-needed]) if needed <= len(values) else -math.inf


def sets(probabilities: ArrayLike, reached: ArrayLike) -> Bools:
    """What a face could be: the classes that reach their threshold, and the likeliest in any case.

    Shape: probabilities (N, C), reached (N, C) bool; returns (N, C) bool, at least one a row.
    """
    p = np.asarray(probabilities)
    likeliest = np.zeros(p.shape, bool)
    likeliest[np.arange(len(p)), p.argmax(axis=1)] = True
    return np.asarray(reached, bool) | likeliest


def sure(reached: ArrayLike) -> Bools:
    """(N,) bool: the faces where exactly one class reaches the threshold; where none does nothing is sure."""
    return np.asarray(np.asarray(reached, bool).sum(axis=1) == 1)


def figures(
    probabilities: ArrayLike,
    reached: ArrayLike,
    labels: ArrayLike,
    names: Sequence[str],
    certain: ArrayLike | None = None,
) -> dict[str, Any]:
    """How often sets hold the label and how wide they are; how many faces are sure, and how right those are.

    certain: (N,) bool, the faces that are sure; None takes those where exactly one class reaches it.
    Shape: probabilities (N, C), reached (N, C) bool, labels (N,).
    Returns: `covered` with `covered_ci95`; `size`, the mean; `sizes`, the faces with 1…C emotions;
    `sure` (share) and its `accuracy_sure`, and `accuracy_unsure` of the likeliest emotion, each with `_ci95`
    and None where there is no such face; `per_class`, the coverage of each emotion's faces. Intervals are
    Wilson's.
    """
    p, truth = checked(probabilities, labels)
    held = sets(p, reached)
    covered = held[np.arange(len(p)), truth]
    certain = sure(reached) if certain is None else np.asarray(certain, bool)
    right = p.argmax(axis=1) == truth
    return {
        **rate("covered", covered),
        "size": float(held.sum(axis=1).mean()),
        "sizes": np.bincount(held.sum(axis=1), minlength=len(names) + 1)[1:].tolist(),
        **rate("sure", certain),
        **rate("accuracy_sure", right[certain]),
        **rate("accuracy_unsure", right[~certain]),
        "per_class": {
            name: float(covered[truth == number].mean()) if (truth == number).any() else None
            for number, name in enumerate(names)
        },
    }


def rate(name: str, hits: Bools) -> dict[str, Any]:
    """A share under its name, Wilson's 95 % interval under `name_ci95`; both None where there is nothing."""
    if not len(hits):
        return {name: None, f"{name}_ci95": None}
    return {name: float(hits.mean()), f"{name}_ci95": list(wilson(int(hits.sum()), len(hits)))}
