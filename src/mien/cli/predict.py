"""`mien predict`: the expressions in pictures."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.pictures import Pictures, no_face, printable, suggest_detector

if TYPE_CHECKING:
    from mien.faces import Prediction


def predict(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SRC…", readable=False, help="Pictures, and folders of pictures.")
    ],
    *,
    model: Annotated[
        str | None,
        typer.Option(help="A shipped network's name, an .onnx file, or a run folder; see 'mien models'."),
    ] = None,
    crop: Annotated[bool, typer.Option("--crop", help="Each picture is a face already.")] = False,
    detector: Annotated[
        str | None, typer.Option(help="blazeface or haar; by default blazeface where it was fetched.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Write annotated pictures there.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array, one object a face.")] = False,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write one row a face.")] = None,
) -> None:
    """Read the expression of every face in pictures.

    Example: mien predict photo.jpg holiday/ --out annotated

    'happy or surprise' is unsure: it could be any of these. So is a reading with a question mark.
    """
    from mien.inference.lookup import DEFAULT_MODEL
    from mien.inference.predictor import Predictor
    from mien.inference.sinks import CsvTable, Gallery, JsonArray

    predictor = Predictor(model or DEFAULT_MODEL, detector)
    pictures = Pictures(sources, outside=out)
    found: list[Prediction] = []
    with contextlib.ExitStack() as stack:
        sinks: list[Any] = []
        if as_json:
            sinks.append(stack.enter_context(JsonArray(sys.stdout)))
        if csv:
            sinks.append(stack.enter_context(CsvTable(csv, predictor.labels)))
        gallery = Gallery(out, (file.path for file in pictures.files)) if out else None
        for file, image in pictures:
            predictions = predictor.predict(image, crop, str(file.path))
            for sink in sinks:
                sink.write(predictions)
            if not sinks:
                found += predictions
            if gallery:
                gallery.save(file.name, image, predictions)
        if pictures.refused:
            raise typer.Exit(2)
    if not sinks:
        _show(found, pictures.read)
    if csv:
        print(f"wrote {csv}", file=sys.stderr)
    if out:
        told = f"{pictures.read} annotated picture{'s' * (pictures.read != 1)}"
        print(f"wrote {told} to {out}", file=sys.stderr)
    if not (crop or detector or as_json):
        suggest_detector()
    if pictures.failures:
        raise typer.Exit(1)


def _show(found: list[Prediction], pictures: int) -> None:
    """The table on standard output; where there is no face, a line that says so."""
    if not found:
        print(no_face(pictures))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("picture", overflow="fold")
    table.add_column("face", justify="right")
    table.add_column("box x y w h", overflow="fold")
    table.add_column("expression")
    table.add_column("confidence", justify="right")
    table.add_column("next")
    for each in found:
        ranked = sorted(each.emotions.items(), key=lambda pair: -pair[1])
        table.add_row(
            Text(printable(each.source)),
            str(each.face),
            " ".join(map(str, each.box)),
            Text(each.words, style="dim" if each.unsure else "bold"),
            f"{each.confidence:.0%}",
            Text(f"{ranked[1][0]} {ranked[1][1]:.0%}" if len(ranked) > 1 else ""),
        )
    Console().print(table)
