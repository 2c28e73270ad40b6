"""The figures of a run: each function draws one and returns it. `style` holds their look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.evaluation.figures import Figures
from mien.evaluation.metrics import Reliability
from mien.report.style import (
    EMOTION_COLOURS,
    FAINT,
    INK,
    SERIES,
    WIDTH,
    blank,
    percent_axis,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_HALF_A_LINE = 36
"""Letters of a legend's entry that leave room for another beside it."""

History = Sequence[Mapping[str, Any]]
"""The lines of a run's metrics.jsonl: `epoch`, counted from 1, and figures by name."""


def _points(history: History, name: str) -> tuple[list[float], list[float]]:
    held = [line for line in history if line.get(name) is not None]
    return [line["epoch"] for line in held], [line[name] for line in held]


def _epochs(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.margins(x=0.02)


def _colour(number: int) -> str:
    return SERIES[number % len(SERIES)]


def _legend_below(figure: Figure, entries: int, columns: int = 3) -> None:
    if entries > 1:
        figure.legend(loc="outside lower center", ncols=min(entries, columns))


def _curves(histories: Mapping[str, History], quantity: str, title: str, best_epoch: int | None) -> Figure:
    figure = blank(3.4)
    axes = figure.add_subplot()
    drawn = 0
    for number, (run, history) in enumerate(histories.items()):
        prefix = f"{run}, " if len(histories) > 1 else ""
        for part, dashes, strength in (("validation", "-", 1.0), ("training", (0, (3, 1.5)), 0.75)):
            epochs, values = _points(history, f"{'train' if part == 'training' else part}_{quantity}")
            if values:
                axes.plot(
                    epochs, values, color=_colour(number), linestyle=dashes, alpha=strength,
                    label=prefix + part, marker="o" if len(values) == 1 else None, markersize=4,
                )  # fmt: skip
                drawn += 1
    if not drawn:
        raise DataError(f"no {quantity} in the history of {', '.join(histories) or 'any run'}")
    if best_epoch is not None:
        axes.axvline(best_epoch, color=FAINT, linewidth=1, linestyle=":", label=f"kept: epoch {best_epoch}")
        drawn += 1
    axes.set_title(title)
    _epochs(axes)
    _legend_below(figure, drawn, columns=2 if len(histories) > 1 else 3)
    return figure


@styled
def accuracy_curves(histories: Mapping[str, History], best_epoch: int | None = None) -> Figure:
    """Training and validation accuracy over the epochs, of one run or several by name.

    best_epoch: marked as the one that was kept.
    Raises: DataError when no history holds an accuracy.
    """
    figure = _curves(histories, "accuracy", "Accuracy", best_epoch)
    percent_axis(figure.axes[0])
    return figure


@styled
def loss_curves(histories: Mapping[str, History], best_epoch: int | None = None) -> Figure:
    """Training and validation loss over the epochs, as `accuracy_curves`."""
    return _curves(histories, "loss", "Loss", best_epoch)


@styled
def experiment_curves(histories: Mapping[str, History]) -> Figure:
    """Loss above accuracy over the epochs of all runs of an experiment, validation solid, training dashed.

    histories: by option, drawn in this order, a colour each.
    Raises: DataError when no history holds a loss or an accuracy.
    """
    figure = blank(5.6)
    panels = figure.subplots(2, 1, sharex=True)
    for axes, quantity in zip(panels, ("loss", "accuracy"), strict=True):
        drawn = 0
        for number, (option, history) in enumerate(histories.items()):
            for part, dashes, label in (("validation", "-", option), ("train", (0, (3, 1.5)), None)):
                epochs, values = _points(history, f"{part}_{quantity}")
                axes.plot(
                    epochs, values, color=_colour(number), linestyle=dashes, linewidth=1.4,
                    label=label if axes is panels[0] else None, alpha=1.0 if label else 0.75,
                    marker="o" if len(values) == 1 else None, markersize=4,
                )  # fmt: skip
                drawn += len(values)
        if not drawn:
            raise DataError(f"no {quantity} in the history of {', '.join(histories) or 'any run'}")
        axes.set_title(f"{quantity.capitalize()}: validation solid, training dashed")
        axes.set_ylim(bottom=0)
    percent_axis(panels[1])
    _epochs(panels[1])
    widest = max(map(len, histories))
    _legend_below(figure, len(histories) + 1, columns=1 if widest > _HALF_A_LINE else 2)
    return figure


@styled
def comparison_curves(
    histories: Mapping[str, History],
    name: str = "validation_accuracy",
    title: str = "Validation accuracy",
    reference: tuple[str, float] | None = None,
) -> Figure:
    """One figure over the epochs of several runs, such as optimisers or other options, the best epoch marked.

    histories: by option, drawn in this order. name: the figure in them; a loss's best is its lowest.
    reference: label and value of a horizontal line, such as the paper's figure.
    Raises: DataError when no history holds the figure.
    """
    best = min if name.endswith("loss") else max
    figure = blank(3.6)
    axes = figure.add_subplot()
    drawn = 0
    for number, (option, history) in enumerate(histories.items()):
        epochs, values = _points(history, name)
        if not values:
            continue
        at = values.index(best(values))
        shown = f"{values[at]:.3f}" if name.endswith("loss") else f"{values[at]:.1%}"
        axes.plot(epochs, values, color=_colour(number), label=f"{option}: {shown}")
        axes.plot(epochs[at], values[at], "o", color=_colour(number), markersize=5)
        drawn += 1
    if not drawn:
        raise DataError(f"no {name} in the history of {', '.join(histories) or 'any run'}")
    if reference is not None:
        axes.axhline(reference[1], color=FAINT, linestyle=":", linewidth=1.4, label=reference[0])
        drawn += 1
    axes.set_title(title)
    if not name.endswith("loss"):
        percent_axis(axes)
    _epochs(axes)
    _legend_below(figure, drawn + 1)
    return figure


@styled
def per_class_bars(figures: Figures) -> Figure:
    """Each class's accuracy (recall against the dataset's labels, 95 % intervals), beside people where known.

    With votes: the network in each rater's seat and one rater, both against the majority of the other raters.
    """
    names = list(figures.per_class)
    places = np.arange(len(names))
    colours = [EMOTION_COLOURS[name] for name in names]
    people = figures.humans
    width = 0.25 if people else 0.6
    figure = blank(3.6)
    axes = figure.add_subplot()
    recalls = np.array([_rate(each.recall) for each in figures.per_class.values()])
    ends = np.array([each.recall_ci95 or (np.nan, np.nan) for each in figures.per_class.values()])
    first = places - 0.27 if people else places
    axes.bar(first, recalls, width, color=colours)
    errors = np.abs(ends - recalls[:, None]).T
    axes.errorbar(first, recalls, yerr=errors, fmt="none", ecolor=INK, elinewidth=1, capsize=2)
    if people:
        seat, rater = people["in_a_raters_seat"]["per_class"], people["rater_ceiling"]["per_class"]
        axes.bar(places, [_rate(seat[name]) for name in names], width, color=colours, alpha=0.45)
        axes.bar(
            places + 0.27, [_rate(rater[name]) for name in names], width,
            facecolor="none", edgecolor=colours, linewidth=1.4,
        )  # fmt: skip
        _bar_key(figure)
    axes.set_xticks(places, names)
    axes.set_ylim(0, 1)
    percent_axis(axes)
    axes.set_title("Accuracy of each class")
    return figure


def _rate(value: float | None) -> float:
    return np.nan if value is None else value


def _bar_key(figure: Figure) -> None:
    """Fill tells who is judged and by what, colour the class: the key shows fills in a neutral colour."""
    from matplotlib.patches import Patch

    figure.legend(
        handles=[
            Patch(facecolor=FAINT, label="network against the labels"),
            Patch(facecolor=FAINT, alpha=0.45, label="network against raters"),
            Patch(facecolor="none", edgecolor=FAINT, linewidth=1.4, label="one rater against raters"),
        ],
        loc="outside lower center",
        ncols=3,
        columnspacing=1.0,
    )


@styled
def confusion_matrix(table: NDArray[np.int64], labels: Sequence[str]) -> Figure:
    """Shares of each true class's faces (rows sum to 100 %) by what the network said, with their counts."""
    from matplotlib.colors import LinearSegmentedColormap

    counts = np.asarray(table)
    support = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, support, out=np.zeros(counts.shape), where=support > 0)
    figure = blank(5.0)
    axes = figure.add_subplot()
    # From transparent rather than white: empty cells take the colour of the page.
    tint = LinearSegmentedColormap.from_list("tint", [(0, 0.36, 0.62, 0.0), (0, 0.36, 0.62, 1.0)])
    axes.pcolormesh(share, cmap=tint, vmin=0, vmax=1, edgecolors=(0.54, 0.57, 0.61, 0.25), linewidth=0.5)
    for row, column in np.ndindex(*counts.shape):
        strong = share[row, column] > 0.72
        axes.text(
            column + 0.5, row + 0.44, f"{share[row, column]:.0%}", ha="center", va="center",
            color="white" if strong else INK, fontsize=10, fontweight="bold" if row == column else "normal",
        )  # fmt: skip
        axes.text(
            column + 0.5, row + 0.76, f"{counts[row, column]}", ha="center", va="center", fontsize=7,
            color="white" if strong else INK, alpha=0.8,
        )  # fmt: skip
    middle = np.arange(len(labels)) + 0.5
    axes.set_xticks(middle, labels)
    axes.set_yticks(middle, labels)
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("what the network said")
    axes.set_title("Rows: the true class")
    return figure


