"""Confidences that mean what they say: scalings of logits, and errors not measured where they were fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError
from mien.evaluation.metrics import BINS, SMALLEST, checked, expected_calibration_error

COLDEST, HOTTEST = 0.01, 100.0
"""Temperatures are sought between these; logits that separate the classes perfectly would ask for 0."""

RIDGE = 1e-6
"""Weight of half the squared distance to temperature scaling in the fit of vector scaling: it decides what
the likelihood leaves open, the sum of the biases, and keeps separable classes finite."""

RESAMPLES = 1000
"""Bootstrap samples of faces behind an interval."""

Floats = NDArray[np.float64]


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


@dataclass(frozen=True, slots=True)
class Scaling:
    """Logits are multiplied by `scale` and moved by `bias`, C numbers each, before the softmax."""

    scale: tuple[float, ...]
    bias: tuple[float, ...]

    @classmethod
    def of_temperature(cls, temperature: float, classes: int) -> Scaling:
        """One factor for all classes, 1/T, and no bias."""
        return cls((1 / temperature,) * classes, (0.0,) * classes)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Scaling:
        """That which `to_dict` gave.

        Raises: KeyError, TypeError or ValueError where something is missing or no finite number.
        """
        scale, bias = (tuple(map(float, stored[name])) for name in ("scale", "bias"))
        if len(scale) != len(bias) or not np.isfinite([*scale, *bias]).all():
            raise ValueError(f"a calibration of scales {scale} and biases {bias}: expected as many, finite")
        return cls(scale, bias)

    def to_dict(self) -> dict[str, Any]:
        """Its name and numbers, for JSON."""
        return {"scaling": self.name, "scale": list(self.scale), "bias": list(self.bias)}

    @property
    def temperature(self) -> float | None:
        """What all logits are divided by; None where classes are scaled each in its own way."""
        return None if any(self.bias) or len(set(self.scale)) > 1 else 1 / self.scale[0]

    @property
    def name(self) -> str:
        """The one of `SCALINGS` that it is."""
        return "vector" if self.temperature is None else "temperature"

    def __call__(self, logits: ArrayLike) -> Floats:
        """Probabilities (N, C) of logits (N, C)."""
        return softmax(np.asarray(logits, np.float64) * self.scale + self.bias)


def temperature_scaling(logits: ArrayLike, labels: ArrayLike) -> Scaling:
    """One factor for all classes, 1/T, and no bias; see `fit_temperature`."""
    return Scaling.of_temperature(fit_temperature(logits, labels), np.asarray(logits).shape[-1])


def vector_scaling(logits: ArrayLike, labels: ArrayLike) -> Scaling:
    """A factor and a bias for each class; unlike a temperature it can change which class is the likeliest.

    The mean negative log-likelihood is convex in both; Newton's steps from temperature scaling are halved
    until they go down. The biases sum to 0.
    Source: Guo et al. 2017, section 4.2.
    Shape: logits (N, C) float, labels (N,) int.
    Raises: DataError when they do not fit together or a logit is not finite.
    """
    z, truth = checked(logits, labels)
    first = temperature_scaling(z, truth)
    start = np.concatenate([first.scale, first.bias])
    found = start
    value, slope, curvature = vector_objective(found, start, z, truth)
    for _ in range(100):
        if np.abs(slope).max() < 1e-10:
            break
        step = np.linalg.solve(curvature, slope)
        length = 1.0
        while length > 1e-6:
            tried = vector_objective(found - length * step, start, z, truth)
            if tried[0] <= value - 1e-4 * length * float(slope @ step):
                break
            length /= 2
        else:
            break
        found, (value, slope, curvature) = found - length * step, tried
    scale, bias = np.split(found, 2)
    return Scaling(tuple(scale.tolist()), tuple(bias.tolist()))


def vector_objective(
    parameters: Floats, start: Floats, z: Floats, truth: NDArray[np.int64]
) -> tuple[float, Floats, Floats]:
    """What vector scaling makes small, its slope (2C,) and curvature (2C, 2C), at scales then biases (2C,).

    The mean negative log-likelihood + `RIDGE`/2 · |parameters − start|².
    """
    n, c = z.shape
    scaled = z * parameters[:c] + parameters[c:]
    scaled -= scaled.max(axis=1, keepdims=True)
    logs = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
    p = np.exp(logs)
    away = parameters - start
    value = -float(logs[np.arange(n), truth].mean()) + RIDGE / 2 * float(away @ away)
    too_much = p - np.eye(c)[truth]
    slope = np.concatenate([(too_much * z).mean(axis=0), too_much.mean(axis=0)]) + RIDGE * away
    # Of each face: diag(p) − p pᵀ between scaled logits, which have the slope z by a scale and 1 by a bias.
    inner = np.concatenate([p * z, p], axis=1)
    curvature = -(inner.T @ inner) / n + RIDGE * np.eye(2 * c)
    own = np.arange(c)
    curvature[own, own] += (p * z * z).mean(axis=0)
    curvature[own, own + c] += (p * z).mean(axis=0)
    curvature[own + c, own] += (p * z).mean(axis=0)
    curvature[own + c, own + c] += p.mean(axis=0)
    return value, slope, curvature


SCALINGS: dict[str, Callable[[ArrayLike, ArrayLike], Scaling]] = {
    "temperature": temperature_scaling,
    "vector": vector_scaling,
}
"""Fits by name; the others are compared with the first. A recipe names the one that its network gets."""

SCALED_BY = {"temperature": "a temperature", "vector": "a factor and a bias for each emotion"}
"""The kinds of `SCALINGS` in words."""


def cross_fitted(
    fit: Callable[[Floats, NDArray[np.int64]], Callable[[Floats], Any]],
    logits: ArrayLike,
    labels: ArrayLike,
    seed: int = 0,
    keep: NDArray[np.bool_] | None = None,
) -> Any:
    """What each kept face is given by a fit to the half that it does not lie in, in the order of the faces.

    fit: logits (M, C) and labels (M,) → a function of logits (K, C) that gives an array (K, …).
    keep: as for `cross_fitted_ece`.
    Raises: DataError when shapes do not fit together or a half is empty.
    """
    z, truth = checked(logits, labels)
    kept = np.ones(len(z), bool) if keep is None else keep
    first = halves(truth, seed)
    parts = []
    for given, fitted in ((first & kept, ~first & kept), (~first & kept, first & kept)):
        if not given.any() or not fitted.any():
            raise DataError(f"{int(kept.sum())} faces: too few to fit on one half and measure on the other")
        parts.append((given, np.asarray(fit(z[fitted], truth[fitted])(z[given]))))
    whole = np.empty((len(z), *parts[0][1].shape[1:]), parts[0][1].dtype)
    for given, values in parts:
        whole[given] = values
    return whole[kept]


def compare_scalings(
    logits: ArrayLike, labels: ArrayLike, seed: int = 0, keep: NDArray[np.bool_] | None = None
) -> dict[str, dict[str, Any]]:
    """Every one of `SCALINGS`, cross-fitted: all faces in one measurement, each with the other half's fit.

    Returns, by name: `nll`, `accuracy`, `ece` and `ece_equal_mass` with their `_ci95`, `ece_by_chance`: the
    `ece` that these confidences would have, were they exactly right; and of all but the first `nll_more`,
    `nll_more_ci95`: by how much `nll` exceeds the first's, face by face. Intervals are over the bootstrap of
    faces (see `error_interval`), the fits as they are.
    Raises: DataError as `cross_fitted` does.
    """
    truth = np.asarray(labels, np.int64)
    y = truth if keep is None else truth[keep]
    found: dict[str, dict[str, Any]] = {}
    base: Floats | None = None
    for name, fit in SCALINGS.items():
        p = cross_fitted(fit, logits, truth, seed, keep)
        costs = -np.log(np.maximum(p[np.arange(len(p)), y], SMALLEST))
        found[name] = {
            "nll": float(costs.mean()),
            "accuracy": float((p.argmax(axis=1) == y).mean()),
            **_errors(p, y, seed),
        }
        if base is None:
            base = costs
            continue
        more = costs - base
        ends = np.quantile(resample(more[:, None], seed), (0.025, 0.975))
        found[name] |= {"nll_more": float(more.mean()), "nll_more_ci95": ends.tolist()}
    return found


def error_of_kind(stored: Mapping[str, Any]) -> tuple[str, float]:
    """The kind of scaling that a network has, and its calibration error on faces that were not fitted.

    stored: `Figures.calibration`. Figures of earlier releases name no kind: a temperature was the only one;
        the first of them hold no `scalings` either, and of these it is the mean of the two halves' errors.
    """
    kind = str(stored.get("scaling", "temperature"))
    scalings = stored.get("scalings")
    return kind, float(scalings[kind]["ece"] if scalings else stored["ece_cross_fitted"])


def fitted_elsewhere(stored: Mapping[str, Any]) -> float | None:
    """The accuracy of answers that were scaled by fits to other faces; None where scaling changes no answer.

    stored: `Figures.calibration`.
    """
    kind = stored.get("scaling", "temperature")
    return None if kind == "temperature" else float(stored["scalings"][kind]["accuracy"])


def _errors(p: Floats, truth: NDArray[np.int64], seed: int) -> dict[str, Any]:
    confidence, right = p.max(axis=1), p.argmax(axis=1) == truth
    wide, even = equal_width(confidence), equal_mass(confidence)
    return {
        "ece": binned_error(right, confidence, wide),
        "ece_ci95": error_interval(right, confidence, wide, seed),
        "ece_equal_mass": binned_error(right, confidence, even),
        "ece_equal_mass_ci95": error_interval(right, confidence, even, seed),
        "ece_by_chance": float(by_chance(confidence, wide, seed).mean()),
    }


def equal_width(confidence: Floats, bins: int = BINS) -> NDArray[np.int64]:
    """The bin (b/B, (b+1)/B] of each confidence, as `metrics.reliability` has it. Shape: (N,) → (N,)."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    return np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)


