"""What the papers' tables and figures are made from: recipes, finished runs, and a dataset of faces."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from mien.errors import DataError
from mien.ledger import Entry
from mien.papers.tables import placed
from mien.training.recipe import BUDGETS, Recipe

Which = Callable[[Recipe], bool]
"""Which recipes of a table something is made from."""


@dataclass(frozen=True)
class Sources:
    """recipes: all that there are. entries: the ledger's. data: the dataset that faces are taken from."""

    recipes: list[Recipe]
    entries: list[Entry]
    data: Path | None = None

    def of(self, table: str, which: Which = lambda recipe: True) -> dict[str, Recipe]:
        """The recipes of a table by the name of their row in it, in its order."""
        return {row.row: recipe for recipe, row in placed(table, self.recipes) if which(recipe)}

    def run_of(self, recipe: str) -> Entry | None:
        """A recipe's run under the largest budget, or None where it was never run."""
        return largest(entry for entry in self.entries if entry["recipe"] == recipe)

    def runs_of(self, recipe: str) -> list[Entry]:
        """A recipe's runs of every seed under the largest budget that it was run with, by seed."""
        run = self.run_of(recipe)
        alike = [
            entry
            for entry in self.entries
            if run and (entry["recipe"], entry["budget"]["name"]) == (recipe, run["budget"]["name"])
        ]
        return sorted(alike, key=lambda entry: int(entry["seed"]))

    def faces(self) -> Path:
        """The dataset.

        Raises: DataError when none was named.
        """
        if self.data is None:
            raise DataError("this figure shows faces: name the dataset with --data")
        return self.data


def largest(entries: Iterable[Entry]) -> Entry | None:
    """The entry of the largest budget, of the first seed; None where there is none."""
    return max(
        entries, key=lambda entry: (BUDGETS.index(entry["budget"]["name"]), -entry["seed"]), default=None
    )
