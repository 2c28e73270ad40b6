"""Accuracy against multiply-adds: what a network is worth beside what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mien.report.spacing import spread_column
from mien.report.style import FAINT, INK, SERIES, blank, styled

HEIGHT, WIDTH = 6.2, 9.0
"""Inches."""

_APART = 0.0085
"""Accuracy between two names beside each other, so that both can be read."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One network. accuracy: 0…1; of several seeds their mean, ends the least and the greatest.

    without_copies, without_leaks: the same of faces that are no copy of a training face, and no near copy
    either; None where it is not known. multiply_adds: of one face; None where they are not known.
    ours: measured on PublicTest by this project; else on another split, by others. named: whether its name is
    written.
    """

    name: str
    accuracy: float
    ends: tuple[float, float]
    without_copies: float | None
    multiply_adds: int | None
    ours: bool
    named: bool = True
    without_leaks: float | None = None

    @property
    def unseen(self) -> float | None:
        """The accuracy on faces that training did not show, as strictly as it is known."""
        return self.without_copies if self.without_leaks is None else self.without_leaks


@styled
def pareto(costs: Sequence[Cost]) -> Any:
    """All networks, multiply-adds on a logarithmic axis; those whose cost is unknown stand at the margin."""
    figure = blank(HEIGHT, WIDTH)
    axes = figure.subplots()
    known = [each.multiply_adds for each in costs if each.multiply_adds is not None]
    margin = 3.2 * max(known) / 1e6
    for each in costs:
        _mark(axes, each, margin if each.multiply_adds is None else each.multiply_adds / 1e6)
    axes.axvline(margin / 1.6, color=FAINT, linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_xlim(min(known) / 1e6 / 1.5, margin * 4.5)
    _name(axes, [each for each in costs if each.multiply_adds is None and each.named], margin)
    ours = [each for each in costs if each.multiply_adds is not None and each.named]
    for each in ours:
        _names_beside(axes, each, ours)
    axes.set_xlabel("million multiply-adds a face · at the right, beyond the dots: not known")
    axes.set_ylabel("accuracy")
    _legend(axes, costs)
    return figure


def frontier(costs: Sequence[Cost]) -> list[str]:
    """Names of our networks that none of ours beats with as few multiply-adds, the cheapest first."""
    best, found = 0.0, []
    ours = [each for each in costs if each.ours and each.multiply_adds is not None]
    for each in sorted(ours, key=lambda each: (each.multiply_adds or 0, -each.accuracy)):
        if each.accuracy > best:
            best = each.accuracy
            found.append(each.name)
    return found


def _mark(axes: Any, each: Cost, across: float) -> None:
    """A dot for all faces and, on a stalk, a ring for the unseen ones; a square: another split."""
    colour = SERIES[0] if each.ours else SERIES[1]
    if each.ends[0] < each.ends[1]:
        axes.plot([across, across], each.ends, color=colour, linewidth=2.5, alpha=0.4, zorder=2)
    if each.unseen is not None:
        stalk = [each.accuracy, each.unseen]
        axes.plot([across, across], stalk, color=colour, linewidth=0.7, zorder=2)
        axes.plot(across, each.unseen, "o", markersize=5, color=colour, fillstyle="none", zorder=3)
    if each.ours:
        axes.plot(across, each.accuracy, "o", markersize=6, color=colour, zorder=4)
    else:
        axes.plot(across, each.accuracy, "s", markersize=6, color=colour, fillstyle="none", zorder=4)


def _names_beside(axes: Any, each: Cost, others: Sequence[Cost]) -> None:
    """To the right of the mark, or to the left where another's name would lie there."""
    assert each.multiply_adds is not None
    near = [
        other
        for other in others
        if other is not each
        and other.multiply_adds is not None
        and 1 <= other.multiply_adds / each.multiply_adds < 6
        and abs(other.accuracy - each.accuracy) < _APART
    ]
    axes.annotate(
        each.name, (each.multiply_adds / 1e6, each.accuracy), xytext=(-7 if near else 7, 0),
        textcoords="offset points", ha="right" if near else "left", va="center", fontsize=8, color=INK,
    )  # fmt: skip


def _name(axes: Any, column: Sequence[Cost], across: float) -> None:
    """Names in one column, moved as little as needed so that none hides another."""
    if not column:
        return
    ranked = sorted(column, key=lambda each: each.accuracy)
    heights = spread_column([each.accuracy for each in ranked], 1.6 * _APART)
    for each, height in zip(ranked, heights, strict=True):
        axes.annotate(
            each.name, (across, each.accuracy), xytext=(across * 1.25, height), textcoords="data", ha="left",
            va="center", fontsize=8, color=INK,
        )  # fmt: skip


def _legend(axes: Any, costs: Sequence[Cost]) -> None:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], marker="o", linestyle="", color=SERIES[0], label="ours, PublicTest, single pictures"),
        Line2D(
            [], [], marker="o", linestyle="", color=SERIES[0], fillstyle="none",
            label="the same without copies of training faces, and near copies where known",
        ),
        Line2D(
            [], [], marker="s", linestyle="", color=SERIES[1], fillstyle="none",
            label="others, another split (mostly PrivateTest), as published or quoted",
        ),
    ]  # fmt: skip
    axes.legend(handles=marks, loc="lower right", frameon=False, fontsize=8)
