"""After the last epoch: temperature, export, evaluation of what was exported, card, ledger entry, report."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien import ledger
from mien.data.known import known_copies
from mien.evaluation.calibration import fit_temperature
from mien.evaluation.evaluate import Evaluation, evaluate
from mien.faces import FaceBatch
from mien.inference.predictor import Predictor, load
from mien.models import Network
from mien.models.onnx_file import export
from mien.report.run_page import write_run_report
from mien.storage import write_json
from mien.training.loop import State
from mien.training.recipe import Recipe

UNSURE_BELOW = 0.5
"""A calibrated confidence below one half says that the label is more likely wrong than right."""


def finish(
    network: Network, validation: FaceBatch, run: Path, recipe: Recipe, begun: dict[str, Any], state: State
) -> ledger.Entry:
    """Exports the selected weights, measures the exported file, and writes the run's card, entry and report.

    The temperature is fitted on the validation split; the calibration error in the figures is cross-fitted.
    """
    network.to("cpu").eval()
    network.temperature.fill_(fit_temperature(_logits(network, validation.images), validation.labels))
    model = run / "model.onnx"
    name = begun["recipe"].rpartition("/")[2]
    export(network, model, name=name, unsure_below=UNSURE_BELOW)
    evaluation = evaluate_exported(load(model), validation, recipe)
    write_json(run / "evaluation.json", evaluation.to_dict())
    entry: ledger.Entry = {
        **begun,
        "budget": {
            **begun["budget"],
            "epochs": state.epoch,
            "best_epoch": state.best_epoch + 1,
            "seconds": round(state.seconds, 1),
        },
        "parameters": network.parameter_count(),
        "selected_on": {"split": recipe.data.validation, "figure": recipe.train.select, "value": state.best},
        "last_epoch": state.history[-1],
        "paper": None if recipe.paper is None else recipe.paper.model_dump(mode="json"),
        "figures": {recipe.data.validation: evaluation.to_dict()},
        "history": state.history,
    }
    write_json(run / "result.json", entry)
    write_json(run / "model.json", card(entry, model))
    write_run_report(run, entry, evaluation, network, validation)
    return entry


def evaluate_exported(predictor: Predictor, faces: FaceBatch, recipe: Recipe) -> Evaluation:
    """The exported network on one split, with and without the faces that are copies of training faces."""
    return evaluate(
        predictor.scores,
        faces,
        model=recipe.name,
        dataset=Path(faces.source).name,
        split=recipe.data.validation,
        labels=predictor.labels,
        copies=known_copies(faces.images),
        temperature=predictor.temperature,
    )


def card(entry: ledger.Entry, model: Path) -> dict[str, Any]:
    """What `mien models NAME` prints of an exported network: where it comes from, what it may be used for."""
    as_run = entry["recipe_as_run"]
    return {
        "file": model.name,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "bytes": model.stat().st_size,
        "architecture": as_run["model"]["name"],
        "parameters": entry["parameters"],
        "labels": as_run["data"]["labels"],
        "input": "float32 (N, 1, 48, 48), grey values 0…255",
        "recipe": entry["recipe"],
        "seed": entry["seed"],
        "commit": entry["commit"],
        "date": entry["date"],
        "budget": entry["budget"],
        "figures": entry["figures"],
    }


@torch.inference_mode()
def _logits(network: Network, images: np.ndarray) -> np.ndarray:
    blocks = [
        network(torch.from_numpy(images[start : start + 512])[:, None].float()).logits.numpy()
        for start in range(0, len(images), 512)
    ]
    return np.concatenate(blocks)
