"""Optimisers and learning-rate schedules by name."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mien.errors import RecipeError, hint

OPTIMISERS: dict[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}

L2_ON: dict[str, Callable[[nn.Module, str, nn.Parameter], bool]] = {
    "all": lambda module, name, parameter: True,
    "weights": lambda module, name, parameter: parameter.ndim > 1,
    "dense": lambda module, name, parameter: isinstance(module, nn.Linear) and parameter.ndim > 1,
}
"""Which parameters L2 acts on, by name: from (owning module, parameter's name in it, parameter)."""


def optimiser(
    network: nn.Module, name: str, options: dict[str, Any], *, lr: float, l2: float, l2_on: str
) -> torch.optim.Optimizer:
    """An optimiser over the network's parameters in two groups: with L2 and without.

    Raises: RecipeError when the name, an option or `l2_on` is unknown.
    """
    if name not in OPTIMISERS:
        raise RecipeError(f"train.optimiser.name {name!r}: {hint(name, OPTIMISERS)}")
    if l2_on not in L2_ON:
        raise RecipeError(f"train.l2_on {l2_on!r}: expected one of {', '.join(L2_ON)}")
    known = set(inspect.signature(OPTIMISERS[name]).parameters) - {"params", "lr", "weight_decay"}
    if unknown := sorted(set(options) - known):
        raise RecipeError(f"train.optimiser.{unknown[0]}: {name} takes {', '.join(sorted(known))}")
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for module in network.modules():
        for key, parameter in module.named_parameters(recurse=False):
            (decayed if L2_ON[l2_on](module, key, parameter) else free).append(parameter)
    groups = [{"params": decayed, "weight_decay": l2}, {"params": free, "weight_decay": 0.0}]
    try:
        return OPTIMISERS[name]([group for group in groups if group["params"]], lr=lr, **options)  # type: ignore[call-arg]
    except (TypeError, ValueError) as error:
        raise RecipeError(f"train.optimiser {name} {options}: {error}") from error


@dataclass(frozen=True)
class Progress:
    """Where training stands at the start of a step. epoch: whole epochs done; step: of steps in all.

    history: the figures of each whole epoch by name, as `metrics.jsonl` has them.
    """

    epoch: int
    step: int
    epochs: int
    steps: int
    history: Sequence[Mapping[str, float]] = ()


def _constant(at: Progress) -> float:
    return 1.0


def _exponential(at: Progress, *, decay: float) -> float:
    """lr0 · decay^epoch (system C: 0.95)."""
    return decay**at.epoch


def _step(at: Progress, *, milestones: list[int], factor: float = 0.1) -> float:
    """Multiplied by `factor` at each of the epochs in `milestones`."""
    return factor ** sum(at.epoch >= milestone for milestone in milestones)


def _cosine(at: Progress, *, floor: float = 0.0) -> float:
    """Half a cosine from 1 down to `floor` over all steps."""
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * at.step / max(1, at.steps)))


def _time(at: Progress, *, decay: float, per: str = "update") -> float:
    """lr0 / (1 + decay · t), t in updates as in Keras, or with per="epoch" in epochs (system B, 5.3.7)."""
    passed = {"update": at.step, "epoch": at.epoch}
    _demand(per in passed, f"per {per!r}: expected one of {', '.join(passed)}")
    _demand(decay >= 0, f"decay {decay}: expected 0 or more")
    return 1 / (1 + decay * passed[per])


def _plateau(
    at: Progress,
    *,
    figure: str = "train_loss",
    patience: int = 10,
    factor: float = 0.1,
    threshold: float = 1e-4,
    drops: int = 5,
) -> float:
    """Multiplied by `factor` whenever `figure` has not improved for `patience` epochs (system A).

    An epoch improves where it lies below the best so far by more than the share `threshold`. After `drops`
    such plateaus the next one ends the training. A pure function of the history: a resumed run goes on as
    an unbroken one.
    """
    _demand(patience >= 1, f"patience {patience}: expected 1 or more epochs")
    _demand(0 < factor < 1, f"factor {factor}: expected a number between 0 and 1")
    _demand(0 <= threshold < 1, f"threshold {threshold}: expected a share from 0 to below 1")
    _demand(drops >= 0, f"drops {drops}: expected 0 or more")
    best, waited, plateaus = math.inf, 0, 0
    for record in at.history:
        if record[figure] < best - threshold * abs(best) or best == math.inf:
            best, waited = record[figure], 0
        else:
            waited += 1
        if waited == patience:
            plateaus, waited = plateaus + 1, 0
    return factor**plateaus if plateaus <= drops else ENDED


def _demand(met: bool, otherwise: str) -> None:
    if not met:
        raise ValueError(otherwise)


ENDED = 0.0
"""The factor with which a schedule ends the training."""

SCHEDULES: dict[str, Callable[..., float]] = {
    "constant": _constant,
    "exponential": _exponential,
    "step": _step,
    "cosine": _cosine,
    "time": _time,
    "plateau": _plateau,
}
"""Factor of the initial learning rate, by name: from where training stands and the schedule's options."""


def schedule(name: str, options: dict[str, Any], warmup: float = 0.0) -> Callable[[Progress], float]:
    """The schedule of that name with its options bound, under a linear rise over the first `warmup` epochs.

    Raises: RecipeError when the name or an option is unknown, or a required one is missing or out of range.
    """
    if name not in SCHEDULES:
        raise RecipeError(f"train.schedule.name {name!r}: {hint(name, SCHEDULES)}")
    function = SCHEDULES[name]
    try:
        function(Progress(0, 0, 1, 1), **options)
    except TypeError as error:
        known = list(_option_names(function))
        raise RecipeError(
            f"train.schedule {name} {options}: its options are {', '.join(known) or 'none'}"
        ) from error
    except ValueError as error:
        raise RecipeError(f"train.schedule.{error}") from error
    return lambda at: _rise(at, warmup) * function(at, **options)


def _rise(at: Progress, warmup: float) -> float:
    return min(1.0, (at.step + 1) / max(1.0, warmup * at.steps / at.epochs))


def _option_names(function: Callable[..., float]) -> Iterator[str]:
    return (name for name in inspect.signature(function).parameters if name != "at")
