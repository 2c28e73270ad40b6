"""`mien reproduce`: a paper's table or figure beside ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.extras import require
from mien.errors import DataError, MienError, ModelError, RecipeError, hint

if TYPE_CHECKING:
    from mien.ledger import Entry
    from mien.papers.sources import Sources


def reproduce(
    target: Annotated[
        str | None,
        typer.Argument(help="SYSTEM/TABLE or SYSTEM/figure-N, such as A/VII; none: list them."),
    ] = None,
    run: Annotated[bool, typer.Option("--run", help="Run the table's recipes first.")] = False,
    budget: Annotated[str, typer.Option(help="With --run: smoke, cpu or full.")] = "smoke",
    seeds: Annotated[
        int, typer.Option(min=1, help="With --run: runs of each recipe, each with a seed of its own.")
    ] = 1,
    data: Annotated[
        Path | None, typer.Option(help="Dataset, for --run and for figures that show faces.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of run folders, for --run.")] = Path("runs"),
    ledger: Annotated[Path | None, typer.Option(help="Ledger to read, and with --run to write.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where a figure is written, as .png; of maps in training also .gif.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a paper's table beside ours, with the gap and the budget of each row; rows never run are named.

    Example: mien reproduce A/VII --run --budget smoke --data fer2013.csv

    Claims and maps of system D: mien reproduce D/claims; mien reproduce D/figures --out maps.png
    """
    require("analysis")
    from mien.cli.paper_tables import print_rows, print_sheet
    from mien.ledger import entries
    from mien.papers.published import FIGURES
    from mien.papers.sheets import SHEETS
    from mien.papers.sources import Sources
    from mien.papers.tables import newest, recipes_of, rows
    from mien.training import recipe as known

    recipes = [known.load(name) for name in known.names()]
    titles = _titles(Sources(recipes, []))
    if target is None:
        _list(titles, json_output)
        return
    name = _find(target, titles)
    runs_of = FIGURES[name].table if name in FIGURES else SHEETS[name].runs if name in SHEETS else name
    if run and runs_of != name:
        where = f"run {runs_of} and repeat it without --run" if runs_of else "repeat it without --run"
        raise RecipeError(f"{name} trains nothing itself: {where}")
    if ledger is not None and not run and not ledger.is_dir():
        raise DataError(f"no ledger at {ledger}: expected a folder of JSON files")
    stored = Sources(recipes, entries(ledger), data)
    if name in FIGURES:
        _figure(name, titles[name], stored, out, json_output)
        return
    fresh: list[Entry] = []
    if run:
        train = _trainer(stored, budget, seeds, runs, ledger)
        names = [recipe.name for recipe in recipes_of(name, recipes)]
        fresh = _train_suited(names, train, runs / budget) if name in SHEETS else train(names)
    held = newest(stored.entries, fresh)
    if name in SHEETS:
        sheet = SHEETS[name].make(replace(stored, entries=held))
        print_sheet(name, sheet, runs=runs_of, json_output=json_output)
    else:
        print_rows(name, titles[name], rows(name, recipes, held), json_output=json_output)


def _titles(sources: Sources) -> dict[str, str]:
    """Everything that can be reproduced, by name, with its title; empty where the name says it."""
    from mien.papers.published import FIGURES
    from mien.papers.sheets import SHEETS
    from mien.papers.tables import TITLES, table_names

    tables = {name: TITLES.get(name, "") for name in table_names(sources.recipes)}
    sheets = {name: kind.title for name, kind in SHEETS.items()}
    figures = {name: figure.title for name, figure in FIGURES.items()}
    every = {**tables, **sheets}
    return {**{name: every[name] for name in sorted(every)}, **figures}


def _find(target: str, titles: dict[str, str]) -> str:
    folded = {name.lower(): name for name in titles}
    if target.lower() in folded:
        return folded[target.lower()]
    raise RecipeError(f"unknown table or figure {target!r}: {hint(target, titles)}")


def _list(titles: dict[str, str], json_output: bool) -> None:
    if json_output:
        typer.echo(json.dumps([{"name": name, "title": title or None} for name, title in titles.items()]))
        return
    for name, title in titles.items():
        typer.echo(f"{name}  {title}".rstrip())


def _trainer(
    stored: Sources, budget: str, seeds: int, runs: Path, ledger: Path | None
) -> Callable[[list[str]], list[Entry]]:
    """What trains recipes by name as the command was told."""
    if stored.data is None:
        raise DataError("--run needs --data: the dataset to train on")
    require("train")
    from mien.experiments.table_runs import run_recipes

    return partial(
        run_recipes,
        budget=budget,
        seeds=seeds,
        data=stored.data,
        runs=runs,
        results=ledger,
        note=lambda line: typer.echo(line, err=True),
    )


def _train_suited(names: list[str], train: Callable[[list[str]], list[Entry]], folder: Path) -> list[Entry]:
    """Runs those recipes that the data suits, into `folder`; the others are named with what they lack.

    Raises: DataError or ModelError of the first one where it suits none; what stops a run that has begun.
    """
    from mien.training.teachers import run_folder_name

    entries: list[Entry] = []
    unsuited: list[MienError] = []
    for name in names:
        try:
            entries += train([name])
        except (DataError, ModelError) as error:
            # Faces or weights that do not suit a recipe are found before it writes anything.
            if (folder / run_folder_name(name)).exists():
                raise
            unsuited.append(error)
            typer.echo(f"{name}: not run: {error}", err=True)
    if unsuited and not entries:
        raise unsuited[0]
    return entries


def _figure(name: str, title: str, stored: Sources, out: Path | None, json_output: bool) -> None:
    from mien.papers.published import draw_figure

    drawn = draw_figure(name, stored, out or Path(f"{name.replace('/', '-')}.png"))
    if json_output:
        typer.echo(json.dumps({"figure": name, "file": str(drawn.file), "never_run": drawn.never_run}))
        return
    typer.echo(f"{title}: {drawn.file}")
    if drawn.never_run:
        typer.echo(f"never run: {', '.join(drawn.never_run)}")
