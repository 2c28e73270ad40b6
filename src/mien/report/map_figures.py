"""Figures of expression maps: the circumplex of six emotions, and every face's place in a network's plane.

One colour an emotion, equal scales on both axes; a map may be turned and mirrored freely, so its axes carry
no numbers. Short names of the emotions and the panels of one run follow the siamese network's paper (its
Figures 3 to 6), the map of emotions its Figures 7 and 8 (Dailey et al. 2002).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError
from mien.labels import EMOTIONS
from mien.report.moving import write_animation
from mien.report.spacing import direction, spread_angles, spread_points
from mien.report.style import EMOTION_COLOURS, FAINT, INK, WIDTH, blank, png, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHORT_NAMES: dict[str, str] = {
    "angry": "an",
    "disgust": "di",
    "fear": "fe",
    "happy": "ha",
    "sad": "sa",
    "surprise": "sp",
    "neutral": "ne",
}
"""The paper's legend, which has no neutral."""

_ON_COLOUR: dict[str, str] = {
    name: "white" if name in {"angry", "sad"} else "black" for name in EMOTION_COLOURS
}
"""What is legible on each emotion's colour."""

_LABEL_GAP = 17.0
"""Degrees between two names on the ring: a line of text high at the ring's size."""

_PANEL_HEIGHT = 5.9
_LEGEND = 0.4
"""Inches: of a ring with its title, and of the legend below two of them."""

_BADGE = 0.3
"""Inches between the middles of two centroids' badges that do not overlap."""

_LONGEST_NAME = 54
"""Letters of a source's name that fit a panel."""

_MARGIN = 0.06
"""Share of the larger extent that is left free around all points."""

_SECONDS, _LAST_SECONDS = 0.6, 2.5
"""How long an animation shows a map, and its last one."""


Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class FaceMap:
    """The faces of one panel: points (N, 2); labels (N,) indices into `EMOTIONS`, −1 where not known."""

    title: str
    points: Floats
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, title: str, points: ArrayLike, labels: ArrayLike) -> FaceMap:
        """Checked arrays.

        Raises: DataError when the points are not finite or not (N, 2), there is none, or labels do not fit.
        """
        places, named = np.asarray(points, np.float64), np.asarray(labels, np.int64)
        if places.ndim != 2 or places.shape[1] != 2 or not len(places):
            raise DataError(f"{title or 'a map'} has points of shape {places.shape}: expected (N, 2), N ≥ 1")
        if not np.isfinite(places).all():
            raise DataError(f"{title or 'a map'} has a point that is not finite: nothing can be drawn there")
        if named.shape != (len(places),) or named.min() < -1 or named.max() >= len(EMOTIONS):
            raise DataError(
                f"{title or 'a map'} has labels of shape {named.shape} for {len(places)} points: expected one"
                f" a point, −1…{len(EMOTIONS) - 1}"
            )
        return cls(title, places, named)


@styled
def circumplex(found: Mapping[str, Any]) -> Figure:
    """The metric MDS map of the emotions inside the ring of their order; beside it, where there is a second
    source, that one's map laid over it by Procrustes.

    found: what `Circumplex.to_dict` gives, also from a ledger.
    """
    if found["against"] is None:
        figure = _sheet()
        _emotion_map(figure.add_subplot(), found)
        return figure
    figure = _sheet(2)
    left, right = figure.subplots(1, 2)
    _emotion_map(left, found)
    figure.legend(handles=_overlay(right, found), loc="outside lower center", handlelength=2.6)
    return figure


@styled
def emotion_map(found: Mapping[str, Any]) -> Figure:
    """The left panel of `circumplex` alone."""
    figure = _sheet()
    _emotion_map(figure.add_subplot(), found)
    return figure


@styled
def overlay(found: Mapping[str, Any]) -> Figure:
    """The right panel of `circumplex` alone.

    Raises: DataError when `found` has no second source.
    """
    if found["against"] is None:
        raise DataError("one source alone has no overlay: name a second one")
    figure = _sheet()
    handles = _overlay(figure.add_subplot(), found)
    figure.legend(handles=handles, loc="outside lower center", handlelength=2.6)
    return figure


