"""System B's Table 5.4: moving means of batch normalisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mien.experiments.entry import KEPT_MEANS
from mien.ledger import Entry
from mien.papers.sheet import Block, Sheet
from mien.papers.sources import Sources
from mien.training.recipe import Recipe

TITLE = "moving means of the 4th batch normalisation, by its place"

PUBLISHED: dict[str, tuple[float, ...]] = {
    "after": (
        0.7136606, 0.31214255, 0.726, 0.841, 0.43556514, 0.491, 0.218, 0.422, 0.50856704, 0.416, 1.25,
        1.0797383, 1.6704437, 0.831, 1.122856,
    ),
    "before": (
        -5.32962, -7.736952, -6.048093, -5.617975, -8.206996, -4.919324, -7.189156, -4.636477, -4.176944,
        -7.798513, -6.208605, -4.22, -2.262339, -5.12595, -4.007105,
    ),
}  # fmt: skip
"""System B, Table 5.4: type A with ReLU in its 65th epoch, batch normalisation after and before it."""

RUNS = "B/5.3.4"
_LAYER = 4
_HEADS = {"after": "ReLU → BN", "before": "BN → ReLU"}


def sheet(sources: Sources) -> Sheet:
    """Table 5.4 beside the runs of type A, one with each place of batch normalisation."""
    recipes = {place: _recipe(sources, place) for place in PUBLISHED}
    runs = {place: sources.run_of(recipe.name) for place, recipe in recipes.items() if recipe}
    ours = {place: _means(runs.get(place)) for place in PUBLISHED}
    heads = [f"{_HEADS[place]}, {whose}" for place in PUBLISHED for whose in ("paper", "ours")]
    columns = [values for place, paper in PUBLISHED.items() for values in (paper, ours[place])]
    rows = [(str(number + 1), *(_cell(values, number) for values in columns)) for number in range(KEPT_MEANS)]
    rows.append(("below zero", *(_below_zero(values) for values in columns)))
    return Sheet(
        [Block(("filter", *heads), rows, TITLE)],
        [_note(place, run, ours[place]) for place, run in runs.items() if run],
        [recipe.name for place, recipe in recipes.items() if recipe and not runs[place]],
        {
            "rows": _data(ours),
            "runs": {place: run["recipe"] if run else None for place, run in runs.items()},
        },
    )


def _recipe(sources: Sources, place: str) -> Recipe | None:
    """The recipe of Figure 5.8 that normalises there."""

    def fits(recipe: Recipe) -> bool:
        return recipe.model.name == "vgg_a" and recipe.model.options.get("batch_norm", "after") == place

    return next(iter(sources.of(RUNS, fits).values()), None)


def _means(run: Entry | None) -> list[float] | None:
    """The layer's means, or None without a run and of one that kept none."""
    layers = list((run or {}).get("moving_means", {}).values())
    return layers[_LAYER - 1] if len(layers) >= _LAYER else None


def _cell(values: Sequence[float] | None, number: int) -> str:
    return "–" if values is None else f"{values[number]:.4f}".replace("-", "−")


def _below_zero(values: Sequence[float] | None) -> str:
    return "–" if values is None else f"{sum(mean < 0 for mean in values)} of {len(values)}"


def _note(place: str, run: Entry, means: list[float] | None) -> str:
    about = f"{_HEADS[place]}: {run['recipe']}, budget {run['budget']['name']}"
    if means is None:
        return f"{about}, kept no moving means"
    return f"{about}, as kept after epoch {run['budget']['best_epoch']}; the paper's are of epoch 65"


def _data(ours: Mapping[str, list[float] | None]) -> list[dict[str, Any]]:
    return [
        {
            "filter": number + 1,
            **{
                place: {"paper": PUBLISHED[place][number], "ours": values and values[number]}
                for place, values in ours.items()
            },
        }
        for number in range(KEPT_MEANS)
    ]
