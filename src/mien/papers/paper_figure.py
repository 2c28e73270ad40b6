"""What a figure of a paper is: which recipes' runs it is drawn from, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mien.ledger import Entry
from mien.papers.sources import Sources, Which
from mien.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[Mapping[str, Recipe], Mapping[str, Entry], Sources], "Figure"]
"""Recipes and finished runs by the name of their row in the table, and all sources → the figure."""

Animate = Callable[[Mapping[str, Entry], Path], None]
"""Finished runs by the name of their row, and the GIF to write."""


@dataclass(frozen=True)
class PaperFigure:
    """A figure of a paper.

    table, which: the recipes that it shows. draw: gets at least one finished run where it `needs_runs`.
    animate: the same as a moving picture, where it shows a course; it too gets a run.
    """

    title: str
    table: str
    which: Which
    draw: Draw
    needs_runs: bool = True
    animate: Animate | None = None


def only(runs: Mapping[str, Entry]) -> Entry:
    """The run of a figure that shows one."""
    return next(iter(runs.values()))
