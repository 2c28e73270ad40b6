"""Running every recipe of a paper's table, each into a folder of its own, teachers first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from mien import ledger
from mien.errors import CheckpointError, RecipeError
from mien.experiments.domain import Note, learns
from mien.experiments.run import DESCRIPTION, Order, domain_of, train
from mien.training.recipe import Recipe, load, validate
from mien.training.teachers import RECIPE_PREFIX, run_folder_name


def run_recipes(
    names: Iterable[str],
    *,
    budget: str,
    data: Path,
    runs: Path,
    results: Path | None = None,
    seeds: int = 1,
    note: Note = lambda line: None,
) -> list[ledger.Entry]:
    """Trains each recipe under a budget into `runs/BUDGET/RECIPE` and returns the ledger entries.

    seeds: how many runs of each: with the recipe's own seed, and into `RECIPE.seedN` with those after it.
    A finished run is not repeated, an unfinished one is resumed. Entries go into the ledger `results`, but
    for those of the smoke budget: they say that a recipe runs, and no more.
    Raises: as `train`; RecipeError when a recipe teaches itself in a circle; CheckpointError when a folder
    holds a run of the recipe as it was before it was changed.
    """
    entries = []
    # All of them first: a recipe that is wrong costs no run of those before it.
    every = list(teachers_first(names, budget))
    for recipe, name in chain.from_iterable(_seeded(each, seeds) for each in every):
        run = runs / budget / name
        if (run / "result.json").exists():
            entry = ledger.read(run / "result.json")
            if not _same(entry, recipe):
                raise CheckpointError(
                    f"{run} holds {recipe.name} run with other settings: remove it, or choose other --runs"
                )
            note(f"{recipe.name}: finished before, in {run}")
        else:
            note(f"{recipe.name}: {recipe.summary}")
            command = f"mien train {recipe.name} --budget {budget} --set train.seed={recipe.train.seed}"
            command += f" --data DATA --out {run}"
            order = Order(recipe, data, run, budget=budget, resume=run.exists(), command=command)
            entry = train(order, note=note)
        if budget != "smoke":
            ledger.write(entry, results)
        entries.append(entry)
    return entries


def _seeded(recipe: Recipe, seeds: int) -> Iterator[tuple[Recipe, str]]:
    """The recipe with each of its seeds, and the name of the folder that it runs in.

    What is fitted in one go is the same for every seed, and runs once.
    """
    name = run_folder_name(recipe.name)
    yield recipe, name
    if not learns(domain_of(recipe).check(recipe)):
        return
    for seed in range(recipe.train.seed + 1, recipe.train.seed + seeds):
        section = recipe.train.model_copy(update={"seed": seed})
        yield recipe.model_copy(update={"train": section}), f"{name}.seed{seed}"


def _same(entry: ledger.Entry, recipe: Recipe) -> bool:
    """Whether a finished run trained what the recipe now says; settings newer than the run are defaults."""
    as_run = {key: value for key, value in entry["recipe_as_run"].items() if key not in DESCRIPTION}
    try:
        then = validate({**as_run, "summary": recipe.summary}, recipe.name)
    except RecipeError:
        return False  # It holds a setting that there is no more.
    return _settings(then) == _settings(recipe)


def _settings(recipe: Recipe) -> dict[str, Any]:
    return recipe.model_dump(mode="json", exclude=DESCRIPTION)


def teachers_first(names: Iterable[str], budget: str) -> Iterator[Recipe]:
    """The recipes under a budget, each once and after the recipe that teaches it."""
    done: set[str] = set()

    def visit(name: str, pupils: tuple[str, ...]) -> Iterator[Recipe]:
        if name in pupils:
            raise RecipeError(
                f"recipes teach in a circle: {' → '.join((*pupils, name))}; change one task.teacher"
            )
        if name in done:
            return
        recipe = load(name, budget=budget)
        teacher = str(recipe.task.options.get("teacher", ""))
        if teacher.startswith(RECIPE_PREFIX):
            yield from visit(teacher.removeprefix(RECIPE_PREFIX), (*pupils, name))
        done.add(name)
        yield recipe

    for name in names:
        yield from visit(name, ())
