"""After the last epoch: temperature, export, evaluation of what was exported, card, ledger entry, report."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien import ledger
from mien.data.known import copies_of_training
from mien.evaluation import Evaluation, Scores, evaluate, measure, protocols
from mien.evaluation.calibration import fit_temperature
from mien.experiments.entry import measured, moving_means, on_card
from mien.experiments.splits import Note, Splits
from mien.explain.saliency import saliency
from mien.faces import UInt8
from mien.inference.predictor import load
from mien.labels import positions
from mien.models import Network
from mien.models.multi_crop import MultiCrop
from mien.models.onnx_file import export, restore
from mien.report.examples import choose
from mien.report.page import write_report
from mien.storage import write_json
from mien.training.loop import State
from mien.training.recipe import Recipe

UNSURE_BELOW = 0.5
"""A calibrated confidence below one half says that the label is more likely wrong than right."""

_BATCH = 512


def finish(
    network: Network,
    faces: Splits,
    run: Path,
    recipe: Recipe,
    begun: dict[str, Any],
    state: State,
    note: Note = lambda line: None,
) -> ledger.Entry:
    """Exports the selected weights, measures the exported file, and writes the run's card, entry and report.

    The temperature is fitted on the validation split; the calibration error in the figures is cross-fitted.
    The recipe's other test protocols are measured last.
    """
    network.to("cpu").eval()
    truth = positions(faces.validation.labels, network.labels)
    with torch.inference_mode():
        network.temperature.fill_(fit_temperature(_logits(network, faces.validation.images), truth))
    model = run / "model.onnx"
    export(network, model, name=begun["recipe"], unsure_below=UNSURE_BELOW, weights=recipe.export.weights)
    readings = load(model).classify(faces.validation.images)
    evaluation = measure(
        Scores(readings.probabilities, readings.logits), faces.validation, **_about(faces, recipe, network)
    )
    write_json(run / "evaluation.json", evaluation.to_dict())
    entry = _entry(network, recipe, begun, state, evaluation)
    if others := _under_protocols(model, faces, recipe, note):
        entry["protocols"] = others
    write_json(run / "model.json", card(entry, model))
    examples = choose(
        faces.validation,
        readings.probabilities,
        network.labels,
        lambda images, targets: saliency(lambda pixels: network(pixels).logits, images, targets),
    )
    write_report(run / "report.html", entry, evaluation, examples=examples)
    # Last, for it says that the run is finished.
    write_json(run / "result.json", entry)
    return entry


def _about(faces: Splits, recipe: Recipe, network: Network) -> dict[str, Any]:
    """What `measure` and `evaluate` are told of a network and the faces it is measured on."""
    return {
        "model": recipe.name,
        "dataset": Path(faces.validation.source).name,
        "split": recipe.data.validation,
        "labels": network.labels,
        "copies": copies_of_training(faces.validation.images, faces.train.images),
        "temperature": float(network.temperature),
    }


def _under_protocols(model: Path, faces: Splits, recipe: Recipe, note: Note) -> dict[str, Any]:
    """The exported network's figures under the recipe's protocols with crops, by protocol and split.

    A limited protocol sees the same faces in every run: its part is drawn with seed 0. The layers compute in
    the precision that they were trained in.
    """
    network = restore(model)
    found: dict[str, Any] = {}
    for name in recipe.test.protocols:
        protocol = protocols.find(name)
        if protocol.crops is None:
            continue
        part, sample = protocols.sample(faces.validation, recipe.test.limit.get(name))
        note(f"{name} on {len(part):,} faces: {len(part) * len(protocol.crops):,} crops")
        classify = MultiCrop(network, protocol, precision=recipe.train.precision)
        begun = time.perf_counter()
        about = _about(replace(faces, validation=part), recipe, network)
        evaluation = evaluate(classify, part, **about, protocol=name, sample=sample)
        stamp = measured(time.perf_counter() - begun, classify.precision)
        found[name] = {recipe.data.validation: {**evaluation.to_dict(), "measured": stamp}}
    return found


def _entry(
    network: Network, recipe: Recipe, begun: dict[str, Any], state: State, evaluation: Evaluation
) -> ledger.Entry:
    spent = {"epochs": state.epoch, "best_epoch": state.best_epoch + 1, "seconds": round(state.seconds, 1)}
    return {
        **begun,
        "budget": {**begun["budget"], **spent},
        "parameters": network.parameter_count(),
        "selected_on": {
            "split": recipe.data.validation,
            "figure": recipe.train.select,
            "value": state.best,
            "last": state.history[-1][recipe.train.select],
        },
        "paper": None if recipe.paper is None else recipe.paper.model_dump(mode="json"),
        "figures": {recipe.data.validation: evaluation.to_dict()},
        "moving_means": moving_means(network),
        "history": state.history,
    }


def card(entry: ledger.Entry, model: Path) -> dict[str, Any]:
    """What `mien models NAME` prints of an exported network besides what the file says itself."""
    as_run = entry["recipe_as_run"]
    return {
        "file": model.name,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "bytes": model.stat().st_size,
        "architecture": as_run["model"]["name"],
        "parameters": entry["parameters"],
        "labels": as_run["data"]["labels"],
        "recipe": entry["recipe"],
        "start": entry["start"],
        "seed": entry["seed"],
        "commit": entry["commit"],
        "date": entry["date"],
        "budget": entry["budget"],
        "selected_on": entry["selected_on"],
        **on_card(entry),
    }


def _logits(network: Network, images: UInt8) -> NDArray[np.float32]:
    blocks = [
        network(torch.from_numpy(images[start : start + _BATCH])[:, None].float()).logits.numpy()
        for start in range(0, len(images), _BATCH)
    ]
    return np.concatenate(blocks)
