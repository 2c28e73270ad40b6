"""Figures of a representation of landmarks: its dimensions, where faces lie in it, and faces that it makes.

After the thesis (system E), Figures 6.1 to 6.10. All take plain arrays; faces are prepared landmarks and are
drawn as connected surfaces. Colours of emotions are those of `style`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError
from mien.evaluation.landmarks.dimensions import ACTIVE
from mien.labels import EMOTIONS
from mien.landmark_layout import COUNT, REGIONS
from mien.rendering.rasteriser import Camera
from mien.rendering.surface import camera_for, draw_face
from mien.report.map_figures import map_panels
from mien.report.style import EMOTION_COLOURS, FAINT, INK, SERIES, WIDTH, blank, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

PAPER = (238, 241, 245)
"""The ground of drawn faces: light on white and on near black."""

AZIMUTHS: tuple[int, ...] = (30, 120, 210, 300)
"""Degrees from which the 3-D view is drawn: every 90 (Figure 6.5)."""

_NOSE = next(region for region in REGIONS if region.name == "right_nose")

_SIDE = 190
"""Pixels of a drawn face's side."""

_TILE = 1.3
"""Inches of it in a figure."""


@styled
def latent_use(divergence: ArrayLike, norms: ArrayLike) -> Figure:
    """How much each latent dimension says, and how much of it the decoder takes up (Figures 6.1a, 6.8a).

    divergence: (K,) nats, the mean KL divergence from the prior. norms: (K,) of the first decoding layer's
    weights. Dimensions that say nothing are grey.
    Raises: DataError when the two do not have the same number of dimensions.
    """
    said, taken = np.asarray(divergence, np.float64), np.asarray(norms, np.float64)
    if said.ndim != 1 or said.shape != taken.shape or not len(said):
        raise DataError(f"divergence {said.shape} and norms {taken.shape}: expected both (K,), K ≥ 1")
    figure = blank(4.4)
    upper, lower = figure.subplots(2, 1, sharex=True)
    numbers = np.arange(1, len(said) + 1)
    active = said > ACTIVE
    colours = np.where(active, SERIES[0], FAINT).tolist()
    upper.bar(numbers, said, color=colours, width=0.72)
    lower.bar(numbers, taken, color=colours, width=0.72)
    upper.set_title(f"divergence from the prior, nats: {int(active.sum())} of {len(said)} dimensions in use")
    lower.set_title("norm of the first decoding layer's weights")
    lower.set_xlabel("latent dimension")
    lower.set_xlim(0.3, len(said) + 0.7)
    _whole_numbers(lower)
    return figure


def _whole_numbers(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=12))


@styled
def neutral_use(norms: ArrayLike) -> Figure:
    """How much of each coordinate of the neutral face the decoder takes up (Figures 6.1b, 6.7, 6.8b).

    norms: (249,) of the first decoding layer's weights, landmark by landmark x, y, z.
    Raises: DataError when they are not 249.
    """
    taken = np.asarray(norms, np.float64)
    if taken.shape != (3 * COUNT,):
        raise DataError(f"norms of shape {taken.shape}: expected ({3 * COUNT},), one a coordinate")
    figure = blank(4.6, 1.25 * WIDTH)
    panels: list[Axes] = figure.subplots(3, 1, sharex=True, sharey=True).tolist()
    axes_of = ("x, to the person's left", "y, up", "z, forward")
    for axis, (axes, name) in enumerate(zip(panels, axes_of, strict=True)):
        for number, region in enumerate(REGIONS):
            if number % 2:
                axes.axvspan(region.start + 0.5, region.stop + 0.5, color=FAINT, alpha=0.12, linewidth=0)
        axes.bar(np.arange(1, COUNT + 1), taken[axis::3], color=SERIES[axis], width=0.7)
        axes.set_title(name, pad=4)
        axes.set_xlim(0.5, COUNT + 0.5)
    panels[1].set_ylabel("norm of the weights")
    middles = [(region.start + region.stop + 1) / 2 for region in REGIONS]
    # The nose's sides are too narrow for a name each.
    names = {"right_nose": "sides\nof nose", "left_nose": ""}
    middles[REGIONS.index(_NOSE)] = _NOSE.stop + 0.5
    labels = [names.get(region.name, region.name.replace("_", "\n")) for region in REGIONS]
    panels[-1].set_xticks(middles, labels, fontsize=8)
    return figure