@styled
def reliability_diagram(reliability: Reliability) -> Figure:
    """How often the network is right at each confidence, and how many faces have that confidence."""
    figure = blank(4.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    edges, held = reliability.edges, reliability.counts > 0
    widths = np.diff(edges)
    upper.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=":", label="perfectly calibrated")
    upper.bar(
        edges[:-1][held], reliability.accuracy[held], widths[held] * 0.94, align="edge", color=SERIES[0],
        alpha=0.35, label="share that is right",
    )  # fmt: skip
    upper.plot(
        reliability.confidence[held], reliability.accuracy[held], "o-", color=SERIES[0], markersize=4,
        label="at the mean confidence",
    )  # fmt: skip
    lower.bar(edges[:-1], reliability.counts, widths * 0.94, align="edge", color=FAINT, alpha=0.6)
    upper.set(xlim=(0, 1), ylim=(0, 1))
    upper.set_title(f"Share of right answers; expected calibration error {reliability.ece:.1%}")
    lower.set_title("Faces", pad=4)
    lower.set_xlabel("confidence")
    lower.tick_params(axis="x", pad=6)
    percent_axis(upper)
    percent_axis(lower, "x")
    lower.yaxis.set_major_locator(_few_ticks())
    _legend_below(figure, 3)
    return figure


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=2, integer=True)


