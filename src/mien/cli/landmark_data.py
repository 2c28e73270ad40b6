"""What `mien data` does with landmarks instead of pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.errors import DataError

if TYPE_CHECKING:
    from rich.table import Table

    from mien.data.landmarks import LandmarkSet

_SHOWN_BAD = 20


def refuse_options_of_pictures(**options: object) -> None:
    """Raises: DataError when one of the options, by their names in Python, is given with landmarks."""
    for option, value in options.items():
        name = "--" + option.replace("_", "-")
        if value is not None:
            raise DataError(f"{name} {value}: it is for pictures, and these are landmarks; leave it out")


def check_landmarks(source: Path, *, split_seed: int, as_json: bool) -> None:
    """Prints what a dataset of landmarks holds and everything that is wrong with it.

    Raises: Exit with 1 where anything is wrong; DataError where it cannot be read at all.
    """
    from mien.cli.progress import busy
    from mien.data.landmarks import read
    from mien.data.landmarks.counts import counts

    with busy(f"reading {source}"):
        dataset = read(source, skip_bad=True, split_seed=split_seed)
    counted = counts(dataset.faces)
    if as_json:
        typer.echo(json.dumps(_described(source, dataset) | counted, indent=2))
    else:
        _print_all(source, dataset, counted)
    if dataset.skipped:
        raise typer.Exit(1)


def convert_landmarks(
    source: Path, target: Path, *, force: bool, skip_bad: bool, split_seed: int, as_json: bool
) -> None:
    """Writes a dataset of landmarks as ours: one .parquet file, or a folder with faces and triplets.

    Raises: DataError where the target is there already and not to be replaced, or ends as neither does.
    """
    from mien.cli.progress import busy
    from mien.data.landmarks import FACES, read, write, write_parquet

    one_file = target.suffix.lower() == ".parquet"
    if not one_file and target.suffix:
        raise DataError(f"{target.name!r}: expected a name that ends in .parquet, or that of a folder")
    if target.exists() and one_file == target.is_dir():
        kind = "a folder" if target.is_dir() else "a file"
        raise DataError(f"{target} is {kind}, which cannot be replaced so: choose another name")
    if (target if one_file else target / FACES).exists() and not force:
        raise DataError(f"{target} exists: choose another name, or --force to replace it")
    with busy(f"reading {source}"):
        dataset = read(source, skip_bad=skip_bad, split_seed=split_seed)
    with busy(f"writing {target}"):
        if one_file:
            write_parquet(dataset.faces, target)
        else:
            write(dataset, target)
    for line in dataset.faces.left_out:
        typer.echo(f"mien: {line}", err=True)
    lost = ["triplets"] if one_file and dataset.triplets is not None else []
    if as_json:
        typer.echo(
            json.dumps(_described(source, dataset) | {"target": str(target), "not_kept": lost}, indent=2)
        )
        return
    typer.echo(f"{len(dataset.faces):,} faces of {len(dataset.faces.people)} people written to {target}")
    if lost:
        typer.echo("triplets are not kept by one file: name a folder to keep them")


def _described(source: Path, dataset: LandmarkSet) -> dict[str, Any]:
    from mien.data.landmarks import detect

    known = detect(source)
    return {
        "source": str(source),
        "format": None if known is None else known.name,
        "n": len(dataset.faces),
        "triplets": None if dataset.triplets is None else len(dataset.triplets),
        "skipped": list(dataset.skipped),
    }


def _print_all(source: Path, dataset: LandmarkSet, counted: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False)

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    kind = " · synthetic" if counted["synthetic"] else ""
    say(f"{source} · {counted['n']:,} faces of {counted['people']} people as landmarks{kind}")
    console.print(_people(counted))
    if counted["emotions"]:
        console.print(_emotions(counted))
    if counted["coded"]:
        console.print(_units(counted))
    if dataset.triplets is not None:
        say(f"{len(dataset.triplets):,} triplets")
    for line in counted["left_out"]:
        say(line)
    for line in dataset.skipped[:_SHOWN_BAD]:
        say(f"wrong: {line}")
    if len(dataset.skipped) > _SHOWN_BAD:
        say(f"… and {len(dataset.skipped) - _SHOWN_BAD:,} more; --json names them all")
    faults = "fault" if len(dataset.skipped) == 1 else "faults"
    say(f"{len(dataset.skipped) or 'no'} {faults}")


def _columns(counted: dict[str, Any]) -> dict[str, dict[str, Any]]:
    splits = counted["splits"]
    return {**splits, "all": counted} if len(splits) > 1 else dict(splits)


def _table(title: str, columns: dict[str, dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table(title)
    for name in columns:
        table.add_column(name, justify="right")
    return table


def _people(counted: dict[str, Any]) -> Table:
    columns = _columns(counted)
    table = _table("", columns)
    rows = {"people": "people", "faces": "n", "neutral face known": "with_neutral"}
    if counted["frames"]:
        rows |= {"recordings": "recordings", "all action units coded": "coded"}
    for title, name in rows.items():
        table.add_row(title, *(f"{part[name]:,}" for part in columns.values()))
    return table


def _emotions(counted: dict[str, Any]) -> Table:
    """Each emotion, and below it each degree where degrees are known: it fits the narrowest terminal."""
    columns = _columns(counted)
    table = _table("faces", columns)
    for name, degrees in counted["emotions"].items():
        held = [part["emotions"].get(name, {}) for part in columns.values()]
        table.add_row(name, *(f"{sum(each.values()):,}" for each in held))
        for degree in degrees if list(degrees) != ["0"] else ():
            table.add_row(f"  degree {degree}", *(f"{each.get(degree, 0):,}" for each in held))
    return table


def _units(counted: dict[str, Any]) -> Table:
    columns = _columns(counted)
    table = _table("share present", columns)
    for name in counted["units"]:
        shares = [part["units"].get(name) for part in columns.values()]
        table.add_row(name, *("–" if share is None else f"{share:.3f}" for share in shares))
    return table
