"""The look that all figures share, and the one place where an emotion has a colour.

Colours are those of Okabe & Ito 2008, which people with any common colour blindness can tell apart. Figures
have a transparent ground and ink that a page may replace, so that they read well on light and dark paper.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any, ParamSpec

from mien.errors import MissingDependency

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EMOTION_COLOURS: dict[str, str] = {
    "angry": "#D55E00",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "happy": "#E69F00",
    "sad": "#0072B2",
    "surprise": "#56B4E9",
    "neutral": "#8A8A8A",
}
"""One colour for each of `EMOTIONS`."""

SERIES: tuple[str, ...] = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A8A8A")
"""Colours of runs, options and other series, in the order of use."""

INK = "#1B1F24"
"""Text and axes. `svg` turns exactly this colour into the page's own."""

FAINT = "#8A929C"
"""Grids and reference lines: reads on white and on near black."""

WIDTH = 6.0
"""Inches: a figure fills a column of a page and stays legible on a phone."""

_RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titleweight": "normal",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 10,
    "axes.edgecolor": FAINT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": FAINT,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.6,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "legend.handlelength": 1.4,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "mien",
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"), INK),
}

Arguments = ParamSpec("Arguments")


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Makes a function draw in the shared style; without matplotlib it raises MissingDependency."""

    @functools.wraps(draw)
    def wrapper(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        try:
            from matplotlib import rc_context
        except ImportError as error:
            raise MissingDependency(
                "figures need matplotlib: install it with pip install 'mien[analysis]'"
            ) from error
        with rc_context(_RC):
            return draw(*args, **kwargs)

    return wrapper


def blank(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of a size in inches, outside pyplot's registry: nothing is left to close."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def percent_axis(axes: Axes, axis: str = "y") -> None:
    """Writes an axis that holds rates in percent."""
    getattr(axes, f"{axis}axis").set_major_formatter(lambda rate, _: f"{100 * rate:g}%")


def png(figure: Figure, dpi: int = 144) -> bytes:
    """The figure as a PNG on white, for files outside a page."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context(_RC):
        figure.savefig(buffer, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return buffer.getvalue()


def svg(figure: Figure, alt: str) -> str:
    """The figure as an inline `<svg>` element with an alternative text, in the page's own ink and typeface.

    It refers to nothing outside itself.
    """
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context(_RC):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    drawing = buffer.getvalue()
    drawing = drawing[drawing.index("<svg") :]
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    # HTML gives inline drawings their namespaces; the declarations are addresses that nobody needs.
    opening, rest = drawing.split(">", 1)
    opening = re.sub(r'\s(xmlns(:\w+)?|width|height|version)="[^"]*"', "", opening)
    # Every drawing names its groups alike, and nothing refers to them.
    rest = re.sub(r'<g id="[^"]*"', "<g", rest)
    rest = re.sub(INK, "currentColor", rest, flags=re.IGNORECASE)
    return f'{opening} role="img" aria-label="{escape(alt)}">{rest.strip()}'