def _sheet(panels: int = 1) -> Figure:
    figure = blank(_PANEL_HEIGHT + (_LEGEND if panels > 1 else 0), panels * WIDTH)
    figure.get_layout_engine().set(w_pad=0.1, rect=(0, 0, 1, 0.97))  # type: ignore[union-attr,call-arg]
    return figure


def _emotion_map(axes: Axes, found: Mapping[str, Any]) -> None:
    """Emotions as dots, their order as a ring with each name where the ray through its dot meets it."""
    scaled = found["metric"]
    places = {name: np.asarray(scaled["points"][name], np.float64) for name in found["order"]}
    centre = np.mean(list(places.values()), axis=0)
    places = {name: place - centre for name, place in places.items()}
    radius = 1.14 * max(float(np.hypot(*place)) for place in places.values())
    _ring(axes, places, radius)
    for pair in found["overlaps"]["joined"]:
        # Straight from dot to dot: an arc of the ring would run over emotions between the two.
        axes.plot(*np.array([places[name] for name in pair]).T, color=INK, linewidth=9, alpha=0.16, zorder=2)
    corners = np.array(list(places.values()))
    axes.fill(*corners.T, facecolor=FAINT, alpha=0.10, zorder=1)
    axes.plot(*np.vstack([corners, corners[:1]]).T, color=FAINT, linewidth=1.0, zorder=2)
    axes.scatter(
        corners[:, 0], corners[:, 1], s=120, color=[EMOTION_COLOURS[name] for name in places], zorder=4
    )
    axes.plot(0, 0, "+", color=FAINT, markersize=7, zorder=2)
    if found["overlaps"]["joined"]:
        axes.text(0, 0, "broad line: not told apart", transform=axes.transAxes, fontsize=8.5, color=FAINT)
    axes.set_title(f"{_short(found['source']['name'])}\nmetric MDS, stress {scaled['stress']:.3f}")
    _bare(axes, radius)


def _overlay(axes: Axes, found: Mapping[str, Any]) -> list[Any]:
    """The second map, turned, mirrored and scaled upon the first; lines join the places of one emotion.

    Returns the legend's handles: which map is which.
    """
    from matplotlib.lines import Line2D

    against = found["against"]
    pairs = against["procrustes"]["points"]
    names = [name for name in found["order"] if name in pairs]
    ours, theirs = (np.array([pairs[name][whose] for name in names]) for whose in ("ours", "theirs"))
    radius = 1.14 * float(np.hypot(*np.vstack([ours, theirs]).T).max())
    _ring(axes, dict(zip(names, ours, strict=True)), radius)
    for name, mine, other in zip(names, ours, theirs, strict=True):
        colour = EMOTION_COLOURS[name]
        axes.plot(*np.array([mine, other]).T, color=colour, linewidth=1.6, zorder=3)
        axes.scatter(other[0], other[1], s=95, facecolor="white", edgecolor=colour, linewidth=2.2, zorder=4)
        axes.scatter(mine[0], mine[1], s=110, color=colour, zorder=5)
    for points, style in ((ours, "-"), (theirs, (0, (4, 2)))):
        corners = points[np.argsort(np.arctan2(points[:, 1], points[:, 0]))]
        axes.plot(*np.vstack([corners, corners[:1]]).T, color=FAINT, linewidth=1.0, linestyle=style, zorder=2)
    mantel = against["mantel"]
    axes.set_title(
        f"laid over it: {_short(against['name'])}\nMantel r {mantel['r']:.2f}, exact p {mantel['p']:.3g}"
    )
    marker: dict[str, Any] = {"marker": "o", "linestyle": "-", "color": FAINT, "markersize": 8}
    hollow = {**marker, "linestyle": (0, (4, 2)), "markerfacecolor": "white", "markeredgewidth": 2}
    _bare(axes, radius)
    return [
        Line2D([], [], **marker, label=_short(found["source"]["name"])),
        Line2D([], [], **hollow, label=_short(against["name"])),
    ]


