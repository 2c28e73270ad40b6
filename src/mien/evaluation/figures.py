"""A network's evaluation on a dataset: every figure with and without copied faces, and beside people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, ModelError
from mien.evaluation import calibration, doubt, humans, metrics
from mien.evaluation.decision import Decision
from mien.evaluation.protocols import Classifier, Progress, Sample, Scores, find, show
from mien.faces import FaceBatch
from mien.labels import EMOTIONS, positions

_CONTRACT = (
    "n", "accuracy", "accuracy_ci95", "balanced_accuracy", "macro_f1", "per_class", "confusion", "ece",
)  # fmt: skip
_REBUILT = ("accuracy_ci95", "per_class", "confusion", "reliability", "doubt")


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """What is measured on one set of faces.

    confusion: (C, C) rows truth. ece: of the probabilities as the network gives them.
    calibration: None where there are too few faces for two halves; else what `cross_fitted_ece` gives, with
    the network's own `scaling` and its `temperature`, None where it is none, and under `scalings` what
    `compare_scalings` gives. humans: None where
    no votes are known. doubt: what `doubt.measure` gives; None where there are too few faces for two halves,
    or the figures were stored before it was measured.
    """

    n: int
    accuracy: float
    accuracy_ci95: tuple[float, float]
    balanced_accuracy: float
    macro_f1: float
    per_class: dict[str, metrics.ClassFigures]
    confusion: NDArray[np.int64]
    ece: float
    nll: float
    brier: float
    reliability: metrics.Reliability
    calibration: dict[str, Any] | None
    humans: dict[str, Any] | None
    doubt: dict[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """The figures in the order of the contract, the others behind them."""
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "accuracy_ci95": list(self.accuracy_ci95),
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
            "per_class": {name: figures.to_dict() for name, figures in self.per_class.items()},
            "confusion": self.confusion.tolist(),
            "ece": self.ece,
            "nll": self.nll,
            "brier": self.brier,
            "reliability": self.reliability.to_dict(),
            "calibration": self.calibration,
            "humans": self.humans,
            "doubt": self.doubt,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Figures:
        """The figures that `to_dict` gave, as a ledger entry holds them."""
        per_class = {name: metrics.ClassFigures.from_dict(each) for name, each in stored["per_class"].items()}
        return cls(
            **{name: stored[name] for name in cls.__slots__ if name not in _REBUILT},
            accuracy_ci95=(stored["accuracy_ci95"][0], stored["accuracy_ci95"][1]),
            per_class=per_class,
            confusion=np.array(stored["confusion"], np.int64),
            reliability=metrics.Reliability.from_dict(stored["reliability"]),
            doubt=stored.get("doubt"),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """A network on one split of one dataset.

    figures: over all faces. without_copies: over those that are no copy of a training face; None where copies
    were not looked for, or nothing else is left. copies: how many there are; None where not looked for.
    without_leaks, leaks: the same of faces that have a copy or a near copy in training; None where there are
    none on the lists that come with mien.
    left_out: faces of emotions that the network does not know. sample: the random part of the split that the
    faces are; None where they are all of it.
    """

    model: str
    dataset: str
    split: str
    protocol: str
    labels: tuple[str, ...]
    figures: Figures
    without_copies: Figures | None
    copies: int | None
    left_out: int = 0
    sample: Sample | None = None
    without_leaks: Figures | None = None
    leaks: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The object that `mien evaluate --json` prints, the contract's keys first."""
        figures = self.figures.to_dict()
        kept, unseen = self.without_copies, self.without_leaks
        return {
            "model": self.model,
            "dataset": self.dataset,
            "split": self.split,
            "protocol": self.protocol,
            **{key: figures.pop(key) for key in _CONTRACT},
            "labels": list(self.labels),
            **figures,
            "left_out": self.left_out,
            "limit": None if self.sample is None else self.sample.faces,
            "sample": None if self.sample is None else asdict(self.sample),
            "without_copies": None if kept is None else {"copies": self.copies, **kept.to_dict()},
            "without_leaks": None if unseen is None else {"leaks": self.leaks, **unseen.to_dict()},
        }


def evaluate(
    classify: Classifier,
    faces: FaceBatch,
    *,
    model: str,
    dataset: str,
    split: str,
    protocol: str = "single",
    labels: Sequence[str] = EMOTIONS,
    copies: NDArray[np.bool_] | None = None,
    leaks: NDArray[np.bool_] | None = None,
    decision: Decision | None = None,
    sample: Sample | None = None,
    seed: int = 0,
    progress: Progress = lambda done, of: None,
) -> Evaluation:
    """Shows every face to a network by a protocol and measures its answers; see `measure`.

    classify: images (N, H, W) uint8 → (probabilities, logits), each (N, C) in the order of `labels`; it is
        what shows each face as the protocol says.
    Raises: DataError for an unknown protocol, and what `measure` does.
    """
    chosen = find(protocol)
    scores = show(classify, faces, chosen.faces_at_once, progress)
    return measure(
        scores,
        faces,
        model=model,
        dataset=dataset,
        split=split,
        protocol=chosen.name,
        labels=labels,
        copies=copies,
        leaks=leaks,
        decision=decision,
        sample=sample,
        seed=seed,
    )


