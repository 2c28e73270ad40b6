"""Each network's rates, and what share of the machine's own rate they are.

A training step of n faces takes about n · multiply-adds · 6 operations: forward 2 a multiply-add, backward 4.
The machine's own rate is that of a matrix product in the numbers that the network computes in.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from mien.bench.landmarks import landmark_speed
from mien.bench.pairs import PairSpeed, pair_speed
from mien.bench.subjects import Subject, random_faces, ready
from mien.bench.timing import median_time, median_times
from mien.evaluation.protocols import find
from mien.inference.mapper import Mapper
from mien.inference.predictor import Predictor
from mien.labels import PRECISIONS
from mien.ledger import machine
from mien.models import Classifier, Embedder, Network
from mien.models.multi_crop import MultiCrop
from mien.models.onnx_file import export
from mien.training.recipe import Recipe

_MATRIX = 2048
_INFERENCE_BATCHES = (1, 64)
_PROTOCOL = "eval2"
_NUMBERS = dict(zip(PRECISIONS, (torch.float32, torch.bfloat16), strict=True))
"""What a precision, named as in a recipe, multiplies."""

_READERS: dict[str, Callable[[Path], Callable[[Any], object]]] = {
    Classifier.kind: lambda model: Predictor(model).classify,
    Embedder.kind: lambda model: Mapper(model).places,
}
"""What reads faces by an exported file, by the network's kind."""


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
    pairs: of networks that map faces, what the loss over all pairs of a batch saves; else None.
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
    pairs: PairSpeed | None


def matrix_rate(seconds: float = 1.0, precision: str = "32-true") -> float:
    """Operations a second of a 2048 × 2048 matrix product in a precision's numbers: the median."""
    numbers, device = _NUMBERS[precision], "cuda" if torch.cuda.is_available() else "cpu"
    left, right = (torch.rand(_MATRIX, _MATRIX, device=device).to(numbers) for _ in range(2))
    return 2 * _MATRIX**3 / median_time(lambda: left @ right, seconds)


def multiply_adds(network: Network) -> int:
    """Multiply-adds of one face's forward pass, counted by torch: half its operations."""
    from torch.utils.flop_counter import FlopCounterMode

    network.eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 1, network.input_size, network.input_size))
    return int(counter.get_total_flops() // 2)


def measure(
    subjects: Iterable[Subject | Recipe],
    *,
    seconds: float = 3.0,
    note: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Speeds on this machine, as `mien bench --json` prints them.

    subjects: networks on pictures, and recipes of autoencoders on landmarks. seconds: time spent on each
    measurement. The data are random faces: no dataset is needed.
    """
    asked = list(subjects)
    rates = {}
    for precision in dict.fromkeys(each.train.precision for each in asked):
        note(f"matrix product of {_MATRIX}², {_NUMBERS[precision]}".replace("torch.", ""))
        rates[precision] = matrix_rate(seconds / 2, precision)
    speeds: list[dict[str, Any]] = []
    landmarks: list[dict[str, Any]] = []
    for each in asked:
        note(each.name)
        precision = each.train.precision
        if isinstance(each, Recipe):
            landmarks.append(asdict(landmark_speed(each, _NUMBERS[precision], seconds)))
        else:
            speeds.append(asdict(_speed(each, seconds, rates[precision])))
    return {
        "machine": machine(),
        "seconds": seconds,
        "matrix_rate_gflop_s": {precision: round(rate / 1e9, 1) for precision, rate in rates.items()},
        "formula": "share of matrix rate = train images/s × multiply-adds × 6 / matrix rate, same precision",
        "networks": speeds,
        "landmarks": landmarks,
    }


def _speed(asked: Subject, seconds: float, rate: float) -> Speed:
    network = asked.network()
    batch_size = asked.train.batch_size
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "model.onnx"
        export(network, model, name=asked.architecture)
        inference = _inference(_READERS[network.kind](model), network.input_size, seconds)
        operations = multiply_adds(network)
        pairs = pair_speed(asked, network, folder, seconds) if isinstance(network, Embedder) else None
        whole, before = _step_times(network, asked, folder, seconds)
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
        pairs=pairs,
    )


def _step_times(network: Network, asked: Subject, folder: Path, seconds: float) -> tuple[float, float]:
    """Median seconds of a whole training step, and of what it does before the network, measured in turn."""
    batch_size = asked.train.batch_size
    task = asked.build_task(network, max(512, batch_size * 4), folder)
    loop = ready(task, asked.settings(), folder)
    rows = torch.arange(batch_size, device=loop.fabric.device)
    works = [lambda: loop.step(rows, 0), lambda: task.prepare(rows, 0)]  # type: ignore[attr-defined]
    (whole, before), _ = median_times(works, seconds)
    return whole, before


def _protocol_rate(network: Network, precision: str, seconds: float) -> float | None:
    """Faces a minute by Eval2, or None for a network that is not shown crops."""
    if network.body_size == network.input_size:
        return None
    classify = MultiCrop(network, find(_PROTOCOL), precision=precision)
    images = random_faces(classify.faces_at_once, network.input_size).images
    return 60 * len(images) / median_time(lambda: classify(images), seconds)


def _inference(read: Callable[[Any], object], size: int, seconds: float) -> dict[int, float]:
    images = random_faces(max(_INFERENCE_BATCHES), size).images
    return {
        batch: batch / median_time(lambda batch=batch: read(images[:batch]), seconds / 3)  # type: ignore[misc]
        for batch in _INFERENCE_BATCHES
    }
