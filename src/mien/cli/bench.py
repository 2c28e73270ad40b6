"""`mien bench`: how fast, and what share of what the machine can do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.extras import require
from mien.cli.tables import table_console

if TYPE_CHECKING:
    from rich.table import Table


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(help="Networks or recipes; none: every network.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Faces a training step; default: the recipe's, or 50.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="32-true or bf16-mixed; default: the recipe's, or 32-true.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time for each measurement.")] = 3.0,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure training and inference speed of the networks on this machine.

    A recipe is measured as it trains: its batch size, augmentation, loss and precision. For networks that map
    faces, also what the loss over all pairs saves: one step on 504 faces and their 126,756 pairs against two
    forward passes a pair. siamese_alexnet takes minutes for that, and 9 GB of memory. For autoencoders on
    landmarks, such as e/model-2: iterations a second, and how much longer a whole one takes than its matrix
    products alone.

    Example: mien bench conv_net a/bkvgg12
    """
    require("train")
    from rich.console import Console
    from rich.table import Table

    from mien.bench import measure, subject
    from mien.models import architectures

    chosen = [subject(name, batch_size=batch_size, precision=precision) for name in names or architectures()]
    errors = Console(stderr=True)
    found = measure(chosen, seconds=seconds, note=lambda line: errors.print(line, style="dim"))
    if json_output:
        typer.echo(json.dumps(found))
        return
    table = Table(
        "network", "Mmult-adds", "precision", "batch", "train images/s", "of matrix rate",
        "outside the network", "inference images/s", "Eval2 faces/min", box=None, header_style="bold",
    )  # fmt: skip
    for each in found["networks"]:
        inference = ", ".join(f"{rate:,.0f} at {batch}" for batch, rate in each["inference_images_s"].items())
        table.add_row(
            each["subject"],
            f"{each['multiply_adds'] / 1e6:.1f}",
            each["precision"],
            str(each["batch_size"]),
            f"{each['train_images_s']:,.0f}",
            f"{each['share_of_matrix_rate']:.0%}",
            f"{each['share_outside_network']:.1%}",
            inference,
            "–" if each["eval2_faces_min"] is None else f"{each['eval2_faces_min']:,.0f}",
        )
    console = table_console()
    rates = found["matrix_rate_gflop_s"]
    console.print(
        f"{found['machine']['processor']}, {found['machine']['threads']} threads, "
        + ", ".join(f"matrix product {rate} GFLOP/s in {name}" for name, rate in rates.items())
    )
    if found["networks"]:
        console.print(table)
    if found["landmarks"]:
        console.print(_of_landmarks(found["landmarks"]))
        console.print(
            "products: of the layers as they are drawn; an iteration computes what the decoder makes of a "
            "neutral face once, not for each sample",
            style="dim",
        )
    for each in found["networks"]:
        if each["pairs"] is not None:
            console.print(_saving(each["subject"], each["pairs"]))
    console.print(found["formula"], style="dim")


def _of_landmarks(speeds: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table(
        "recipe", "precision", "batch", "iterations/s", "ms/iteration", "its matrix products, ms", "ratio",
        box=None, header_style="bold",
    )  # fmt: skip
    for each in speeds:
        table.add_row(
            each["subject"],
            each["precision"],
            str(each["batch_size"]),
            f"{each['iterations_s']:,.0f}",
            f"{1000 * each['step_s']:.2f}",
            f"{1000 * each['products_s']:.2f}",
            f"{each['ratio']:.2f}",
        )
    return table


def _saving(name: str, pairs: dict[str, Any]) -> str:
    """What the loss over all pairs saves, in a sentence."""
    return (
        f"{name} pairs: {pairs['ratio']:,.0f} times the two-passes-a-pair loop: {pairs['images']} faces with "
        f"all {pairs['pairs']:,} pairs in {pairs['all_pairs_s']:,.2f} s against "
        f"{pairs['two_passes_s']:,.0f} s, scaled from {pairs['measured_pairs']:,} pairs measured in "
        f"mini-batches of {pairs['pairs_a_step']}"
    )
