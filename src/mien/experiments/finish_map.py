"""What is measured of a trained embedder: its map of the validation faces, and how the map came to be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import ledger
from mien.errors import DataError
from mien.evaluation.maps.circular_order import LEAST
from mien.evaluation.maps.circumplex import analyse
from mien.evaluation.maps.quality import quality
from mien.evaluation.maps.responses import Embeddings, votes
from mien.experiments.finish_classifier import MODEL
from mien.experiments.finished import Finished, Outcome
from mien.experiments.run import FROZEN
from mien.faces import FaceBatch
from mien.inference.mapper import Mapper
from mien.labels import positions
from mien.models import Embedder
from mien.models.onnx_file import export
from mien.report.map_page import FROZEN_STAGE, write_report
from mien.storage import write_json
from mien.transforms import key

SHOWN = 60
"""Faces of each emotion whose places a ledger entry and a card keep."""

Points = NDArray[np.float64]
Labels = NDArray[np.int64]


def outcome(done: Finished, network: Embedder) -> Outcome:
    """Exports the network, lets the exported file place the faces, and measures its maps.

    The entry's `maps` hold for the validation split, and then for the test split where there is one, what
    `quality` and `analyse` find, and places of some faces; `snapshots` hold the maps of training faces that
    the recipe asks for, in order, and that of the selected network.
    """
    recipe, faces = done.recipe, done.faces
    model = done.run / MODEL
    export(network, model, name=recipe.name, weights=recipe.export.weights)
    mapper = Mapper(model)
    done.note(f"placing {len(faces.train) + len(faces.validation):,} faces")
    train = _placed(mapper, faces.train)
    reference = (train, positions(faces.train.labels, network.labels))
    split, places = recipe.data.validation, _placed(mapper, faces.validation)
    labels = _names(positions(faces.validation.labels, network.labels), network)
    write_json(done.run / "map.json", {"labels": labels, "points": _rounded(places)})
    maps = {split: _measured(places, faces.validation, network, reference, recipe.train.seed)}
    if faces.test is not None and recipe.data.test is not None:
        try:
            maps[recipe.data.test] = _measured(
                _placed(mapper, faces.test), faces.test, network, reference, recipe.train.seed
            )
        except DataError as error:
            done.note(f"{recipe.data.test} is not measured: {error}")
    figures: dict[str, Any] = {
        "maps": maps,
        "snapshots": [
            *_snapshots(done.run / FROZEN, FROZEN_STAGE),
            *_snapshots(done.run, "all layers" if recipe.frozen else ""),
            _snapshot_of_training(done, network, train),
        ],
    }
    if recipe.frozen:
        lines = (done.run / FROZEN / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        history = [json.loads(line) for line in lines]
        figures[FROZEN] = {"epochs": len(history), "seconds": history[-1]["seconds"], "history": history}
    kept = {"split": split, **{name: maps[split][name] for name in ("labels", "points")}}

    def report(entry: ledger.Entry) -> None:
        write_report(done.run / "report.html", entry)

    return Outcome(figures, report, model, {"map": kept, "maps": _on_card(maps)})


def _measured(
    places: Points, faces: FaceBatch, network: Embedder, reference: tuple[Points, Labels], seed: int
) -> dict[str, Any]:
    """What an entry holds of the map of one split's faces."""
    labels = positions(faces.labels, network.labels)
    shown = shown_faces(faces, seed)
    return {
        "n": len(labels),
        "quality": quality(places, labels, network.labels, reference=reference).to_dict(),
        "circumplex": _circumplex(places, labels, network.labels, faces),
        "labels": _names(labels[shown], network),
        "points": _rounded(places[shown]),
    }


def _placed(mapper: Mapper, faces: FaceBatch) -> Points:
    return mapper.places(faces.images).astype(np.float64)


def _names(labels: Labels, network: Embedder) -> list[str]:
    return [network.labels[label] for label in labels]


def _rounded(points: Points) -> list[list[float]]:
    rounded: list[list[float]] = np.round(points, 4).tolist()
    return rounded


def _circumplex(
    points: Points, labels: Labels, emotions: tuple[str, ...], faces: FaceBatch
) -> dict[str, Any] | None:
    """The emotions' order on the map, beside people's of the same faces where their votes are known."""
    if len(emotions) < LEAST:
        return None
    ours = Embeddings(emotions, points, labels, "the network's map")
    try:
        people = replace(votes(faces, emotions), source="people's votes")
        return analyse(ours, against=people).to_dict()
    except DataError:  # Some emotion's faces have no votes, or all the same: the map stands alone.
        return analyse(ours).to_dict()


def shown_faces(faces: FaceBatch, seed: int) -> Labels:
    """Positions of up to `SHOWN` faces of each emotion, drawn by the seed."""
    drawn = np.random.default_rng(key(seed, "shown")).permutation(len(faces))
    return np.concatenate([drawn[faces.labels[drawn] == label][:SHOWN] for label in np.unique(faces.labels)])


def _snapshots(run: Path, stage: str) -> list[dict[str, Any]]:
    """The maps that a stage kept, in the order of their epochs."""
    files = sorted((run / "maps").glob("epoch-*.json"))
    return [{"stage": stage, **json.loads(file.read_text(encoding="utf-8"))} for file in files]


def _snapshot_of_training(done: Finished, network: Embedder, points: Points) -> dict[str, Any]:
    """The selected network's map of training faces."""
    shown = shown_faces(done.faces.train, done.recipe.train.seed)
    labels = positions(done.faces.train.labels[shown], network.labels)
    return {
        "stage": "selected",
        "epoch": done.state.best_epoch + 1,
        "split": done.recipe.data.train,
        "labels": _names(labels, network),
        "points": _rounded(points[shown]),
    }


def _on_card(maps: dict[str, Any]) -> dict[str, Any]:
    """By split how many faces, and how often their neighbours among the training faces name them right."""
    return {
        split: {"n": found["n"], "neighbours": found["quality"]["neighbours"]["reference"]}
        for split, found in maps.items()
    }
