"""`mien train`: a recipe becomes a run."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.extras import require

if TYPE_CHECKING:
    from mien.ledger import Entry


def train(
    recipe: Annotated[
        str, typer.Argument(help="Name of a recipe (see mien recipes) or path to a TOML file.")
    ],
    data: Annotated[Path, typer.Option(help="Dataset in any format that mien data reads.")],
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="key=value, such as train.epochs=3; may be repeated.")
    ] = None,
    budget: Annotated[
        str, typer.Option(help="smoke, cpu or full: the recipe's own changes for it.")
    ] = "full",
    start: Annotated[
        str | None, typer.Option("--from", help="Start from a shipped network's weights or an earlier run's.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on where the run in --out was stopped.")] = False,
    skip_bad: Annotated[
        bool, typer.Option(help="Leave out rows that are wrong instead of stopping.")
    ] = False,
    ledger: Annotated[
        Path | None, typer.Option(help="Also write the run's entry into this ledger folder.")
    ] = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the run's ledger entry as JSON.")
    ] = False,
) -> None:
    """Train a network by a recipe.

    Example: mien train c/final --data fer2013.csv --out runs/final

    In several processes: torchrun --nproc_per_node 2 -m mien train c/final --data fer2013.csv --out runs/f
    """
    require("train")
    from mien.training import processes

    with processes.joined():
        from mien.cli.progress import training_progress
        from mien.experiments.run import Order, fit
        from mien.experiments.run import train as run_training
        from mien.training.recipe import load

        order = Order(
            recipe=load(recipe, overrides=overrides or (), budget=budget),
            data=data,
            run=out,
            budget=budget,
            resume=resume,
            start=start,
            skip_bad=skip_bad,
            command=shlex.join(["mien", *sys.argv[1:]]),
        )
        if not processes.is_first():
            # What follows the training is the first process's work, as is everything that is written.
            fit(order)
            return
        with training_progress(order.recipe.train) as (report, note):
            entry = run_training(order, report=report, note=note)
    if ledger is not None:
        from mien.ledger import write

        write(entry, ledger)
    if json_output:
        import json

        typer.echo(json.dumps(entry))
        return
    typer.echo(f"{_found(entry)}{_when(entry['budget'])}; report: {out / 'report.html'}")


def _when(budget: dict[str, Any]) -> str:
    """When the selected weights were reached; nothing where none were learned."""
    if not budget["epochs"]:
        return ""
    if "iterations" in budget:
        return f" after {budget['best_iteration']:,} of {budget['iterations']:,} iterations"
    return f" in epoch {budget['best_epoch']} of {budget['epochs']}"


def _found(entry: Entry) -> str:
    """What was measured, in a line: accuracy, or how often a face's neighbours on the map name it right."""
    if "landmarks" in entry:
        return _found_of_landmarks(entry["landmarks"]["splits"])
    if entry["figures"]:
        split, figures = next(iter(entry["figures"].items()))
        name = "accuracy"
    else:
        from mien.ledger import map_of

        split, found = map_of(entry)
        figures = found["quality"]["neighbours"]["reference"]
        name = f"accuracy of {figures['k']} neighbours"
    low, high = figures["accuracy_ci95" if entry["figures"] else "ci95"]
    return f"{name} on {split}: {figures['accuracy']:.4f} (95 % interval {low:.4f}…{high:.4f})"


def _found_of_landmarks(splits: dict[str, Any]) -> str:
    """On the test people, or else on those of validation: what a linear classifier reads, and triplets."""
    split = next(name for name in ("private", "public", "training") if name in splits)
    names = {"accuracy": "accuracy", "f1": "F1", "auc": "AUC"}
    found = [f"{title} {splits[split][key]:.4f}" for key, title in names.items() if splits[split].get(key)]
    if "triplets" in splits[split]:
        found.append(f"triplets satisfied {splits[split]['triplets']['all']['share']:.4f}")
    return f"{', '.join(found) or 'nothing to measure'} on {split} ({splits[split]['people']} people)"