@styled
def saliency_sheet(
    images: NDArray[Any], maps: NDArray[Any], captions: Sequence[str], columns: int = 4
) -> Figure:
    """Faces and what their scores depend on, side by side, a caption over each pair.

    Shape: images (N, H, W) grey 0…255, maps (N, H, W) ≥ 0, each scaled to its own largest value; N captions.
    Raises: DataError when these do not fit together.
    """
    if not len(images) or images.shape != maps.shape or len(captions) != len(images):
        raise DataError(
            f"{images.shape} faces, {maps.shape} maps, {len(captions)} captions: expected as many of each"
        )
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    side = 1.05
    figure = blank(height=rows * (side + 0.32), width=columns * (2 * side + 0.2))
    grid = figure.add_gridspec(rows, columns)
    for number, caption in enumerate(captions):
        pair = figure.add_subplot(grid[number // columns, number % columns])
        scale = maps[number].max() or 1.0
        gap = np.ones((images.shape[1], max(1, images.shape[2] // 24), 4)) * (1, 1, 1, 0)
        pair.imshow(
            np.concatenate([_grey(images[number]), gap, heat(maps[number] / scale)], axis=1),
            interpolation="nearest",
        )
        pair.set_title(caption, fontsize=8, pad=3, loc="center")
        pair.set_axis_off()
    return figure


@styled
def face_sheets(sheets: Mapping[str, NDArray[Any]]) -> Figure:
    """Squares of faces side by side, each under its title, the same face at the same place in all.

    Shape: each (N, H, W) grey 0…255; H and W may differ between sheets.
    Raises: DataError when there are no faces.
    """
    if not sheets or not all(len(faces) for faces in sheets.values()):
        raise DataError("no faces to show: expected at least one")
    # Square sheets, and a line above them for the titles.
    figure = blank(height=WIDTH / len(sheets) + 0.35)
    for axes, (title, faces) in zip(
        np.atleast_1d(figure.subplots(1, len(sheets))), sheets.items(), strict=True
    ):
        axes.imshow(_square(faces), interpolation="nearest")
        axes.set_title(title)
        axes.set_axis_off()
    return figure


def _square(faces: NDArray[Any]) -> NDArray[np.float64]:
    """(N, H, W) grey 0…255 → one picture with transparent seams, as wide in faces as high."""
    columns = int(np.ceil(len(faces) ** 0.5))
    height, width = faces.shape[1:]
    seam = 2
    sheet = np.zeros((-(-len(faces) // columns) * (height + seam), columns * (width + seam), 4))
    for number, face in enumerate(faces):
        top, left = number // columns * (height + seam), number % columns * (width + seam)
        sheet[top : top + height, left : left + width] = _grey(face)
    return sheet


def _grey(image: NDArray[Any]) -> NDArray[np.float64]:
    grey = np.asarray(image, np.float64) / 255
    return np.stack([grey, grey, grey, np.ones_like(grey)], axis=-1)


def heat(values: NDArray[Any]) -> NDArray[np.float64]:
    """Values in 0…1 as colours from black to pale yellow, lighter for larger: (…) → (…, 4) in 0…1."""
    from matplotlib import colormaps

    return np.asarray(colormaps["inferno"](values))
