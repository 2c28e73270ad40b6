"""What an exported classifier makes of its logits: probabilities, what a face could be, whether that is sure.

Everything here is fitted on faces that the network was not trained on, and travels in the exported file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError
from mien.evaluation import conformal
from mien.evaluation.calibration import SCALINGS, Scaling, cross_fitted
from mien.evaluation.conformal import Bools, Floats
from mien.evaluation.metrics import checked

UNSURE_BELOW = 0.5
"""Where nothing was fitted, a reading is unsure whose largest probability lies below this."""


def energy(logits: ArrayLike) -> Floats:
    """−ln Σ exp of the logits: the greater, the less a picture is like those of any class.

    Source: Liu et al. 2020, equation 4 at temperature 1. Shape: (N, C) → (N,).
    """
    z = np.asarray(logits, np.float64)
    most = z.max(axis=1)
    return -(most + np.log(np.exp(z - most[:, None]).sum(axis=1)))


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """What is said of N faces. probabilities: (N, C). reached: (N, C) bool, the emotions that each could be.

    familiar: (N,) bool, that a picture is like the faces of the fit. sure: (N,) bool.
    """

    probabilities: Floats
    reached: Bools
    familiar: Bools
    sure: Bools

    def __getitem__(self, rows: Any) -> Decided:
        return Decided(self.probabilities[rows], self.reached[rows], self.familiar[rows], self.sure[rows])


@dataclass(frozen=True, slots=True)
class Decision:
    """How probabilities are made of logits, and when a reading is unsure.

    coverage: how often the emotions whose conformity reaches `threshold` are to hold the label, of faces like
        those of the fit; a reading is sure where exactly one reaches it. None: a reading is sure where its
        largest probability reaches the threshold.
    share: of faces like those of the fit, how many are to be familiar: the energy of their logits is at most
        `limit`. Of others nothing is sure. None: this is not asked.
    kind: of `conformal.CONFORMITY`; exported networks have the first, by which conformity is probability.
    """

    scaling: Scaling
    threshold: float = UNSURE_BELOW
    coverage: float | None = None
    share: float | None = None
    limit: float | None = None
    kind: str = "lac"

    def __call__(self, logits: ArrayLike, probabilities: ArrayLike | None = None) -> Decided:
        """What is said of faces with these logits (N, C); probabilities where they are known already."""
        p = np.asarray(self.scaling(logits) if probabilities is None else probabilities, np.float64)
        reached = conformal.CONFORMITY[self.kind](p) >= self.threshold
        familiar = np.ones(len(p), bool) if self.limit is None else energy(logits) <= self.limit
        one = reached.any(axis=1) if self.coverage is None else conformal.sure(reached)
        return Decided(p, reached, familiar, one & familiar)

    def to_metadata(self) -> dict[str, Any]:
        """What the exported file says of it; `from_metadata` reads it back."""
        told: dict[str, Any] = {"calibration": self.scaling.to_dict()}
        if self.coverage is None:
            told["unsure_below"] = self.threshold
        else:
            told["conformal"] = {"coverage": self.coverage, "threshold": self.threshold}
        if self.limit is not None:
            told["familiar"] = {"share": self.share, "energy": self.limit}
        return told

    @classmethod
    def from_metadata(cls, fields: Mapping[str, Any]) -> Decision:
        """Of a file's metadata; files of the first releases hold a `temperature` in place of `calibration`.

        Raises: KeyError, TypeError or ValueError where something is missing or no number.
        """
        if told := fields.get("calibration"):
            scaling = Scaling.from_dict(told)
        else:
            temperature = _number(fields["temperature"])
            if temperature <= 0:
                raise ValueError(f"a temperature of {temperature}: expected more than 0")
            scaling = Scaling.of_temperature(temperature, len(fields["labels"]))
        if len(scaling.scale) != len(fields["labels"]):
            raise ValueError(
                f"calibration of {len(scaling.scale)} classes for {len(fields['labels'])} labels"
            )
        promise, known = fields.get("conformal"), fields.get("familiar")
        return cls(
            scaling,
            _number(fields["unsure_below"] if promise is None else promise["threshold"]),
            None if promise is None else _number(promise["coverage"]),
            None if known is None else _number(known["share"]),
            None if known is None else _number(known["energy"]),
        )


def _number(value: Any) -> float:
    found = float(value)
    if not np.isfinite(found):
        raise ValueError(f"{found}: expected a finite number")
    return found


def undecided(classes: int) -> Decision:
    """That of a network of which nothing was fitted: logits as they are, and `UNSURE_BELOW`."""
    return Decision(Scaling.of_temperature(1.0, classes))


def fit(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    scaling: str = "temperature",
    coverage: float = conformal.COVERAGE,
    share: float | None = None,
    kind: str = "lac",
) -> Decision:
    """The decision that keeps its promises on these faces.

    scaling: one of `SCALINGS`. The threshold is `conformal.threshold`'s, and −1, which all reach, where there
    are too few faces; the limit of the energy is found in the same way, and not asked for with too few.
    Shape: logits (N, C), labels (N,) of faces that the network was not trained on.
    Raises: DataError when they do not fit together, there are none, or a share lies outside 0…1.
    """
    if scaling not in SCALINGS:
        raise DataError(f"scaling {scaling!r}: expected {' or '.join(SCALINGS)}")
    z, truth = checked(logits, labels)
    scaled = SCALINGS[scaling](z, truth)
    conformity = conformal.CONFORMITY[kind](scaled(z))[np.arange(len(z)), truth]
    found = Decision(scaled, max(-1.0, conformal.threshold(conformity, coverage)), coverage, kind=kind)
    if share is None:
        return found
    limit = -conformal.threshold(-energy(z), share)
    return replace(found, share=share, limit=limit) if np.isfinite(limit) else found


def cross_fitted_decision(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    seed: int = 0,
    keep: NDArray[np.bool_] | None = None,
    **about: Any,
) -> Decided:
    """What each kept face is given by a decision that was fitted on the half that it does not lie in.

    about: as for `fit`. seed, keep: as for `calibration.cross_fitted_ece`.
    Raises: DataError as `fit` and `calibration.cross_fitted` do.
    """

    def answer(z: Floats, truth: NDArray[np.int64]) -> Any:
        decision = fit(z, truth, **about)

        def columns(others: Floats) -> Floats:
            found = decision(others)
            flags = np.stack([found.familiar, found.sure], axis=1)
            return np.concatenate([found.probabilities, found.reached, flags], axis=1)

        return columns

    found = cross_fitted(answer, logits, labels, seed, keep)
    classes = (found.shape[1] - 2) // 2
    flags = found[:, classes:].astype(bool)
    return Decided(found[:, :classes], flags[:, :classes], flags[:, -2], flags[:, -1])