def _ring(axes: Axes, places: Mapping[str, Floats], radius: float) -> None:
    """A circle around the centre with each emotion's name on its ray, names apart where rays are close."""
    from matplotlib.patches import Circle

    axes.add_patch(Circle((0, 0), radius, facecolor="none", edgecolor=FAINT, linewidth=1.2, zorder=1))
    rays = {name: float(np.degrees(np.arctan2(place[1], place[0]))) for name, place in places.items()}
    for (name, ray), shown in zip(rays.items(), spread_angles(list(rays.values()), _LABEL_GAP), strict=True):
        foot, end = radius * direction(ray), 1.05 * radius * direction(shown)
        axes.plot(*np.array([foot, end]).T, color=FAINT, linewidth=1.0, zorder=1)
        axes.plot(*np.array([places[name], foot]).T, color=FAINT, linewidth=0.9, linestyle=":", zorder=1)
        across, up = direction(shown)
        axes.text(
            1.08 * radius * across, 1.08 * radius * up, name, fontsize=11,
            ha="center" if abs(across) < 0.35 else ("left" if across > 0 else "right"),
            va="center" if abs(across) >= 0.35 else ("bottom" if up > 0 else "top"),
        )  # fmt: skip


def _short(name: str) -> str:
    """A name that fits a panel's width: what is too much is cut out of its middle."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}…{name[1 - half :]}"


def _bare(axes: Axes, radius: float) -> None:
    axes.set(xlim=(-1.36 * radius, 1.36 * radius), ylim=(-1.17 * radius, 1.17 * radius), aspect="equal")
    axes.set_axis_off()


@styled
def embedding_map(points: ArrayLike, labels: ArrayLike, title: str = "", *, names: bool = True) -> Figure:
    """Every face's place in a network's plane, one colour an emotion, a badge at each emotion's centroid.

    points: (N, 2). labels: (N,) indices into `EMOTIONS`; −1 where not known: grey, without a badge.
    names: draw the badges.
    Raises: DataError when the points are not finite (N, 2), or the labels do not fit them.
    """
    faces = FaceMap.of(title, points, labels)
    figure = blank(WIDTH, WIDTH)
    _draw(figure, [figure.add_subplot()], [faces], _limits([faces]), names=names)
    return figure


@styled
def map_panels(
    maps: Sequence[tuple[str, ArrayLike, ArrayLike]], columns: int = 2, *, names: bool = True
) -> Figure:
    """Several maps with the same axes, such as those of one training: (title, points, labels) each.

    points, labels, names: as `embedding_map` takes them.
    Raises: DataError when there is no map, and what `embedding_map` does.
    """
    faces = [FaceMap.of(*each) for each in maps]
    if not faces:
        raise DataError("no map to draw: expected at least one")
    columns = min(columns, len(faces))
    rows = -(-len(faces) // columns)
    side = 3.3
    figure = blank(rows * side + 0.4, columns * side)
    panels: list[Axes] = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in panels[len(faces) :]:
        axes.set_axis_off()
    _draw(figure, panels[: len(faces)], faces, _limits(faces), names=names)
    return figure


def map_animation(
    frames: Sequence[tuple[str, ArrayLike]],
    labels: ArrayLike,
    path: Path,
    *,
    seconds: float = _SECONDS,
) -> None:
    """Writes the maps of one training as an animated GIF that repeats, atomically; all have the same axes.

    frames: (title, points (N, 2)) each, in order. labels: (N,) as `embedding_map` takes them.
    seconds: how long each is shown; the last one stays longer.
    Raises: DataError when there is no frame, and what `embedding_map` does; StorageError when the path cannot
    be written.
    """
    faces = [FaceMap.of(title, points, labels) for title, points in frames]
    if not faces:
        raise DataError("no map to animate: expected at least one")
    limits = _limits(faces)
    pictures = [_picture(each, limits) for each in faces]
    write_animation(pictures, [seconds] * (len(pictures) - 1) + [max(seconds, _LAST_SECONDS)], path)


@styled
def _frame(faces: FaceMap, limits: Floats) -> Figure:
    figure = blank(WIDTH, WIDTH)
    _draw(figure, [figure.add_subplot()], [faces], limits, names=True)
    return figure


def _picture(faces: FaceMap, limits: Floats) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(png(_frame(faces, limits), dpi=100))).convert("RGB")


def _limits(maps: Sequence[FaceMap]) -> Floats:
    """Ends of both axes, [[left, bottom], [right, top]]: a square around the points of all maps."""
    points = np.vstack([each.points for each in maps])
    low, high = points.min(axis=0), points.max(axis=0)
    half = (0.5 + _MARGIN) * (float((high - low).max()) or 1.0)
    return np.array([(low + high) / 2 - half, (low + high) / 2 + half])


def _draw(
    figure: Figure, panels: Sequence[Axes], maps: Sequence[FaceMap], limits: Floats, *, names: bool
) -> None:
    """Maps into their panels; badges last, since how far apart they must lie depends on the panels' size."""
    # Points are drawn as a picture inside a page's SVG: sharp on a screen of two pixels to one.
    figure.set_dpi(200)
    for axes, faces in zip(panels, maps, strict=True):
        _scatter(axes, faces, limits)
    _legend(figure, maps)
    if names:
        figure.draw_without_rendering()
        for axes, faces in zip(panels, maps, strict=True):
            inches = axes.get_window_extent().width / figure.dpi
            _badges(axes, faces, (limits[1, 0] - limits[0, 0]) * _BADGE / inches)


