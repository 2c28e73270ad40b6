"""What doubt is worth: the second choice beside people's, and pictures that hold no face.

Votes are (N, 10) counts in the order of `FERPLUS_CHOICES`, labels class indices, probabilities (N, C) in the
order of `emotions`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError
from mien.evaluation import conformal, humans
from mien.evaluation.conformal import Bools, Floats, rate
from mien.evaluation.decision import Decided, Decision, cross_fitted_decision, energy, undecided
from mien.evaluation.metrics import SMALLEST, Z95
from mien.faces import no_face
from mien.labels import EMOTIONS

SEEN_BY = 2
"""Raters of ten who must name a second emotion: FER+'s authors take a single vote for a slip."""


def _lack(probabilities: Floats, logits: Floats) -> Floats:
    return 1 - probabilities.max(axis=1)


def _closeness(probabilities: Floats, logits: Floats) -> Floats:
    ranked = np.sort(probabilities, axis=1)
    return ranked[:, -2] - ranked[:, -1]


def _entropy(probabilities: Floats, logits: Floats) -> Floats:
    return -(probabilities * np.log(np.maximum(probabilities, SMALLEST))).sum(axis=1)


def _energy(probabilities: Floats, logits: Floats) -> Floats:
    return energy(logits)


SCORES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "max_probability": _lack,
    "margin": _closeness,
    "entropy": _entropy,
    "energy": _energy,
}
"""Doubt by name, from probabilities and logits (N, C): (N,), the greater the more doubtful.

Max probability: Hendrycks & Gimpel 2017. Margin: of the two likeliest. Energy: `decision.energy`.
"""


def people_second(votes: humans.Votes, emotions: Sequence[str] = EMOTIONS) -> NDArray[np.int64]:
    """The emotion that people named second: (N,) index into `emotions`, −1 where there is none.

    The first is their clear majority (see `humans.majority`); the second has more votes than every other of
    the remaining choices, and at least `SEEN_BY`.
    """
    first = humans.majority(votes, emotions)
    left = votes.copy()
    left[np.arange(len(votes)), votes.argmax(axis=1)] = 0
    second = humans.majority(left, emotions)
    return np.where((first >= 0) & (left.max(axis=1) >= SEEN_BY), second, -1)


def second_choice(
    votes: humans.Votes, labels: ArrayLike, probabilities: ArrayLike, emotions: Sequence[str] = EMOTIONS
) -> dict[str, Any]:
    """How often the network's second choice is what people also saw.

    Returns three cases, each with `n` faces, the share `second` with `second_ci95`, and two baselines:
    `by_lot` among the emotions that are not the network's first, and `constant`, of always naming after each
    first choice the one emotion that is most often right on these very faces:
    `people`: people's second, where they name one; `people_first_right`: the same where the network's first
    is people's first; `wrong`: the label, where the first choice is not. `label_in_two`: the label is one of
    the two.
    """
    p, truth = np.asarray(probabilities, np.float64), np.asarray(labels, np.int64)
    ranked = np.argsort(-p, axis=1, kind="stable")
    first, second = ranked[:, 0], ranked[:, 1]
    people = people_second(votes, emotions)
    agreed = (people >= 0) & (humans.majority(votes, emotions) == first)

    def case(where: Bools, wanted: NDArray[np.int64]) -> dict[str, Any]:
        n = int(where.sum())
        hits = second[where] == wanted[where]
        return {"n": n, **rate("second", hits), **_baselines(first[where], wanted[where], p.shape[1])}

    return {
        "people": case(people >= 0, people),
        "people_first_right": case(agreed, people),
        "wrong": case(first != truth, truth),
        **rate("label_in_two", (first == truth) | (second == truth)),
    }


def _baselines(first: NDArray[np.int64], wanted: NDArray[np.int64], classes: int) -> dict[str, float | None]:
    if not len(first):
        return {"by_lot": None, "constant": None}
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (first, wanted), 1)
    np.fill_diagonal(table, 0)
    return {
        "by_lot": float((first != wanted).mean() / (classes - 1)),
        "constant": float(table.max(axis=1).sum() / len(first)),
    }


