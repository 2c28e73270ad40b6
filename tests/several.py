"""Small trainings that one process and several must end alike; as a script, what `torchrun` starts.

torchrun --nproc_per_node 2 several.py train FOLDER    every scenario in a folder of its own
torchrun --nproc_per_node 2 several.py empty           process 1 meets an error that process 0 does not
torchrun --nproc_per_node 2 several.py killed          process 0 is killed
"""

from __future__ import annotations

import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from mien.errors import DataError, MienError, TrainingDiverged
from mien.training import processes
from mien.training.loop import Loop
from mien.training.recipe import TrainSection
from mien.training.task import Task


class Points(Task):
    """Least squares on 20 points in float64, so that rounding cannot hide a wrong weight."""

    figures = ("loss",)

    def __init__(self, *, normed: bool = False, dropout: float = 0.0, poison: int | None = None) -> None:
        torch.manual_seed(0)
        norms = (nn.BatchNorm2d(2), nn.BatchNorm1d(4)) if normed else (nn.Identity(), nn.Identity())
        self.network: nn.Module = nn.Sequential(
            nn.Unflatten(1, (1, 3, 3)), nn.Conv2d(1, 2, 2), norms[0], nn.Tanh(), nn.Flatten(),
            nn.Linear(8, 4), norms[1], nn.Dropout(dropout), nn.Linear(4, 1),
        ).double()  # fmt: skip
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(20, 9, generator=generator, dtype=torch.float64)
        self.y = self.x.sum(1, keepdim=True)
        self.poison = poison

    @property
    def size(self) -> int:
        return len(self.x)

    def to(self, device: torch.device) -> None:
        self.x, self.y = self.x.to(device), self.y.to(device)

    def loss(self, network: nn.Module, rows: Tensor, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        error = (network(self.x[rows]) - self.y[rows]).square().mean()
        poisoned = self.poison is not None and bool((rows == self.poison).any())
        return (error * math.nan if poisoned else error), {"three": 3 * torch.ones(len(rows)).sum()}

    def validate(self, network: nn.Module) -> dict[str, float]:
        network.eval()
        return {"loss": float((network(self.x) - self.y).square().mean())}


def settings(**changes: object) -> TrainSection:
    values = {
        "epochs": 3, "batch_size": 7, "lr": 0.05, "channels_last": False,
        "optimiser": {"name": "sgd", "momentum": 0.9}, "select": "validation_loss", "select_mode": "min",
        **changes,
    }  # fmt: skip
    return TrainSection.model_validate(values)


SCENARIOS: dict[str, tuple[Callable[[], Points], dict[str, object]]] = {
    "uneven": (Points, {}),
    "micro_batches": (Points, {"accumulate": 2}),
    "a_last_batch_of_one": (Points, {"batch_size": 19}),
    "synchronised": (lambda: Points(normed=True), {"sync_batch_norm": True}),
    "dropout": (lambda: Points(dropout=0.5), {}),
    "half": (Points, {"epochs": 2}),
    "poisoned": (lambda: Points(poison=3), {}),
}
"""Tasks and settings by name."""


def loop(name: str, folder: Path, **changes: object) -> Loop:
    """The scenario's loop, in `folder/NAME`."""
    task, own = SCENARIOS[name]
    return Loop(task(), settings(**{**own, **changes}), folder / name, "x")


def train(folder: Path) -> None:
    """Every scenario, and what the other half of a run is once one process has done the first."""
    for name in SCENARIOS:
        try:
            loop(name, folder).fit()
        except TrainingDiverged as error:
            (folder / f"diverged-{processes.rank()}").write_text(str(error))
    rest = loop("half", folder / "begun", epochs=4)
    assert rest.resume()
    rest.fit()


def fail(how: str) -> None:
    """One process ends early; the other waits for it."""
    with processes.joined():
        torch.distributed.barrier()
        if how == "empty" and processes.rank() == 1:
            raise DataError("no data on this machine")
        if how == "killed" and processes.rank() == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        torch.distributed.barrier()


if __name__ == "__main__":
    if sys.argv[1] != "train":
        try:
            fail(sys.argv[1])
        except MienError as problem:
            sys.stderr.write(f"said: {problem}\n")
            sys.exit(problem.exit_code)
    else:
        with processes.joined():
            train(Path(sys.argv[2]))
