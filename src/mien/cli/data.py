"""`mien data`: datasets converted, shown and checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.data_tables import counts_table, findings_table, pairs_line, pairs_table, votes_table
from mien.cli.facekit import facekit
from mien.errors import DataError
from mien.labels import SPLITS

if TYPE_CHECKING:
    from rich.table import Table

    from mien.data.pairs import PairCounts
    from mien.faces import FaceBatch

data = typer.Typer(
    name="data",
    help="Datasets of faces: convert, show, check. FER-2013's CSV, parquet, HDF5, folders of pictures, "
    "NimStim, KDEF; landmarks: our parquet, BU-3DFE, BP4D.",
    no_args_is_help=True,
)
data.add_typer(facekit)

_SHOWN_BAD_ROWS = 20

SOURCE = typer.Argument(..., metavar="PATH", help="A dataset: CSV, parquet, HDF5, or a folder.")
SKIP_BAD = typer.Option(False, "--skip-bad", help="Leave out rows that are wrong, and say how many.")
ASSUME_SPLIT = typer.Option(
    None,
    "--assume-split",
    metavar="SPLIT",
    help=f"Split of faces that do not tell theirs: {', '.join(SPLITS)}.",
)
SIZE = typer.Option(None, "--size", min=1, help="Read every face as a grey square of this side, in pixels.")
SPLIT_SEED = typer.Option(
    0, "--split-seed", min=0, help="Draws the splits of data that names subjects and no splits."
)
AS_JSON = typer.Option(False, "--json", help="JSON alone on standard output.")


def _print(*things: str | Table) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for thing in things:
        if isinstance(thing, str):
            # Unwrapped, so that a line about a row stays one line wherever it is sent.
            console.print(thing, markup=False, soft_wrap=True)
        else:
            console.print(thing)


def _say_skipped(batch: FaceBatch) -> None:
    """Lines on standard error where rows or pictures were left out."""
    for line in batch.left_out:
        typer.echo(f"mien: {line}", err=True)
    if batch.skipped:
        typer.echo(f"mien: left out {len(batch.skipped)} bad rows, the first: {batch.skipped[0]}", err=True)


@data.command()
def convert(
    source: Path = SOURCE,
    target: Path = typer.Argument(..., metavar="DST", help="The file or folder to write."),
    *,
    format: str = typer.Option(
        None, "--format", "-f", help="csv, parquet, hdf5 or folder; else by DST's ending."
    ),
    force: bool = typer.Option(False, "--force", help="Replace DST where it exists."),
    skip_bad: bool = SKIP_BAD,
    assume_split: str = ASSUME_SPLIT,
    size: int = SIZE,
    split_seed: int = SPLIT_SEED,
    as_json: bool = AS_JSON,
) -> None:
    """Convert a dataset from any format to any other, whole or not at all; landmarks to our parquet.

    Example: mien data convert fer2013.csv fer2013.parquet
    """
    from mien.cli.progress import busy
    from mien.data import WRITABLE, format_of_name, read, write
    from mien.data.landmarks import detect as landmarks_at

    if landmarks_at(source) is not None:
        from mien.cli.landmark_data import convert_landmarks, refuse_options_of_pictures

        refuse_options_of_pictures(size=size, assume_split=assume_split, format=format)
        convert_landmarks(
            source, target, force=force, skip_bad=skip_bad, split_seed=split_seed, as_json=as_json
        )
        return
    chosen = format or format_of_name(target)
    if chosen not in WRITABLE:
        raise DataError(f"unknown format {chosen!r}: expected one of {', '.join(WRITABLE)}")
    if target.exists():
        if not force:
            raise DataError(f"{target} exists: choose another name, or --force to replace it")
        if target.is_dir() != ("" in WRITABLE[chosen].suffixes):
            kind = "a folder" if target.is_dir() else "a file"
            raise DataError(f"{target} is {kind}, which {chosen} cannot replace: choose another name")
    with busy(f"reading {source}"):
        batch = read(source, skip_bad=skip_bad, assume_split=assume_split, size=size, split_seed=split_seed)
    with busy(f"writing {target}"):
        write(batch, target, chosen)
    _say_skipped(batch)
    held = {"votes": bool(batch.has_votes.any()), "subjects": batch.subjects is not None}
    lost = [name for name, there in held.items() if there and name not in WRITABLE[chosen].keeps]
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "source": str(source),
                    "target": str(target),
                    "format": chosen,
                    "n": len(batch),
                    "skipped": list(batch.skipped),
                    "not_kept": lost,
                },
                indent=2,
            )
        )
        return
    _print(f"{len(batch):,} faces written to {target} ({chosen})")
    if lost:
        _print(f"{' and '.join(lost)} are not kept by {chosen}: parquet and hdf5 keep them")


@data.command()
def show(
    source: Path = SOURCE,
    *,
    split: str = typer.Option(None, "--split", help=f"Only one split: {', '.join(SPLITS)}."),
    out: Path = typer.Option(None, "--out", "-o", help="Draw a sample sheet into this picture file."),
    per_emotion: int = typer.Option(
        10, "--per-emotion", min=1, max=100, help="Faces of each emotion on the sheet."
    ),
    seed: int = typer.Option(0, "--seed", min=0, help="Which faces are drawn."),
    pairs: bool = typer.Option(False, "--pairs", help="Count the pairs of the six emotions' faces."),
    skip_bad: bool = SKIP_BAD,
    assume_split: str = ASSUME_SPLIT,
    size: int = SIZE,
    split_seed: int = SPLIT_SEED,
    as_json: bool = AS_JSON,
) -> None:
    """Show how many faces each split and emotion has, and a sample sheet of them.

    Example: mien data show fer2013.csv --out sheet.png
    """
    from mien.cli.progress import busy
    from mien.data import detect, read
    from mien.data.counts import counts
    from mien.data.landmarks import detect as landmarks_at
    from mien.data.pairs import pairs_by_split, pairs_of

    if landmarks_at(source) is not None:
        raise DataError(f"{source} holds landmarks: expected pictures; mien data check counts landmarks")
    with busy(f"reading {source}"):
        batch = read(source, skip_bad=skip_bad, assume_split=assume_split, size=size, split_seed=split_seed)
    if split is not None:
        batch = batch.split(split)
    paired = {"all splits": pairs_of(batch), **pairs_by_split(batch)} if pairs else {}
    if out is not None:
        from mien.data.sheet import write_sheet

        write_sheet(batch, out, per_emotion, seed)
    _say_skipped(batch)
    result = {
        "source": str(source),
        "format": detect(source)[0].name,
        **counts(batch),
        "pairs": _pairs(paired) if pairs else None,
        "skipped": list(batch.skipped),
        "left_out": list(batch.left_out),
        "sheet": None if out is None else str(out),
    }
    if as_json:
        typer.echo(json.dumps(result, indent=2))
        return
    height, width = batch.images.shape[1:]
    _print(f"{source} · {result['format']} · {len(batch):,} faces of {width}×{height}", counts_table(result))
    if any(part["with_votes"] for part in result["splits"].values()):
        _print(votes_table(result))
    for part, counted in paired.items():
        if part != "all splits" or len(result["splits"]) > 1:
            _print(f"pairs in {part}: {pairs_line(counted)}", pairs_table(counted))
    if out is not None:
        _print(f"sample sheet: {out}")


@data.command()
def check(
    source: Path = SOURCE,
    *,
    assume_split: str = ASSUME_SPLIT,
    size: int = SIZE,
    split_seed: int = SPLIT_SEED,
    as_json: bool = AS_JSON,
) -> None:
    """Check a dataset: bad rows by file and row, exact and near copies, copies of known sets, known leaks.

    Of landmarks: people and faces by split, emotion and degree, shares of action units, neutral faces.
    Every bad row is reported. The exit code is 1 where there are any, 0 where there are none.

    Example: mien data check fer2013.csv --json
    """
    from mien.cli.progress import busy, share_done
    from mien.data import detect, read
    from mien.data.audit import audit
    from mien.data.counts import counts
    from mien.data.landmarks import detect as landmarks_at

    if landmarks_at(source) is not None:
        from mien.cli.landmark_data import check_landmarks, refuse_options_of_pictures

        refuse_options_of_pictures(size=size, assume_split=assume_split)
        check_landmarks(source, split_seed=split_seed, as_json=as_json)
        return
    with busy(f"reading {source}"):
        batch = read(source, skip_bad=True, assume_split=assume_split, size=size, split_seed=split_seed)
    with share_done("looking for copies") as progress:
        found = audit(batch, progress)
    if as_json:
        result = {
            "source": str(source),
            "format": detect(source)[0].name,
            **counts(batch),
            "bad_rows": list(batch.skipped),
            "audit": found.to_dict(),
        }
        typer.echo(json.dumps(result, indent=2))
    else:
        _print(f"{source} · {len(batch):,} faces", counts_table(counts(batch)), findings_table(found))
        for rows in found.conflicts[:_SHOWN_BAD_ROWS]:
            _print(f"copies with different labels: rows {', '.join(map(str, rows))}")
        _print_rest(len(found.conflicts))
        for line in batch.skipped[:_SHOWN_BAD_ROWS]:
            _print(f"bad row: {line}")
        _print_rest(len(batch.skipped))
        _print(f"{len(batch.skipped):,} bad rows" if batch.skipped else "no bad rows")
    if batch.skipped:
        raise typer.Exit(1)


def _print_rest(count: int) -> None:
    if count > _SHOWN_BAD_ROWS:
        _print(f"… and {count - _SHOWN_BAD_ROWS:,} more; --json names them all")


@data.command()
def hashes(
    source: Path = SOURCE,
    *,
    split: str = typer.Option("training", "--split", help=f"Which split: {', '.join(SPLITS)}."),
    out: Path = typer.Option(..., "--out", "-o", help="The .npy file to write."),
    skip_bad: bool = SKIP_BAD,
    assume_split: str = ASSUME_SPLIT,
) -> None:
    """Write the hashes by which copies of a training set's faces are known without having it.

    Example: mien data hashes fer2013.csv --split training --out fer2013-training.npy
    """
    from mien.cli.progress import busy
    from mien.data import read
    from mien.data.known import write_hashes

    if out.suffix != ".npy":
        raise DataError(f"{out.name!r}: expected a name that ends in .npy")
    with busy(f"reading {source}"):
        batch = read(source, skip_bad=skip_bad, assume_split=assume_split).split(split)
    _say_skipped(batch)
    _print(f"{write_hashes(batch.images, out):,} hashes of {len(batch):,} {split} faces written to {out}")


@data.command()
def leaks(
    source: Path = SOURCE,
    *,
    out: Path = typer.Option(
        ..., "--out", "-o", help="The folder to write training.csv and public.csv into."
    ),
    as_json: bool = AS_JSON,
) -> None:
    """Find FER-2013's leaks anew: training faces to leave out, public faces that training holds.

    Pixel copies, and near copies by two methods: check's, and one that finds other crops and takes
    long: docs/leaks.md.

    Example: mien data leaks fer2013.parquet --out leaks
    """
    from mien.cli.progress import busy, share_done
    from mien.data import read
    from mien.data.leaks import find_leaks, write_list
    from mien.data.recrops import NARROW, WIDE, near_pairs

    with busy(f"reading {source}"):
        batch = read(source)
    training, public = batch.split("training"), batch.split("public")
    with share_done("training faces to leave out") as progress:
        left_out = near_pairs(public.images, training.images, NARROW, progress)[1]
    with share_done("public faces that training holds") as progress:
        measured = near_pairs(public.images, training.images, WIDE, progress)[0]
    found = find_leaks(training, public, left_out, measured)
    for split, listed in found.items():
        write_list(listed, out / f"{split}.csv")
    counts = {
        split: {reason: len(hashes) for reason, hashes in listed.items()} for split, listed in found.items()
    }
    if as_json:
        typer.echo(json.dumps({"source": str(source), "out": str(out), "hashes": counts}, indent=2))
        return
    for split, reasons in counts.items():
        named = ", ".join(f"{reason} {number:,}" for reason, number in reasons.items())
        _print(f"{out / f'{split}.csv'}: {sum(reasons.values()):,} hashes: {named}")


def _pairs(paired: dict[str, PairCounts]) -> dict[str, Any]:
    """Those of all faces, and of each split."""
    counted = {name: part.to_dict() for name, part in paired.items()}
    return {"all": counted.pop("all splits"), "splits": counted}
