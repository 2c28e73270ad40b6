"""Every figure of a representation of landmarks, split by split, as JSON.

Thesis (system E), 6.3: the accuracy of linear classifiers where emotions are labelled, F1 and AUC where
action units are coded, satisfied triplets where there are triplets; what the data do not have is left out.
All intervals are over people (`people`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.evaluation.landmarks import people
from mien.evaluation.landmarks.action_units import (
    action_units,
    auc,
    auc_interval,
    f1,
    f1_interval,
    learnable,
)
from mien.evaluation.landmarks.probes import svm_accuracy
from mien.evaluation.landmarks.satisfied import triplet_figures
from mien.landmark_layout import ACTION_UNITS, UNKNOWN_UNIT
from mien.landmarks import UNLABELLED, LandmarkBatch, Triplets

Matrix = NDArray[np.float64]
Splits = dict[str, dict[str, Any]]
Part = TypeVar("Part")

KEPT: tuple[str, ...] = ("public", "private", "unseen")
"""The splits of which counts by person are kept, for differences between runs later."""


def evaluate(
    representation: Mapping[str, Matrix],
    faces: Mapping[str, LandmarkBatch],
    triplets: Mapping[str, Triplets],
    *,
    resamples: int = people.RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """The figures of one representation.

    representation: (N, F) by split, each row the face of `faces` at that place. triplets: by split, each
    within its split's faces. seed: of the bootstrap and of the faces that classifiers of units learn from.
    Returns {"dimensions", "resamples", "seed", "splits": {split: {"n", "people", …}}}, and with
    - two or more emotions in training, and labels in public: "emotions": {"C", "tried"}; in a split with
      labels "accuracy", "accuracy_ci95", "labelled" and, of `KEPT`, "right": {person: [right, n]};
    - action units coded both ways in training, and present in public: "units": {"numbers", "C", "tried"};
      in a split with coded faces "f1", "f1_ci95", "auc", "auc_ci95", "coded";
    - triplets: in their split "triplets", as `satisfied.triplet_figures` gives them, of `KEPT` with
      "satisfied": {person: [satisfied, n]}.
    `people.difference_interval` takes those counts by person.
    Raises: DataError when training or public faces are missing where classifiers are trained, a split has
    rows for other faces than there are, a number is not finite, or triplets name an absent face.
    """
    points = _checked(representation, faces)
    splits: Splits = {name: {"n": len(batch), "people": len(batch.people)} for name, batch in faces.items()}
    how = {"resamples": resamples, "seed": seed}
    found: dict[str, Any] = {"dimensions": points["training"].shape[1], **how}
    if len(np.unique(_labels(faces["training"]))) > 1 and len(_labels(_tuning(faces))):
        found["emotions"] = _emotions(points, faces, splits, **how)
    columns = learnable(faces["training"].units)
    if columns and (_tuning(faces).units[:, columns] == 1).any():
        found["units"] = _units(points, faces, splits, **how)
    for name, judged in triplets.items():
        if name not in faces:
            raise DataError(f"triplets of the {name} split, which has no faces: expected {', '.join(faces)}")
        if len(judged):
            splits[name]["triplets"] = triplet_figures(
                points[name], faces[name], judged, by_person=_keeps(name, faces[name]), **how
            )
    return {**found, "splits": splits}


def _keeps(split: str, batch: LandmarkBatch) -> bool:
    """Whether counts by person are kept: of single pictures they would be the pictures once more."""
    return split in KEPT and len(batch.people) < len(batch)


def _checked(representation: Mapping[str, Matrix], faces: Mapping[str, LandmarkBatch]) -> dict[str, Matrix]:
    if "training" not in faces:
        raise DataError("no training faces: classifiers learn from them")
    points = {}
    for name, batch in faces.items():
        if name not in representation:
            raise DataError(f"no representation of the {name} faces: expected one of every split given")
        x = np.asarray(representation[name], np.float64)
        if x.ndim != 2 or len(x) != len(batch):
            raise DataError(f"the {name} representation is {x.shape}: expected ({len(batch)}, dimensions)")
        if not np.isfinite(x).all():
            raise DataError(f"the {name} representation has numbers that are not finite: expected none")
        points[name] = x
    return points


def _labels(batch: LandmarkBatch) -> NDArray[np.int64]:
    return batch.labels[batch.labels != UNLABELLED]


def _emotions(
    points: Mapping[str, Matrix], faces: Mapping[str, LandmarkBatch], splits: Splits, **how: int
) -> dict[str, Any]:
    labelled = {name: batch.labels != UNLABELLED for name, batch in faces.items()}
    parts = {name: (points[name][where], _labels(faces[name])) for name, where in labelled.items()}
    others = {name: part for name, part in parts.items() if name not in ("training", "public")}
    probe = svm_accuracy(*parts["training"], *_tuning(parts), others)
    for name, predicted in probe.predictions.items():
        right = predicted == parts[name][1]
        counts = people.tally(faces[name].subjects[labelled[name]], right)
        splits[name] |= {
            "labelled": len(right),
            "accuracy": probe.accuracies[name],
            "accuracy_ci95": _listed(people.share_interval(counts, **how)),
        }
        if _keeps(name, faces[name]):
            splits[name]["right"] = counts
    return {"C": probe.cost, "tried": [list(pair) for pair in probe.tried]}


def _units(
    points: Mapping[str, Matrix], faces: Mapping[str, LandmarkBatch], splits: Splits, **how: int
) -> dict[str, Any]:
    parts = {name: (points[name], batch.units) for name, batch in faces.items()}
    others = {name: x for name, (x, _) in parts.items() if name not in ("training", "public")}
    probe = action_units(*parts["training"], *_tuning(parts), others, seed=how["seed"])
    for name, scores in probe.scores.items():
        units = faces[name].units[:, probe.columns]
        if not (units == 1).any():
            continue
        area = auc(units, scores)
        splits[name] |= {
            "coded": int((units != UNKNOWN_UNIT).any(axis=1).sum()),
            "f1": f1(units, scores),
            "f1_ci95": _listed(f1_interval(units, scores, faces[name].subjects, **how)),
            "auc": None if np.isnan(area) else area,
            "auc_ci95": _listed(auc_interval(units, scores, faces[name].subjects, **how)),
        }
    return {
        "numbers": [ACTION_UNITS[column] for column in probe.columns],
        "C": probe.cost,
        "tried": [list(pair) for pair in probe.tried],
    }


def _tuning(parts: Mapping[str, Part]) -> Part:
    if "public" not in parts:
        raise DataError("no public faces: the classifiers' C is tuned on them")
    return parts["public"]


def _listed(ends: people.Interval | None) -> list[float] | None:
    return None if ends is None else list(ends)
