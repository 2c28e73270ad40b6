"""`mien reproduce`: a paper's table or figure beside ours."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.extras import require
from mien.cli.tables import table_console
from mien.errors import DataError, RecipeError

if TYPE_CHECKING:
    from mien.experiments.tables import Row
    from mien.ledger import Entry
    from mien.training.recipe import Recipe

_PEOPLE = "C/table-1"
_HEADS = (
    "row", "split", "paper", "ours", "95 % interval", "gap", "without copies", "budget", "best epoch",
)  # fmt: skip


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
    out: Annotated[Path | None, typer.Option(help="Where a figure is written, as .png.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a paper's table beside ours, with the gap and the budget of each row; rows never run are named.

    Example: mien reproduce C/results --run --budget smoke --data fer2013.csv
    """
    require("analysis")
    from mien.experiments.published import FIGURES
    from mien.ledger import entries
    from mien.training import recipe as known

    recipes = [known.load(name) for name in known.names()]
    titles = _titles(recipes)
    if target is None:
        _list(titles, json_output)
        return
    name = _find(target, titles)
    if run and titles[name]:
        raise RecipeError(f"{name} is made from the ledger: --run goes with a table of runs, as C/results is")
    if ledger is not None and not run and not ledger.is_dir():
        raise DataError(f"no ledger at {ledger}: expected a folder of JSON files")
    if name in FIGURES:
        _figure(name, titles[name], entries(ledger), out, data, json_output)
    elif name == _PEOPLE:
        _people(name, entries(ledger), json_output)
    else:
        fresh = _run(name, recipes, budget, data, runs, ledger) if run else []
        _table(name, recipes, entries(ledger), fresh, json_output)


def _titles(recipes: list[Recipe]) -> dict[str, str]:
    """Everything that can be reproduced, by name; a title for what is made from the ledger alone."""
    from mien.experiments import people
    from mien.experiments.published import FIGURES
    from mien.experiments.tables import table_names

    return {
        **dict.fromkeys(table_names(recipes), ""),
        _PEOPLE: people.TITLE,
        **{name: figure.title for name, figure in FIGURES.items()},
    }


def _find(target: str, titles: dict[str, str]) -> str:
    folded = {name.lower(): name for name in titles}
    if target.lower() in folded:
        return folded[target.lower()]
    near = get_close_matches(target.lower(), folded, n=1)
    hint = f"did you mean {folded[near[0]]!r}?" if near else f"expected one of {', '.join(titles)}"
    raise RecipeError(f"unknown table or figure {target!r}: {hint}")


def _list(titles: dict[str, str], json_output: bool) -> None:
    if json_output:
        typer.echo(json.dumps([{"name": name, "title": title or None} for name, title in titles.items()]))
        return
    for name, title in titles.items():
        typer.echo(f"{name}  {title}".rstrip())


def _run(
    name: str, recipes: list[Recipe], budget: str, data: Path | None, runs: Path, ledger: Path | None
) -> list[Entry]:
    if data is None:
        raise DataError("--run needs --data: the dataset to train on")
    require("train")
    from mien.experiments.table_runs import run_recipes
    from mien.experiments.tables import recipes_of

    return run_recipes(
        [recipe.name for recipe in recipes_of(name, recipes)],
        budget=budget,
        data=data,
        runs=runs,
        results=ledger,
        note=lambda line: typer.echo(line, err=True),
    )


def _figure(
    name: str, title: str, stored: list[Entry], out: Path | None, data: Path | None, json_output: bool
) -> None:
    from mien.experiments.published import draw_figure

    path = draw_figure(name, stored, out or Path(f"{name.replace('/', '-')}.png"), data)
    typer.echo(json.dumps({"figure": name, "file": str(path)}) if json_output else f"{title}: {path}")


def _people(name: str, stored: list[Entry], json_output: bool) -> None:
    from rich.table import Table

    from mien.experiments.people import people_table

    found = people_table(stored)
    if json_output:
        typer.echo(json.dumps({"table": name, **found.to_dict()}))
        return
    heads = ("emotion", "people, paper", "one rater", "network as rater", "network, labels")
    table = Table(*heads, title=name, title_justify="left", header_style="bold", box=None)
    for row in (*found.rows, found.over_all):
        rates = (row.paper, row.rater, row.network_as_rater, row.network)
        table.add_row(row.emotion, *("–" if rate is None else f"{rate:.3f}" for rate in rates))
    console = table_console()
    console.print(table)
    console.print(
        "People in the paper: of each emotion a psychological study's, on large and clear pictures that "
        "move; of all faces the authors', on 100 random faces of FER-2013 each, against its labels.\n"
        "One rater, network as rater: FER+, against the majority of the other nine raters.",
        style="dim",
    )
    if found.budget is None:
        console.print("never run: c/final")
    else:
        console.print(f"network: c/final, budget {found.budget}, on {found.split}", style="dim")


def _table(
    name: str, recipes: list[Recipe], stored: list[Entry], fresh: list[Entry], json_output: bool
) -> None:
    from rich.table import Table

    from mien.experiments.tables import newest, rows

    found = rows(name, recipes, newest(stored, fresh))
    if json_output:
        typer.echo(json.dumps({"table": name, "rows": [row.to_dict() for row in found]}))
        return
    table = Table(*_HEADS, title=name, title_justify="left", header_style="bold", box=None)
    for row in found:
        for split in row.splits or [""]:
            best = "" if row.epochs is None else f"{row.best_epoch} of {row.epochs}"
            table.add_row(row.row, split, *_cells(row, split), row.budget or "never run", best)
    console = table_console()
    console.print(table)
    for row in {row.recipe: row for row in found if row.claim}.values():
        console.print(f"{row.row}: {row.claim}", style="dim")
    missing = [row.recipe for row in found if row.budget is None]
    if missing:
        console.print(f"never run: {', '.join(missing)}")
        console.print(f"to run them: mien reproduce {name} --run --budget cpu --data PATH")


def _cells(row: Row, split: str) -> list[str]:
    paper, ours, gap = row.paper.get(split), row.ours.get(split), row.gap(split)
    return [
        "–" if paper is None else f"{paper:.4g}",
        "–" if ours is None else f"{ours.accuracy:.4f}",
        "–" if ours is None else f"{ours.interval[0]:.4f}–{ours.interval[1]:.4f}",
        "–" if gap is None else f"{gap:+.4f}",
        "–" if ours is None or ours.without_copies is None else f"{ours.without_copies:.4f}",
    ]
