"""System E's figures of what a trained network's dimensions do: 6.1, 6.7 and 6.8, from the ledger.

Its other figures show faces, or where they lie, and so need the network itself: `mien latent` draws them of a
run folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mien.errors import DataError
from mien.ledger import Entry
from mien.papers.paper_figure import PaperFigure, only
from mien.papers.sources import Sources
from mien.report import landmark_figures as draw
from mien.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POSED, SPONTANEOUS = "e/model-3", "e/spontaneous-model-3"
"""The recipes of the thesis's best model on each kind of data."""


def _is_posed(recipe: Recipe) -> bool:
    return recipe.name == POSED


def _is_spontaneous(recipe: Recipe) -> bool:
    return recipe.name == SPONTANEOUS


def _latent(entry: Entry) -> dict[str, Any]:
    latent: dict[str, Any] | None = entry["landmarks"].get("latent")
    if latent is None:
        raise DataError(f"{entry['recipe']} keeps no latent dimensions in the ledger: run it again")
    return latent


def _titled(figure: Figure, entry: Entry) -> Figure:
    """Names the run above its figure, and says whether its faces are of people."""
    budget = entry["budget"]["name"]
    kind = ", synthetic faces" if entry["landmarks"].get("synthetic") else ""
    title = f"{entry['recipe']}, seed {entry['seed']}, budget {budget}{kind}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=10)
    return figure


def _dimensions(_: Mapping[str, Recipe], runs: Mapping[str, Entry], __: Sources) -> Figure:
    entry = only(runs)
    latent = _latent(entry)
    return _titled(draw.latent_use(latent["divergence"], latent["norms"]), entry)


def _neutral(_: Mapping[str, Recipe], runs: Mapping[str, Entry], __: Sources) -> Figure:
    entry = only(runs)
    return _titled(draw.neutral_use(_latent(entry)["neutral_norms"]), entry)


FIGURES: dict[str, PaperFigure] = {
    "E/figure-6.1a": PaperFigure(
        "divergence and weights of each latent dimension, posed faces", "E/6.14", _is_posed, _dimensions
    ),
    "E/figure-6.1b": PaperFigure(
        "weights on each coordinate of the neutral face, posed faces", "E/6.14", _is_posed, _neutral
    ),
    "E/figure-6.7": PaperFigure(
        "weights on each coordinate of the neutral face, spontaneous faces",
        "E/6.23",
        _is_spontaneous,
        _neutral,
    ),
    "E/figure-6.8": PaperFigure(
        "divergence and weights of each latent dimension, spontaneous faces",
        "E/6.23",
        _is_spontaneous,
        _dimensions,
    ),
}
"""By name on the command line."""
