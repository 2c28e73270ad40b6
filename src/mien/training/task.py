"""What the training loop asks of a task, and what it tells of where a run stands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from mien.training.optimisers import Progress
from mien.transforms import permutation


class Task(ABC):
    """What the loop asks of a task.

    network: what is trained and saved. figures: names that `validate` gives. separable: the loss of a batch
    is the mean of its examples' own, so that parts of it may be computed apart.
    """

    network: nn.Module
    figures: tuple[str, ...]
    separable: bool = True

    @property
    @abstractmethod
    def size(self) -> int:
        """The number of training examples."""

    @abstractmethod
    def to(self, device: torch.device) -> None:
        """Moves the data to the device."""

    def order(self, seed: int, epoch: int) -> Tensor:
        """The order in which an epoch sees the examples: (size,) int64 on the CPU."""
        return permutation(seed, epoch, self.size)

    def begin(self, at: Progress) -> None:  # noqa: B027
        """Called before each step with where training stands, for what changes as it goes on."""

    @abstractmethod
    def loss(self, network: nn.Module, rows: Tensor, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean loss over the examples `rows` (B,) and sums over them to report, such as `correct`.

        `network` is the task's own, made ready for the device and precision.
        """

    @abstractmethod
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Figures on the validation split by name, without the prefix `validation_`."""

    def observe(self, network: nn.Module, epoch: int) -> None:  # noqa: B027
        """Called after `epoch` epochs, from 0 on, to keep of the training what the figures do not say."""


@dataclass
class State:
    """Where a run stands: all that a checkpoint holds besides tensors."""

    epoch: int = 0
    step_in_epoch: int = 0
    best: float | None = None
    best_epoch: int = -1
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def lasting(self) -> bool:
        """Whether there is anything to resume."""
        return bool(self.epoch or self.step_in_epoch)


Report = Callable[[State, int, dict[str, float]], None]
"""Called after each step with the state, the number of steps in an epoch and running figures."""
