"""A paper's table beside ours: rows from the recipes that name it, figures from the ledger.

Some tables set others' results beside the paper's own: those rows have no recipe, and stand in `OTHERS`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from mien.errors import RecipeError, hint
from mien.ledger import Entry, file_name
from mien.papers.competition import OTHERS
from mien.training.recipe import BUDGETS, PaperRow, Recipe

Placed = tuple[Recipe, PaperRow]
"""A recipe and one of its rows in a table."""

TITLES: dict[str, str] = {
    "A/IV": "BKStart with and without augmentation, ten crops",
    "A/V": "ten crops (Eval1) and 648 crops (Eval2)",
    "A/VI": "cross-entropy and L2-SVM loss, 648 crops",
    "A/VII": "the five networks, L2-SVM loss, 648 crops",
    "A/VIII": "the networks beside the competition's first four, 648 crops",
    "B/3.1": "the competition's first four",
    "B/5.3.1": "with and without augmentation, and without rescaling",
    "B/5.3.2": "without dropout",
    "B/5.3.3": "plain SGD, momentum, Nesterov",
    "B/5.3.4": "batch normalisation before and after the activation",
    "B/5.3.5": "types A to F",
    "B/5.3.6": "time-based and step decay of the learning rate",
    "B/5.3.7": "dropout rates",
    "B/5.3.8": "the best three networks",
    "B/5.5": "dropout rates",
    "B/5.6": "the best three networks",
    "B/5.7": "the best three networks",
}
"""What the tables of systems A and B compare; the names of C's say it themselves."""


@dataclass(frozen=True)
class Measured:
    """Ours, on one split. interval: Wilson 95 %. without_copies: accuracy without copied faces.

    of: faces of the split, `n` of which were drawn and measured. Of a training accuracy, which the epochs
    themselves give, only the accuracy is known.
    """

    accuracy: float
    n: int | None = None
    of: int | None = None
    interval: tuple[float, float] | None = None
    without_copies: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As `mien reproduce --json` prints it."""
        return {
            "n": self.n,
            "of": self.of,
            "accuracy": self.accuracy,
            "accuracy_ci95": None if self.interval is None else list(self.interval),
            "without_copies": self.without_copies,
        }


@dataclass(frozen=True)
class Row:
    """One row of a table under one budget.

    recipe, protocol: None for others' results, which we do not run. paper, ours: by split, under `protocol`;
    `ours` is empty where it was never run or not measured so. single: our figures of single pictures.
    budget, seed: None where it was never run. start: the network whose weights it began with, None where they
    were drawn. epochs: as run. best_epoch: the one selected.
    """

    recipe: str | None
    row: str
    claim: str
    protocol: str | None
    paper: dict[str, float]
    ours: dict[str, Measured] = field(default_factory=dict)
    single: dict[str, Measured] = field(default_factory=dict)
    budget: str | None = None
    seed: int | None = None
    start: str | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    minutes: float | None = None

    @property
    def splits(self) -> list[str]:
        """The splits of the paper's figures and of ours, public first."""
        return sorted({*self.paper, *self.ours}, reverse=True)

    @property
    def never_run(self) -> bool:
        """Whether there is a recipe and no run of it."""
        return self.recipe is not None and self.budget is None

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
            "start": self.start,
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
    """Every table that some recipe names or that holds others' results, such as `C/results`."""
    papers = [recipe.paper for recipe in recipes if recipe.paper is not None]
    return sorted({f"{paper.system}/{table}" for paper in papers for table in paper.tables} | OTHERS.keys())


def placed(table: str, recipes: Iterable[Recipe]) -> list[Placed]:
    """The rows of a table that have a recipe, each with it, by `position` and then by the recipe's name."""
    system, _, name = table.partition("/")
    chosen = [
        (recipe, row)
        for recipe in recipes
        if recipe.paper and recipe.paper.system == system.upper()
        for row in recipe.paper.rows
        if name.lower() in map(str.lower, row.tables)
    ]
    return sorted(chosen, key=lambda pair: (pair[1].position, pair[0].name))


def recipes_of(table: str, recipes: Iterable[Recipe]) -> list[Recipe]:
    """The recipes of a table, each once, in the order of their rows.

    Raises: RecipeError when there is no such table, or it holds others' results only.
    """
    known = list(recipes)
    names = table_names(known)
    if table.lower() not in map(str.lower, names):
        raise RecipeError(f"unknown table {table!r}: {hint(table, names)}")
    found = {recipe.name: recipe for recipe, _ in placed(table, known)}
    if not found:
        raise RecipeError(f"{table} holds others' results: no recipe makes them")
    return list(found.values())


def in_figures(rate: float) -> str:
    """A published rate to three places, or to four where the paper has as many."""
    return f"{rate:.4f}".removesuffix("0")


def newest(stored: Iterable[Entry], fresh: Iterable[Entry]) -> list[Entry]:
    """Entries of the ledger and of runs just made, one for each recipe, budget and seed: the fresh one."""
    return list({file_name(entry): entry for entry in (*stored, *fresh)}.values())


def rows(table: str, recipes: Iterable[Recipe], entries: Iterable[Entry]) -> list[Row]:
    """Others' results, then each row of a table for each entry of its recipe, the largest budget first.

    A recipe without an entry has one empty row, at the end.
    """
    held = list(entries)
    found: list[tuple[int, Row]] = []
    for recipe, row in placed(table, recipes):
        mine = [entry for entry in held if entry["recipe"] == recipe.name]
        ranked = [(-BUDGETS.index(entry["budget"]["name"]), _row(recipe, row, entry)) for entry in mine]
        found += ranked or [(len(BUDGETS), _row(recipe, row, None))]
    others = [Row(None, name, "", None, accuracy) for name, accuracy in OTHERS.get(table, {}).items()]
    return others + [row for _, row in sorted(found, key=lambda pair: pair[0])]


def _row(recipe: Recipe, row: PaperRow, entry: Entry | None) -> Row:
    assert recipe.paper is not None
    never_run = Row(recipe.name, row.row, row.claim or recipe.paper.claim, row.protocol, dict(row.accuracy))
    if entry is None:
        return never_run
    budget = entry["budget"]
    ours = measured(entry, row.protocol)
    if "training" in row.accuracy and (rate := _in_training(entry)) is not None:
        ours["training"] = Measured(rate)
    return replace(
        never_run,
        ours=ours,
        single=measured(entry, "single"),
        budget=budget["name"],
        seed=entry["seed"],
        start=entry.get("start"),
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


def _in_training(entry: Entry) -> float | None:
    """The best epoch's accuracy on the training faces as they are trained on: augmented, with dropout."""
    rates = [line["train_accuracy"] for line in entry["history"] if line.get("train_accuracy") is not None]
    return max(rates, default=None)