def principal(points: ArrayLike, count: int) -> tuple[Floats, Floats]:
    """The first principal components of points (N, F), by a singular value decomposition.

    Returns: places (N, count), the first component with deviation 1, and what share of the variance each
    holds, (count,). A component's largest weight is positive, so that the view is always the same.
    Raises: DataError when there are fewer than two points or dimensions than components, or one not finite.
    """
    x = np.asarray(points, np.float64)
    if x.ndim != 2 or len(x) < 2 or x.shape[1] < count:
        raise DataError(f"points of shape {x.shape}: expected at least two of {count} or more dimensions")
    if not np.isfinite(x).all():
        raise DataError("a point is not finite: it has no place on a map")
    centred = x - x.mean(axis=0)
    _, values, weights = np.linalg.svd(centred, full_matrices=False)
    weights = weights[:count]
    largest = np.abs(weights).argmax(axis=1)
    weights *= np.where(np.take_along_axis(weights, largest[:, None], axis=1) < 0, -1.0, 1.0)
    places = centred @ weights.T
    spread = places[:, 0].std() or 1.0
    total = (values**2).sum() or 1.0
    held = np.zeros(count)
    held[: len(values)] = values[:count] ** 2 / total
    return places / spread, held


def principal_maps(spaces: Sequence[tuple[str, ArrayLike]], labels: ArrayLike) -> Figure:
    """Several spaces of the same faces by their first two principal components (Figures 6.3, 6.4).

    spaces: (name, points (N, F)) each, such as the original data and a latent space. labels: (N,) indices
    into `EMOTIONS`, −1 where not known. Each space is scaled to deviation 1 along its first component.
    """
    maps = []
    for name, points in spaces:
        places, held = principal(points, 2)
        maps.append((f"{name}\n2 components hold {held.sum():.0%} of the variance", places, labels))
    return map_panels(maps, names=bool((np.asarray(labels) >= 0).any()))


@styled
def principal_views(points: ArrayLike, labels: ArrayLike, name: str = "") -> Figure:
    """A space by its first three principal components, from four sides, every 90° (Figure 6.5).

    points: (N, F). labels: (N,) indices into `EMOTIONS`, −1 where not known. name: of the space.
    """
    places, held = principal(points, 3)
    figure = blank(6.9, 1.12 * WIDTH)
    figure.get_layout_engine().set(w_pad=0, h_pad=0.03, wspace=0, hspace=0)  # type: ignore[union-attr,call-arg]
    for number, azimuth in enumerate(AZIMUTHS):
        axes = figure.add_subplot(2, 2, number + 1, projection="3d")
        view(axes, places, np.asarray(labels), azimuth)
        axes.set_title(f"turned by {azimuth - AZIMUTHS[0]}°", y=1.0, pad=0)
    figure.suptitle(_titled(name, held), x=0.02, ha="left", fontsize=10)
    emotion_legend(figure, np.asarray(labels))
    return figure


def _titled(name: str, held: Floats) -> str:
    shares = f"3 components hold {held.sum():.0%} of the variance"
    return f"{name}: {shares}" if name else shares


def view(axes: Any, places: Floats, labels: NDArray[np.int64], azimuth: float) -> None:
    """Draws points (N, 3) into 3-D axes, seen from an azimuth in degrees, the third component upright."""
    colours = np.array([*(EMOTION_COLOURS[name] for name in EMOTIONS), FAINT])
    order = np.random.default_rng(0).permutation(len(places))
    size = float(np.clip(7000 / len(places), 3, 22))
    axes.scatter(
        *places[order].T, c=colours[labels[order]].tolist(), s=size, alpha=0.75, linewidths=0,
        depthshade=False, rasterized=True,
    )  # fmt: skip
    half = float(np.quantile(np.abs(places), 0.998)) or 1.0
    axes.set(xlim=(-half, half), ylim=(-half, half), zlim=(-half, half))
    axes.set_box_aspect((1, 1, 1), zoom=1.12)
    axes.view_init(elev=20, azim=azimuth)
    for axis, number in ((axes.xaxis, 1), (axes.yaxis, 2), (axes.zaxis, 3)):
        axis.set_ticklabels([])
        axis.set_pane_color((0.5, 0.55, 0.6, 0.07))
        axis.line.set_color(FAINT)
        axis._axinfo["grid"].update(color=(0.5, 0.55, 0.6, 0.3), linewidth=0.5)
        axis.set_label_text(f"PC {number}", fontsize=8)
        axis.labelpad = -12


def emotion_legend(figure: Figure, labels: NDArray[np.int64]) -> None:
    """Which colour is which emotion, of those that there are, below a figure."""
    from matplotlib.lines import Line2D

    held = [(name, EMOTION_COLOURS[name]) for i, name in enumerate(EMOTIONS) if (labels == i).any()]
    held += [("not labelled", FAINT)] if (labels < 0).any() else []
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=7, color=colour, label=name)
        for name, colour in held
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, columnspacing=1.4)


