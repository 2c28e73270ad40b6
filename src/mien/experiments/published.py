"""The papers' figures, drawn from our own runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien import data as datasets
from mien.errors import DataError, MissingDependency
from mien.evaluation import Figures
from mien.labels import EMOTIONS
from mien.ledger import Entry
from mien.report import figures as draw
from mien.report.style import png
from mien.storage import atomic
from mien.training.recipe import BUDGETS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mien.faces import FaceBatch

_FINAL = "c/final"
_SHOWN = ("happy", "fear", "angry")


@dataclass(frozen=True)
class PaperFigure:
    """A figure of a paper: its title, and how ours is made from a finished run and a dataset."""

    title: str
    make: Callable[[Entry, Path | None], Figure]


def final_run(entries: Iterable[Entry]) -> Entry | None:
    """The final network's run under the largest budget, or None where it was never run."""
    mine = [entry for entry in entries if entry["recipe"] == _FINAL]
    return max(mine, key=lambda entry: BUDGETS.index(entry["budget"]["name"]), default=None)


def draw_figure(name: str, entries: Iterable[Entry], out: Path, data: Path | None = None) -> Path:
    """Writes one of `FIGURES`, made from the final network's run, as a PNG; returns the file.

    Raises: DataError when `out` has another ending, the ledger holds no such run, or the figure shows faces
    and `data` is None or holds none of them; StorageError.
    """
    if out.suffix.lower() != ".png":
        raise DataError(f"--out {out}: expected a name that ends in .png")
    entry = final_run(entries)
    if entry is None:
        raise DataError(
            f"{_FINAL} is not in the ledger: mien reproduce C/results --run --budget cpu --data PATH"
        )
    picture = png(FIGURES[name].make(entry, data))
    with atomic(out) as temporary:
        temporary.write_bytes(picture)
    return out


def _figures(entry: Entry) -> Figures:
    return Figures.from_dict(next(iter(entry["figures"].values())))


def _labels(entry: Entry) -> list[str]:
    labels: list[str] = next(iter(entry["figures"].values()))["labels"]
    return labels


def _saliency(entry: Entry, data: Path | None) -> Figure:
    """The surest right answer on a happy, a frightened and an angry face, as in the paper's Figure 7."""
    if find_spec("torch") is None:
        raise MissingDependency("saliency maps need torch: install it with pip install 'mien[train]'")
    from mien.explain.saliency import saliency
    from mien.inference.lookup import find_model
    from mien.inference.predictor import load
    from mien.models.onnx_file import restore
    from mien.report.examples import choose

    if data is None:
        raise DataError("this figure shows faces: name the dataset with --data")
    network = restore(find_model("conv_net"))
    faces = _of_emotions(datasets.read(data).split(entry["selected_on"]["split"]))
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


FIGURES: dict[str, PaperFigure] = {
    "C/figure-4": PaperFigure(
        "accuracy over the epochs",
        lambda entry, data: draw.accuracy_curves(
            {entry["recipe"]: entry["history"]}, entry["budget"]["best_epoch"]
        ),
    ),
    "C/figure-5": PaperFigure(
        "loss over the epochs",
        lambda entry, data: draw.loss_curves(
            {entry["recipe"]: entry["history"]}, entry["budget"]["best_epoch"]
        ),
    ),
    "C/figure-6": PaperFigure(
        "confusion matrix, rows truth",
        lambda entry, data: draw.confusion_matrix(_figures(entry).confusion, _labels(entry)),
    ),
    "C/figure-7": PaperFigure("saliency maps of a happy, a frightened and an angry face", _saliency),
    "C/figure-8": PaperFigure(
        "accuracy of each class beside people", lambda entry, data: draw.per_class_bars(_figures(entry))
    ),
}
"""Every figure that can be drawn, by its name on the command line."""
