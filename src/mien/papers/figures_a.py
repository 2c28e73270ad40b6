"""System A's figures 1 and 2: augmented faces, and accuracy in training."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from mien import data as datasets
from mien.errors import MissingDependency
from mien.ledger import Entry
from mien.papers.paper_figure import PaperFigure, only
from mien.papers.sources import Sources
from mien.report import figures as draw
from mien.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEST = "bkvgg12"
"""The network of Table IX. Figures 1 and 2 do not name theirs: this one."""

_TABLE = "A/VII"
_SHOWN = 16


def is_best(recipe: Recipe) -> bool:
    """Whether a recipe trains the paper's best network."""
    return recipe.model.name == BEST


def _augmented(recipes: Mapping[str, Recipe], _: Mapping[str, Entry], sources: Sources) -> Figure:
    """Training faces beside what the recipe's first epoch would show the network instead of them."""
    if find_spec("torch") is None:
        raise MissingDependency("augmented faces need torch: install it with pip install 'mien[train]'")
    import torch

    from mien.experiments.pictures import build_network
    from mien.transforms import Augmentation

    recipe = next(iter(recipes.values()))
    faces = datasets.read(sources.faces()).split(recipe.data.train)
    network = build_network(recipe, faces)
    rows = np.random.default_rng(recipe.train.seed).permutation(len(faces))[:_SHOWN]
    with torch.inference_mode():
        normalised = network.normalise(torch.from_numpy(faces.images[rows])[:, None].float())
        changed = Augmentation(**recipe.augment)(
            normalised,
            size=network.body_size,
            seed=recipe.train.seed,
            epoch=0,
            rows=torch.from_numpy(rows),
        )
    return draw.face_sheets(
        {
            "Original faces": faces.images[rows],
            "Normalised and augmented": _visible(changed[:, 0].numpy()),
        }
    )


def _visible(values: np.ndarray) -> np.ndarray:
    """Normalised faces as grey values 0…255, each over its own range with 0 in the middle: (N, H, W)."""
    span = np.abs(values).max(axis=(1, 2), keepdims=True)
    return np.asarray(127.5 * (1 + values / np.maximum(span, 1e-6)))


def _accuracy(_: Mapping[str, Recipe], runs: Mapping[str, Entry], __: Sources) -> Figure:
    entry = only(runs)
    return draw.accuracy_curves({entry["recipe"]: entry["history"]}, entry["budget"]["best_epoch"])


FIGURES: dict[str, PaperFigure] = {
    "A/figure-1": PaperFigure(
        "faces before and after preprocessing and augmentation", _TABLE, is_best, _augmented, needs_runs=False
    ),
    "A/figure-2": PaperFigure("training and validation accuracy", _TABLE, is_best, _accuracy),
}
"""By name on the command line."""
