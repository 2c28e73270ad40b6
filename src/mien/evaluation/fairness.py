"""For which faces a network is right less often: by picture quality, pose and raters' agreement.

Age, sex, skin colour, glasses and the like were never labelled in FER-2013: for whom a network errs more
among people is unknown, and no figure here stands for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError
from mien.evaluation.metrics import Z95, wilson

UInt8 = NDArray[np.uint8]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

UNKNOWN = ("age", "sex", "skin colour", "glasses", "country", "disability")
"""What no dataset here labels: for each of these it is not known whether a network is fair."""


def sharpness(images: UInt8) -> Floats:
    """Variance of the Laplacian of each picture: low where it is blurred, (N, H, W) → (N,).

    Source: Pech-Pacheco et al. 2000. Four neighbours, without the border.
    """
    x = images.astype(np.float32)
    middle = x[:, 1:-1, 1:-1]
    found = x[:, :-2, 1:-1] + x[:, 2:, 1:-1] + x[:, 1:-1, :-2] + x[:, 1:-1, 2:] - 4 * middle
    return np.asarray(found.var(axis=(1, 2), dtype=np.float64), np.float64)


def contrast(images: UInt8) -> Floats:
    """Standard deviation of each picture's grey values, (N, H, W) → (N,)."""
    return np.asarray(images.std(axis=(1, 2), dtype=np.float64), np.float64)


def blockiness(images: UInt8, block: int = 8) -> Floats:
    """How much greater steps are across the borders of JPEG's blocks than elsewhere, (N, H, W) → (N,).

    1 says that no border shows. Of pictures that were made smaller after they were compressed, whose blocks
    are no longer 8 pixels wide, it says nothing.
    """
    total = np.zeros((2, len(images)))
    for axis in (1, 2):
        steps = np.abs(np.diff(images.astype(np.int16), axis=axis)).mean(axis=3 - axis, dtype=np.float64)
        border = np.arange(1, steps.shape[1] + 1) % block == 0
        total += np.stack([steps[:, border].mean(axis=1), steps[:, ~border].mean(axis=1)])
    return np.asarray((total[0] + 1e-9) / (total[1] + 1e-9), np.float64)


def quartiles(values: ArrayLike) -> tuple[NDArray[np.int64], list[str]]:
    """Each face's quarter 0…3 of the values, and the quarters' names with their ends. Shape: (N,) → (N,)."""
    held = np.asarray(values, np.float64)
    ends = np.quantile(held, (0, 0.25, 0.5, 0.75, 1))
    groups = np.searchsorted(ends[1:-1], held, side="right")
    return groups, [f"{low:.3g} to {high:.3g}" for low, high in pairwise(ends)]


def bins(values: ArrayLike, edges: Sequence[float], unit: str = "") -> tuple[NDArray[np.int64], list[str]]:
    """Each face's bin between ascending edges, −1 where it lies outside or is no number; the bins' names."""
    held = np.asarray(values, np.float64)
    groups = np.searchsorted(edges, held, side="right") - 1
    groups[~(held >= edges[0]) | ~(held <= edges[-1])] = -1
    groups[held == edges[-1]] = len(edges) - 2
    return groups, [f"{low:g}{unit} to {high:g}{unit}" for low, high in pairwise(edges)]


def by_group(
    right: ArrayLike, labels: ArrayLike, groups: ArrayLike, names: Sequence[str], reference: int
) -> dict[str, Any]:
    """Accuracy in each group of faces, as it is and given the emotion, as JSON.

    right: (N,) bool. labels: (N,) the emotions. groups: (N,) indices into names, −1 for faces of no group.
    reference: the group that the others are compared with. Groups hold other emotions in other shares:
    `given_emotion` is the difference to the reference in points of rate, weighed over emotions by Mantel and
    Haenszel's n₁n₀/(n₁+n₀), with its large-sample 95 % interval; None where they share no emotion.
    Raises: DataError when the lengths differ or the reference is none of the names.
    """
    hit, emotion, group = np.asarray(right, bool), np.asarray(labels, np.int64), np.asarray(groups, np.int64)
    if not len(hit) == len(emotion) == len(group) or not 0 <= reference < len(names):
        raise DataError(
            f"{len(hit)} answers, {len(emotion)} labels and {len(group)} groups, reference {reference}: "
            f"expected as many of each, and one of {len(names)} groups"
        )
    rows = []
    for number, name in enumerate(names):
        inside = group == number
        n, k = int(inside.sum()), int(hit[inside].sum())
        rows.append(
            {
                "group": name,
                "n": n,
                "accuracy": k / n if n else None,
                "accuracy_ci95": list(wilson(k, n)) if n else None,
                "given_emotion": None
                if number == reference
                else _given_emotion(hit, emotion, inside, group == reference),
            }
        )
    return {"reference": names[reference], "left_out": int((group < 0).sum()), "groups": rows}


def _given_emotion(hit: Bools, emotion: NDArray[np.int64], one: Bools, other: Bools) -> dict[str, Any] | None:
    weights, differences, variances = [], [], []
    for each in np.unique(emotion[one | other]):
        first, second = hit[one & (emotion == each)], hit[other & (emotion == each)]
        if not len(first) or not len(second):
            continue
        p, q = first.mean(), second.mean()
        weights.append(len(first) * len(second) / (len(first) + len(second)))
        differences.append(p - q)
        variances.append(p * (1 - p) / len(first) + q * (1 - q) / len(second))
    if not weights:
        return None
    w = np.array(weights) / np.sum(weights)
    value, half = float(w @ differences), Z95 * float(np.sqrt(w**2 @ variances))
    return {"difference": value, "ci95": [value - half, value + half]}


def rater_agreement(votes: NDArray[np.uint8]) -> Floats:
    """The share of a face's raters who chose what most chose; NaN where none did. Shape: (N, 10) → (N,)."""
    total = votes.sum(axis=1, dtype=np.float64)
    return np.where(total > 0, votes.max(axis=1) / np.maximum(total, 1), np.nan)
