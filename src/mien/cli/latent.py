"""`mien latent`: pictures of what a trained autoencoder over landmarks has learned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.extras import require
from mien.errors import DataError


def latent(
    run: Annotated[
        Path, typer.Argument(readable=False, help="A run folder of system E, or its model.safetensors.")
    ],
    what: Annotated[
        str, typer.Argument(help="grid, traverse, interpolate, transfer, reconstruct, maps or space.")
    ],
    *,
    data: Annotated[
        Path, typer.Option(help="The dataset of landmarks that people and faces are taken from.")
    ],
    split: Annotated[
        str | None,
        typer.Option(help="training, public, private or unseen; else private where there is one."),
    ] = None,
    person: Annotated[str | None, typer.Option(help="Whose face; else the first person's.")] = None,
    first: Annotated[
        str, typer.Option("--from", metavar="EMOTION", help="Where interpolation begins; what transfers.")
    ] = "happy",
    last: Annotated[str, typer.Option("--to", metavar="EMOTION", help="Where interpolation ends.")] = "sad",
    other: Annotated[
        str | None, typer.Option("--with", metavar="PERSON", help="Whose neutral face an expression goes to.")
    ] = None,
    dims: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="Latent dimensions, from 1; of a grid across and up; else those that say most.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="A .png; of what moves also .gif or .webp.", show_default="WHAT.png"
        ),
    ] = None,
) -> None:
    """Draw faces out of a latent space: generated, reconstructed, between two expressions, on another person.

    Example: mien latent runs/model-3 grid --data faces/ --dims 16,2 --out grid.png

    From one expression to another: mien latent runs/model-3 interpolate --data faces/ --out moving.gif
    """
    require("analysis")
    require("train")
    from mien.cli.progress import busy
    from mien.data import landmarks
    from mien.experiments.landmark_runs import load
    from mien.report.latent_pictures import Wanted, write_picture

    wanted = Wanted(person, other, first, last, _dimensions(dims))
    file = out or Path(f"{what}.png")
    generator = load(run)
    with busy(f"reading {data}"):
        faces = landmarks.read(data).faces
    chosen = split or ("private" if "private" in faces.splits_held else faces.splits_held[-1])
    with busy(f"drawing {what}"):
        write_picture(what, generator, faces.split(chosen), wanted, file)
    typer.echo(f"written: {file}")


def _dimensions(text: str | None) -> tuple[int, ...]:
    """Numbers from 1 as the command line has them, from 0."""
    if text is None:
        return ()
    try:
        numbers = tuple(int(part) - 1 for part in text.split(","))
    except ValueError as error:
        raise DataError(f"--dims {text!r}: expected numbers of latent dimensions, such as 16,2") from error
    if min(numbers) < 0:
        raise DataError(f"--dims {text!r}: expected numbers from 1")
    return numbers
