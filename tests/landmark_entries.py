"""Ledger entries of runs on landmarks, made up so that every figure is known."""

from __future__ import annotations

from functools import cache
from typing import Any

from mien.evaluation.landmarks.people import share_interval
from mien.training import recipe as known
from mien.training.recipe import Recipe

FACES = 20
"""Faces of each person; and triplets."""

PEOPLE: dict[str, int] = {"training": 12, "public": 6, "private": 10, "unseen": 40}

LEVELS = ("5", "3", "1")


def counts(split: str, share: float) -> dict[str, list[int]]:
    """Each person's: as many of `FACES` as the share makes, one more and one less by turns."""
    right = round(share * FACES)
    return {f"{split}{n:02d}": [right + (-1) ** n, FACES] for n in range(PEOPLE[split])}


@cache
def counted(split: str, share: float) -> tuple[float, list[float]]:
    """The share of `counts`, and its interval over people."""
    held = counts(split, share)
    ends = share_interval(held)
    assert ends is not None
    return sum(k for k, _ in held.values()) / sum(n for _, n in held.values()), list(ends)


def triplets(split: str, share: float) -> dict[str, Any]:
    """One level's figures."""
    held = counts(split, share)
    value, ends = counted(split, share)
    return {"share": value, "ci95": ends, "n": FACES * len(held), "tied": 0, "satisfied": held}


def figures(split: str, accuracy: float, satisfied: float, *, units: bool) -> dict[str, Any]:
    """A split's figures; with units F1 is the accuracy, AUC a tenth more, and three levels fall by tenths."""
    found: dict[str, Any] = {"n": FACES * PEOPLE[split], "people": PEOPLE[split]}
    held = counts(split, accuracy)
    value, ends = counted(split, accuracy)
    levels = {"all": triplets(split, satisfied)}
    if units:
        found |= {"f1": value, "f1_ci95": ends, "auc": value + 0.1, "auc_ci95": [e + 0.1 for e in ends]}
        levels |= {name: triplets(split, satisfied - n / 10) for n, name in enumerate(LEVELS)}
    else:
        found |= {"accuracy": value, "accuracy_ci95": ends, "right": held}
    return {**found, "triplets": levels}


@cache
def loaded(recipe: str, budget: str) -> Recipe:
    """A recipe under a budget."""
    return known.load(recipe, budget=budget)


def landmark_entry(
    recipe: str,
    seed: int = 0,
    *,
    budget: str = "cpu",
    accuracy: float = 0.7,
    satisfied: float = 0.6,
    dimensions: int = 30,
    synthetic: bool = True,
) -> dict[str, Any]:
    """An entry as a run leaves it. accuracy, satisfied: shares, the same on every split."""
    as_run = loaded(recipe, budget)
    units = as_run.data.triplets == "judged"
    return {
        "recipe": recipe,
        "recipe_as_run": as_run.model_dump(mode="json", exclude_none=True),
        "seed": seed,
        "budget": {"name": budget, "epochs": 2, "best_epoch": 2, "seconds": 90.0},
        "figures": {},
        "landmarks": {
            "synthetic": synthetic,
            "dimensions": dimensions,
            "splits": {split: figures(split, accuracy, satisfied, units=units) for split in PEOPLE},
        },
        "history": [],
    }
