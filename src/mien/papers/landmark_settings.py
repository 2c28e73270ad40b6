"""System E's tables of settings, read from the recipes that run them: 6.5, and each configuration."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mien.landmark_layout import COUNT
from mien.papers.landmark_published import RESULTS
from mien.papers.landmark_runs import BASELINE
from mien.papers.sheet import Block, Sheet
from mien.papers.sources import Sources
from mien.papers.tables import placed
from mien.training.recipe import Recipe

COORDINATES = 3 * COUNT

FIXED_TITLE = "fixed training parameters"

_FIXED: dict[str, str] = {
    "learning rate": "train.lr",
    "share of units kept": "model.keep",
    "batch size B": "train.batch_size",
    "triplet batch size V": "task.triplet_batch",
    "sample size L": "task.samples",
    "triplet sample size M": "task.triplet_samples",
    "iterations": "train.iterations",
    "iterations between validations": "train.validate_every",
}
_KINDS = {"posed": "6.11", "spontaneous": "6.20"}
"""By kind of data, a table of results whose recipes have all that Table 6.5 names."""


def fixed(sources: Sources) -> Sheet:
    """Table 6.5, and the numbers of iterations that stand beside it."""
    recipes = {kind: trained(table, sources)[1] for kind, table in _KINDS.items()}
    found = {
        name: {kind: _option(recipe, key) for kind, recipe in recipes.items()} for name, key in _FIXED.items()
    }
    rows = [(name, *(f"{value:,}" for value in values.values())) for name, values in found.items()]
    return Sheet([Block(("parameter", *recipes), rows, FIXED_TITLE)], data={"parameters": found})


def configurations(results: str, sources: Sources) -> Sheet:
    """The configurations of one of `RESULTS`, in the thesis's notation."""
    found = {number: _configuration(recipe) for number, recipe in trained(results, sources).items()}
    some = next(iter(found.values()))
    rows = [
        (str(number), *(_cell(value) for value in settings.values())) for number, settings in found.items()
    ]
    return Sheet(
        [Block(("#", *(name.replace("_", " ") for name in some)), rows, _title(results))],
        [
            f"results: mien reproduce E/{results}",
            "annealing: the iterations, of the full budget's, over which β rises from 0 to 1; no: it is 1",
        ],
        data={
            "title": _title(results),
            "configurations": [{"number": number, **settings} for number, settings in found.items()],
        },
    )


def trained(table: str, sources: Sources) -> dict[int, Recipe]:
    """A table's recipes that train a network, by the number of their configuration."""
    return {
        row.position: recipe
        for recipe, row in placed(f"E/{table}", sources.recipes)
        if recipe.model.name != BASELINE
    }


def _configuration(recipe: Recipe) -> dict[str, Any]:
    model, task = recipe.model.options, recipe.task.options
    beside = COORDINATES if model["neutral"] else 0
    encoder, latent = list(model["encoder"]), model["latent"]
    decoder = model.get("decoder")
    iterations = recipe.train.iterations or 0
    topological = {name: task[name] for name in ("topological_variance",) if name in task}
    return {
        "encoding": [COORDINATES + beside, *encoder, latent],
        "decoding": [latent + beside, *decoder, COORDINATES] if decoder else "symmetrical",
        "reconstruction_variance": task["reconstruction_variance"],
        **topological,
        "annealing": round(task["anneal"] * iterations),
        "recipe": recipe.name,
    }


def _cell(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}" if value else "no"
    return f"{value:f}".rstrip("0") if isinstance(value, float) else str(value)


def _option(recipe: Recipe, key: str) -> Any:
    section, _, name = key.partition(".")
    held = getattr(recipe, section)
    return held.options[name] if section in ("model", "task") else getattr(held, name)


def _title(results: str) -> str:
    return f"{RESULTS[results].title}: configurations"


SHEETS: dict[str, tuple[str, Callable[[Sources], Sheet]]] = {
    "E/6.5": (FIXED_TITLE, fixed),
    **{
        f"E/{kind.settings}": (_title(table), partial(configurations, table))
        for table, kind in RESULTS.items()
        if kind.settings
    },
}
"""Title and maker of each, by its name on the command line."""
