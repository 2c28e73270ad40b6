"""What passes between a run's end and what is measured of each kind of network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien import ledger
from mien.experiments.splits import Note, Splits
from mien.training.loop import State
from mien.training.recipe import Recipe


@dataclass(frozen=True)
class Finished:
    """A run after its last epoch, the best weights in its network. run: its folder."""

    faces: Splits
    run: Path
    recipe: Recipe
    state: State
    note: Note

    @property
    def model(self) -> Path:
        """Where the exported network lies."""
        return self.run / "model.onnx"


@dataclass(frozen=True)
class Outcome:
    """What was measured of the exported network.

    figures: for the ledger entry. report: writes the run's page from the whole entry. card: for the network's
    card, besides what all cards say.
    """

    figures: dict[str, Any]
    report: Callable[[ledger.Entry], None]
    card: dict[str, Any] = field(default_factory=dict)
