"""Confidences that mean what they say: temperature scaling, and an error not measured where it was fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError
from mien.evaluation.metrics import checked, expected_calibration_error

COLDEST, HOTTEST = 0.01, 100.0
"""Temperatures are sought between these; logits that separate the classes perfectly would ask for 0."""


def softmax(logits: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Probabilities of logits divided by a temperature > 0. Shape: (N, C) → (N, C)."""
    scaled = np.asarray(logits, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(logits: ArrayLike, labels: ArrayLike) -> float:
    """The temperature that makes softmax(logits / T) most likely, in 0.01…100.

    The mean negative log-likelihood is convex in β = 1/T, with the slope mean(E[z] − z_true) and the
    curvature mean(Var[z]) under the scaled probabilities; Newton's steps on β stay in a shrinking bracket.
    Source: Guo et al. 2017, section 4.2.
    Shape: logits (N, C) float, labels (N,) int.
    Raises: DataError when they do not fit together or a logit is not finite.
    """
    z, truth = checked(logits, labels)
    true_logits = z[np.arange(len(z)), truth]
    low, high, beta = 1 / HOTTEST, 1 / COLDEST, 1.0
    for bound, sign in ((low, 1), (high, -1)):
        if sign * _slope(z, true_logits, bound)[0] >= 0:
            return 1 / bound
    for _ in range(100):
        slope, curvature = _slope(z, true_logits, beta)
        low, high = (low, beta) if slope > 0 else (beta, high)
        step = beta - slope / curvature if curvature > 0 else low
        following = step if low < step < high else (low + high) / 2
        if abs(following - beta) <= 1e-12 * beta:
            break
        beta = following
    return float(1 / beta)


def _slope(z: NDArray[np.float64], true_logits: NDArray[np.float64], beta: float) -> tuple[float, float]:
    p = softmax(z, 1 / beta)
    mean = (p * z).sum(axis=1)
    variance = (p * (z - mean[:, None]) ** 2).sum(axis=1)
    return float((mean - true_logits).mean()), float(variance.mean())


def halves(labels: ArrayLike, seed: int) -> NDArray[np.bool_]:
    """(N,) bool: a random half of the rows, as many of each class as of the others' half (±1).

    A function of labels and seed alone.
    """
    truth = np.asarray(labels, np.int64)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0xCA11B]))
    first = np.zeros(len(truth), bool)
    for number, label in enumerate(np.unique(truth)):
        rows = rng.permutation(np.flatnonzero(truth == label))
        # Odd classes give their extra row to either half in turn, so that the halves stay equal.
        first[rows[: (len(rows) + number % 2) // 2]] = True
    return first


def cross_fitted_ece(
    logits: ArrayLike, labels: ArrayLike, seed: int = 0, keep: NDArray[np.bool_] | None = None
) -> dict[str, Any]:
    """Calibration error of temperature scaling on faces that the temperature never saw.

    The faces are split into two stratified halves; the temperature is fitted on one and the error measured on
    the other, both ways. `keep` (N,) bool leaves rows out of both the fitting and the measuring while every
    other row stays in its half.
    Returns: `ece` (mean of both ways), `ece_halves`, `temperatures` (the one each half was measured with),
    `ece_uncalibrated` (all kept rows at temperature 1), `n`, `seed`.
    Raises: DataError when shapes do not fit together or a half is empty.
    """
    z, truth = checked(logits, labels)
    kept = np.ones(len(z), bool) if keep is None else keep
    first = halves(truth, seed)
    errors, temperatures = [], []
    for measured, fitted in ((first & kept, ~first & kept), (~first & kept, first & kept)):
        if not measured.any() or not fitted.any():
            raise DataError(f"{int(kept.sum())} faces: too few to fit on one half and measure on the other")
        temperature = fit_temperature(z[fitted], truth[fitted])
        temperatures.append(temperature)
        errors.append(expected_calibration_error(softmax(z[measured], temperature), truth[measured]))
    return {
        "ece": float(np.mean(errors)),
        "ece_halves": errors,
        "temperatures": temperatures,
        "ece_uncalibrated": expected_calibration_error(softmax(z[kept]), truth[kept]),
        "n": int(kept.sum()),
        "seed": seed,
    }
