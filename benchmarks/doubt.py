"""What doubt is worth at other coverages and by other sets, and how scores part faces from what is none.

All on a dataset's public split, where temperature and threshold are fitted on one half and used on the other.
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
from mien.evaluation import conformal, doubt
from mien.evaluation.calibration import compare_scalings, fit_temperature, softmax
from mien.evaluation.metrics import wilson
from mien.faces import FaceBatch, no_face
from mien.inference.predictor import Predictor, Readings, load
from mien.labels import SPLITS, positions

COVERAGES = (0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


def of_network(
    predictor: Predictor, public: FaceBatch, absent: FaceBatch, copies: Any, leaks: Any
) -> dict[str, Any]:
    """One network's figures on all public faces, without copies, and where fits saw leaks beside others."""
    readings, nothing = predictor.classify(public.images), predictor.classify(absent.images)
    truth = positions(public.labels, predictor.labels)
    p, reached = conformal.cross_fitted_reach(readings.logits, truth)
    return {
        "all": measure(predictor, readings, truth, public, np.ones(len(public), bool), nothing),
        "without_copies": measure(predictor, readings, truth, public, ~copies, nothing),
        "fitted_on_all": {
            name: conformal.figures(p[part], reached[part], truth[part], predictor.labels)
            for name, part in (("without_leaks", ~leaks), ("leaks", leaks))
        },
    }


def measure(
    predictor: Predictor, readings: Readings, truth: Any, public: FaceBatch, keep: Any, nothing: Readings
) -> dict[str, Any]:
    """One network's figures on the kept faces of a split, and on pictures without a face beside them."""
    logits, y = readings.logits, truth[keep]
    sets: dict[str, list[dict[str, Any]]] = {}
    for kind in conformal.CONFORMITY:
        for coverage in COVERAGES:
            p, reached = conformal.cross_fitted_reach(logits, truth, coverage, keep=keep, kind=kind)
            found = conformal.figures(p, reached, y, predictor.labels)
            sets.setdefault(kind, []).append({"coverage": coverage, **found, **_by_confidence(p, reached, y)})
    return {
        "faces": int(keep.sum()),
        "scalings": compare_scalings(logits, truth, keep=keep),
        "sets": sets,
        "no_face": _without_face(readings, truth, public, keep, nothing),
    }


def _by_confidence(p: Any, reached: Any, truth: Any) -> dict[str, Any]:
    """How right as many faces are as are sure, were they chosen by the largest probability alone."""
    count = int(conformal.sure(reached).sum())
    if not count:
        return {"accuracy_as_many": None}
    surest = np.argsort(-p.max(axis=1), kind="stable")[:count]
    right = int((p[surest].argmax(axis=1) == truth[surest]).sum())
    return {"accuracy_as_many": right / count, "accuracy_as_many_ci95": list(wilson(right, count))}


def _without_face(
    readings: Readings, truth: Any, public: FaceBatch, keep: Any, absent: Readings
) -> dict[str, Any] | None:
    """The training split's pictures without a face beside the public split's faces, fitted to the latter."""
    faces = keep & ~no_face(public.votes)
    logits = np.concatenate([readings.logits[faces], absent.logits])
    temperature = fit_temperature(readings.logits[faces], truth[faces])
    p = softmax(logits, temperature)
    least = conformal.fit_threshold(p[: int(faces.sum())], truth[faces])
    return doubt.without_face(p, logits, conformal.sure(p >= least), np.arange(len(p)) >= faces.sum())


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
    command = (
        f"python benchmarks/doubt.py {' '.join(asked.models)} --data {asked.data.name}/ --out {asked.out}"
    )
    found: dict[str, Any] = {
        "command": command,
        "machine": ledger.machine(),
        "commit": ledger.commit(),
        "models": {},
    }
    for name in asked.models:
        found["models"][name] = of_network(load(name), public, absent, copies, leaked_public(public.images))
    print(json.dumps(found, indent=1))
    if asked.out:
        storage.write_json(asked.out, found)


if __name__ == "__main__":
    main()