def equal_mass(confidence: Floats, bins: int = BINS) -> NDArray[np.int64]:
    """Bins of as many faces each (±1), the least confident first. Shape: (N,) → (N,).

    Source: Nguyen & O'Connor 2015, adaptive binning.
    """
    place = np.empty(len(confidence), np.int64)
    for number, rows in enumerate(np.array_split(np.argsort(confidence, kind="stable"), bins)):
        place[rows] = number
    return place


def binned_error(right: NDArray[np.bool_], confidence: Floats, place: NDArray[np.int64]) -> float:
    """The calibration error over given bins: Σ over bins of |Σ right − confidence| / N. Shape: (N,) each."""
    return float(np.abs(np.bincount(place, weights=right - confidence)).sum() / len(place))


def by_chance(confidence: Floats, place: NDArray[np.int64], seed: int = 0, draws: int = 400) -> Floats:
    """(draws,): `binned_error` of answers that are right exactly as often as their confidence says."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0xC4A2CE]))
    n = len(confidence)
    return np.array([binned_error(rng.random(n) < confidence, confidence, place) for _ in range(draws)])


def error_interval(
    right: NDArray[np.bool_], confidence: Floats, place: NDArray[np.int64], seed: int = 0
) -> list[float]:
    """A cautious 95 % interval of `binned_error` by the bootstrap over faces, bins as they are.

    Drawing faces anew adds to a sum of distances what drawing them the first time had added. The lower end is
    the basic bootstrap's, reflected at the estimate, which takes that out, and 0 where chance gives as much
    in one of forty draws; the upper end is the percentile's, which counts it twice. Either interval alone
    covers too seldom: the basic one ends too low, the percentile's begins too high.
    Source: Davison & Hinkley 1997, sections 5.2 and 5.3.
    """
    gaps = (right - confidence)[:, None] * np.eye(int(place.max()) + 1)[place]
    found = binned_error(right, confidence, place)
    high = float(np.quantile(np.abs(resample(gaps, seed)).sum(axis=1), 0.975))
    noise = np.quantile(by_chance(confidence, place, seed), 0.975)
    return [max(0.0, 2 * found - high) if found > noise else 0.0, max(found, high)]


def resample(values: Floats, seed: int) -> Floats:
    """The columns' means over faces drawn with replacement, `RESAMPLES` times.

    A function of values and seed alone. Shape: (N, K) → (RESAMPLES, K).
    """
    n = len(values)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0xB007]))
    means = np.empty((RESAMPLES, values.shape[1]))
    for number in range(RESAMPLES):
        means[number] = np.bincount(rng.integers(0, n, n), minlength=n) @ values / n
    return means