def sheet(faces: ArrayLike, side: int | None = None, camera: Camera | None = None) -> NDArray[np.uint8]:
    """Faces (R, C, 83, 3) as one picture of tiles: (R·side, C·side, 3) uint8. Not finite: an empty tile."""
    side = side or _SIDE
    rows = np.asarray(faces, np.float64)
    if rows.ndim != 4 or rows.shape[2:] != (COUNT, 3) or not rows.size:
        raise DataError(f"faces of shape {rows.shape}: expected (rows, columns, {COUNT}, 3)")
    return np.concatenate(
        [np.concatenate([_tile(face, side, camera) for face in row], axis=1) for row in rows]
    )


def _tile(face: Floats, side: int, camera: Camera | None) -> NDArray[np.uint8]:
    if not np.isfinite(face).all():
        return np.full((side, side, 3), PAPER, np.uint8)
    return draw_face(face, size=side, camera=camera, background=PAPER)


@styled
def faces(
    tiles: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    across: str = "",
    up: str = "",
    beside: tuple[str, ArrayLike] | None = None,
    turned: float = 0.0,
) -> Figure:
    """Faces in rows and columns, each row and column with its name.

    tiles: (R, C, 83, 3) prepared; not finite: left empty. across, up: what columns and rows stand for.
    beside: a face of its own with its title, at the left (the neutral face of Figure 6.6b). turned: degrees
    of yaw.
    Raises: DataError when the names do not fit the tiles.
    """
    shown = np.asarray(tiles, np.float64)
    if shown.shape[:2] != (len(rows), len(columns)):
        raise DataError(f"faces {shown.shape[:2]} with {len(rows)} rows' and {len(columns)} columns' names")
    everyone = shown if beside is None else np.concatenate([shown.reshape(-1, COUNT, 3), _one(beside[1])])
    camera = camera_for(everyone, turned)
    count, wide = shown.shape[:2]
    left = 1 if beside is not None else 0
    figure = blank(_TILE * count + 0.75, _TILE * (wide + left) + 1.0)
    # Drawn at the pixels of the tiles, not of the page.
    figure.set_dpi(200)
    grid = figure.add_gridspec(1, 1 + left, width_ratios=[1, wide] if left else None)
    if beside is not None:
        axes = figure.add_subplot(grid[0])
        _picture(axes, sheet(_one(beside[1])[None], camera=camera))
        axes.set_title(beside[0], loc="center", pad=5)
    axes = figure.add_subplot(grid[left])
    _picture(axes, sheet(shown, camera=camera))
    side = _SIDE
    axes.set_xticks(side * (np.arange(wide) + 0.5), columns)
    axes.set_yticks(side * (np.arange(count) + 0.5), rows)
    axes.set(xlabel=across, ylabel=up)
    for edge in range(1, wide):
        axes.axvline(edge * side, color="white", linewidth=1.5)
    for edge in range(1, count):
        axes.axhline(edge * side, color="white", linewidth=1.5)
    return figure


def _one(face: ArrayLike) -> Floats:
    return np.asarray(face, np.float64).reshape(1, COUNT, 3)


def _picture(axes: Axes, pixels: NDArray[np.uint8]) -> None:
    height, width = pixels.shape[:2]
    axes.imshow(pixels, extent=(0, width, height, 0), interpolation="antialiased")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.tick_params(labelcolor=INK)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def generated(
    tiles: ArrayLike, values: Sequence[float], across: int, up: int, neutral: ArrayLike | None
) -> Figure:
    """Faces over two latent dimensions, numbered from 0, beside the neutral face (Figures 6.6, 6.10).

    tiles: (R, C, 83, 3) as `landmark_generation.grid` gives them, rows from the largest value down.
    """
    names = [f"{value:g}".replace("-", "−") for value in values]
    return faces(
        tiles, names[::-1], names, across=f"z{across + 1}", up=f"z{up + 1}",
        beside=None if neutral is None else ("neutral face", neutral),
    )  # fmt: skip


def reconstructions(
    names: Sequence[str], originals: ArrayLike, made: ArrayLike, neutral: ArrayLike | None = None
) -> Figure:
    """Faces and what the network makes of them, with their neutral faces where given (Figures 6.2, 6.9).

    names: of the columns. originals, made, neutral: (N, 83, 3) prepared.
    """
    rows = {"original": originals, "reconstruction": made}
    if neutral is not None:
        rows = {"neutral": neutral, **rows}
    return faces(np.stack([np.asarray(each, np.float64) for each in rows.values()]), list(rows), names)
