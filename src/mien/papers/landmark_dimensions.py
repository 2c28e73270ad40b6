"""How many dimensions stay active under which settings: the thesis's findings on our configurations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from mien.papers.landmark_published import RESULTS
from mien.papers.landmark_runs import landmark_runs_of
from mien.papers.landmark_settings import trained
from mien.papers.sheet import Block
from mien.papers.sources import Sources
from mien.papers.verdicts import FAILS, HOLDS, NEVER_RUN, PARTLY
from mien.training.recipe import BUDGETS, Recipe

SMALL = 1e-4
"""The reconstruction variance with which the thesis's posed models keep all dimensions."""

_VARIANCE, _ANNEAL = "reconstruction_variance", "anneal"


@dataclass(frozen=True)
class Configuration:
    """A recipe as it was run under one budget. dimensions: active ones, of `latent`; a mean over seeds."""

    recipe: Recipe
    dimensions: float

    @property
    def latent(self) -> int:
        """Dimensions that there are."""
        return int(self.recipe.model.options["latent"])

    def setting(self, name: str) -> float:
        """One of the task's numbers."""
        return float(self.recipe.task.options[name])

    def others(self, name: str) -> str:
        """Every setting of network and task but that one, to be compared."""
        task = {key: value for key, value in self.recipe.task.options.items() if key != name}
        return json.dumps([self.recipe.model.options, task], sort_keys=True)


Cases = Iterator[bool]


@dataclass(frozen=True)
class DimensionClaim:
    """A finding that is right or wrong in each of several cases. tables: whose configurations show it."""

    name: str
    thesis: str
    tables: tuple[str, ...]
    cases: Callable[[Sequence[Configuration]], Cases]
    case: str


def _all_active(found: Sequence[Configuration]) -> Cases:
    for each in found:
        if each.setting(_VARIANCE) == SMALL:
            yield each.dimensions == each.latent


def _pairs(found: Sequence[Configuration], name: str) -> Iterator[tuple[Configuration, Configuration]]:
    """Configurations that differ in one setting alone: the one where it is less, and the other."""
    for pair in combinations(found, 2):
        less, more = sorted(pair, key=lambda each: each.setting(name))
        if less.setting(name) < more.setting(name) and less.others(name) == more.others(name):
            yield less, more


def _slower_annealing(found: Sequence[Configuration]) -> Cases:
    for faster, slower in _pairs(found, _ANNEAL):
        if faster.setting(_VARIANCE) > SMALL:
            yield faster.dimensions < slower.dimensions


def _smaller_variance(found: Sequence[Configuration]) -> Cases:
    for smaller, larger in _pairs(found, _VARIANCE):
        yield smaller.dimensions > larger.dimensions


CLAIMS: tuple[DimensionClaim, ...] = (
    DimensionClaim(
        "a small variance keeps all dimensions",
        "A small reconstruction variance leads to all dimensions being active (6.5.1).",
        ("6.7", "6.9", "6.16", "6.18"),
        _all_active,
        f"configurations of Models 1 and 2 with a variance of {SMALL:f}".rstrip("0"),
    ),
    DimensionClaim(
        "slower annealing keeps more",
        "When the variance is higher, slower annealing results in more active dimensions (6.5.1).",
        ("6.7", "6.9", "6.18"),
        _slower_annealing,
        "pairs of configurations of Models 1 and 2 that differ in the annealing alone, of larger variances",
    ),
    DimensionClaim(
        "a smaller variance keeps more",
        "In general a smaller variance results in more active dimensions (6.6.2).",
        ("6.7", "6.9", "6.18"),
        _smaller_variance,
        "pairs of configurations of Models 1 and 2 that differ in the variance alone",
    ),
)

RULES = tuple(
    f"{claim.name}: {claim.thesis} Holds where it is so in every case, partly where in more than half: "
    f"{claim.case}."
    for claim in CLAIMS
)


@dataclass(frozen=True)
class Found:
    """What stands in the printed claims, and in those as JSON."""

    block: Block
    data: list[dict[str, Any]]


def dimension_claims(sources: Sources) -> Found:
    """Every claim under every budget."""
    tables = list(dict.fromkeys(table for claim in CLAIMS for table in claim.tables))
    recipes = {table: list(trained(table, sources).values()) for table in tables}
    data = []
    for claim in CLAIMS:
        held = {budget: _held(claim, recipes, budget, sources) for budget in reversed(BUDGETS)}
        judged = [_judged(claim, budget, cases) for budget, cases in held.items() if cases]
        data += judged or [_judged(claim, None, [])]
    rows = [
        (each["claim"], each["budget"] or "", each["verdict"], f"{each['right']} of {each['cases']}")
        for each in data
    ]
    heads = ("finding", "budget", "verdict", "cases in which it is so")
    return Found(Block(heads, rows, "how many dimensions stay active"), data)


def _held(
    claim: DimensionClaim, recipes: dict[str, list[Recipe]], budget: str, sources: Sources
) -> list[bool]:
    """The claim's cases, each within one table, by the runs under a budget."""
    cases: list[bool] = []
    for table in claim.tables:
        found = []
        for recipe in recipes[table]:
            runs = [run for run in landmark_runs_of(sources.entries, recipe.name) if run.budget == budget]
            if runs:
                found.append(Configuration(recipe, sum(run.dimensions for run in runs) / len(runs)))
        cases += claim.cases(found)
    return cases


def _judged(claim: DimensionClaim, budget: str | None, cases: Sequence[bool]) -> dict[str, Any]:
    right = sum(cases)
    verdict = HOLDS if right == len(cases) else PARTLY if 2 * right > len(cases) else FAILS
    return {
        "claim": claim.name,
        "thesis": claim.thesis,
        "tables": [f"{table}: {RESULTS[table].title}" for table in claim.tables],
        "budget": budget,
        "verdict": verdict if cases else NEVER_RUN,
        "right": right,
        "cases": len(cases),
    }
