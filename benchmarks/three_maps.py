"""Maps of the same faces: what people say of them, what a classifier answers, and what their pixels give.

The faces are those that a recipe of system D is validated on; the siamese networks' own maps of them are in
the ledger. With run folders, their maps of the faces that people voted on are measured too: the rest of the
faces look neutral to most people, and have no place on people's map.

    python benchmarks/three_maps.py fer2013/ --runs runs/d-* --out results/measurements/three_maps.json
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mien import ledger, storage
from mien.evaluation.maps.circumplex import RESAMPLES, analyse
from mien.evaluation.maps.pixels import pixel_maps
from mien.evaluation.maps.responses import Embeddings, Responses, Source, embeddings, probabilities, votes
from mien.experiments.splits import read_splits
from mien.faces import FaceBatch
from mien.inference.map_sources import with_votes
from mien.inference.mapper import Mapper
from mien.inference.predictor import Predictor
from mien.labels import EMOTIONS, SIX, positions
from mien.training import recipe

RECIPE = "d/fer2013"
CLASSIFIER = "conv_net"


def note(line: str) -> None:
    """Says on the error stream what goes on: the JSON alone goes to the output."""
    print(line, file=sys.stderr, flush=True)


def circumplex(source: Source, against: Source | None = None) -> dict[str, Any]:
    """A source's circumplex as JSON."""
    return analyse(source, resamples=RESAMPLES, against=against).to_dict()


def per_emotion(faces: FaceBatch) -> dict[str, int]:
    """How many faces each of the six emotions labels."""
    return {name: int(np.sum(faces.labels == EMOTIONS.index(name))) for name in SIX}


def answers(network: Predictor, faces: FaceBatch, name: str) -> Responses:
    """A classifier's probabilities of the six emotions, as Dailey et al. 2002 took their model's."""
    found = network.classify(faces.images).probabilities
    return probabilities(found, faces.labels, network.labels, SIX, name)


def places(network: Mapper, faces: FaceBatch, name: str) -> Embeddings:
    """A siamese network's points."""
    return embeddings(network.places(faces.images), faces.labels, SIX, name)


def measured_runs(folders: Sequence[Path], faces: FaceBatch, people: Responses) -> list[dict[str, Any]]:
    """The circumplex of each run's map of faces that all have votes, beside people's of the same."""
    found = []
    for folder in folders:
        entry = ledger.read(folder / "result.json")
        note(f"{entry['recipe']}, seed {entry['seed']}, on the faces with votes")
        own = places(Mapper(folder / "model.onnx"), faces, f"{entry['recipe']}, seed {entry['seed']}")
        found.append(
            {
                "entry": ledger.file_name(entry),
                "recipe": entry["recipe"],
                "seed": entry["seed"],
                "voted": circumplex(own, people),
            }
        )
    return found


def measured_pixels(faces: FaceBatch, training: FaceBatch, people: Responses) -> dict[str, Any]:
    """The maps that pixels give, measured as the networks' are."""
    own, known = (positions(each.labels, SIX) for each in (faces, training))
    found = {}
    for name, each in pixel_maps(faces.images, own, training.images, known, SIX).items():
        placed = Embeddings(SIX, each.points, each.labels, f"{name} of pixels")
        found[name] = {**each.to_dict(), "circumplex": circumplex(placed, people)}
    return found


def measure(data: Path, folders: Sequence[Path] = ()) -> dict[str, Any]:
    """Everything measured, as JSON."""
    chosen = recipe.load(RECIPE)
    splits = read_splits(chosen, data, note=note)
    name, split = data.resolve().name, chosen.data.validation
    validation = replace(splits.validation, source=f"{name} ({split})")
    training = replace(splits.train, source=f"{name} ({chosen.data.train})")
    voted = with_votes(validation, SIX)
    note("people")
    people = replace(votes(validation), source=f"people's votes on {validation.source}")
    others = replace(votes(training), source=f"people's votes on {training.source}")
    said = {split: circumplex(people), "training": circumplex(others, people)}
    note(CLASSIFIER)
    network, title = Predictor(CLASSIFIER), f"{CLASSIFIER} on {validation.source}"
    by_faces = {
        split: circumplex(answers(network, validation, title), people),
        "voted": circumplex(answers(network, voted, f"{title}, faces with votes"), people),
    }
    note("pixels")
    pixels = measured_pixels(validation, training, people)
    return {
        "recipe": RECIPE,
        "split": split,
        "faces": {
            split: per_emotion(validation),
            "voted": per_emotion(voted),
            "training": per_emotion(training),
        },
        "people": said,
        "classifier": {"model": CLASSIFIER, **by_faces},
        "pixels": pixels,
        "runs": measured_runs(folders, voted, people),
    }


def main() -> None:
    """Prints what was measured as JSON, or writes it where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="FER-2013 with FER+ votes, as its parquet holds them")
    parser.add_argument("--runs", type=Path, nargs="*", default=[], metavar="RUN")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    began = time.perf_counter()
    found = {
        **ledger.made_by(),
        "seed": 0,
        "resamples": RESAMPLES,
        **measure(arguments.data, arguments.runs),
        "seconds": round(time.perf_counter() - began, 1),
    }
    if arguments.out:
        storage.write_json(arguments.out, found)
    else:
        json.dump(found, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