def _scatter(axes: Axes, faces: FaceMap, limits: Floats) -> None:
    n = len(faces.points)
    # In an order that favours no emotion: the last ones drawn lie on top.
    order = np.random.default_rng(0).permutation(n)
    colours = np.array([*(EMOTION_COLOURS[name] for name in EMOTIONS), FAINT])
    x, y = faces.points[order].T
    axes.scatter(
        x, y, c=colours[faces.labels[order]].tolist(), s=float(np.clip(9000 / n, 5, 26)),
        alpha=float(np.clip(60 / np.sqrt(n), 0.45, 0.9)), linewidths=0, rasterized=n > 500,
    )  # fmt: skip
    (left, bottom), (right, top) = limits
    axes.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", title=faces.title)
    axes.tick_params(labelbottom=False, labelleft=False)
    axes.grid(visible=True, axis="both")
    axes.spines[:].set_visible(True)


def _badges(axes: Axes, faces: FaceMap, gap: float) -> None:
    """Each emotion's short name in a disc at its centroid, moved off it where discs lie closer than `gap`."""
    held = [number for number in range(len(EMOTIONS)) if (faces.labels == number).any()]
    if not held:
        return
    centroids = np.array([faces.points[faces.labels == number].mean(axis=0) for number in held])
    badges = spread_points(centroids, gap)
    for number, centroid, badge in zip(held, centroids, badges, strict=True):
        name = EMOTIONS[number]
        axes.plot(*np.array([centroid, badge]).T, color="black", linewidth=1.0, zorder=5)
        axes.plot(*centroid, "o", color="black", markersize=3, zorder=5)
        axes.scatter(
            badge[0], badge[1], s=250, color=EMOTION_COLOURS[name], edgecolor="white", linewidth=1.0, zorder=6
        )
        axes.text(
            badge[0], badge[1], SHORT_NAMES[name], color=_ON_COLOUR[name], fontsize=8.5, fontweight="bold",
            ha="center", va="center_baseline", clip_on=True, zorder=7,
        )  # fmt: skip


def _legend(figure: Figure, maps: Sequence[FaceMap]) -> None:
    from matplotlib.lines import Line2D

    held = set(np.concatenate([each.labels for each in maps]).tolist())
    shown = [
        (f"{SHORT_NAMES[name]}: {name}", EMOTION_COLOURS[name])
        for i, name in enumerate(EMOTIONS)
        if i in held
    ]
    shown += [("not labelled", FAINT)] if -1 in held else []
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=7, color=colour, label=label)
        for label, colour in shown
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 4), columnspacing=1.4)
