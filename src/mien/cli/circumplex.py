"""`mien circumplex`: the map of emotions that people, a network or a table of confusions implies."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.extras import require
from mien.errors import DataError

if TYPE_CHECKING:
    from rich.table import Table

    from mien.evaluation.maps.responses import Source
    from mien.inference.map_files import Content
    from mien.report.circumplex_words import Part

_PEOPLE = "votes"
"""What `--against` takes for people's answers to the faces of SOURCE."""


def circumplex(
    source: Annotated[
        Path,
        typer.Argument(
            help="A dataset of faces with FER+ votes, or any with --model; a confusion matrix as CSV "
            "(emotions in its first row and column, rows the truth) or JSON (labels, confusion; also what "
            "mien evaluate --json prints, or a ledger entry); labelled points as JSON (labels, points), CSV "
            "(label, x, y, …) or on a network's card."
        ),
    ],
    *,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="A second source to compare with, of any of these kinds; 'votes': people's votes on the "
            "very faces that --model was shown.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Show SOURCE's faces to this network (a name, an .onnx file or a run folder): a "
            "classifier's probabilities are mapped as votes are, a siamese network's points by their "
            "centroids."
        ),
    ] = None,
    against_model: Annotated[
        str | None,
        typer.Option(
            help="The same for the faces of --against, or for those of SOURCE where that is not given."
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="training, public or private; else all faces of SOURCE.")
    ] = None,
    against_split: Annotated[str | None, typer.Option(help="The same for --against.")] = None,
    emotions: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…", help="Which emotions; else those of the six basic ones that SOURCE has."
        ),
    ] = None,
    measure: Annotated[
        str,
        typer.Option(
            help="How two emotions are compared: euclidean, correlation, cosine, hellinger or confusion; "
            "the last two need answers, not points."
        ),
    ] = "euclidean",
    expected: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="The order to compare with, round the circle.",
            show_default="happy,surprise,fear,sad,angry,disgust",
        ),
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="How often faces are drawn anew; 0: not at all.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of these draws.")] = 0,
    skip_bad: Annotated[
        bool, typer.Option(help="Leave out rows that are wrong instead of stopping.")
    ] = False,
    without_copies: Annotated[
        bool, typer.Option("--without-copies", help="Leave out pixel copies of training faces, and repeats.")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw the map into this file.")] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write all of it as one self-contained page.")
    ] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Map emotions by who confuses them: MDS, the circular order, and how far to trust it.

    People's own map: mien circumplex fer2013.parquet --split public

    Two networks on the same faces: mien circumplex faces/ --model siamese_conv --against-model conv_net

    A classifier's map on PublicTest against people's votes for the same faces:

    Example: mien circumplex fer2013.parquet --split public --model conv_net --against votes
    """
    require("analysis")
    _check_endings(out, report)
    from mien.inference.map_sources import emotion_names

    wanted = None if emotions is None else emotion_names(emotions)
    order = None if expected is None else emotion_names(expected)
    asked = _Named(source, split, model, skip_bad, without_copies)
    first = _open(asked)
    second = _second(first, replace(asked, model=None), against, against_split, against_model)
    ours, theirs = _made(first, second, wanted)
    found = _analysed(ours, theirs, order, measure=measure, resamples=bootstrap, seed=seed)
    _write(found, out, report)
    if json_output:
        import json

        typer.echo(json.dumps(found, ensure_ascii=False, allow_nan=False))
    else:
        _show(found, [path for path in (out, report) if path is not None])


@dataclass(frozen=True)
class _Named:
    """What the command line says of one source."""

    path: Path
    split: str | None
    model: str | None
    skip_bad: bool
    without_copies: bool


def _check_endings(out: Path | None, report: Path | None) -> None:
    for path, ending in ((out, ".png"), (report, ".html")):
        if path is not None and path.suffix.lower() != ending:
            raise DataError(f"{path.name!r}: expected a name that ends in {ending}")


def _open(named: _Named) -> Content:
    """A source before emotions are chosen: a file as it is, or a dataset with who answers to its faces."""
    from mien.cli.progress import busy
    from mien.inference import map_files, map_sources

    if not map_sources.is_dataset(named.path):
        if named.model is not None:
            raise DataError(f"{named.path} is no dataset of faces: {named.model} has nothing to be shown")
        return map_files.open_source(named.path, named.split)
    with busy(f"reading {named.path}"):
        content = map_sources.open_dataset(
            named.path,
            named.split,
            named.model,
            skip_bad=named.skip_bad,
            without_copies=named.without_copies,
        )
    skipped = content.faces.skipped
    if skipped:
        typer.echo(f"mien: left out {len(skipped)} bad rows, the first: {skipped[0]}", err=True)
    return content


def _second(
    first: Content, source: _Named, against: str | None, split: str | None, model: str | None
) -> Content | None:
    """What `--against` and its options name: people and the first source's faces, a file, another network."""
    from mien.inference.map_sources import Shown, Voted

    if against == _PEOPLE:
        if not isinstance(first, Shown):
            raise DataError("--against votes sets people beside a network: name the network with --model")
        if split is not None or model is not None:
            raise DataError(
                "--against votes is of SOURCE's own faces: it takes no other split and no network"
            )
        return Voted(first.faces)
    if against is not None:
        return _open(replace(source, path=Path(against), split=split, model=model))
    if model is not None:
        return _open(replace(source, split=split or source.split, model=model))
    if split is not None:
        return _open(replace(source, split=split))
    return None


