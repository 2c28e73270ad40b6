"""Accuracy by picture quality, head pose and raters' agreement, as far as the data allow it.

Pose is read by the face mesh that `mien fetch facemesh` brings; without it pose is left out and named so.

    python benchmarks/fairness.py fer2013/ mien_s mien_m --out results/measurements
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import data, fetching, ledger, storage
from mien.evaluation import fairness
from mien.evaluation.metrics import wilson
from mien.faces import FaceBatch
from mien.inference.landmarker import Landmarker
from mien.inference.mesh import FETCHABLE
from mien.inference.predictor import Predictor
from mien.labels import positions

SPLIT = "public"
TURNS = (0.0, 10.0, 20.0, 30.0, 50.0)
"""Degrees either way; a head turned farther is not believed to be read well."""

SHARES = (0.0, 0.5, 0.7, 0.9, 1.0)
"""Of raters who agree."""

QUALITY = {
    "sharpness": fairness.sharpness,
    "contrast": fairness.contrast,
    "blockiness": fairness.blockiness,
}


def poses(faces: FaceBatch) -> tuple[NDArray[np.float64], dict[str, int]]:
    """Pitch, yaw and roll (N, 3) in degrees, NaN where the mesh is not believed; and why it is not."""
    landmarker, reasons = Landmarker(), Counter[str]()
    angles = np.full((len(faces), 3), np.nan)
    for number, image in enumerate(faces.images):
        found = landmarker.read(image)
        if found.reason:
            reasons[found.reason] += 1
        else:
            angles[number] = found.angles
        if number % 500 == 499:
            print(f"{number + 1:,} of {len(faces):,} faces read", file=sys.stderr, flush=True)
    return angles, dict(reasons)


Turned = tuple[NDArray[np.float64], dict[str, int]]


def measure(faces: FaceBatch, model: str, turned: Turned | None) -> dict[str, Any]:
    """Everything measured of one network, as JSON. turned: what `poses` gives; None without the mesh."""
    network = Predictor(model)
    right = network.classify(faces.images).probabilities.argmax(axis=1) == positions(
        faces.labels, network.labels
    )
    found: dict[str, Any] = {}
    for name, value in QUALITY.items():
        groups, names = fairness.quartiles(value(faces.images))
        found[name] = fairness.by_group(right, faces.labels, groups, names, reference=len(names) - 1)
    groups, names = fairness.bins(fairness.rater_agreement(faces.votes), SHARES)
    found["rater_agreement"] = fairness.by_group(right, faces.labels, groups, names, reference=len(names) - 1)
    unknown = list(fairness.UNKNOWN)
    if turned is None:
        unknown.append("head pose")
    else:
        angles, reasons = turned
        for name, each in zip(("pitch", "yaw", "roll"), np.abs(angles).T, strict=True):
            groups, names = fairness.bins(each, TURNS, "°")
            found[name] = fairness.by_group(right, faces.labels, groups, names, reference=0)
        groups = np.isnan(angles[:, 0]).astype(np.int64)
        read = fairness.by_group(right, faces.labels, groups, ["read", "not read"], reference=0)
        found["face_mesh"] = {**read, "reasons": reasons}
    n, k = len(right), int(right.sum())
    return {
        "model": network.card.name,
        "sha256": hashlib.sha256(network.path.read_bytes()).hexdigest(),
        "split": SPLIT,
        "n": n,
        "accuracy": k / n,
        "accuracy_ci95": list(wilson(k, n)),
        "by": found,
        "unknown": unknown,
    }


def main() -> None:
    """Writes one JSON a network."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="FER-2013 with FER+ votes")
    parser.add_argument("models", nargs="+")
    parser.add_argument("--limit", type=int, help="that many faces, drawn with seed 0")
    parser.add_argument("--out", type=Path, required=True, help="a folder for fairness-NAME.json")
    arguments = parser.parse_args()
    faces = data.read(arguments.data).split(SPLIT)
    if arguments.limit is not None and arguments.limit < len(faces):
        chosen = np.random.default_rng(0).choice(len(faces), arguments.limit, replace=False)
        faces = faces.select(np.sort(chosen))
    turned = poses(faces) if fetching.is_present(FETCHABLE) else None
    for model in arguments.models:
        found = measure(faces, model, turned)
        path = arguments.out / f"fairness-{found['model']}.json"
        storage.write_json(path, {**ledger.made_by(), **found})


if __name__ == "__main__":
    main()
