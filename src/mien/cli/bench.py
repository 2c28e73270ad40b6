"""`mien bench`: how fast, and what share of what the machine can do."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from mien.cli.extras import require
from mien.cli.tables import table_console


def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Networks; none: every registered one.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Faces a training step.")] = 50,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time for each measurement.")] = 3.0,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure training and inference speed of the networks on this machine.

    Example: mien bench conv_net
    """
    require("train")
    from rich.console import Console
    from rich.table import Table

    from mien.bench import measure
    from mien.models import architecture, architectures

    chosen = [architecture(name).name for name in names or architectures()]
    errors = Console(stderr=True)
    found = measure(
        chosen, batch_size=batch_size, seconds=seconds, note=lambda line: errors.print(line, style="dim")
    )
    if json_output:
        typer.echo(json.dumps(found))
        return
    table = Table(
        "network", "Mmult-adds", "train images/s", "of matrix rate", "outside the network",
        "inference images/s", box=None, header_style="bold",
    )  # fmt: skip
    for each in found["networks"]:
        inference = ", ".join(f"{rate:,.0f} at {batch}" for batch, rate in each["inference_images_s"].items())
        table.add_row(
            each["network"],
            f"{each['multiply_adds'] / 1e6:.1f}",
            f"{each['train_images_s']:,.0f}",
            f"{each['share_of_matrix_rate']:.0%}",
            f"{each['share_outside_network']:.1%}",
            inference,
        )
    console = table_console()
    console.print(
        f"{found['machine']['processor']}, {found['machine']['threads']} threads, "
        f"matrix product {found['matrix_rate_gflop_s']} GFLOP/s"
    )
    console.print(table)
    console.print(found["formula"], style="dim")
