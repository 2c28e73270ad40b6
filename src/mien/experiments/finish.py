"""After the last epoch: export, evaluation of what was exported, card, ledger entry, report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mien import ledger
from mien.experiments import finish_classifier, finish_landmarks, finish_map
from mien.experiments.domain import Note
from mien.experiments.entry import moving_means, on_card
from mien.experiments.finished import Finished, Outcome
from mien.models import Classifier, Embedder, LandmarkNetwork, Network
from mien.storage import write_json
from mien.training.recipe import Recipe
from mien.training.task import State

OUTCOMES: dict[str, Callable[[Finished, Any], Outcome]] = {
    Classifier.kind: finish_classifier.outcome,
    Embedder.kind: finish_map.outcome,
    LandmarkNetwork.kind: finish_landmarks.outcome,
}
"""How each kind of network is exported and measured."""


def finish(
    network: Network | LandmarkNetwork,
    faces: Any,
    run: Path,
    recipe: Recipe,
    begun: dict[str, Any],
    state: State,
    note: Note = lambda line: None,
) -> ledger.Entry:
    """Exports the selected weights, measures the exported file; writes the run's card, entry and report."""
    network.to("cpu").eval()
    done = Finished(faces, run, recipe, state, note)
    found = OUTCOMES[network.kind](done, network)
    entry = _entry(network, recipe, begun, state) | found.figures
    entry |= {"moving_means": moving_means(network), "history": state.history}
    if found.model is not None:
        write_json(run / "model.json", card(entry, found.model) | found.card)
    found.report(entry)
    # Last, for it says that the run is finished.
    write_json(run / "result.json", entry)
    return entry


def _entry(
    network: Network | LandmarkNetwork, recipe: Recipe, begun: dict[str, Any], state: State
) -> ledger.Entry:
    spent = {"epochs": state.epoch, "best_epoch": state.best_epoch + 1, "seconds": round(state.seconds, 1)}
    if (every := recipe.train.validate_every) is not None:
        spent |= {"iterations": state.epoch * every, "best_iteration": (state.best_epoch + 1) * every}
    selected = {
        "split": recipe.data.validation,
        "figure": recipe.train.select,
        "value": state.best,
        "last": state.history[-1][recipe.train.select] if state.history else None,
    }
    return {
        **begun,
        "budget": {**begun["budget"], **spent},
        "parameters": network.parameter_count(),
        "selected_on": selected if state.history else None,
        "paper": None if recipe.paper is None else recipe.paper.model_dump(mode="json"),
        "figures": {},
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
