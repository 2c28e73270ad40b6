"""A finished run's entry and card: what the card takes of the entry, and figures that are added later."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien import ledger
from mien.errors import CheckpointError, DataError
from mien.evaluation import protocols
from mien.storage import write_json

if TYPE_CHECKING:
    from torch import nn

_CARD_FIGURES = ("n", "accuracy", "accuracy_ci95", "balanced_accuracy", "macro_f1", "ece", "calibration")
_WITHOUT_FIGURES = ("n", "accuracy", "accuracy_ci95")
_IDENTITY = ("recipe", "seed", "commit", "date", "budget")
"""What tells one run from every other."""

KEPT_MEANS = 15
"""Channels of each batch normalisation whose moving mean is kept: as many as system B's Table 5.4 has."""

_MEAN = ".running_mean"


def measured(seconds: float, precision: str) -> dict[str, Any]:
    """How and where figures came to be: precision, seconds, date, commit and machine."""
    return {
        "precision": precision,
        "seconds": round(seconds, 1),
        "date": ledger.today(),
        "commit": ledger.commit(),
        "machine": ledger.machine(),
    }


def moving_means(network: nn.Module) -> dict[str, list[float]]:
    """The first moving means of each batch normalisation by its layer's name, from input to output."""
    return {
        name.removesuffix(_MEAN): [float(f"{mean:.6g}") for mean in values[:KEPT_MEANS].tolist()]
        for name, values in network.state_dict().items()
        if name.endswith(_MEAN)
    }


def on_card(entry: ledger.Entry) -> dict[str, Any]:
    """What a card says of an entry's figures, by split: of single pictures, and by each other protocol.

    The latter say with `limit` how many faces were drawn; None where all of the split was measured.
    """
    return {
        "figures": {split: _chosen(found) for split, found in entry["figures"].items()},
        "protocols": {
            name: {split: {**_chosen(found), "limit": found["limit"]} for split, found in splits.items()}
            for name, splits in entry.get("protocols", {}).items()
        },
    }


def _chosen(found: dict[str, Any]) -> dict[str, Any]:
    """The figures of a card, and the accuracy on the faces that training did not show, as far as known."""
    without = {"without_copies": found.get("without_copies")}
    if "without_leaks" in found:
        without["without_leaks"] = found["without_leaks"]
    return {
        **{key: found[key] for key in _CARD_FIGURES},
        **{
            name: None if kept is None else {key: kept[key] for key in _WITHOUT_FIGURES}
            for name, kept in without.items()
        },
    }


def add(run: Path, folder: Path, found: dict[str, Any]) -> Path:
    """Puts an evaluation into a finished run's entry, its card and its entry in a ledger; returns the last.

    Figures of single pictures stand in `figures`, all others in `protocols`; those measured before on the
    same split under the same protocol are replaced. Each file is replaced whole.
    Raises: as `check_addition`.
    """
    held = check_addition(run, folder, found["protocol"], found["limit"])
    for path in (held, run / "result.json"):
        entry = ledger.read(path)
        place = entry["figures"]
        if protocols.find(found["protocol"]).crops is not None:
            place = entry.setdefault("protocols", {}).setdefault(found["protocol"], {})
        place[found["split"]] = found
        write_json(path, entry)
    card = run / "model.json"
    write_json(card, {**ledger.read(card), **on_card(ledger.read(run / "result.json"))})
    return held


def check_addition(run: Path, folder: Path, protocol: str, limit: int | None) -> Path:
    """That figures of a run may be added to its entry in a ledger; returns the entry's file there.

    Raises: CheckpointError when `run` is no finished run's folder, or its network is not the one that its
    card describes; DataError when the ledger holds no entry of this very run, or the figures are of single
    pictures and of a part of a split.
    """
    if protocols.find(protocol).crops is None and limit is not None:
        raise DataError(
            f"--limit {limit}: figures of single pictures in a ledger are of all faces; leave it out"
        )
    result, card, model = (run / name for name in ("result.json", "model.json", "model.onnx"))
    for path in (result, card, model):
        if not path.is_file():
            raise CheckpointError(
                f"{run} holds no {path.name}: a ledger takes figures of a finished run's folder"
            )
    if ledger.read(card)["sha256"] != hashlib.sha256(model.read_bytes()).hexdigest():
        raise CheckpointError(f"{model} is not the network that {card.name} describes: train it again")
    own = ledger.read(result)
    held = folder / ledger.file_name(own)
    if not held.is_file():
        raise DataError(f"no entry {held}: copy {result} there first")
    other = ledger.read(held)
    if differing := [key for key in _IDENTITY if own[key] != other.get(key)]:
        raise DataError(f"{held} is of another run than {run}: they differ in {', '.join(differing)}")
    return held
