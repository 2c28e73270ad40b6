"""The papers' figures, drawn from our own runs: one registry over all systems."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mien.errors import DataError
from mien.papers import figures_a, figures_b, figures_c, figures_d, figures_e
from mien.papers.paper_figure import PaperFigure
from mien.papers.sources import Sources
from mien.report.style import png
from mien.storage import atomic

FIGURES: dict[str, PaperFigure] = {
    **figures_a.FIGURES,
    **figures_b.FIGURES,
    **figures_c.FIGURES,
    **figures_d.FIGURES,
    **figures_e.FIGURES,
}
"""Every figure that can be drawn, by its name on the command line."""


@dataclass(frozen=True)
class Drawn:
    """A figure's file, and the recipes that it lacks because they were never run."""

    file: Path
    never_run: list[str]


def draw_figure(name: str, sources: Sources, out: Path) -> Drawn:
    """Writes one of `FIGURES`, from those of its runs that there are: a PNG, or a GIF of one that moves.

    Raises: DataError when `out` has another ending, the ledger holds none of the runs, or the figure shows
    faces and no dataset is named or it holds none of them; StorageError.
    """
    figure, ending = FIGURES[name], out.suffix.lower()
    endings = (".png", ".gif") if figure.animate else (".png",)
    if ending not in endings:
        raise DataError(f"--out {out}: expected a name that ends in {' or '.join(endings)}")
    recipes = sources.of(figure.table, figure.which)
    if not recipes:
        raise DataError(f"{name} needs a recipe that no file in recipes/ names for table {figure.table}")
    runs = {row: sources.run_of(recipe.name) for row, recipe in recipes.items()}
    finished = {row: entry for row, entry in runs.items() if entry is not None}
    missing = list(dict.fromkeys(recipes[row].name for row, entry in runs.items() if entry is None))
    if not finished and figure.needs_runs:
        are = "is" if len(missing) == 1 else "are"
        raise DataError(
            f"{', '.join(missing)} {are} not in the ledger: "
            f"mien reproduce {figure.table} --run --budget cpu --data PATH"
        )
    if figure.animate and ending == ".gif":
        figure.animate(finished, out)
    else:
        picture = png(figure.draw(recipes, finished, sources))
        with atomic(out) as temporary:
            temporary.write_bytes(picture)
    return Drawn(out, missing if figure.needs_runs else [])
