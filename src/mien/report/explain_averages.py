"""The average map of each emotion by each method, upon the outlines of the mean face: no face is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.explain.regions import outline
from mien.explain.template import template
from mien.landmark_layout import REGIONS as LINES
from mien.report.figures import heat
from mien.report.style import FAINT, blank, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANEL = 1.25
_LINE = (1.0, 1.0, 1.0, 0.8)


@styled
def averages(measured: Mapping[str, Any]) -> Figure:
    """A row a method, a column an emotion, each panel scaled to its own highest place.

    measured: what `mien explanations measure` wrote. An average that was not kept, of too few faces, says so.
    """
    methods = measured["methods"]
    emotions = list(measured["faces"]["per_emotion"])
    figure = blank(height=len(methods) * (_PANEL + 0.12) + 0.3, width=len(emotions) * _PANEL + 0.9)
    grid = figure.subplots(len(methods), len(emotions), squeeze=False)
    for row, (method, found) in zip(grid, methods.items(), strict=True):
        for axes, emotion in zip(row, emotions, strict=True):
            _panel(axes, found["emotions"]["maps"].get(emotion), measured["faces"]["per_emotion"][emotion])
            if axes in grid[0]:
                axes.set_title(emotion, fontsize=9, pad=4, loc="center")
        row[0].set_ylabel(method.replace("_", "\n"), fontsize=8, rotation=0, ha="right", va="center")
    return figure


def _panel(axes: Any, values: list[list[int]] | None, faces: int) -> None:
    axes.set(xticks=[], yticks=[], aspect="equal")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    if values is None:
        axes.text(
            0.5, 0.5, f"{faces} faces:\ntoo few", transform=axes.transAxes, ha="center", va="center",
            fontsize=7, color=FAINT,
        )  # fmt: skip
        return
    shown = np.array(values, np.float64)
    side = len(shown)
    axes.imshow(heat(shown / shown.max()), interpolation="bilinear", extent=(0, side, side, 0))
    for line in _lines(side):
        axes.plot(line[:, 0], line[:, 1], color=_LINE, linewidth=0.7)
    axes.set(xlim=(0, side), ylim=(side, 0))


def _lines(side: int) -> list[NDArray[np.float64]]:
    """The mean face's features and outline in a picture whose edges lie at 0 and `side`."""
    points = template(side) + 0.5
    lines = [points[[*line.indices, *([line.start] if line.closed else [])]] for line in LINES]
    edge = outline(points)
    return [*lines[:-1], np.concatenate([edge, edge[:1]])]
