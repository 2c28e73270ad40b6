"""`mien evaluate` of a run on landmarks: what its representation is worth on other people's faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from mien.cli.extras import require
from mien.cli.tables import table_console


def is_landmark_run(model: str) -> bool:
    """Whether it is the folder of a finished run on landmarks."""
    run = Path(model)
    if not run.is_dir() or (run / "model.onnx").exists():
        return False
    require("train")
    from mien.experiments.landmark_runs import MODEL

    return (run / MODEL).is_file()


def evaluate_run(
    run: Path, data: Path, split: str, *, skip_bad: bool, json_output: bool, out: Path | None
) -> None:
    """Prints a split's figures; classifiers learn from the data's training faces, tuned on its public ones.

    Raises: DataError where the data lack one of these splits; CheckpointError.
    """
    from mien.evaluation.landmarks.evaluate import evaluate
    from mien.experiments.landmark_runs import MODEL, restore
    from mien.experiments.landmarks import TRAINING, VALIDATION, Landmarks
    from mien.storage import write_json
    from mien.training.recipe import load

    network, name = restore(run / MODEL)
    recipe = load(str(run / "recipe.toml"))
    held = Landmarks().read(recipe, data, skip_bad, lambda line: typer.echo(f"mien: {line}", err=True))
    wanted = dict.fromkeys((TRAINING, VALIDATION, split))
    faces = {each: held.of(each) for each in wanted}
    triplets = {each: held.triplets[each] for each in wanted if each in held.triplets}
    points = {each: network.represent(part) for each, part in faces.items()}
    found = evaluate(points, faces, triplets)
    figures: dict[str, Any] = {
        "model": name,
        "dataset": data.name,
        "split": split,
        "synthetic": faces[split].synthetic,
        **found["splits"][split],
    }
    if out is not None:
        write_json(out, figures)
    if json_output:
        typer.echo(json.dumps(figures, ensure_ascii=False, allow_nan=False))
    else:
        _show(figures)


def _show(figures: dict[str, Any]) -> None:
    from rich.table import Table

    kind = "synthetic faces" if figures["synthetic"] else "faces"
    console = table_console()
    console.print(
        f"{figures['model']} on {figures['dataset']}, {figures['split']}: {figures['n']:,} {kind} of "
        f"{figures['people']:,} people"
    )
    table = Table("", "value", "95 % interval over people", box=None, header_style="bold")
    for key, title in (("accuracy", "accuracy"), ("f1", "F1"), ("auc", "AUC")):
        if figures.get(key) is not None:
            table.add_row(title, f"{figures[key]:.4f}", _interval(figures[f"{key}_ci95"]))
    for level, each in figures.get("triplets", {}).items():
        agreement = "" if level == "all" else f", agreement {level}"
        table.add_row(f"satisfied triplets{agreement}", f"{each['share']:.4f}", _interval(each["ci95"]))
    console.print(table)


def _interval(ends: list[float] | None) -> str:
    return "–" if ends is None else f"{ends[0]:.4f}–{ends[1]:.4f}"
