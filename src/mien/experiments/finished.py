"""What passes between a run's end and what is measured of each kind of network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien import ledger
from mien.experiments.domain import Note
from mien.training.recipe import Recipe
from mien.training.task import State


@dataclass(frozen=True)
class Finished:
    """A run after its last epoch, the best weights in its network. faces: all its splits. run: its folder."""

    faces: Any
    run: Path
    recipe: Recipe
    state: State
    note: Note


@dataclass(frozen=True)
class Outcome:
    """What was measured of the exported network.

    figures: for the ledger entry. report: writes the run's page from the whole entry. model: the network's
    file; None where nothing was learned. card: for the network's card, besides what all cards say.
    """

    figures: dict[str, Any]
    report: Callable[[ledger.Entry], None]
    model: Path | None
    card: dict[str, Any] = field(default_factory=dict)
