"""Linear support vector machines that tell emotions apart: how much of them a representation lays open.

Thesis (system E), 6.3.2: one classifier for each emotion against the rest, with a linear kernel, judged by
the share of faces named rightly. The thesis does not say how its C was found; here it is the one of `COSTS`
with the best accuracy on the validation faces, the smallest where several are as good.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError

Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]

COSTS: tuple[float, ...] = tuple(10.0 ** (step / 2) for step in range(-4, 7))
"""The C that are tried, 0.01 to 1,000, two a decade: for data centred and of mean squared length 1.

All 249 coordinates of posed faces are best at 1 to 10 and lose on both sides; of 20 to 50 components, and of
components scaled to equal variance as latent means nearly are, the accuracy no longer changes above 100.
"""

_MOST_STEPS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Shift and one common factor by which data are shown to the classifiers.

    A common factor s does what C·s² does, so no geometry is changed: the grid of C merely means the same for
    249 coordinates and for 20 latent means.
    """

    centre: Matrix
    factor: float

    @classmethod
    def of(cls, train: Matrix) -> Scaling:
        """Centres the training data (N, F) and gives them a mean squared length of 1."""
        centre = train.mean(axis=0)
        length = float(np.sqrt(((train - centre) ** 2).sum(axis=1).mean()))
        # A representation that has fallen together on one point has nothing to be scaled.
        return cls(centre, 1 / length if length > 0 else 1.0)

    def __call__(self, x: Matrix) -> Matrix:
        """(N, F) → (N, F) float64."""
        return np.asarray((x - self.centre) * self.factor, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class EmotionProbe:
    """What the classifiers made of each split.

    cost: the C that was chosen. tried: each C and its accuracy on validation. predictions: by split, (N,)
    the label given. accuracies: by split, 0…1.
    """

    cost: float
    tried: tuple[tuple[float, float], ...]
    predictions: Mapping[str, Labels]
    accuracies: Mapping[str, float]


def svm_accuracy(
    train: Matrix,
    train_labels: Labels,
    validation: Matrix,
    validation_labels: Labels,
    others: Mapping[str, tuple[Matrix, Labels]],
) -> EmotionProbe:
    """Trains on the training faces, tunes C on the validation faces, and answers for all.

    Shape: train (N, F), train_labels (N,) with at least two values; others by name, likewise. The answers to
    the two are under "training" and "public". Deterministic: the primal solver draws nothing.
    Raises: DataError when training has one emotion, validation has no face, or a number is not finite.
    """
    from sklearn.svm import LinearSVC

    if len(np.unique(train_labels)) < 2:
        raise DataError("one emotion in the training faces: expected at least 2 to tell apart")
    if not len(validation_labels):
        raise DataError("no labelled faces in the public split: C is tuned on them; expected some")
    given = {"training": (train, train_labels), "public": (validation, validation_labels), **others}
    shown = scaled({name: x for name, (x, _) in given.items()})
    tried, best, found = [], -1.0, None
    for cost in COSTS:
        machine = LinearSVC(C=cost, dual=False, max_iter=_MOST_STEPS, random_state=0)
        machine.fit(shown["training"], train_labels)
        accuracy = float((machine.predict(shown["public"]) == validation_labels).mean())
        tried.append((cost, accuracy))
        if accuracy > best:
            best, found = accuracy, machine
    assert found is not None
    held = {name: x for name, x in shown.items() if len(x)}
    predictions = {name: np.asarray(found.predict(x), np.int64) for name, x in held.items()}
    right = {name: float((predictions[name] == given[name][1]).mean()) for name in predictions}
    return EmotionProbe(float(found.C), tuple(tried), predictions, right)


def scaled(points: Mapping[str, Matrix]) -> dict[str, Matrix]:
    """Every split centred and scaled by the training split's `Scaling`.

    Raises: DataError when a number is not finite or the splits' widths differ.
    """
    width = points["training"].shape[1]
    for name, x in points.items():
        if x.shape[1:] != (width,):
            raise DataError(
                f"the {name} representation is {x.shape}: expected (faces, {width}) as in training"
            )
        if not np.isfinite(x).all():
            raise DataError(f"the {name} representation has numbers that are not finite: expected none")
    scale = Scaling.of(np.asarray(points["training"], np.float64))
    return {name: scale(x) for name, x in points.items()}
