"""System B's figures 5.3 to 5.13: loss and accuracy of each experiment's runs in one drawing.

Figure 5.7 is a drawing of type A, as 5.1 and 5.2 are of type C: `mien models vgg_a` describes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mien.ledger import Entry
from mien.papers.paper_figure import PaperFigure
from mien.papers.sources import Sources, Which
from mien.report import figures as draw
from mien.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_PAPERS_COLOUR = re.compile(r"^\w+ line: | \(\w+ line\)")
"""The colour of a line in the paper's own figure; ours have others."""


def _curves(_: Mapping[str, Recipe], runs: Mapping[str, Entry], __: Sources) -> Figure:
    budgets = {row: entry["budget"]["name"] for row, entry in runs.items()}
    named = {
        row: _PAPERS_COLOUR.sub("", row) + (f", {budget}" if len(set(budgets.values())) > 1 else "")
        for row, budget in budgets.items()
    }
    return draw.experiment_curves({named[row]: entry["history"] for row, entry in runs.items()})


def _momentum(recipe: Recipe) -> float:
    return float(recipe.train.optimiser.options.get("momentum", 0.0))


def _network(name: str) -> Which:
    return lambda recipe: recipe.model.name == name


def _every(_: Recipe) -> bool:
    return True


FIGURES: dict[str, PaperFigure] = {
    f"B/figure-{number}": PaperFigure(title, f"B/{section}", which, _curves)
    for number, title, section, which in (
        ("5.3", "loss and accuracy with and without augmentation", "5.3.1", _every),
        ("5.4", "loss and accuracy without dropout", "5.3.2", _every),
        (
            "5.5", "loss and accuracy of plain SGD and of momentum with Nesterov", "5.3.3",
            lambda recipe: _momentum(recipe) <= 0.9,
        ),
        (
            "5.6", "loss and accuracy by rate of Nesterov momentum", "5.3.3",
            lambda recipe: bool(recipe.train.optimiser.options.get("nesterov")),
        ),
        ("5.8", "loss and accuracy of type A by place of batch normalisation", "5.3.4", _network("vgg_a")),
        ("5.9", "loss and accuracy of type C by place of batch normalisation", "5.3.4", _network("vgg_c")),
        (
            "5.10", "loss and accuracy of the types A to F", "5.3.5",
            lambda recipe: recipe.train.schedule.name != "time",
        ),
        (
            "5.11", "loss and accuracy of the types A to F with decay", "5.3.5",
            lambda recipe: recipe.train.schedule.name == "time" and not recipe.train.l2,
        ),
        ("5.12", "loss and accuracy by dropout rate", "5.3.7", _every),
        ("5.13", "loss and accuracy of the best three", "5.3.8", _every),
    )
}  # fmt: skip
"""By name on the command line."""
