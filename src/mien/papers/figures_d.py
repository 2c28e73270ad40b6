"""System D's figures 3 to 8: maps of faces in training and after it, people's map and a classifier's.

Figure 4, before all layers are trained, is of runs in two stages alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, MissingDependency
from mien.evaluation.maps.circumplex import analyse
from mien.evaluation.maps.responses import Responses, probabilities, votes
from mien.faces import FaceBatch
from mien.labels import EMOTIONS
from mien.ledger import Entry, map_of
from mien.papers.map_runs import AS_PUBLISHED, MAIN, RUNS, SYNTHETIC
from mien.papers.paper_figure import PaperFigure, only
from mien.papers.sources import Sources
from mien.report import map_figures
from mien.report.map_page import FROZEN_STAGE, indices, snapshots
from mien.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Panel = tuple[str, list[list[float]], list[int]]
"""A map's title, points (N, 2) and labels, indices into `EMOTIONS`."""

CLASSIFIER = "conv_net"
"""In place of Dailey et al.'s model: system C's network, which learned labels."""

_COLUMNS = 3

_DATA = {
    MAIN: " (FER-2013, a stand-in for NimStim)",
    SYNTHETIC: " (synthetic people, a stand-in for NimStim)",
}
"""What is said of the faces of a recipe that are not the paper's."""


def _is_main(recipe: Recipe) -> bool:
    return recipe.name == MAIN


def _is_shown(recipe: Recipe) -> bool:
    """The run as published comes first in the table, the stand-in takes its place where it was never run."""
    return recipe.name in (AS_PUBLISHED, MAIN)


def _is_synthetic(recipe: Recipe) -> bool:
    return recipe.name == SYNTHETIC


def _titled(figure: Figure, entry: Entry) -> Figure:
    """Names the run above its maps, and what its faces are."""
    figure.suptitle(
        f"{entry['recipe']}, seed {entry['seed']}{_DATA.get(entry['recipe'], '')}",
        x=0.01,
        ha="left",
        fontsize=10,
    )
    return figure


def _held_out_map(entry: Entry) -> Panel:
    split, found = map_of(entry)
    return f"faces held out ({split})", found["points"], indices(found["labels"])


def _every(_: Mapping[str, Recipe], runs: Mapping[str, Entry], __: Sources) -> Figure:
    entry = only(runs)
    return _titled(map_figures.map_panels([*snapshots(entry), _held_out_map(entry)], _COLUMNS), entry)


def _in_training(_: Mapping[str, Recipe], runs: Mapping[str, Entry], __: Sources) -> Figure:
    entry = only(runs)
    return _titled(map_figures.map_panels(snapshots(entry)[:-1], _COLUMNS), entry)


def _first_stage(_: Mapping[str, Recipe], runs: Mapping[str, Entry], __: Sources) -> Figure:
    entry = only(runs)
    kept = [each for each in entry["snapshots"] if each["stage"] == FROZEN_STAGE]
    if not kept:
        raise DataError(f"{entry['recipe']} has no first stage on a frozen trunk: figure 4 is of its end")
    title, points, labels = snapshots({"snapshots": kept})[-1]
    return _titled(map_figures.embedding_map(points, labels, f"training faces, {title}"), entry)


def _trained(_: Mapping[str, Recipe], runs: Mapping[str, Entry], __: Sources) -> Figure:
    entry = only(runs)
    title, points, labels = snapshots(entry)[-1]
    return _titled(map_figures.embedding_map(points, labels, f"training faces, {title}"), entry)


def _held_out(_: Mapping[str, Recipe], runs: Mapping[str, Entry], __: Sources) -> Figure:
    entry = only(runs)
    title, points, labels = _held_out_map(entry)
    return _titled(map_figures.embedding_map(points, labels, title), entry)


def _animate(runs: Mapping[str, Entry], out: Path) -> None:
    """The maps of training faces one after another, of each emotion as many faces as all of them show."""
    maps = snapshots(only(runs))
    fewest = np.min([np.bincount(named, minlength=len(EMOTIONS)) for _, _, named in maps], axis=0)
    frames = [
        (title, np.concatenate([_of_emotion(points, named, label, n) for label, n in enumerate(fewest)]))
        for title, points, named in maps
    ]
    map_figures.map_animation(frames, np.repeat(np.arange(len(EMOTIONS)), fewest), out)


def _of_emotion(points: list[list[float]], named: list[int], label: int, n: int) -> NDArray[np.float64]:
    """The first n of an emotion: (n, 2)."""
    places: NDArray[np.float64] = np.array(points)[np.array(named) == label][:n]
    return places


def _people(recipes: Mapping[str, Recipe], _: Mapping[str, Entry], sources: Sources) -> Figure:
    return _emotion_map(votes(_validation_faces(recipes, sources)), "people's FER+ votes")


def _classifier(recipes: Mapping[str, Recipe], _: Mapping[str, Entry], sources: Sources) -> Figure:
    from mien.inference.predictor import load

    faces, network = _validation_faces(recipes, sources), load(CLASSIFIER)
    answers = probabilities(
        network.classify(faces.images).probabilities, faces.labels, network.labels, source=faces.source
    )
    return _emotion_map(answers, f"{CLASSIFIER}'s answers")


def _emotion_map(answers: Responses, name: str) -> Figure:
    named = replace(answers, source=f"{name}, {len(answers.labels):,} faces")
    return map_figures.emotion_map(analyse(named, resamples=0).to_dict())


def _validation_faces(recipes: Mapping[str, Recipe], sources: Sources) -> FaceBatch:
    """The faces that the recipe's run maps."""
    data = sources.faces()
    if find_spec("torch") is None:
        raise MissingDependency("a recipe's faces need torch: install it with pip install 'mien[train]'")
    from mien.experiments.splits import read_splits

    return read_splits(next(iter(recipes.values())), data).validation


FIGURES: dict[str, PaperFigure] = {
    "D/figures": PaperFigure(
        "all maps of one run: in training, after it, and of validation faces",
        RUNS, _is_shown, _every, animate=_animate,
    ),
    "D/figures-synthetic": PaperFigure(
        "all maps of the run on synthetic people, in the numbers of pictures of Table 1",
        RUNS, _is_synthetic, _every, animate=_animate,
    ),
    "D/figure-3": PaperFigure(
        "maps of training faces in training", RUNS, _is_shown, _in_training, animate=_animate,
    ),
    "D/figure-4": PaperFigure(
        "map of training faces at the end of the first stage", RUNS, _is_shown, _first_stage
    ),
    "D/figure-5": PaperFigure("map of training faces after training", RUNS, _is_shown, _trained),
    "D/figure-6": PaperFigure(
        "map of faces held out: of the test split, or of validation where there is none",
        RUNS, _is_shown, _held_out,
    ),
    "D/figure-7": PaperFigure(
        "people's map of emotions, by FER+ votes on the validation faces",
        RUNS, _is_main, _people, needs_runs=False,
    ),
    "D/figure-8": PaperFigure(
        f"a classifier's map of emotions, by {CLASSIFIER}'s answers to the validation faces",
        RUNS, _is_main, _classifier, needs_runs=False,
    ),
}  # fmt: skip
"""By name on the command line."""
