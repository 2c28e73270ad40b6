"""System C's figures 4 to 8, all of its final network."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from mien import data as datasets
from mien.errors import DataError, MissingDependency
from mien.evaluation.figures import Figures
from mien.faces import FaceBatch
from mien.labels import EMOTIONS
from mien.ledger import Entry
from mien.papers.paper_figure import PaperFigure, only
from mien.papers.sources import Sources
from mien.report import figures as draw
from mien.training.recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FINAL = "c/final"
_TABLE = "C/results"
_SHOWN = ("happy", "fear", "angry")


def _is_final(recipe: Recipe) -> bool:
    return recipe.name == FINAL


def _figures(entry: Entry) -> Figures:
    return Figures.from_dict(next(iter(entry["figures"].values())))


def _labels(entry: Entry) -> list[str]:
    labels: list[str] = next(iter(entry["figures"].values()))["labels"]
    return labels


def _saliency(_: Mapping[str, Recipe], runs: Mapping[str, Entry], sources: Sources) -> Figure:
    """The surest right answer on a happy, a frightened and an angry face, as in the paper's Figure 7."""
    if find_spec("torch") is None:
        raise MissingDependency("saliency maps need torch: install it with pip install 'mien[train]'")
    from mien.explain.saliency import saliency
    from mien.inference.lookup import find_model
    from mien.inference.predictor import load
    from mien.models.onnx_file import restore
    from mien.report.examples import choose

    data = sources.faces()
    network = restore(find_model("conv_net"))
    faces = _of_emotions(datasets.read(data).split(only(runs)["selected_on"]["split"]))
    probabilities = load("conv_net").classify(faces.images).probabilities
    chosen = choose(
        faces,
        probabilities,
        network.labels,
        lambda images, targets: saliency(lambda pixels: network(pixels).logits, images, targets),
    ).best
    shown = [example for name in _SHOWN for example in chosen if example.truth == name]
    if not shown:
        raise DataError(f"no face of {', '.join(_SHOWN)} in {data} is read right")
    return draw.saliency_sheet(
        np.stack([example.image for example in shown]),
        np.stack([example.saliency for example in shown if example.saliency is not None]),
        [f"{example.truth}, read as {example.predicted}" for example in shown],
        columns=len(shown),
    )


def _of_emotions(faces: FaceBatch) -> FaceBatch:
    return faces.select(np.isin(faces.labels, [EMOTIONS.index(name) for name in _SHOWN]))


def _accuracy(_: Mapping[str, Recipe], runs: Mapping[str, Entry], __: Sources) -> Figure:
    entry = only(runs)
    return draw.accuracy_curves({entry["recipe"]: entry["history"]}, entry["budget"]["best_epoch"])


def _loss(_: Mapping[str, Recipe], runs: Mapping[str, Entry], __: Sources) -> Figure:
    entry = only(runs)
    return draw.loss_curves({entry["recipe"]: entry["history"]}, entry["budget"]["best_epoch"])


def _confusion(_: Mapping[str, Recipe], runs: Mapping[str, Entry], __: Sources) -> Figure:
    return draw.confusion_matrix(_figures(only(runs)).confusion, _labels(only(runs)))


def _classes(_: Mapping[str, Recipe], runs: Mapping[str, Entry], __: Sources) -> Figure:
    return draw.per_class_bars(_figures(only(runs)))


FIGURES: dict[str, PaperFigure] = {
    f"C/figure-{number}": PaperFigure(title, _TABLE, _is_final, make)
    for number, title, make in (
        (4, "accuracy over the epochs", _accuracy),
        (5, "loss over the epochs", _loss),
        (6, "confusion matrix, rows truth", _confusion),
        (7, "saliency maps of a happy, a frightened and an angry face", _saliency),
        (8, "accuracy of each class beside people", _classes),
    )
}
"""By name on the command line."""
