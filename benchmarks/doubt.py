"""What doubt is worth at other coverages and by other sets, and how scores part faces from what is none.

All on a dataset's public split, where what decides is fitted on one half and used on the other.
The pictures that FER+ calls no face are few there: those of the training split are read as well, which says
something only of a network that was trained without them. And what the exported sets cover among faces with
and without a copy or near copy in training, where their fits saw both.

    python benchmarks/doubt.py vgg_c --data FOLDER --out results/measurements/doubt.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from mien import data, ledger, storage
from mien.data.known import copies_of_training
from mien.data.leaks import leaked_public
from mien.evaluation import conformal, decision, doubt
from mien.evaluation.calibration import compare_scalings
from mien.evaluation.decision import Decided, cross_fitted_decision
from mien.evaluation.metrics import wilson
from mien.faces import FaceBatch, no_face
from mien.inference.predictor import Predictor, Readings, load
from mien.labels import SPLITS, positions

COVERAGES = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def of_network(
    predictor: Predictor, public: FaceBatch, absent: FaceBatch, copies: Any, leaks: Any
) -> dict[str, Any]:
    """One network's figures on all public faces, without copies, and where fits saw leaks beside others.

    Decisions of the network's own kind are fitted; of one that was exported without asking whether a picture
    is familiar, none is asked.
    """
    readings, nothing = predictor.classify(public.images), predictor.classify(absent.images)
    truth = positions(public.labels, predictor.labels)
    own = predictor.card.decision
    kind = {"scaling": own.scaling.name, "share": own.share}
    fitted = cross_fitted_decision(readings.logits, truth, **kind)
    return {
        **kind,
        "all": measure(predictor, readings, truth, public, np.ones(len(public), bool), nothing, kind),
        "without_copies": measure(predictor, readings, truth, public, ~copies, nothing, kind),
        "fitted_on_all": {
            name: _figures(fitted[part], truth[part], predictor.labels)
            for name, part in (("without_leaks", ~leaks), ("leaks", leaks))
        },
    }


def measure(
    predictor: Predictor,
    readings: Readings,
    truth: Any,
    public: FaceBatch,
    keep: Any,
    nothing: Readings,
    kind: dict[str, Any],
) -> dict[str, Any]:
    """One network's figures on the kept faces of a split, and on pictures without a face beside them."""
    logits, y = readings.logits, truth[keep]
    sets: dict[str, list[dict[str, Any]]] = {}
    for conformity in conformal.CONFORMITY:
        for coverage in COVERAGES:
            fitted = cross_fitted_decision(
                logits, truth, keep=keep, coverage=coverage, kind=conformity, **kind
            )
            found = _figures(fitted, y, predictor.labels)
            sets.setdefault(conformity, []).append(
                {"coverage": coverage, **found, **_by_confidence(fitted, y)}
            )
    return {
        "faces": int(keep.sum()),
        "scalings": compare_scalings(logits, truth, keep=keep),
        "sets": sets,
        # The scaling is the same whatever the sets.
        "second_choice": doubt.second_choice(public.votes[keep], y, fitted.probabilities, predictor.labels),
        "no_face": _without_face(readings, truth, public, keep, nothing, kind),
    }


def _figures(fitted: Decided, truth: Any, labels: tuple[str, ...]) -> dict[str, Any]:
    return conformal.figures(fitted.probabilities, fitted.reached, truth, labels, fitted.sure)


def _by_confidence(fitted: Decided, truth: Any) -> dict[str, Any]:
    """How right as many faces are as are sure, were they chosen by the largest probability alone."""
    count, p = int(fitted.sure.sum()), fitted.probabilities
    if not count:
        return {"accuracy_as_many": None}
    surest = np.argsort(-p.max(axis=1), kind="stable")[:count]
    right = int((p[surest].argmax(axis=1) == truth[surest]).sum())
    return {"accuracy_as_many": right / count, "accuracy_as_many_ci95": list(wilson(right, count))}


def _without_face(
    readings: Readings, truth: Any, public: FaceBatch, keep: Any, absent: Readings, kind: dict[str, Any]
) -> dict[str, Any] | None:
    """The training split's pictures without a face beside the public split's faces, fitted to the latter.

    `by_sets`: what would be unsure by the sets alone, whether or not a picture is familiar.
    """
    faces = keep & ~no_face(public.votes)
    logits = np.concatenate([readings.logits[faces], absent.logits])
    found = decision.fit(readings.logits[faces], truth[faces], **kind)(logits)
    nothing = np.arange(len(logits)) >= faces.sum()
    unsure = ~conformal.sure(found.reached)
    told = doubt.without_face(found.probabilities, logits, found.sure, nothing)
    if told is None:
        return None
    return {
        **told,
        "by_sets": {
            **conformal.rate("unsure", unsure[nothing]),
            **conformal.rate("unsure_faces", unsure[~nothing]),
        },
    }


def main() -> None:
    """Prints what was measured as JSON, and writes it where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    everything = data.read(asked.data)
    training, public = (everything.select(everything.splits == SPLITS.index(name)) for name in SPLITS[:2])
    absent = training.select(no_face(training.votes))
    copies = copies_of_training(public.images, training.images)
    found: dict[str, Any] = {**ledger.made_by(), "models": {}}
    for name in asked.models:
        found["models"][name] = of_network(load(name), public, absent, copies, leaked_public(public.images))
    print(json.dumps(found, indent=1))
    if asked.out:
        storage.write_json(asked.out, found)


if __name__ == "__main__":
    main()
