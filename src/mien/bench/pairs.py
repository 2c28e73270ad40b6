"""What a loss over all pairs of a batch saves: each face goes through the network once, not once a pair."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.linalg import vector_norm

from mien.bench.subjects import Subject, ready
from mien.bench.timing import median_times
from mien.losses import contrastive, pairs_of
from mien.models import Network
from mien.training.task import Task
from mien.training.tasks.contrastive import Contrastive

FACES = 504
"""As many as the paper (system D) trains on: 126,756 pairs, a batch of all of them."""

PAIRS_A_STEP = 64
"""Pairs in a mini-batch of the loop that shows both faces of each: 128 faces through the network."""

_STEPS_A_TURN = 4
"""Steps of that loop beside one on all pairs: about as many faces through the network."""


@dataclass(frozen=True)
class PairSpeed:
    """Once through all pairs of some faces, in two ways with the same network, optimiser and augmentation.

    all_pairs_s: one training step on all pairs, each face shown once. two_passes_s: the loop with two
    forward passes a pair, in mini-batches of `pairs_a_step`: measured on `measured_pairs` of the pairs and
    scaled to all. ratio: two_passes_s / all_pairs_s. The loop takes as many optimiser steps as mini-batches.
    """

    images: int
    pairs: int
    pairs_a_step: int
    all_pairs_s: float
    two_passes_s: float
    measured_pairs: int
    ratio: float


class TwoPasses(Task):
    """The contrastive loss pair by pair, as a siamese network is drawn: two forward passes for each pair.

    task: the same loss over all pairs of a batch. An example is a pair of its training faces, in the order
    of `pairs_of`.
    """

    figures: tuple[str, ...] = Contrastive.figures

    def __init__(self, task: Contrastive) -> None:
        self.task = task
        self.network = task.network
        self.pairs = pairs_of(task.size)

    @property
    def size(self) -> int:
        """Number of pairs."""
        return self.pairs.shape[1]

    def to(self, device: torch.device) -> None:
        """Moves faces and pairs to the device."""
        self.task.to(device)
        self.pairs = self.pairs.to(device)

    def loss(self, network: nn.Module, rows: Tensor, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss over the pairs `rows` (B,)."""
        task = self.task
        first, second = self.pairs[:, rows]
        loss = pair_by_pair(
            lambda faces: task.embed(network, faces, normalised=True),
            task.prepare(first, epoch),
            task.prepare(second, epoch),
            task.labels[first] != task.labels[second],
            task.options.margin,
        )
        return loss, {}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """The task's own figures."""
        return self.task.validate(network)


def pair_by_pair(
    embed: Callable[[Tensor], Tensor], first: Tensor, second: Tensor, differs: Tensor, margin: float
) -> Tensor:
    """The mean loss of pairs by two forward passes: first, second (B, …) faces, differs (B,) bool → ()."""
    return contrastive(vector_norm(embed(first) - embed(second), dim=1), differs, margin=margin)


def pair_speed(asked: Subject, network: Network, folder: Path, seconds: float) -> PairSpeed:
    """Measures both ways in turn on the same random faces. folder: for what the task stores."""
    options = {"pairs": "all", "snapshots": ()}
    whole = cast(Contrastive, asked.build_task(network, FACES, folder, **options))
    settings = asked.settings(batch_size=FACES, accumulate=1)
    at_once = ready(whole, settings, folder)
    apart = TwoPasses(cast(Contrastive, asked.build_task(network, FACES, folder, **options)))
    loop = ready(apart, settings.model_copy(update={"batch_size": PAIRS_A_STEP}), folder)
    device = at_once.fabric.device
    faces = torch.arange(FACES, device=device)
    order = apart.order(0, 0)[: _STEPS_A_TURN * PAIRS_A_STEP].to(device)

    def turn() -> None:
        for rows in order.split(PAIRS_A_STEP):
            loop.step(rows, 0)

    (one, some), times = median_times([lambda: at_once.step(faces, 0), turn], seconds)
    two_passes = some * apart.size / len(order)
    return PairSpeed(
        images=FACES,
        pairs=math.comb(FACES, 2),
        pairs_a_step=PAIRS_A_STEP,
        all_pairs_s=one,
        two_passes_s=two_passes,
        measured_pairs=times * len(order),
        ratio=two_passes / one,
    )