def _made(
    first: Content, second: Content | None, wanted: tuple[str, ...] | None
) -> tuple[Source, Source | None]:
    """Both sources for the statistics; a network and the votes on its faces are given the very same ones."""
    from mien.inference.map_sources import Shown, Voted, with_votes

    chosen = _chosen(first, wanted)
    if second is None:
        return _shown(first, chosen), None
    if isinstance(first, Shown) and isinstance(second, Voted) and second.faces is first.faces:
        faces = with_votes(first.faces, chosen)
        first, second = replace(first, faces=faces), replace(second, faces=faces)
    return _shown(first, chosen), _shown(second, _chosen(second, wanted))


def _chosen(content: Content, wanted: tuple[str, ...] | None) -> tuple[str, ...]:
    chosen = content.emotions if wanted is None else wanted
    if not chosen:
        raise DataError(f"{content.name} has none of the six emotions: choose some with --emotions")
    return chosen


def _shown(content: Content, chosen: tuple[str, ...]) -> Source:
    from mien.cli.progress import faces_done
    from mien.inference.map_sources import Shown

    if not isinstance(content, Shown):
        return content.make(chosen)
    with faces_done(f"showing faces to {content.network}") as progress:
        return replace(content, progress=progress).make(chosen)


def _analysed(
    ours: Source, theirs: Source | None, order: tuple[str, ...] | None, **options: Any
) -> dict[str, Any]:
    from mien.cli.progress import busy
    from mien.evaluation.maps.circumplex import EXPECTED, analyse

    if order is not None and (missing := [name for name in ours.emotions if name not in order]):
        raise DataError(f"--expected lacks {', '.join(missing)}: expected an order of all emotions at hand")
    with busy("mapping"):
        return analyse(ours, expected=order or EXPECTED, against=theirs, **options).to_dict()


def _write(found: dict[str, Any], out: Path | None, report: Path | None) -> None:
    if out is not None:
        from mien import storage
        from mien.report import map_figures, style

        with storage.atomic(out) as temporary:
            temporary.write_bytes(style.png(map_figures.circumplex(found)))
    if report is not None:
        from mien.report.circumplex_page import write_page

        write_page(report, found, shlex.join(["mien", *sys.argv[1:]]))


def _show(found: dict[str, Any], written: list[Path]) -> None:
    from rich.console import Console

    from mien.report.circumplex_words import parts

    console = Console(highlight=False)
    for part in parts(found):
        console.print(part.heading, style="bold", markup=False)
        for sentence in (*part.sentences, part.caption):
            if sentence:
                console.print(sentence, markup=False)
        console.print(_table(part) if part.rows else "")
    for path in written:
        console.print(f"written: {path}", markup=False, soft_wrap=True)


def _table(part: Part) -> Table:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True)
    for number, head in enumerate(part.heads):
        table.add_column(head, justify="right" if number else "left")
    for row in part.rows:
        table.add_row(*map(escape, row))
    return table
