"""Where new faces lie on a network's map: reference faces faint in their emotion's colour, new ones on top.

Few faces are shown as pictures with their names, more as numbers, many as dots. A picture or number that
would hide another is moved aside, and a line leads back to its place.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien import storage
from mien.errors import ModelError
from mien.inference.mapper import Reference
from mien.labels import EMOTIONS
from mien.report.spacing import spread_points
from mien.report.style import EMOTION_COLOURS, INK, blank, png, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_SIDE = 8.0
"""Inches of the whole figure."""

_PICTURE = 0.48
"""Inches of a face's picture."""

_LONGEST_NAME = 12
"""Letters of a name that fit under a picture."""

_MARGIN = 0.06
"""Share of the larger extent that is left free around all points."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class NewFaces:
    """Faces to mark on a map. points: (N, 2). pictures: what the network saw of each, (N, S, S) uint8."""

    points: Floats
    names: Sequence[str]
    pictures: NDArray[np.uint8]

    @classmethod
    def of(cls, points: ArrayLike, names: Sequence[str], pictures: NDArray[np.uint8]) -> NewFaces:
        """Checked arrays.

        Raises: ModelError when the points are not (N, 2), N ≥ 1, or names and pictures are not N.
        """
        places = np.asarray(points, np.float64)
        if places.ndim != 2 or places.shape[1] != 2 or not len(places):
            raise ModelError(
                f"a map of points of shape {places.shape} cannot be drawn: expected (N, 2), N ≥ 1"
            )
        if not len(places) == len(names) == len(pictures):
            raise ModelError(
                f"{len(places)} points, {len(names)} names and {len(pictures)} pictures: expected as many"
            )
        return cls(places, names, pictures)


@dataclass(frozen=True, slots=True)
class _Marks:
    """One way to show new faces. at_most: how many. gap: inches between their middles."""

    at_most: float
    gap: float
    draw: Callable[[Axes, NewFaces, Floats], None]


@styled
def embed_map(faces: NewFaces, reference: Reference | None, title: str = "") -> Figure:
    """New faces among the reference faces of a network's map of two dimensions.

    The map may be turned and mirrored freely, so its axes carry no numbers; its scales are equal.
    """
    figure = blank(_SIDE, _SIDE)
    axes = figure.add_subplot()
    axes.set_title(title, parse_math=False)
    axes.set_aspect("equal")
    axes.tick_params(labelbottom=False, labelleft=False)
    axes.grid(visible=True, axis="both")
    axes.spines[:].set_visible(True)
    if reference is not None:
        _reference(axes, reference)
    _legend(figure, reference)
    marks = next(each for each in _MARKS if len(faces.points) <= each.at_most)
    middles = _arrange(axes, faces.points, reference, marks.gap)
    moved = np.hypot(*(middles - faces.points).T) > 1e-2 * np.ptp(axes.get_xlim())
    for point, middle in zip(faces.points[moved], middles[moved], strict=True):
        axes.plot(*np.array([point, middle]).T, color=INK, linewidth=0.9, zorder=4)
        axes.plot(*point, "o", color=INK, markeredgecolor="white", markersize=5, zorder=5)
    marks.draw(axes, faces, middles)
    return figure


def write(figure: Figure, path: Path) -> None:
    """Writes the figure as a PNG file, whole or not at all.

    Raises: StorageError when it cannot be written.
    """
    with warnings.catch_warnings():
        # A name in a script that the typeface lacks is drawn as boxes; the table has it in full.
        warnings.filterwarnings("ignore", message="Glyph")
        content = png(figure)
    with storage.atomic(path) as temporary:
        temporary.write_bytes(content)


def short_name(name: str) -> str:
    """A name that fits under a picture: what is too much is cut out of its middle."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}…{name[1 - half :]}"


def _arrange(axes: Axes, points: Floats, reference: Reference | None, gap: float) -> Floats:
    """Middles (N, 2) of marks `gap` inches apart; sets the limits so that all of them are seen."""
    everything = points if reference is None else np.vstack([points, reference.points])
    middles = points
    # Marks that move outwards widen the limits, which makes an inch more of the map: twice settles it.
    for _ in range(3):
        margin = _limits(axes, np.vstack([everything, middles]), gap)
        middles = spread_points(points, margin) if gap and len(points) > 1 else points
    _limits(axes, np.vstack([everything, middles]), gap)
    return middles


def _limits(axes: Axes, points: Floats, gap: float) -> float:
    """Sets equal limits around points, with room for half a mark; returns `gap` inches in the map's unit."""
    low, high = points.min(axis=0), points.max(axis=0)
    extent = (float((high - low).max()) or 1.0) * (1 + 2 * _MARGIN)
    figure = axes.figure
    figure.draw_without_rendering()  # type: ignore[union-attr]
    inches = axes.get_window_extent().width / figure.dpi
    whole = extent * inches / (inches - gap)
    (left, bottom), (right, top) = (low + high - whole) / 2, (low + high + whole) / 2
    axes.set(xlim=(left, right), ylim=(bottom, top))
    return float(gap * whole / inches)


def _reference(axes: Axes, reference: Reference) -> None:
    # In an order that favours no emotion: the last ones drawn lie on top.
    order = np.random.default_rng(0).permutation(len(reference.points))
    colours = np.array([EMOTION_COLOURS[name] for name in EMOTIONS])
    x, y = reference.points[order].T
    axes.scatter(x, y, c=colours[reference.labels[order]].tolist(), s=20, alpha=0.42, linewidths=0)


def _legend(figure: Figure, reference: Reference | None) -> None:
    from matplotlib.lines import Line2D

    if reference is None:
        return
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=6, color=EMOTION_COLOURS[name], label=name)
        for number, name in enumerate(EMOTIONS)
        if (reference.labels == number).any()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), columnspacing=1.2)


def _as_pictures(axes: Axes, faces: NewFaces, middles: Floats) -> None:
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    for middle, name, picture in zip(middles, faces.names, faces.pictures, strict=True):
        # As RGB: a grey array would be stretched from its darkest to its lightest pixel.
        image = OffsetImage(np.repeat(picture[..., None], 3, axis=2), zoom=72 * _PICTURE / len(picture))
        frame = {"edgecolor": INK, "linewidth": 0.9}
        axes.add_artist(
            AnnotationBbox(image, tuple(middle), pad=0.08, bboxprops=frame, annotation_clip=False, zorder=6)
        )
        axes.annotate(
            short_name(name), middle, (0, -36 * _PICTURE - 4), textcoords="offset points", fontsize=7,
            ha="center", va="top", zorder=7, parse_math=False,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6},
        )  # fmt: skip


def _as_numbers(axes: Axes, faces: NewFaces, middles: Floats) -> None:
    for number, (x, y) in enumerate(middles, 1):
        axes.scatter(x, y, s=190, color=INK, edgecolor="white", linewidth=1.0, zorder=6)
        axes.text(
            x, y, str(number), color="white", fontsize=7.5, fontweight="bold", zorder=7,
            ha="center", va="center_baseline",
        )  # fmt: skip


def _as_dots(axes: Axes, faces: NewFaces, middles: Floats) -> None:
    x, y = middles.T
    axes.scatter(x, y, s=26, color=INK, edgecolor="white", linewidth=0.7, zorder=6)


_MARKS = (
    _Marks(24, 0.76, _as_pictures),
    _Marks(120, 0.27, _as_numbers),
    _Marks(np.inf, 0.0, _as_dots),
)
