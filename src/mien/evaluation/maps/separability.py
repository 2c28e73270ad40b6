"""Whether two emotions can be told apart: the criterion by which neighbours on the circle are joined.

The separability of two emotions is the balanced accuracy when only these two are to be told apart: 0.5 is
chance, 1 certainty. The siamese paper joins fear and surprise, which 'completely overlap', and states no
criterion; ours is in `SEPARABLE`.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.evaluation.maps.responses import Confusion, Embeddings, Responses, Source

Matrix = NDArray[np.float64]

SEPARABLE = 0.75
"""Below it, half way between chance and certainty, two emotions that are neighbours may change places."""

FOLDS = 5
RIDGE = 1e-6
"""Of the mean within-emotion variance, added to each direction's: points may vary in none."""

HOW = {
    "votes": "the votes of a face for its own emotion exceed those for the other",
    "probabilities": "the probability of a face's own emotion exceeds that of the other",
    "confusion": "of the answers that name one of the two, the right one is given",
    "embeddings": f"a linear discriminant, cross-validated in {FOLDS} parts, tells them apart",
}


def criterion(kind: str) -> str:
    """What is counted and where the line is drawn, as one sentence."""
    return (
        "Neighbours on the circle are joined, and may change places, where their separability is below "
        f"{SEPARABLE}, half way between chance and certainty: the mean over the two emotions of the share "
        f"of cases in which {HOW[kind]}."
    )


def separability(source: Source, seed: int = 0) -> Matrix:
    """The separability of every two emotions: (C, C) symmetric, 1 on the diagonal.

    seed: of the parts that embeddings are divided into.
    Raises: DataError when embeddings have an emotion with a single face, which cannot be cross-validated.
    """
    if isinstance(source, Responses):
        return _of_answers(source)
    if isinstance(source, Confusion):
        return _of_rates(source)
    return _balanced(parted(source, seed) / np.bincount(source.labels)[:, None])


def _of_answers(source: Responses) -> Matrix:
    """Ties count half."""
    c = len(source.emotions)
    right = np.empty((c, c))
    for i in range(c):
        answers = source.answers[source.labels == i]
        own = answers[:, [i]]
        right[i] = ((own > answers) + 0.5 * (own == answers)).mean(axis=0)
    return _balanced(right)


def _of_rates(source: Confusion) -> Matrix:
    """An emotion that is named as neither of the two is as good as a tie."""
    own = np.broadcast_to(np.diag(source.rows)[:, None], source.rows.shape)
    either = own + source.rows
    return _balanced(np.divide(own, either, out=np.full(either.shape, 0.5), where=either > 0))


def parted(source: Embeddings, seed: int = 0) -> Matrix:
    """How many faces of each emotion (row) lie on its side of the line between it and another: (C, C).

    Fisher's discriminant with equal priors and a pooled covariance, fitted on the other parts; a face on the
    line counts half. The diagonal is 0.
    Raises: DataError as `separability` does.
    """
    groups = [source.points[source.labels == i] for i in range(len(source.emotions))]
    for emotion, points in zip(source.emotions, groups, strict=True):
        if len(points) < 2:
            raise DataError(
                f"one face of {emotion}: expected at least 2 of each emotion, one to judge by the others"
            )
    folds = min(FOLDS, *(len(points) for points in groups))
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x5E9A]))
    parts = [rng.permutation(len(points)) % folds for points in groups]
    c = len(groups)
    right = np.zeros((c, c))
    for fold in range(folds):
        held = [points[part == fold] for points, part in zip(groups, parts, strict=True)]
        learned = [points[part != fold] for points, part in zip(groups, parts, strict=True)]
        centres = [points.mean(axis=0) for points in learned]
        spreads = [(p - m).T @ (p - m) / len(p) for p, m in zip(learned, centres, strict=True)]
        for i, j in combinations(range(c), 2):
            axis = _discriminant((spreads[i] + spreads[j]) / 2, centres[i] - centres[j])
            middle = (centres[i] + centres[j]) / 2
            right[i, j] += _positive((held[i] - middle) @ axis)
            right[j, i] += _positive((middle - held[j]) @ axis)
    return right


def _discriminant(pooled: Matrix, difference: NDArray[np.float64]) -> NDArray[np.float64]:
    variance = np.trace(pooled) / len(pooled)
    # Emotions whose points have all fallen together are told apart along the line between their centres.
    if variance == 0:
        return difference
    axis: NDArray[np.float64] = np.linalg.solve(pooled + RIDGE * variance * np.eye(len(pooled)), difference)
    return axis


def _positive(values: NDArray[np.float64]) -> float:
    return float((values > 0).sum() + 0.5 * (values == 0).sum())


def _balanced(right: Matrix) -> Matrix:
    """Shares right (truth, other) as their mean over the two: symmetric."""
    values = (right + right.T) / 2
    np.fill_diagonal(values, 1.0)
    return values
