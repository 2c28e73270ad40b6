"""A paper's table beside ours: rows from the recipes that name it, figures from the ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from mien.errors import RecipeError
from mien.ledger import Entry, file_name
from mien.training.recipe import BUDGETS, Recipe


@dataclass(frozen=True)
class Measured:
    """Ours, on one split. interval: Wilson 95 %. without_copies: accuracy without copied faces."""

    n: int
    accuracy: float
    interval: tuple[float, float]
    without_copies: float | None


@dataclass(frozen=True)
class Row:
    """One row of a table under one budget; `ours` is empty where it was never run.

    paper, ours: by split. epochs: as run. best_epoch: the one selected.
    """

    recipe: str
    row: str
    claim: str
    paper: dict[str, float]
    ours: dict[str, Measured]
    budget: str | None = None
    seed: int | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    minutes: float | None = None

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
            "budget": self.budget,
            "seed": self.seed,
            "epochs": self.epochs,
            "best_epoch": self.best_epoch,
            "minutes": self.minutes,
            "splits": {
                split: {
                    "paper": self.paper.get(split),
                    "gap": self.gap(split),
                    **(
                        {}
                        if split not in self.ours
                        else {
                            "n": self.ours[split].n,
                            "accuracy": self.ours[split].accuracy,
                            "accuracy_ci95": list(self.ours[split].interval),
                            "without_copies": self.ours[split].without_copies,
                        }
                    ),
                }
                for split in sorted({*self.paper, *self.ours}, reverse=True)
            },
        }


def table_names(recipes: Iterable[Recipe]) -> list[str]:
    """Every table that some recipe names, such as `C/results`."""
    papers = [recipe.paper for recipe in recipes if recipe.paper is not None]
    return sorted({f"{paper.system}/{table}" for paper in papers for table in paper.tables})


def recipes_of(table: str, recipes: Iterable[Recipe]) -> list[Recipe]:
    """The recipes of a table, in the order of their rows: by the recipe's `position`, then by name.

    Raises: RecipeError when no recipe names the table.
    """
    known = list(recipes)
    system, _, name = table.partition("/")
    chosen = [
        recipe
        for recipe in known
        if recipe.paper
        and recipe.paper.system == system.upper()
        and name.lower() in map(str.lower, recipe.paper.tables)
    ]
    if not chosen:
        names = table_names(known)
        near = get_close_matches(table, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(names)}"
        raise RecipeError(f"unknown table {table!r}: {hint}")
    return sorted(chosen, key=lambda recipe: (recipe.paper.position if recipe.paper else 0, recipe.name))


def newest(stored: Iterable[Entry], fresh: Iterable[Entry]) -> list[Entry]:
    """Entries of the ledger and of runs just made, one for each recipe, budget and seed: the fresh one."""
    return list({file_name(entry): entry for entry in (*stored, *fresh)}.values())


def rows(recipes: Iterable[Recipe], entries: Iterable[Entry]) -> list[Row]:
    """A row for each recipe and ledger entry of it, the largest budget first; an empty one for none."""
    held = list(entries)
    found: list[tuple[int, Row]] = []
    for recipe in recipes:
        mine = [entry for entry in held if entry["recipe"] == recipe.name]
        ranked = [(-BUDGETS.index(entry["budget"]["name"]), _row(recipe, entry)) for entry in mine]
        found += ranked or [(len(BUDGETS), _row(recipe, None))]
    return [row for _, row in sorted(found, key=lambda pair: pair[0])]


def _row(recipe: Recipe, entry: Entry | None) -> Row:
    assert recipe.paper is not None
    never_run = Row(recipe.name, recipe.paper.row, recipe.paper.claim, dict(recipe.paper.accuracy), ours={})
    if entry is None:
        return never_run
    ours = {
        split: Measured(
            n=figures["n"],
            accuracy=figures["accuracy"],
            interval=(figures["accuracy_ci95"][0], figures["accuracy_ci95"][1]),
            without_copies=(figures.get("without_copies") or {}).get("accuracy"),
        )
        for split, figures in entry["figures"].items()
    }
    budget = entry["budget"]
    return replace(
        never_run,
        ours=ours,
        budget=budget["name"],
        seed=entry["seed"],
        epochs=budget["epochs"],
        best_epoch=budget["best_epoch"],
        minutes=round(budget["seconds"] / 60, 1),
    )
