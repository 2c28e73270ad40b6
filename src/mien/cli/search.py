"""`mien search`: trials of a recipe with other settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.extras import require
from mien.cli.tables import table_console


def search(
    recipe: Annotated[str, typer.Argument(help="Name or file of a recipe with a [search] section.")],
    data: Annotated[Path, typer.Option(help="Dataset in any format that mien data reads.")],
    out: Annotated[Path, typer.Option(help="Folder for the trials' runs.")],
    trials: Annotated[int, typer.Option(min=1, help="Complete trials wanted in all, over all workers.")] = 20,
    storage: Annotated[
        str | None, typer.Option(help="Database URL that several workers share; default: a file in --out.")
    ] = None,
    sampler: Annotated[str, typer.Option(help="random or tpe.")] = "random",
    budget: Annotated[str, typer.Option(help="smoke, cpu or full, for each trial.")] = "full",
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="key=value for every trial; may be repeated.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option(help="Leave out rows that are wrong instead of stopping.")
    ] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print every complete trial as JSON.")] = False,
) -> None:
    """Search settings of a recipe; run it again, here or in other processes, to go on with the same search.

    Example: mien search c/search --data fer2013.csv --out runs/search --trials 30
    """
    require("train")
    from rich.console import Console
    from rich.table import Table

    from mien.experiments.search import Search, in_words
    from mien.experiments.search import search as run_search

    asked = Search(
        recipe=recipe,
        data=data,
        folder=out,
        trials=trials,
        storage=storage,
        sampler=sampler,
        budget=budget,
        overrides=tuple(overrides or ()),
        skip_bad=skip_bad,
    )
    found = run_search(asked, note=Console(stderr=True, highlight=False, soft_wrap=True, style="dim").print)
    if json_output:
        rows = [{"trial": each.number, "value": each.value, "settings": each.settings} for each in found]
        typer.echo(json.dumps(rows))
        return
    table = Table("trial", "selected figure", "settings", box=None, header_style="bold")
    for each in found:
        table.add_row(str(each.number), f"{each.value:.4f}", in_words(each.settings))
    table_console().print(table)
