"""What the mean of several networks' probabilities gains over the best of them, on a dataset's public split.

    python benchmarks/ensemble.py fer2013/ mien_m mien_s --with vgg_c --out results/measurements/ensemble.json

Every subset of the named networks is averaged; those named after --with were trained with the
faces on the lists of leaks, so that only the figures without these compare them fairly.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import data, ledger, storage
from mien.data.leaks import leaked_public
from mien.evaluation.metrics import wilson
from mien.evaluation.paired import paired_difference
from mien.inference.predictor import load
from mien.labels import positions


def figures(right: NDArray[np.bool_], best: NDArray[np.bool_]) -> dict[str, Any]:
    """Accuracy with its interval, and the difference to the best single network, face by face."""
    return {
        "n": len(right),
        "accuracy": float(right.mean()),
        "accuracy_ci95": list(wilson(int(right.sum()), len(right))),
        "difference": paired_difference(best, right).to_dict(),
    }


def main() -> None:
    """Prints what was measured as JSON, and writes it where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--with", dest="others", nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    faces = data.read(asked.data).split("public")
    networks = {name: load(name) for name in (*asked.models, *asked.others)}
    labels = networks[asked.models[0]].labels
    if strangers := [name for name, network in networks.items() if network.labels != labels]:
        sys.exit(f"{', '.join(strangers)}: expected the labels {', '.join(labels)} in this order")
    truth = positions(faces.labels, labels)
    said = {name: network.classify(faces.images).probabilities for name, network in networks.items()}
    right = {
        chosen: np.mean([said[name] for name in chosen], axis=0).argmax(axis=1) == truth
        for count in range(1, len(networks) + 1)
        for chosen in combinations(networks, count)
    }
    clean = ~leaked_public(faces.images)
    best = max(asked.models, key=lambda name: right[name,][clean].mean())
    found = {
        **ledger.made_by(),
        "best": best,
        "trained_with_leaks": asked.others,
        "ensembles": [
            {
                "networks": list(chosen),
                "all": figures(hits, right[best,]),
                "without_leaks": figures(hits[clean], right[best,][clean]),
            }
            for chosen, hits in right.items()
        ],
    }
    print(json.dumps(found, indent=1))
    if asked.out:
        storage.write_json(asked.out, found)


if __name__ == "__main__":
    main()
