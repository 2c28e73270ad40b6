"""`mien reproduce`: a paper's table or figure beside ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.extras import require
from mien.errors import DataError

if TYPE_CHECKING:
    from mien.experiments.tables import Row


def reproduce(
    target: Annotated[
        str | None,
        typer.Argument(help="SYSTEM/TABLE or SYSTEM/figure-N, such as C/results; none: list them."),
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Run the table's recipes first.")] = False,
    budget: Annotated[str, typer.Option(help="With --run: smoke, cpu or full.")] = "smoke",
    data: Annotated[
        Path | None, typer.Option(help="Dataset, for --run and for figures that show faces.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of run folders, for --run.")] = Path("runs"),
    ledger: Annotated[Path | None, typer.Option(help="Ledger to read, and with --run to write.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where a figure is written.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a paper's table beside ours, with the gap and the budget of each row; rows never run are named.

    Example: mien reproduce C/results --run --budget smoke --data fer2013.csv
    """
    from mien.experiments.tables import recipes_of, rows, table_names
    from mien.ledger import entries
    from mien.training import recipe as known

    every = [known.load(name) for name in known.names()]
    if target is None:
        _list(table_names(every))
        return
    from mien.experiments.published import FIGURES

    figure = FIGURES.get(target)
    if figure is not None:
        require("analysis")
        path = figure.draw(entries(ledger), out or Path(f"{target.replace('/', '-')}.png"), data)
        typer.echo(
            json.dumps({"figure": target, "file": str(path)}) if json_output else f"{figure.title}: {path}"
        )
        return
    chosen = recipes_of(target, every)
    fresh: list[dict[str, Any]] = []
    if run:
        require("train")
        if data is None:
            raise DataError("--run needs --data: the dataset to train on")
        from mien.experiments.table_runs import run_recipes

        fresh = run_recipes(
            [recipe.name for recipe in chosen],
            budget=budget,
            data=data,
            runs=runs,
            results=ledger,
            note=lambda line: typer.echo(line, err=True),
        )
    stored = entries(ledger)
    known_runs = {(entry["recipe"], entry["budget"]["name"], entry["seed"]) for entry in stored}
    unstored = [
        entry
        for entry in fresh
        if (entry["recipe"], entry["budget"]["name"], entry["seed"]) not in known_runs
    ]
    found = rows(chosen, [*stored, *unstored])
    if json_output:
        typer.echo(json.dumps({"table": target, "rows": [row.to_dict() for row in found]}))
    else:
        _print(target, found)


def _list(tables: list[str]) -> None:
    from mien.experiments.published import FIGURES

    for name in tables:
        typer.echo(name)
    for name, figure in FIGURES.items():
        typer.echo(f"{name}  {figure.title}")


def _print(target: str, found: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    heads = (
        "row",
        "split",
        "paper",
        "ours",
        "95 % interval",
        "gap",
        "without copies",
        "budget",
        "best epoch",
    )
    table = Table(*heads, title=target, title_justify="left", header_style="bold", box=None)
    for row in found:
        for split in sorted({*row.paper, *row.ours}, reverse=True) or [""]:
            best = "" if row.epochs is None else f"{row.best_epoch} of {row.epochs}"
            table.add_row(row.row, split, *_cells(row, split), row.budget or "never run", best)
    console = Console(highlight=False)
    console.print(table)
    for row in {row.recipe: row for row in found if row.claim}.values():
        console.print(f"{row.row}: {row.claim}", style="dim")
    missing = [row.recipe for row in found if row.budget is None]
    if missing:
        console.print(f"never run: {', '.join(missing)}")
        console.print(f"to run them: mien reproduce {target} --run --budget cpu --data PATH")


def _cells(row: Row, split: str) -> list[str]:
    paper, ours, gap = row.paper.get(split), row.ours.get(split), row.gap(split)
    return [
        "–" if paper is None else f"{paper:.4g}",
        "–" if ours is None else f"{ours.accuracy:.4f}",
        "–" if ours is None else f"{ours.interval[0]:.4f}–{ours.interval[1]:.4f}",
        "–" if gap is None else f"{gap:+.4f}",
        "–" if ours is None or ours.without_copies is None else f"{ours.without_copies:.4f}",
    ]
