"""The precision that a recipe asks for reaches the layers; weights and loss stay in 32 bits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mien.models import architecture
from mien.training.loop import Loop
from mien.training.recipe import TrainSection
from mien.training.tasks import task_kind
from mien.training.tasks.registry import Materials
from mien.transforms import Augmentation
from synthetic import face_batch


@pytest.mark.parametrize(
    ("precision", "expected"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)]
)
def test_layers_compute_in_the_precision_asked_for(
    precision: str, expected: torch.dtype, tmp_path: Path
) -> None:
    network = architecture("bkvgg8").build()
    faces = face_batch(14)
    augmentation = Augmentation(mirror=0.5, rotate=45, resize=(42, 54), crop="random")
    kind = task_kind("classification")
    task = kind.build(kind.validated({}), Materials(network, faces, faces, augmentation, 0, tmp_path))
    seen: list[torch.dtype] = []
    network.head.register_forward_hook(lambda layer, given, result: seen.append(result.dtype))  # type: ignore[union-attr]
    losses: list[torch.dtype] = []
    criterion = task.criterion  # type: ignore[attr-defined]
    task.criterion = lambda *given: losses.append(given[0].dtype) or criterion(*given)  # type: ignore[attr-defined]
    loop = Loop(task, TrainSection(batch_size=14, precision=precision), tmp_path, "x")
    loop.step(torch.arange(14), 0)
    task.validate(loop.network)
    assert set(seen) == {expected}
    assert set(losses) == {torch.float32}
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