def separation(doubt: ArrayLike, positive: ArrayLike) -> tuple[float, float, float]:
    """How often a positive is more doubtful than a negative, ties counting half: the area under the ROC.

    Returns the area and its 95 % interval within 0…1, by DeLong's variance.
    Source: DeLong, DeLong & Clarke-Pearson 1988.
    Shape: doubt (N,), positive (N,) bool.
    Raises: DataError when there are not two of both.
    """
    scores, chosen = np.asarray(doubt, np.float64), np.asarray(positive, bool)
    above, below = np.sort(scores[chosen]), np.sort(scores[~chosen])
    if len(above) < 2 or len(below) < 2:
        raise DataError(f"{len(above)} against {len(below)} pictures: expected two of both at least")
    # The share of the other kind that each one stands on the right side of.
    under = (np.searchsorted(below, above, "left") + np.searchsorted(below, above, "right")) / (
        2 * len(below)
    )
    over = 1 - (np.searchsorted(above, below, "left") + np.searchsorted(above, below, "right")) / (
        2 * len(above)
    )
    area = float(under.mean())
    half = Z95 * math.sqrt(under.var(ddof=1) / len(above) + over.var(ddof=1) / len(below))
    return area, max(0.0, area - half), min(1.0, area + half)


def without_face(
    probabilities: ArrayLike, logits: ArrayLike, certain: Bools, absent: Bools
) -> dict[str, Any] | None:
    """How doubt treats pictures without a face beside those with one; None where there are not two of both.

    certain: (N,) bool, the pictures that are not unsure. absent: (N,) bool, those without a face.
    Returns: `n` of them; `unsure` of them and `unsure_faces` of the others, each with `_ci95`; `auroc`: the
    `separation` of every one of `SCORES`, with its interval.
    """
    p, z = np.asarray(probabilities, np.float64), np.asarray(logits, np.float64)
    if min(absent.sum(), (~absent).sum()) < 2:
        return None
    return {
        "n": int(absent.sum()),
        **rate("unsure", ~certain[absent]),
        **rate("unsure_faces", ~certain[~absent]),
        "auroc": {name: list(separation(score(p, z), absent)) for name, score in SCORES.items()},
    }


def measure(
    probabilities: ArrayLike,
    logits: ArrayLike,
    labels: ArrayLike,
    votes: humans.Votes,
    *,
    keep: Bools,
    emotions: Sequence[str] = EMOTIONS,
    decision: Decision | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Everything that an evaluation says of doubt, over the kept faces.

    keep: (N,) bool; the halves are those of all faces. decision: the network's own; decisions of its kind are
        cross-fitted. None: it has none, and those of a temperature with `conformal.COVERAGE` are.
    Returns: `coverage`; `scaling` and `share` of the kind; `cross_fitted`, `conformal.figures` of faces that
    lie in no fit; the network's own `threshold`, and `as_shipped`, the same figures by its own
    decision, None where that states no coverage; where votes are known `second_choice` and `no_face`, by the
    cross-fitted decisions as well.
    Raises: DataError when shapes do not fit together or a half is empty.
    """
    decision = decision or undecided(len(emotions))
    kind = {"scaling": decision.scaling.name, "share": decision.share}
    coverage = decision.coverage or conformal.COVERAGE
    stated = None if decision.coverage is None else decision
    z, y = np.asarray(logits, np.float64)[keep], np.asarray(labels, np.int64)[keep]
    own = np.asarray(probabilities, np.float64)[keep]
    fitted = cross_fitted_decision(logits, labels, seed=seed, keep=keep, coverage=coverage, **kind)
    known = votes[keep]
    return {
        "coverage": coverage,
        "seed": seed,
        **kind,
        "cross_fitted": _figures(fitted, y, emotions),
        "threshold": None if stated is None else stated.threshold,
        "as_shipped": None if stated is None else _figures(stated(z, own), y, emotions),
        "second_choice": second_choice(known, y, fitted.probabilities, emotions) if known.any() else None,
        "no_face": without_face(fitted.probabilities, z, fitted.sure, no_face(known)),
    }


def _figures(decided: Decided, labels: NDArray[np.int64], emotions: Sequence[str]) -> dict[str, Any]:
    return {
        **conformal.figures(decided.probabilities, decided.reached, labels, emotions, decided.sure),
        **rate("familiar", decided.familiar),
    }
