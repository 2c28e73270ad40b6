"""`mien recipes`: the experiments that can be run."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.extras import require
from mien.cli.tables import table_console

if TYPE_CHECKING:
    from mien.training.recipe import Recipe

_NAMED = 3


def recipes(
    name: Annotated[str | None, typer.Argument(help="One recipe, printed whole.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the recipes, or print one with every default filled in.

    Example: mien recipes c/final
    """
    require("analysis")
    from mien.training import recipe as known

    if name is not None:
        found = known.load(name)
        if json_output:
            typer.echo(json.dumps(found.model_dump(mode="json")))
        elif sys.stdout.isatty():
            from rich.console import Console
            from rich.syntax import Syntax

            Console().print(Syntax(found.to_toml(), "toml", word_wrap=True, background_color="default"))
        else:
            # Plain, so that it may be redirected into a recipe file.
            typer.echo(found.to_toml(), nl=False)
        return
    every = [known.load(each) for each in known.names()]
    if json_output:
        typer.echo(json.dumps([each.model_dump(mode="json") for each in every]))
        return
    from rich.table import Table

    table = Table("recipe", "what it is", "paper", box=None, header_style="bold")
    for each in every:
        table.add_row(each.name, each.summary, _tables(each))
    table_console().print(table)


def _tables(recipe: Recipe) -> str:
    """The tables with a row of it: a baseline stands in a dozen, of which three are named."""
    if recipe.paper is None:
        return ""
    named = [f"{recipe.paper.system}/{table}" for table in recipe.paper.tables]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more
