"""`mien predict`: the expressions in pictures."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from mien.errors import ImageError, MienError

if TYPE_CHECKING:
    from mien.faces import Prediction


class _File(NamedTuple):
    """A file to read, its path relative to the folder that was named, and whether it was named itself."""

    path: Path
    name: Path
    named: bool


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

    A reading with a question mark is unsure: its calibrated confidence lies below the network's threshold.
    """
    from mien.inference.images import read_picture
    from mien.inference.lookup import DEFAULT_MODEL
    from mien.inference.predictor import Predictor
    from mien.inference.sinks import CsvTable, Gallery, JsonArray

    predictor = Predictor(model or DEFAULT_MODEL, detector)
    files, named_failures, failures = _find(sources, out)
    found: list[Prediction] = []
    pictures = 0
    with contextlib.ExitStack() as stack:
        sinks: list[Any] = []
        if as_json:
            sinks.append(stack.enter_context(JsonArray(sys.stdout)))
        if csv:
            sinks.append(stack.enter_context(CsvTable(csv, predictor.labels)))
        gallery = Gallery(out, (file.path for file in files)) if out else None
        for file in _with_progress(files):
            try:
                image = read_picture(file.path)
            except ImageError as error:
                _report(error)
                failures += 1
                named_failures += file.named
                continue
            pictures += 1
            predictions = predictor.predict(image, crop, str(file.path))
            for sink in sinks:
                sink.write(predictions)
            if not sinks:
                found += predictions
            if gallery:
                gallery.save(file.name, image, predictions)
        if named_failures and not pictures:
            raise typer.Exit(2)
    if not sinks:
        _show(found, pictures)
    _remark(pictures, csv, out, hint=not (crop or detector or as_json))
    if failures:
        raise typer.Exit(1)


def _find(sources: list[Path], out: Path | None) -> tuple[list[_File], int, int]:
    """The files of all sources, each once; how many named sources cannot be read; how many places in all."""
    from mien.inference.images import find_pictures

    files: dict[Path, _File] = {}
    named_failures = failures = 0
    for source in sources:
        try:
            paths, unreadable = find_pictures(source, outside=out)
        except ImageError as error:
            _report(error)
            named_failures += 1
            failures += 1
            continue
        for problem in unreadable:
            _report(problem)
        failures += len(unreadable)
        for path in paths:
            named = path == source
            name = Path(path.name) if named else path.relative_to(source)
            files.setdefault(path.resolve(), _File(path, name, named))
    return list(files.values()), named_failures, failures


def _with_progress(files: list[_File]) -> Iterator[_File]:
    """The files, with a bar on standard error where that is a terminal and there is more than one."""
    if len(files) < 2 or not sys.stderr.isatty():
        yield from files
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(files)


def _report(error: MienError) -> None:
    print(f"mien: {' '.join(str(error).split())}", file=sys.stderr)


def _show(found: list[Prediction], pictures: int) -> None:
    """The table on standard output; where there is no face, a line that says so."""
    if not found:
        print(f"no face in {pictures} picture{'s' * (pictures != 1)}")
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
            # A name that is no UTF-8 cannot be printed as it is.
            Text(each.source.encode("utf-8", "replace").decode()),
            str(each.face),
            " ".join(map(str, each.box)),
            Text(each.label + "?" * each.unsure, style="dim" if each.unsure else "bold"),
            f"{each.confidence:.0%}",
            Text(f"{ranked[1][0]} {ranked[1][1]:.0%}" if len(ranked) > 1 else ""),
        )
    Console().print(table)


def _remark(pictures: int, csv: Path | None, out: Path | None, hint: bool) -> None:
    """Where files went, and that a better detector may be had: for people, on standard error."""
    from mien.inference.detectors import DETECTORS, available

    if csv:
        print(f"wrote {csv}", file=sys.stderr)
    if out:
        print(f"wrote {pictures} annotated picture{'s' * (pictures != 1)} to {out}", file=sys.stderr)
    preferred = next(iter(DETECTORS.values()))
    if hint and preferred.name not in available() and sys.stderr.isatty():
        print(
            f"faces were found with {available()[0]}; {preferred.name} finds more and invents fewer:"
            f" 'mien fetch {preferred.fetchable}'",
            file=sys.stderr,
        )
