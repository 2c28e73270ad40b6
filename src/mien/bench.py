"""The truth about speed: each network's rates, and what share of the machine's own rate they are.

A training step of n faces takes about n · multiply-adds · 6 operations: forward 2 a multiply-add, backward 4.
The machine's own rate is that of a matrix product in the numbers that the network computes in.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien.errors import ModelError
from mien.evaluation.protocols import find
from mien.faces import FaceBatch
from mien.inference.predictor import load
from mien.labels import PRECISIONS
from mien.ledger import machine
from mien.models import Network, architecture
from mien.models.multi_crop import MultiCrop
from mien.models.onnx_file import export
from mien.training import recipe
from mien.training.loop import Loop
from mien.training.recipe import NamedSection, TrainSection
from mien.training.tasks import task_kind
from mien.training.tasks.registry import Materials
from mien.transforms import Augmentation

_MATRIX = 2048
_INFERENCE_BATCHES = (1, 64)
_PROTOCOL = "eval2"
_NUMBERS = dict(zip(PRECISIONS, (torch.float32, torch.bfloat16), strict=True))
"""What a precision, named as in a recipe, multiplies."""


@dataclass(frozen=True)
class Subject:
    """What is measured: a network on its own, or as a recipe trains it. name: as asked for."""

    name: str
    architecture: str
    options: dict[str, Any]
    task: NamedSection
    augmentation: Augmentation
    train: TrainSection


def subject(name: str, *, batch_size: int | None = None, precision: str | None = None) -> Subject:
    """The recipe of that name, or else the network, in 32 bits on mirrored faces.

    batch_size, precision: in place of the recipe's.
    Raises: ModelError when there is neither, or the precision is unknown.
    """
    if precision is not None and precision not in PRECISIONS:
        raise ModelError(f"unknown precision {precision!r}: expected {' or '.join(PRECISIONS)}")
    changes = {"batch_size": batch_size, "precision": precision}
    changes = {key: value for key, value in changes.items() if value is not None}
    if name in recipe.names():
        asked = recipe.load(name)
        return Subject(
            name,
            asked.model.name,
            asked.model.options,
            # A teacher costs a step nothing that is worth measuring, and would have to be trained first.
            NamedSection(name="classification") if asked.task.name == "distillation" else asked.task,
            Augmentation(**asked.augment),
            asked.train.model_copy(update=changes),
        )
    return Subject(
        name,
        architecture(name).name,
        {},
        NamedSection(name="classification"),
        Augmentation(mirror=0.5),
        TrainSection().model_copy(update=changes),
    )


@dataclass(frozen=True)
class Speed:
    """One network's rates.

    subject: what was asked for. multiply_adds: of one face's forward pass.
    train_images_s: of whole steps, optimiser included.
    share_of_matrix_rate: train_images_s · multiply_adds · 6 / the machine's matrix-product rate in the same
    precision.
    share_outside_network: of a step, spent on gathering, normalising and augmenting its faces.
    inference_images_s: of the exported file in ONNX Runtime, by batch size.
    eval2_faces_min: faces a minute by system A's Eval2, in the same precision; None where the network sees
    whole faces.
    """

    subject: str
    network: str
    precision: str
    parameters: int
    multiply_adds: int
    batch_size: int
    train_images_s: float
    share_of_matrix_rate: float
    share_outside_network: float
    inference_images_s: dict[int, float]
    eval2_faces_min: float | None


def matrix_rate(seconds: float = 1.0, precision: str = "32-true") -> float:
    """Operations a second of a 2048 × 2048 matrix product in a precision's numbers: the median."""
    numbers, device = _NUMBERS[precision], "cuda" if torch.cuda.is_available() else "cpu"
    left, right = (torch.rand(_MATRIX, _MATRIX, device=device).to(numbers) for _ in range(2))
    return 2 * _MATRIX**3 / _median_time(lambda: left @ right, seconds)


