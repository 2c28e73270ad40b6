"""A paper's table beside ours: rows from the recipes that name it, figures from the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from mien.errors import RecipeError
from mien.ledger import Entry, file_name
from mien.training.recipe import BUDGETS, PaperRow, Recipe

Placed = tuple[Recipe, PaperRow]
"""A recipe and one of its rows in a table."""


@dataclass(frozen=True)
class Measured:
    """Ours, on one split. interval: Wilson 95 %. without_copies: accuracy without copied faces.

    of: faces of the split, `n` of which were drawn and measured.
    """

    n: int
    of: int
    accuracy: float
    interval: tuple[float, float]
    without_copies: float | None

    def to_dict(self) -> dict[str, Any]:
        """As `mien reproduce --json` prints it."""
        return {
            "n": self.n,
            "of": self.of,
            "accuracy": self.accuracy,
            "accuracy_ci95": list(self.interval),
            "without_copies": self.without_copies,
        }


@dataclass(frozen=True)
class Row:
    """One row of a table under one budget.

    paper, ours: by split, under `protocol`; `ours` is empty where it was never run or not measured so.
    budget, seed: None where it was never run. epochs: as run. best_epoch: the one selected.
    """

    recipe: str
    row: str
    claim: str
    protocol: str
    paper: dict[str, float]
    ours: dict[str, Measured] = field(default_factory=dict)
    budget: str | None = None
    seed: int | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    minutes: float | None = None

    @property
    def splits(self) -> list[str]:
        """The splits of the paper's figures and of ours, public first."""
        return sorted({*self.paper, *self.ours}, reverse=True)

    @property
    def unmeasured(self) -> bool:
        """Whether it was run and not measured under the row's protocol."""
        return self.budget is not None and not self.ours

    def gap(self, split: str) -> float | None:
        """Ours minus the paper's, where both are known."""
        if split not in self.paper or split not in self.ours:
            return None
        return self.ours[split].accuracy - self.paper[split]

    def to_dict(self) -> dict[str, Any]:
        """The row as `mien reproduce --json` prints it."""
        return {
            "recipe": self.recipe,
            "row": self.row,
            "claim": self.claim or None,
            "protocol": self.protocol,
            "budget": self.budget,
            "seed": self.seed,
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "minutes": self.minutes,
            "splits": {
                split: {
                    "paper": self.paper.get(split),
                    "gap": self.gap(split),
                    **(self.ours[split].to_dict() if split in self.ours else {}),
                }
                for split in self.splits
            },
        }


def table_names(recipes: Iterable[Recipe]) -> list[str]:
    """Every table that some recipe names, such as `C/results`."""
    papers = [recipe.paper for recipe in recipes if recipe.paper is not None]
    return sorted({f"{paper.system}/{table}" for paper in papers for table in paper.tables})


def placed(table: str, recipes: Iterable[Recipe]) -> list[Placed]:
    """The rows of a table, each with its recipe, by `position` and then by the recipe's name.

    Raises: RecipeError when no recipe names the table.
    """
    known = list(recipes)
    system, _, name = table.partition("/")
    chosen = [
        (recipe, row)
        for recipe in known
        if recipe.paper and recipe.paper.system == system.upper()
        for row in recipe.paper.rows
        if name.lower() in map(str.lower, row.tables)
    ]
    if not chosen:
        names = table_names(known)
        near = get_close_matches(table, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(names)}"
        raise RecipeError(f"unknown table {table!r}: {hint}")
    return sorted(chosen, key=lambda pair: (pair[1].position, pair[0].name))


def recipes_of(table: str, recipes: Iterable[Recipe]) -> list[Recipe]:
    """The recipes of a table, each once, in the order of their rows.

    Raises: RecipeError when no recipe names the table.
    """
    return list({recipe.name: recipe for recipe, _ in placed(table, recipes)}.values())


def newest(stored: Iterable[Entry], fresh: Iterable[Entry]) -> list[Entry]:
    """Entries of the ledger and of runs just made, one for each recipe, budget and seed: the fresh one."""
    return list({file_name(entry): entry for entry in (*stored, *fresh)}.values())


def rows(table: str, recipes: Iterable[Recipe], entries: Iterable[Entry]) -> list[Row]:
    """Each row of a table for each ledger entry of its recipe, the largest budget first; one for none.

    Raises: RecipeError when no recipe names the table.
    """
    held = list(entries)
    found: list[tuple[int, Row]] = []
    for recipe, row in placed(table, recipes):
        mine = [entry for entry in held if entry["recipe"] == recipe.name]
        ranked = [(-BUDGETS.index(entry["budget"]["name"]), _row(recipe, row, entry)) for entry in mine]
        found += ranked or [(len(BUDGETS), _row(recipe, row, None))]
    return [row for _, row in sorted(found, key=lambda pair: pair[0])]


def _row(recipe: Recipe, row: PaperRow, entry: Entry | None) -> Row:
    assert recipe.paper is not None
    never_run = Row(recipe.name, row.row, row.claim or recipe.paper.claim, row.protocol, dict(row.accuracy))
    if entry is None:
        return never_run
    budget = entry["budget"]
    return replace(
        never_run,
        ours=measured(entry, row.protocol),
        budget=budget["name"],
        seed=entry["seed"],
        epochs=budget["epochs"],
        best_epoch=budget["best_epoch"],
        minutes=round(budget["seconds"] / 60, 1),
    )


def measured(entry: Entry, protocol: str) -> dict[str, Measured]:
    """What a finished run measured under a protocol, by split; empty where it did not."""
    single: dict[str, Any] = entry["figures"]
    found = single if protocol == "single" else entry.get("protocols", {}).get(protocol, {})
    return {
        split: Measured(
            n=figures["n"],
            of=single[split]["n"] if split in single else figures["n"],
            accuracy=figures["accuracy"],
            interval=(figures["accuracy_ci95"][0], figures["accuracy_ci95"][1]),
            without_copies=(figures.get("without_copies") or {}).get("accuracy"),
        )
        for split, figures in found.items()
    }
