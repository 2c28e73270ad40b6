"""How fast an autoencoder on landmarks trains, and how much of a step is its matrix products."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mien.bench.timing import median_times
from mien.landmark_layout import ACTION_UNITS, COUNT
from mien.landmarks import LandmarkBatch, Triplets
from mien.models import LANDMARKS
from mien.models.landmark_vae import LandmarkVAE
from mien.training.loop import Loop
from mien.training.recipe import Recipe
from mien.training.tasks.landmark_vae import LandmarkVAETask, LandmarkVAETaskOptions
from mien.training.tasks.registry import LandmarkMaterials

FACES = 2000
"""As many as the thesis trains on."""


@dataclass(frozen=True)
class LandmarkSpeed:
    """One recipe's training on random faces.

    step_s: median seconds of a whole iteration, optimiser included. products_s: of its layers' matrix
    products alone, forward and backward, in the same numbers and shapes. ratio: step_s / products_s.
    multiply_adds: of an iteration's products.
    """

    subject: str
    precision: str
    parameters: int
    batch_size: int
    multiply_adds: int
    iterations_s: float
    step_s: float
    products_s: float
    ratio: float


def landmark_speed(recipe: Recipe, numbers: torch.dtype, seconds: float) -> LandmarkSpeed:
    """Measures both in turn. numbers: what the recipe's precision multiplies."""
    network = LANDMARKS.find(recipe.model.name).build(recipe.model.options, recipe.data.labels)
    assert isinstance(network, LandmarkVAE)
    faces = _random_faces(network.neutral)
    network.fit(faces)
    options = LandmarkVAETaskOptions(**recipe.task.options)
    materials = LandmarkMaterials(network, faces, faces, _random_triplets(faces), _random_triplets(faces), 0)
    settings = recipe.train.model_copy(
        update={
            "lr": 1e-9,
            "select": "train_loss",
            "select_mode": "min",
            "iterations": 1,
            "validate_every": 1,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        loop = Loop(LandmarkVAETask(options, materials), settings, Path(folder), "bench")
        loop.network.train()
        rows = torch.arange(settings.batch_size, device=loop.fabric.device)
        judged = 3 * options.triplet_batch if options.topological_variance is not None else 0
        seen = {
            network.encoder: settings.batch_size + judged,
            network.decoder: settings.batch_size * options.samples,
        }
        products, count = _products(seen, numbers, loop.fabric.device)
        (step, alone), _ = median_times([lambda: loop.step(rows, 0), products], seconds)
    return LandmarkSpeed(
        subject=recipe.name,
        precision=settings.precision,
        parameters=network.parameter_count(),
        batch_size=settings.batch_size,
        multiply_adds=count,
        iterations_s=1 / step,
        step_s=step,
        products_s=alone,
        ratio=step / alone,
    )


def _products(
    seen: dict[nn.Sequential, int], numbers: torch.dtype, device: torch.device
) -> tuple[Callable[[], None], int]:
    """The products of so many rows through each stack of layers, and their multiply-adds.

    As the layers are drawn, with the neutral face beside every sample of z; an iteration itself computes its
    part of the decoder's first layer once a face. Of each layer the output, the gradient of its weights and
    that of its input, but for the encoder's first, whose input is the data.
    """
    layers: list[tuple[Tensor, Tensor, Tensor, bool]] = []
    count = 0
    for number, (stack, rows) in enumerate(seen.items()):
        dense = [layer for layer in stack if isinstance(layer, nn.Linear)]
        for place, layer in enumerate(dense):
            inwards = bool(number or place)
            x = torch.rand(rows, layer.in_features, device=device).to(numbers)
            gradient = torch.rand(rows, layer.out_features, device=device).to(numbers)
            layers.append((x, layer.weight.detach().to(numbers), gradient, inwards))
            count += rows * layer.in_features * layer.out_features * (3 if inwards else 2)

    def work() -> None:
        for x, weight, gradient, inwards in layers:
            x @ weight.T
            gradient.T @ x
            if inwards:
                gradient @ weight

    return work, count


def _random_faces(neutral: bool) -> LandmarkBatch:
    rng = np.random.default_rng(0)
    points, beside = (0.1 * rng.normal(size=(FACES, COUNT, 3)).astype(np.float32) for _ in range(2))
    names = np.array([f"face {number}" for number in range(FACES)])
    faces = LandmarkBatch(
        points=points,
        names=names,
        subjects=names,
        labels=np.zeros(FACES, np.int64),
        degrees=np.zeros(FACES, np.int8),
        units=np.zeros((FACES, len(ACTION_UNITS)), np.int8),
        splits=np.zeros(FACES, np.int8),
        sequences=np.full(FACES, ""),
        angles=np.zeros((FACES, 3), np.float32),
        source="random faces",
    )
    return replace(faces, neutral=beside) if neutral else faces


def _random_triplets(faces: LandmarkBatch) -> Triplets:
    chosen = np.random.default_rng(1).permutation(FACES)[: 3 * (FACES // 3)].reshape(-1, 3)
    return Triplets(faces.names[chosen], np.tile(np.array([1, 0], np.int16), (len(chosen), 1)))