def multiply_adds(network: Network) -> int:
    """Multiply-adds of one face's forward pass, counted by torch: half its operations."""
    from torch.utils.flop_counter import FlopCounterMode

    network.eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 1, network.input_size, network.input_size))
    return int(counter.get_total_flops() // 2)


def measure(
    subjects: Iterable[Subject], *, seconds: float = 3.0, note: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """Speeds on this machine, as `mien bench --json` prints them.

    seconds: time spent on each measurement. The data are random faces: no dataset is needed.
    """
    asked = list(subjects)
    rates = {}
    for precision in dict.fromkeys(each.train.precision for each in asked):
        note(f"matrix product of {_MATRIX}², {_NUMBERS[precision]}".replace("torch.", ""))
        rates[precision] = matrix_rate(seconds / 2, precision)
    speeds = []
    for each in asked:
        note(each.name)
        speeds.append(asdict(_speed(each, seconds, rates[each.train.precision])))
    return {
        "machine": machine(),
        "seconds": seconds,
        "matrix_rate_gflop_s": {precision: round(rate / 1e9, 1) for precision, rate in rates.items()},
        "formula": "share of matrix rate = train images/s × multiply-adds × 6 / matrix rate, same precision",
        "networks": speeds,
    }


def _speed(asked: Subject, seconds: float, rate: float) -> Speed:
    network = architecture(asked.architecture).build(asked.options)
    batch_size = asked.train.batch_size
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        export(network, model, name=asked.architecture, unsure_below=0.5)
        inference = _inference(model, network.input_size, seconds)
        operations = multiply_adds(network)
        whole, before = _step_times(network, asked, Path(folder), seconds)
    images = batch_size / whole
    return Speed(
        subject=asked.name,
        network=asked.architecture,
        precision=asked.train.precision,
        parameters=network.parameter_count(),
        multiply_adds=operations,
        batch_size=batch_size,
        train_images_s=images,
        share_of_matrix_rate=images * operations * 6 / rate,
        share_outside_network=before / whole,
        inference_images_s=inference,
        eval2_faces_min=_protocol_rate(network, asked.train.precision, seconds),
    )


def _step_times(network: Network, asked: Subject, folder: Path, seconds: float) -> tuple[float, float]:
    """Median seconds of a whole training step, and of what it does before the network, measured in turn."""
    batch_size = asked.train.batch_size
    faces = _random_faces(max(512, batch_size * 4), network.input_size)
    kind = task_kind(asked.task.name)
    materials = Materials(network, faces, faces, asked.augmentation, 0, folder)
    task = kind.build(kind.validated(asked.task.options), materials)
    # Too small a rate to move a weight far: random faces teach nothing and shall not diverge.
    loop = Loop(task, asked.train.model_copy(update={"lr": 1e-9}), folder, "bench")
    loop.network.train()
    rows = torch.arange(batch_size, device=loop.fabric.device)
    whole, before = _median_times([lambda: loop.step(rows, 0), lambda: task.prepare(rows, 0)], seconds)  # type: ignore[attr-defined]
    return whole, before


def _protocol_rate(network: Network, precision: str, seconds: float) -> float | None:
    """Faces a minute by Eval2, or None for a network that is not shown crops."""
    if network.body_size == network.input_size:
        return None
    classify = MultiCrop(network, find(_PROTOCOL), precision=precision)
    images = _random_faces(classify.faces_at_once, network.input_size).images
    return 60 * len(images) / _median_time(lambda: classify(images), seconds)


def _inference(model: Path, size: int, seconds: float) -> dict[int, float]:
    predictor = load(model)
    images = _random_faces(max(_INFERENCE_BATCHES), size).images
    return {
        batch: batch / _median_time(lambda batch=batch: predictor.classify(images[:batch]), seconds / 3)  # type: ignore[misc]
        for batch in _INFERENCE_BATCHES
    }


def _random_faces(n: int, size: int) -> FaceBatch:
    rng = np.random.default_rng(0)
    return FaceBatch(
        images=rng.integers(0, 256, (n, size, size), dtype=np.uint8),
        labels=rng.integers(0, 7, n),
        splits=np.zeros(n, np.int8),
        rows=np.arange(n),
        votes=np.zeros((n, 10), np.uint8),
        source="random faces",
    )


def _median_time(work: Callable[[], object], seconds: float) -> float:
    return _median_times([work], seconds)[0]


def _median_times(works: list[Callable[[], object]], seconds: float) -> Any:
    """Median seconds of each work, run in turn after a warm-up, so that a drifting machine is fair to all."""
    for work in works * 2:
        work()
    _wait()
    times: list[list[float]] = [[] for _ in works]
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times[0]) < 3:
        for work, spent in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            _wait()
            spent.append(time.perf_counter() - start)
    return tuple(statistics.median(spent) for spent in times)


def _wait() -> None:
    """Until an accelerator, which is only handed its work, has done it."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
