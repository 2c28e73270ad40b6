"""What each change to a recipe costs or brings: its runs beside the base's, face by face."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np

from mien.evaluation.paired import paired_difference, unpacked
from mien.ledger import Entry
from mien.papers.sources import Sources
from mien.training.recipe import Recipe

SPLIT = "public"
BASE = "the base"


@dataclass(frozen=True, slots=True)
class Difference:
    """A change's accuracy minus the base's. ci95: over faces. paired: whether the interval is of the same
    faces' two answers; else of two rates, and wider, for an entry does not say which faces were right.
    """

    value: float
    ci95: tuple[float, float]
    paired: bool


@dataclass(frozen=True, slots=True)
class AblationRow:
    """One change. accuracies: of single pictures of the public split, a run each. without_copies,
    without_leaks: their mean without copied faces, and without near copies either; None where it was not
    measured. difference: None of the base itself, and where either was never run under the base's budget.
    minutes: the mean of the runs.
    """

    recipe: str
    change: str
    accuracies: Sequence[float]
    without_copies: float | None
    without_leaks: float | None
    difference: Difference | None
    minutes: float | None


def ablation_rows(base: str, sources: Sources) -> list[AblationRow]:
    """The base, then every recipe that says it changes the base: the greatest loss first, the never run last.

    Runs under another budget than the base's largest are left out: they were given more or less than it.
    """
    runs = sources.runs_of(base)
    budget = runs[0]["budget"]["name"] if runs else None
    first = _row(base, BASE, runs, ())
    changed = [each for each in sources.recipes if each.ablation is not None and each.ablation.of == base]
    rows = [_row(each.name, _change(each), _runs(each, sources, budget), runs) for each in changed]
    return [first, *sorted(rows, key=_by_loss)]


def _by_loss(row: AblationRow) -> tuple[float, str]:
    return (math.inf if row.difference is None else row.difference.value, row.recipe)


def _change(recipe: Recipe) -> str:
    assert recipe.ablation is not None
    return recipe.ablation.change


def _runs(recipe: Recipe, sources: Sources, budget: str | None) -> list[Entry]:
    return [
        entry
        for entry in sources.entries
        if (entry["recipe"], entry["budget"]["name"]) == (recipe.name, budget) and SPLIT in entry["figures"]
    ]


def _row(recipe: str, change: str, runs: Sequence[Entry], base: Sequence[Entry]) -> AblationRow:
    figures = [entry["figures"][SPLIT] for entry in runs]
    return AblationRow(
        recipe,
        change,
        [each["accuracy"] for each in figures],
        mean_without("without_copies", figures),
        mean_without("without_leaks", figures),
        _difference(base, runs) if base and runs else None,
        mean(entry["budget"]["seconds"] for entry in runs) / 60 if runs else None,
    )


def mean_without(key: str, figures: Sequence[Mapping[str, Any]]) -> float | None:
    """Mean accuracy of several runs on what is left of a split; None where a run did not measure it.

    key: `without_copies` or `without_leaks`.
    """
    kept = [each[key]["accuracy"] for each in figures if each.get(key)]
    return mean(kept) if kept and len(kept) == len(figures) else None


def _difference(base: Sequence[Entry], runs: Sequence[Entry]) -> Difference:
    """Face by face where every run says which it read right; of the seeds that both have, where there are."""
    seeds = {entry["seed"] for entry in base} & {entry["seed"] for entry in runs}
    before, after = (
        [entry for entry in each if not seeds or entry["seed"] in seeds] for each in (base, runs)
    )
    if all(SPLIT in entry.get("right", {}) for entry in (*before, *after)):
        found = paired_difference(_right(before), _right(after))
        return Difference(found.difference, found.ci95, True)
    one, other = (_rate(each) for each in (before, after))
    value = other[0] - one[0]
    low = value - math.hypot(other[0] - other[1], one[2] - one[0])
    high = value + math.hypot(other[2] - other[0], one[0] - one[1])
    return Difference(value, (low, high), False)


def _right(runs: Sequence[Entry]) -> np.ndarray:
    return np.stack([unpacked(entry["right"][SPLIT]) for entry in runs])


def _rate(runs: Sequence[Entry]) -> tuple[float, float, float]:
    """Mean accuracy with the mean ends of its intervals. Newcombe 1998, method 10, joins two of them."""
    figures = [entry["figures"][SPLIT] for entry in runs]
    ends = [mean(each["accuracy_ci95"][end] for each in figures) for end in (0, 1)]
    return mean(each["accuracy"] for each in figures), ends[0], ends[1]