def measure(
    scores: Scores,
    faces: FaceBatch,
    *,
    model: str,
    dataset: str,
    split: str,
    protocol: str = "single",
    labels: Sequence[str] = EMOTIONS,
    copies: NDArray[np.bool_] | None = None,
    leaks: NDArray[np.bool_] | None = None,
    decision: Decision | None = None,
    sample: Sample | None = None,
    seed: int = 0,
) -> Evaluation:
    """Measures answers that were given already.

    scores: one row a face, in the order of `labels`.
    copies: (N,) bool, the faces that are copies of training faces; None where that was not looked for.
    leaks: (N,) bool, the faces that have a copy or a near copy in training; None where that is not known.
    decision: the network's own, None where it has none; decisions of its kind are cross-fitted. sample: how
        the faces were drawn, recorded only. seed: of the two halves for what is cross-fitted.
    Faces of emotions that the network does not know are left out and counted.
    Raises: DataError when no face is left; ModelError when a label is no emotion or the scores do not fit the
    faces.
    """
    if foreign := [name for name in labels if name not in EMOTIONS]:
        raise ModelError(f"{model} answers {', '.join(foreign)}: expected some of {', '.join(EMOTIONS)}")
    if scores.probabilities.shape != (len(faces), len(labels)):
        raise ModelError(
            f"{model} gave scores {scores.probabilities.shape}: expected {(len(faces), len(labels))}"
        )
    known = np.isin(faces.labels, [EMOTIONS.index(name) for name in labels])
    if not known.any():
        raise DataError(f"no face of {', '.join(labels)} in {dataset} ({split})")
    figures = partial(
        _figures,
        Scores(scores.probabilities[known], scores.logits[known]),
        positions(faces.labels[known], labels),
        faces.votes[known],
        labels=tuple(labels),
        decision=decision,
        seed=seed,
    )
    original = None if copies is None else ~copies[known]
    unseen = None if leaks is None or not leaks[known].any() else ~leaks[known]
    return Evaluation(
        model=model,
        dataset=dataset,
        split=split,
        protocol=protocol,
        labels=tuple(labels),
        figures=figures(keep=np.ones(int(known.sum()), bool)),
        without_copies=figures(keep=original) if original is not None and original.any() else None,
        copies=None if original is None else int((~original).sum()),
        without_leaks=figures(keep=unseen) if unseen is not None and unseen.any() else None,
        leaks=None if unseen is None else int((~unseen).sum()),
        left_out=int((~known).sum()),
        sample=sample,
    )


def _figures(
    scores: Scores,
    truth: NDArray[np.int64],
    votes: humans.Votes,
    *,
    keep: NDArray[np.bool_],
    labels: tuple[str, ...],
    decision: Decision | None,
    seed: int,
) -> Figures:
    p, y = scores.probabilities[keep], truth[keep]
    table = metrics.confusion(y, p.argmax(axis=1), len(labels))
    diagram = metrics.reliability(p, y)
    first = calibration.halves(truth, seed)
    halved = bool((keep & first).any() and (keep & ~first).any())
    return Figures(
        n=len(y),
        accuracy=metrics.accuracy(table),
        accuracy_ci95=metrics.wilson(int(np.trace(table)), len(y)),
        balanced_accuracy=metrics.balanced_accuracy(table),
        macro_f1=metrics.macro_f1(table),
        per_class=dict(zip(labels, metrics.per_class(table), strict=True)),
        confusion=table,
        ece=diagram.ece,
        nll=metrics.negative_log_likelihood(p, y),
        brier=metrics.brier(p, y),
        reliability=diagram,
        calibration=_calibration(scores, truth, keep, decision, seed) if halved else None,
        humans=humans.agreement(votes[keep], y, p, labels),
        doubt=doubt.measure(
            scores.probabilities,
            scores.logits,
            truth,
            votes,
            keep=keep,
            emotions=labels,
            decision=decision,
            seed=seed,
        )
        if halved
        else None,
    )


def _calibration(
    scores: Scores, truth: NDArray[np.int64], keep: NDArray[np.bool_], decision: Decision | None, seed: int
) -> dict[str, Any]:
    fitted = calibration.cross_fitted_ece(scores.logits, truth, seed, keep)
    return {
        "scaling": "temperature" if decision is None else decision.scaling.name,
        "temperature": None if decision is None else decision.scaling.temperature,
        "ece_uncalibrated": fitted["ece_uncalibrated"],
        "ece_cross_fitted": fitted["ece"],
        "ece_halves": fitted["ece_halves"],
        "temperatures": fitted["temperatures"],
        "seed": fitted["seed"],
        "scalings": calibration.compare_scalings(scores.logits, truth, seed, keep),
    }
