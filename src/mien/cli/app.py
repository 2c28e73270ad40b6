"""The `mien` command: one line a command, one place where errors become exit codes."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import typer

from mien import __version__
from mien.cli.bench import bench
from mien.cli.circumplex import circumplex
from mien.cli.data import data
from mien.cli.embed import embed
from mien.cli.evaluate import evaluate
from mien.cli.explain import explain, explanations
from mien.cli.export import export
from mien.cli.fetch import fetch
from mien.cli.landmarks import landmarks
from mien.cli.latent import latent
from mien.cli.models import models
from mien.cli.predict import predict
from mien.cli.recipes import recipes
from mien.cli.reproduce import reproduce
from mien.cli.search import search
from mien.cli.train import train
from mien.cli.triplets import triplets
from mien.errors import MienError

# Typer carries its own copy of click in newer releases and depends on it in older ones.
_UsageProblem: type[Any] = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")

_INTERRUPTED = 130

app = typer.Typer(
    name="mien",
    help="Facial expressions: read, trained, explained and mapped.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mien {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: bool = typer.Option(False, "--debug", help="Show a traceback instead of one line."),
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Facial expressions: read, trained, explained and mapped."""


app.command()(predict)
app.command()(explain)
app.command()(embed)
app.command()(landmarks)
app.command()(latent)
app.command()(fetch)
app.command()(models)
app.command()(recipes)
app.command()(train)
app.command()(search)
app.command()(evaluate)
app.command()(circumplex)
app.command()(reproduce)
app.command()(export)
app.command()(bench)
app.add_typer(data)
app.add_typer(triplets)
app.add_typer(explanations)


def _stop(message: str, code: int) -> NoReturn:
    print(f"mien: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


def main() -> None:
    """Entry point: one line on standard error; exit code 2 for bad input, 1 for a failure."""
    debug = "--debug" in sys.argv
    try:
        code = app(standalone_mode=False)
    except MienError as error:
        if debug:
            raise
        _stop(str(error), error.exit_code)
    except _UsageProblem as error:
        _stop(error.format_message() + "; see --help", 2)
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        _stop(f"unexpected {type(error).__name__}: {error}; --debug shows where, for a report", 1)
    if code == _INTERRUPTED:
        # Newer releases of Typer turn Ctrl-C into this code and say nothing.
        print("mien: interrupted", file=sys.stderr)
    sys.exit(code if isinstance(code, int) else 0)
