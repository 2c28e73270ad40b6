"""What is measured of a trained classifier, and what is told of it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien import ledger
from mien.data.known import copies_of_training
from mien.data.leaks import leaked
from mien.evaluation import decision, protocols
from mien.evaluation.figures import evaluate, measure
from mien.evaluation.paired import packed
from mien.evaluation.protocols import Scores
from mien.experiments.domain import Note
from mien.experiments.entry import measured
from mien.experiments.finished import Finished, Outcome
from mien.experiments.splits import Splits
from mien.explain.saliency import saliency
from mien.faces import UInt8
from mien.inference.predictor import load
from mien.labels import positions
from mien.models import Classifier
from mien.models.multi_crop import MultiCrop
from mien.models.onnx_file import export, restore
from mien.report.examples import choose
from mien.report.page import write_report
from mien.storage import write_json
from mien.training.recipe import Recipe

_BATCH = 512

MODEL = "model.onnx"
"""The exported network in a run folder."""


def outcome(done: Finished, network: Classifier) -> Outcome:
    """Fits the recipe's kind of decision on the validation split, exports, and measures the file there.

    The calibration error and the sets' coverage in the figures are cross-fitted as well. The recipe's other
    test protocols are measured last.
    """
    faces, recipe, model = done.faces, done.recipe, done.run / MODEL
    truth = positions(faces.validation.labels, network.labels)
    with torch.inference_mode():
        logits = _logits(network, faces.validation.images)
        wanted = recipe.export
        network.decide(decision.fit(logits, truth, scaling=wanted.scaling, share=wanted.familiar))
    export(network, model, name=recipe.name, weights=wanted.weights)
    readings = load(model).classify(faces.validation.images)
    evaluation = measure(
        Scores(readings.probabilities, readings.logits),
        faces.validation,
        **_about(faces, recipe, network),
    )
    write_json(done.run / "evaluation.json", evaluation.to_dict())
    figures: dict[str, Any] = {
        "figures": {recipe.data.validation: evaluation.to_dict()},
        # Before the scaling, which was fitted on these faces: what is compared with others was not.
        "right": {recipe.data.validation: packed(readings.logits.argmax(axis=1) == truth)},
    }
    if others := _under_protocols(model, faces, recipe, done.note):
        figures["protocols"] = others

    def report(entry: ledger.Entry) -> None:
        examples = choose(
            faces.validation,
            readings.probabilities,
            network.labels,
            lambda images, targets: saliency(lambda pixels: network(pixels).logits, images, targets),
        )
        write_report(done.run / "report.html", entry, evaluation, examples=examples)

    return Outcome(figures, report, model)


def _about(faces: Splits, recipe: Recipe, network: Classifier) -> dict[str, Any]:
    """What `measure` and `evaluate` are told of a network and the faces it is measured on."""
    return {
        "model": recipe.name,
        "dataset": Path(faces.validation.source).name,
        "split": recipe.data.validation,
        "labels": network.labels,
        "copies": copies_of_training(faces.validation.images, faces.train.images),
        "leaks": leaked(faces.validation.images, recipe.data.validation),
        "decision": network.decision,
    }


def _under_protocols(model: Path, faces: Splits, recipe: Recipe, note: Note) -> dict[str, Any]:
    """The exported network's figures under the recipe's protocols with crops, by protocol and split.

    A limited protocol sees the same faces in every run: its part is drawn with seed 0. The layers compute in
    the precision that they were trained in.
    """
    network = restore(model)
    assert isinstance(network, Classifier)
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


def _logits(network: Classifier, images: UInt8) -> NDArray[np.float32]:
    blocks = [
        network(torch.from_numpy(images[start : start + _BATCH])[:, None].float()).logits.numpy()
        for start in range(0, len(images), _BATCH)
    ]
    return np.concatenate(blocks)
