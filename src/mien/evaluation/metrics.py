"""How good predictions are: rates with their intervals, per class, and how far confidences can be trusted.

Labels are class indices, probabilities rows that sum to 1; numpy in, floats and arrays out. Rates lie in 0…1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError

BINS = 15
"""Equal-width confidence bins of the calibration error (Guo et al. 2017)."""

Z95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""

SMALLEST = 1e-12
"""A probability is taken as at least this where its logarithm is needed."""


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class. A rate is None where nothing defines it (no such face, or the class was never predicted).

    recall_ci95: Wilson's interval of the recall, the class's accuracy.
    """

    precision: float | None
    recall: float | None
    recall_ci95: tuple[float, float] | None
    f1: float | None
    support: int

    def to_dict(self) -> dict[str, Any]:
        """The object under `per_class` in the evaluation's JSON."""
        return {
            "precision": self.precision,
            "recall": self.recall,
            "recall_ci95": list(self.recall_ci95) if self.recall_ci95 else None,
            "f1": self.f1,
            "support": self.support,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> ClassFigures:
        """What `to_dict` gave."""
        ends = stored["recall_ci95"]
        return cls(**{**stored, "recall_ci95": None if ends is None else (ends[0], ends[1])})


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a proportion.

    Source: Wilson 1927; (p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n).
    Raises: DataError when n < 1 or successes lies outside 0…n.
    """
    if n < 1 or not 0 <= successes <= n:
        raise DataError(f"no interval for {successes} of {n}: expected 0 ≤ successes ≤ n and n ≥ 1")
    p, z2 = successes / n, Z95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # At 0 and n the formula's end is exactly 0 or 1; rounding must not push it past the rate itself.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return low, high


def confusion(labels: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Counts of (truth, prediction): rows truth, columns prediction.

    Shape: labels (N,) and predicted (N,) int in 0…classes−1; returns (classes, classes) int64.
    Raises: DataError when the lengths differ, there is no row, or an index lies outside.
    """
    truth, guess = np.asarray(labels, np.int64), np.asarray(predicted, np.int64)
    if truth.shape != guess.shape or truth.ndim != 1 or not len(truth):
        raise DataError(f"{truth.shape} labels and {guess.shape} predictions: expected as many, at least one")
    for name, values in (("label", truth), ("prediction", guess)):
        if values.min() < 0 or values.max() >= classes:
            raise DataError(f"a {name} lies outside 0…{classes - 1}")
    return np.bincount(truth * classes + guess, minlength=classes * classes).reshape(classes, classes)


def accuracy(table: NDArray[np.int64]) -> float:
    """Share of right predictions, from a confusion table."""
    return float(np.trace(table) / table.sum())


def balanced_accuracy(table: NDArray[np.int64]) -> float:
    """Mean recall over the classes that occur in the truth, from a confusion table with rows truth."""
    support = table.sum(axis=1)
    present = support > 0
    return float((np.diag(table)[present] / support[present]).mean())


def macro_f1(table: NDArray[np.int64]) -> float:
    """Mean F1 over the classes that occur in truth or prediction, from a confusion table."""
    involved = table.sum(axis=0) + table.sum(axis=1)
    present = involved > 0
    return float((2 * np.diag(table)[present] / involved[present]).mean())


def per_class(table: NDArray[np.int64]) -> list[ClassFigures]:
    """Precision, recall with its interval, F1 and support of each class, from a confusion table."""
    figures = []
    for right, said, support in zip(
        np.diag(table).tolist(), table.sum(axis=0).tolist(), table.sum(axis=1).tolist(), strict=True
    ):
        figures.append(
            ClassFigures(
                precision=right / said if said else None,
                recall=right / support if support else None,
                recall_ci95=wilson(right, support) if support else None,
                f1=2 * right / (said + support) if said + support else None,
                support=support,
            )
        )
    return figures


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """The data of a reliability diagram: one entry a confidence bin.

    edges: (B+1,) bin edges from 0 to 1; bin b holds the confidences in (edges[b], edges[b+1]].
    counts: (B,) faces in each bin. confidence, accuracy: (B,) their means; NaN where a bin is empty.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def ece(self) -> float:
        """Expected calibration error: Σ over bins of count/N · |accuracy − mean confidence|."""
        held = self.counts > 0
        gaps = np.abs(self.accuracy[held] - self.confidence[held])
        return float((self.counts[held] / self.counts.sum() * gaps).sum())

    def to_dict(self) -> dict[str, Any]:
        """As JSON: lists, with None for empty bins."""
        return {
            "edges": self.edges.tolist(),
            "counts": self.counts.tolist(),
            "confidence": [None if math.isnan(value) else value for value in self.confidence.tolist()],
            "accuracy": [None if math.isnan(value) else value for value in self.accuracy.tolist()],
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Reliability:
        """What `to_dict` gave."""
        floats = {name: np.array(stored[name], np.float64) for name in ("edges", "confidence", "accuracy")}
        return cls(counts=np.array(stored["counts"], np.int64), **floats)


def reliability(probabilities: ArrayLike, labels: ArrayLike, bins: int = BINS) -> Reliability:
    """Accuracy against confidence, in equal-width bins of the largest probability (Guo et al. 2017).

    Shape: probabilities (N, C), labels (N,).
    Raises: DataError when they do not fit together.
    """
    p, truth = checked(probabilities, labels)
    confidences = p.max(axis=1)
    right = p.argmax(axis=1) == truth
    edges = np.linspace(0.0, 1.0, bins + 1)
    # Half-open from below: a confidence on an edge belongs to the bin that ends there.
    place = np.clip(np.searchsorted(edges, confidences, side="left") - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(place, weights=confidences, minlength=bins) / counts
        mean_accuracy = np.bincount(place, weights=right, minlength=bins) / counts
    return Reliability(edges, counts, mean_confidence, mean_accuracy)


def expected_calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = BINS) -> float:
    """Mean distance between confidence and accuracy over equal-width bins, weighted by their faces.

    The confidence is that of the most probable class (top-label calibration), bins are (b/B, (b+1)/B].
    Source: Naeini et al. 2015; Guo et al. 2017, eq. 5.
    """
    return reliability(probabilities, labels, bins).ece


def negative_log_likelihood(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean −ln of the true class's probability, which is taken as at least 1e-12. Shape: (N, C), (N,)."""
    p, truth = checked(probabilities, labels)
    return float(-np.log(np.maximum(p[np.arange(len(p)), truth], SMALLEST)).mean())


def brier(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """Mean squared distance between probabilities and the one-hot truth, summed over classes: 0…2.

    Source: Brier 1950 (the original form; scikit-learn's binary one is half of it). Shape: (N, C), (N,).
    """
    p, truth = checked(probabilities, labels)
    return float(((p - np.eye(p.shape[1])[truth]) ** 2).sum(axis=1).mean())


def checked(scores: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scores (N, C) as float64 and labels (N,) as int64, once they are known to fit together.

    Raises: DataError when the shapes disagree, there is no row, a score is not finite, or a label lies
    outside.
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(labels, np.int64)
    if values.ndim != 2 or truth.shape != values.shape[:1] or not len(values):
        raise DataError(
            f"scores {values.shape} and labels {truth.shape}: expected (N, classes) and (N,), N ≥ 1"
        )
    if not np.isfinite(values).all():
        raise DataError(f"{int((~np.isfinite(values)).any(axis=1).sum())} rows of scores are not finite")
    if truth.min() < 0 or truth.max() >= values.shape[1]:
        raise DataError(f"a label lies outside 0…{values.shape[1] - 1}")
    return values, truth
