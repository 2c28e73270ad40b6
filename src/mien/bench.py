"""The truth about speed: each network's rates, and what share of the machine's own rate they are.

A training step of n faces takes about n · multiply-adds · 6 operations: forward 2 a multiply-add, backward 4.
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

from mien.faces import FaceBatch
from mien.inference.predictor import load
from mien.ledger import machine
from mien.models import Network, architecture
from mien.models.onnx_file import export
from mien.training.loop import Loop
from mien.training.recipe import TrainSection
from mien.training.tasks.classification import Classification, ClassificationOptions
from mien.training.tasks.registry import Materials
from mien.transforms import Augmentation

_MATRIX = 2048
_INFERENCE_BATCHES = (1, 64)


@dataclass(frozen=True)
class Speed:
    """One network's rates.

    multiply_adds: of one face's forward pass. train_images_s: of whole steps, optimiser included.
    share_of_matrix_rate: train_images_s · multiply_adds · 6 / the machine's matrix-product rate.
    share_outside_network: of a step, spent on gathering, normalising and augmenting its faces.
    inference_images_s: of the exported file in ONNX Runtime, by batch size.
    """

    network: str
    parameters: int
    multiply_adds: int
    batch_size: int
    train_images_s: float
    share_of_matrix_rate: float
    share_outside_network: float
    inference_images_s: dict[int, float]


def matrix_rate(seconds: float = 1.0) -> float:
    """Operations a second of a 2048 × 2048 float32 matrix product, the median over repetitions."""
    left, right = torch.rand(_MATRIX, _MATRIX), torch.rand(_MATRIX, _MATRIX)
    return 2 * _MATRIX**3 / _median_time(lambda: left @ right, seconds)


def multiply_adds(network: Network) -> int:
    """Multiply-adds of one face's forward pass, counted by torch: half its operations."""
    from torch.utils.flop_counter import FlopCounterMode

    network.eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 1, network.input_size, network.input_size))
    return int(counter.get_total_flops() // 2)


def measure(
    names: Iterable[str],
    *,
    batch_size: int = 50,
    seconds: float = 3.0,
    note: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Speeds of the named networks on this machine, as `mien bench --json` prints them.

    seconds: time spent on each measurement. The data are random faces: no dataset is needed.
    """
    note(f"matrix product of {_MATRIX}²")
    rate = matrix_rate(seconds / 2)
    speeds = []
    for name in names:
        note(name)
        speeds.append(asdict(_speed(name, batch_size, seconds, rate)))
    return {
        "machine": machine(),
        "matrix_rate_gflop_s": round(rate / 1e9, 1),
        "formula": "share of matrix rate = train images/s × multiply-adds × 6 / matrix rate",
        "networks": speeds,
    }


def _speed(name: str, batch_size: int, seconds: float, rate: float) -> Speed:
    network = architecture(name).build()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.onnx"
        export(network, model, name=name, unsure_below=0.5)
        inference = _inference(model, network.input_size, seconds)
        operations = multiply_adds(network)
        whole, before = _step_times(network, Path(folder), batch_size, seconds)
    images = batch_size / whole
    return Speed(
        network=name,
        parameters=network.parameter_count(),
        multiply_adds=operations,
        batch_size=batch_size,
        train_images_s=images,
        share_of_matrix_rate=images * operations * 6 / rate,
        share_outside_network=before / whole,
        inference_images_s=inference,
    )


def _step_times(network: Network, folder: Path, batch_size: int, seconds: float) -> tuple[float, float]:
    """Median seconds of a whole training step, and of what it does before the network, measured in turn."""
    faces = _random_faces(max(512, batch_size * 4), network.input_size)
    materials = Materials(network, faces, faces, Augmentation(mirror=0.5), 0, folder)
    task = Classification(ClassificationOptions(), materials)
    loop = Loop(task, TrainSection(batch_size=batch_size), folder, "bench")
    loop.network.train()
    rows = torch.arange(batch_size)
    whole, before = _median_times([lambda: loop.step(rows, 0), lambda: task.prepare(rows, 0)], seconds)
    return whole, before


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
    times: list[list[float]] = [[] for _ in works]
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times[0]) < 3:
        for work, spent in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            spent.append(time.perf_counter() - start)
    return tuple(statistics.median(spent) for spent in times)
