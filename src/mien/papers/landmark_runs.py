"""The runs of system E, each a representation of landmarks, as its tables and claims read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from mien.evaluation.landmarks.people import Counts, share_interval
from mien.ledger import Entry
from mien.training.recipe import BUDGETS

BASELINE = "landmark_baseline"
"""The model of recipes that nothing is trained for: under every budget they are the same."""

MEASURES: dict[str, str] = {
    "accuracy": "accuracy",
    "triplets": "triplets",
    "f1": "F1",
    "auc": "AUC",
    "triplets_5": "triplets of agreement 5",
    "triplets_3": "triplets of agreement 3",
    "triplets_1": "triplets of agreement 1",
}
"""What is measured of a representation, by the names that recipes give the thesis's figures."""

SPLITS: dict[str, str] = {
    "training": "training",
    "public": "validation",
    "private": "test",
    "unseen": "unseen",
}
"""The thesis's words for the splits; it has no unseen people."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Measured:
    """One figure in 0…1. ci95: over people, where it is known. least, most: over seeds."""

    value: float
    ci95: Interval | None
    least: float
    most: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        ends = None if self.ci95 is None else list(self.ci95)
        return {"value": self.value, "ci95": ends, "least": self.least, "most": self.most}


@dataclass(frozen=True, eq=False)
class LandmarkRun:
    """One run's representation.

    iterations, best_iteration: as run, and those of the weights that were kept; None of baselines.
    synthetic: of faces that are no people's. dimensions: active ones. splits: what `evaluate` found of each.
    """

    recipe: str
    seed: int
    budget: str
    iterations: int | None
    best_iteration: int | None
    synthetic: bool
    dimensions: int
    splits: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, entry: Entry) -> LandmarkRun:
        """What a ledger entry says of its representation."""
        found, spent, as_run = entry["landmarks"], entry["budget"], entry["recipe_as_run"]
        trained = as_run["model"]["name"] != BASELINE
        every = as_run["train"].get("validate_every") or 0
        return cls(
            recipe=entry["recipe"],
            seed=entry["seed"],
            budget=spent["name"],
            iterations=as_run["train"].get("iterations") if trained else None,
            best_iteration=spent["best_epoch"] * every if trained else None,
            synthetic=found["synthetic"],
            dimensions=found["dimensions"],
            splits=found["splits"],
        )

    @property
    def trained(self) -> bool:
        """Whether a network was trained, so that budgets and seeds make a difference."""
        return self.iterations is not None

    def value(self, split: str, measure: str) -> float | None:
        """A figure of a split; None where it was not measured."""
        found = self.splits.get(split, {})
        if (level := _level(measure)) is None:
            return found.get(measure)
        return found.get("triplets", {}).get(level, {}).get("share")

    def interval(self, split: str, measure: str) -> Interval | None:
        """The figure's 95 % interval over people; None where there is none."""
        found = self.splits.get(split, {})
        level = _level(measure)
        ends = (
            found.get(f"{measure}_ci95")
            if level is None
            else found.get("triplets", {}).get(level, {}).get("ci95")
        )
        return None if ends is None else (ends[0], ends[1])

    def counts(self, split: str, measure: str) -> Counts | None:
        """How much of each person's holds, and how much there is; None where it was not kept."""
        found = self.splits.get(split, {})
        if (level := _level(measure)) is not None:
            return found.get("triplets", {}).get(level, {}).get("satisfied")
        return found.get("right") if measure == "accuracy" else None


def _level(measure: str) -> str | None:
    """The level of agreement of a measure of triplets, as `triplet_figures` names it; None of others."""
    kind, _, level = measure.partition("_")
    return (level or "all") if kind == "triplets" else None


def landmark_runs_of(entries: Iterable[Entry], recipe: str) -> list[LandmarkRun]:
    """A recipe's runs, the largest budget first, people before synthetic faces, and by seed.

    Of a baseline only the first of people and the first of synthetic faces.
    """
    held = [LandmarkRun.of(entry) for entry in entries if entry["recipe"] == recipe and "landmarks" in entry]
    held.sort(key=lambda run: (-BUDGETS.index(run.budget), run.synthetic, run.seed))
    if not held or held[0].trained:
        return held
    first = {run.synthetic: run for run in reversed(held)}
    return [run for run in held if run is first[run.synthetic]]


def by_budget(runs: Sequence[LandmarkRun]) -> list[list[LandmarkRun]]:
    """Runs in the order of `landmark_runs_of`, those of each budget on faces of one kind together."""
    return [list(alike) for _, alike in groupby(runs, key=lambda run: (run.budget, run.synthetic))]


def over_seeds(runs: Sequence[LandmarkRun], split: str, measure: str) -> Measured | None:
    """The mean over the runs that measured it, with its interval over people; None where none did.

    The interval is a single run's own. Of several it is that of all their faces or triplets together, where
    they were counted on the same people: then it says how the mean would vary with the people.
    """
    values = [value for run in runs if (value := run.value(split, measure)) is not None]
    if not values:
        return None
    mean = sum(values) / len(values)
    ends = runs[0].interval(split, measure) if len(runs) == 1 else _over_people(runs, split, measure)
    return Measured(mean, ends, min(values), max(values))


def _over_people(runs: Sequence[LandmarkRun], split: str, measure: str) -> Interval | None:
    counts = [found for run in runs if (found := run.counts(split, measure)) is not None]
    if len(counts) < len(runs) or any(set(found) != set(counts[0]) for found in counts):
        return None
    together = {
        person: [sum(found[person][place] for found in counts) for place in (0, 1)] for person in counts[0]
    }
    return share_interval(together)
