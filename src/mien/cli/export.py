"""`mien export`: a network for other programs, in 32 or 16 bits or in whole numbers of 8."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.extras import require
from mien.errors import DataError, ModelError, hint
from mien.labels import EXPORTED_WEIGHTS

if TYPE_CHECKING:
    from mien.experiments.conversion import Converted

_FORMATS = ("onnx",)


def export(
    model: Annotated[str, typer.Argument(help="A network's name, an .onnx file or a run folder.")],
    *,
    out: Annotated[Path, typer.Option(help="The file to write; its card is written beside it as .json.")],
    file_format: Annotated[str, typer.Option("--format", help="onnx, the one that there is.")] = "onnx",
    weights: Annotated[
        str,
        typer.Option(
            help="float32; float16: half the file, computed with in 32 bits; int8: a quarter of the file, "
            "and faster where the processor multiplies whole numbers."
        ),
    ] = "float32",
    data: Annotated[
        Path | None,
        typer.Option(
            help="FER-2013 or the like, in any format that mien data reads: its training split calibrates "
            "int8, and on its public split the new file is measured."
        ),
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the new card as JSON.")] = False,
) -> None:
    """Write a network as one file: raw pixels in, calibrated probabilities out, and its card beside it.

    Normalisation, calibration and labels are in the file: see ARCHITECTURE, 'The exported network'.

    Example: mien export mien_s --weights int8 --data fer2013.csv --out mien_s_int8.onnx
    """
    if file_format not in _FORMATS:
        raise ModelError(f"unknown format {file_format!r}: {hint(file_format, _FORMATS)}")
    if weights not in EXPORTED_WEIGHTS:
        raise ModelError(f"unknown weights {weights!r}: {hint(weights, EXPORTED_WEIGHTS)}")
    if weights == "int8" and data is None:
        raise DataError("int8 is calibrated on training faces: name a dataset with --data")
    if out.suffix != ".onnx":
        raise ModelError(f"--out {out}: expected a name that ends in .onnx")
    require("train")
    from mien import data as datasets
    from mien.experiments.conversion import converted
    from mien.inference.lookup import find_model

    source = find_model(model)
    faces = None if data is None else datasets.read(data)
    command = shlex.join(["mien", *sys.argv[1:]])
    written = converted(source, out, weights, faces, command)
    if json_output:
        typer.echo(json.dumps(written.card, ensure_ascii=False))
    else:
        _show(written, source)


def _show(written: Converted, source: Path) -> None:
    share = written.card["bytes"] / source.stat().st_size
    typer.echo(f"{written.path}: {written.card['bytes'] / 1e6:.2f} MB, {share:.0%} of {source.name}")
    if written.difference is None:
        typer.echo("not measured: name a dataset with --data")
        return
    found = written.card["figures"]["public"]
    low, high = (100 * end for end in found["accuracy_ci95"])
    apart = written.difference
    least, most = (100 * end for end in apart.ci95)
    typer.echo(
        f"accuracy on public {100 * found['accuracy']:.2f} % ({low:.2f}–{high:.2f}); "
        f"{100 * apart.difference:+.2f} points ({least:+.2f} to {most:+.2f}) beside {source.name}, "
        f"{apart.gained:.0f} faces gained and {apart.lost:.0f} lost of {apart.n:,}"
    )
