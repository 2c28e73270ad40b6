"""`mien reproduce`: a paper's table or figure beside ours."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.extras import require
from mien.errors import DataError, ModelError, RecipeError, hint

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
    """
    require("analysis")
    from mien.ledger import entries
    from mien.papers.published import FIGURES
    from mien.papers.sheets import SHEETS
    from mien.papers.sources import Sources
    from mien.papers.tables import newest
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
    elif name in SHEETS:
        from mien.cli.paper_tables import print_sheet

        if run:
            stored = replace(
                stored, entries=newest(stored.entries, _run_each(name, stored, budget, runs, ledger))
            )
        print_sheet(name, SHEETS[name].make(stored), runs=runs_of, json_output=json_output)
    else:
        from mien.cli.paper_tables import print_rows
        from mien.papers.tables import rows

        fresh = _run(name, stored, budget, runs, ledger) if run else []
        print_rows(
            name, titles[name], rows(name, recipes, newest(stored.entries, fresh)), json_output=json_output
        )


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


def _run(name: str, stored: Sources, budget: str, runs: Path, ledger: Path | None) -> list[Entry]:
    """Runs all recipes of a table."""
    from mien.papers.tables import recipes_of

    data = _data(stored)
    names = [recipe.name for recipe in recipes_of(name, stored.recipes)]
    return _trained(names, data, budget, runs, ledger)


def _run_each(name: str, stored: Sources, budget: str, runs: Path, ledger: Path | None) -> list[Entry]:
    """Runs those recipes of a table that its data suits; the others are named with what they lack.

    Raises: DataError or ModelError of the first one where it suits none; what stops a run that has begun.
    """
    from mien.papers.tables import recipes_of
    from mien.training.teachers import run_folder_name

    data, entries, unsuited = _data(stored), [], []
    for recipe in recipes_of(name, stored.recipes):
        try:
            entries += _trained([recipe.name], data, budget, runs, ledger)
        except (DataError, ModelError) as error:
            # Faces or weights that do not suit a recipe are found before it writes anything.
            if (runs / budget / run_folder_name(recipe.name)).exists():
                raise
            unsuited.append(error)
            typer.echo(f"{recipe.name}: not run: {error}", err=True)
    if unsuited and not entries:
        raise unsuited[0]
    return entries


def _data(stored: Sources) -> Path:
    if stored.data is None:
        raise DataError("--run needs --data: the dataset to train on")
    require("train")
    return stored.data


def _trained(names: list[str], data: Path, budget: str, runs: Path, ledger: Path | None) -> list[Entry]:
    from mien.experiments.table_runs import run_recipes

    return run_recipes(
        names,
        budget=budget,
        data=data,
        runs=runs,
        results=ledger,
        note=lambda line: typer.echo(line, err=True),
    )


def _figure(name: str, title: str, stored: Sources, out: Path | None, json_output: bool) -> None:
    from mien.papers.published import draw_figure

    drawn = draw_figure(name, stored, out or Path(f"{name.replace('/', '-')}.png"))
    if json_output:
        typer.echo(json.dumps({"figure": name, "file": str(drawn.file), "never_run": drawn.never_run}))
        return
    typer.echo(f"{title}: {drawn.file}")
    if drawn.never_run:
        typer.echo(f"never run: {', '.join(drawn.never_run)}")
