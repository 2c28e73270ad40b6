"""An exported network in other numbers, measured, with its card: what `mien export` writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import ledger
from mien.data.known import copies_of_training
from mien.data.leaks import leaked_public
from mien.errors import DataError, ModelError
from mien.evaluation.figures import measure
from mien.evaluation.paired import Paired, paired_difference
from mien.evaluation.protocols import Scores
from mien.experiments.entry import on_card
from mien.faces import FaceBatch
from mien.inference.predictor import Predictor
from mien.labels import SPLITS, positions
from mien.models import Classifier
from mien.models.formats import convert, weight_type
from mien.models.onnx_file import open_model
from mien.models.quantisation import calibration_faces
from mien.storage import write_json

_OF_ANOTHER_FILE = ("figures", "protocols", "maps", "name", "difference", "latency", "fairness")
"""What a card says of the file that it lies beside, and of no other."""

SPLIT = "public"
"""Where a converted network is measured, as all are that are selected there."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A file that was written. card: what lies beside it. difference: to the file that it was made of, on
    the same faces; None where none were named.
    """

    path: Path
    card: dict[str, Any]
    difference: Paired | None


def converted(
    source: Path, target: Path, weights: str, faces: FaceBatch | None = None, command: str = ""
) -> Converted:
    """Writes a network in other numbers and its card beside it.

    faces: a dataset. Its training split calibrates int8, and a classifier is measured on its public split:
        a card never holds figures of another file than its own. command: as typed, for the record.
    Raises: ModelError as `convert`, or when a file would replace the one that it is made of; DataError when
    the dataset has no training faces to calibrate on.
    """
    if target.suffix != ".onnx":
        raise ModelError(f"--out {target}: expected a name that ends in .onnx")
    if target.resolve() == source.resolve():
        raise ModelError(f"--out {target} is the network itself: choose another file")
    before = weight_type(source)
    _, metadata = open_model(source)
    training = None if faces is None else _training(faces, weights)
    convert(source, target, weights, training)
    card = {
        **{key: value for key, value in _card(source).items() if key not in _OF_ANOTHER_FILE},
        "file": target.name,
        "sha256": _sha256(target),
        "bytes": target.stat().st_size,
        "architecture": metadata["architecture"],
        "labels": metadata["labels"],
        "weights": weights,
        "converted": {
            "from": {"weights": before, "sha256": _sha256(source)},
            "calibration_faces": 0 if training is None or weights == before else len(training),
            "command": command,
            "commit": ledger.commit(),
            "date": ledger.today(),
        },
    }
    difference = None
    if faces is not None and metadata.get("kind", Classifier.kind) == Classifier.kind:
        found, difference = _measured(source, target, faces)
        card |= found
    write_json(target.with_suffix(".json"), card)
    return Converted(target, card, difference)


def _training(faces: FaceBatch, weights: str) -> NDArray[np.uint8] | None:
    """The faces that calibrate, where anything is calibrated."""
    if weights != "int8":
        return None
    images = faces.images[faces.splits == SPLITS.index("training")]
    if not len(images):
        raise DataError(f"{faces.source} holds no training faces: int8 is calibrated on some")
    return calibration_faces(images)


def _measured(source: Path, target: Path, faces: FaceBatch) -> tuple[dict[str, Any], Paired | None]:
    """The file's figures as on a card, and how far it is from the one that it was made of."""
    split = faces.split(SPLIT)
    if not len(split):
        return {}, None
    network = Predictor(target)
    truth = positions(split.labels, network.labels)
    readings = network.classify(split.images)
    copies = copies_of_training(split.images, faces.images[faces.splits == SPLITS.index("training")])
    evaluation = measure(
        Scores(readings.probabilities, readings.logits),
        split,
        model=network.card.name,
        dataset=Path(faces.source).name,
        split=SPLIT,
        labels=network.labels,
        copies=copies,
        leaks=leaked_public(split.images),
        decision=network.card.decision,
    )
    original = Predictor(source).classify(split.images)
    difference = paired_difference(
        original.probabilities.argmax(axis=1) == truth, readings.probabilities.argmax(axis=1) == truth
    )
    found: Mapping[str, Any] = on_card({"figures": {SPLIT: evaluation.to_dict()}})
    return {**found, "difference": {SPLIT: difference.to_dict()}}, difference


def _card(source: Path) -> dict[str, Any]:
    """The card beside a file; nothing where there is none."""
    path = source.with_suffix(".json")
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read the card {path}: {error}; restore or remove it") from error
    if not isinstance(card, dict):
        raise ModelError(f"the card {path} is no JSON object: restore or remove it")
    return card


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
