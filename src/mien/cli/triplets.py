"""`mien triplets`: which of two faces is more like a third, by rules, people, or a stand-in for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.errors import DataError

if TYPE_CHECKING:
    from rich.table import Table

    from mien.data.landmarks.triplet_selection import Selection
    from mien.data.landmarks.triplet_votes import Agreement
    from mien.landmarks import LandmarkBatch, Triplets

triplets = typer.Typer(
    name="triplets",
    help="Triplets of faces: is the first more like the second or the third? Made by rules, chosen for "
    "people to judge, simulated, made from FER+ votes, counted by agreement.",
    no_args_is_help=True,
)

DATA = typer.Argument(..., metavar="DATA", help="A dataset of landmarks: a folder or a .parquet file.")
OUT = typer.Option(
    ..., "--out", "-o", metavar="FILE.csv", help="The file to write; DATA/triplets.csv goes with the data."
)
SEED = typer.Option(0, "--seed", min=0, help="The same seed draws the same triplets of the same faces.")
PER_FACE = typer.Option(4, "--per-face", min=1, help="How many triplets each face is the reference of.")
EVERY = typer.Option(
    False, "--every-image", help="Also blinks, and images of a person with the same action units."
)
FORCE = typer.Option(False, "--force", help="Replace the file where it is there already.")

SKIP_BAD = typer.Option(False, "--skip-bad", help="Leave out faces that are wrong, and say how many.")
SPLIT_SEED = typer.Option(0, "--split-seed", min=0, help="Draws the splits of data that tell none.")
AS_JSON = typer.Option(False, "--json", help="JSON alone on standard output.")


@triplets.command()
def rules(
    source: Path = DATA,
    *,
    out: Path = OUT,
    force: bool = FORCE,
    per_face: int = PER_FACE,
    seed: int = SEED,
    skip_bad: bool = SKIP_BAD,
    split_seed: int = SPLIT_SEED,
    as_json: bool = AS_JSON,
) -> None:
    """Draw triplets of posed faces by the thesis's rules, of class, degree and the neutral face.

    Example: mien triplets rules posed/ --out posed/triplets.csv
    """
    from mien.data.landmarks.triplet_rules import by_rules
    from mien.data.landmarks.triplets import write_triplets

    _check_out(out, force)
    faces = _faces(source, skip_bad, split_seed)
    found = by_rules(faces, per_face=per_face, seed=seed)
    write_triplets(found, out, _note(faces, f"by rules, {per_face} per face, seed {seed}"))
    _report(faces, found, out, (), as_json)


@triplets.command()
def select(
    source: Path = DATA,
    *,
    out: Path = OUT,
    force: bool = FORCE,
    every_image: bool = EVERY,
    seed: int = SEED,
    skip_bad: bool = SKIP_BAD,
    split_seed: int = SPLIT_SEED,
    as_json: bool = AS_JSON,
) -> None:
    """Choose the questions to ask people: each image in three of one person and three of different persons.

    Images without blinks, one for each vector of action units of a person. The file has the columns
    reference, first, second; add votes_first and votes_second, and every command reads it as triplets.

    Example: mien triplets select spontaneous/ --out questions.csv
    """
    from mien.data.landmarks.triplets import write_questions

    _check_out(out, force)
    faces = _faces(source, skip_bad, split_seed)
    chosen = _selection(faces, every_image, seed)
    write_questions(chosen.names(faces), out, _note(faces, f"questions, seed {seed}"))
    one, several = int(chosen.one_person.sum()), int((~chosen.one_person).sum())
    if as_json:
        counted = {"n": len(chosen), "one_person": one, "different_persons": several}
        typer.echo(json.dumps({"out": str(out), **counted, "notes": list(chosen.notes)}))
        return
    _print(
        f"{len(chosen):,} questions written to {out}: {one:,} of one person, {several:,} of different ones"
    )
    _print(*chosen.notes)


@triplets.command()
def simulate(
    source: Path = DATA,
    *,
    out: Path = OUT,
    force: bool = FORCE,
    questions: Path = typer.Option(
        None, "--questions", metavar="FILE.csv", help="What to answer; else questions are selected first."
    ),
    raters: int = typer.Option(5, "--raters", min=1, help="An odd number of answers to each question."),
    every_image: bool = EVERY,
    seed: int = SEED,
    skip_bad: bool = SKIP_BAD,
    split_seed: int = SPLIT_SEED,
    as_json: bool = AS_JSON,
) -> None:
    """Answer questions by simulated raters, who compare action units with noise: synthetic, of no people.

    Example: mien triplets simulate spontaneous/ --out spontaneous/triplets.csv
    """
    from mien.data.landmarks.triplet_votes import simulated
    from mien.data.landmarks.triplets import check_splits, read_questions, write_triplets
    from mien.landmarks import Triplets

    _check_out(out, force)
    faces = _faces(source, skip_bad, split_seed)
    if questions is None:
        chosen = _selection(faces, every_image, seed)
        rows, notes = chosen.rows, chosen.notes
    else:
        import numpy as np

        asked = read_questions(questions)
        unanswered = np.zeros((len(asked), 2), np.int16)
        rows, notes = check_splits(Triplets(asked, unanswered, str(questions)), faces), ()
    found = simulated(faces, rows, raters=raters, seed=seed)
    write_triplets(found, out, _note(faces, found.source))
    _report(faces, found, out, notes, as_json)


@triplets.command()
def votes(
    pictures: Path = typer.Argument(..., metavar="PATH", help="A dataset of pictures with FER+ votes."),
    *,
    landmarks: Path = typer.Option(
        ..., "--landmarks", metavar="DATA", help="The landmarks that were found in these pictures."
    ),
    out: Path = OUT,
    force: bool = FORCE,
    per_face: int = PER_FACE,
    least: int = typer.Option(
        6, "--least", min=1, max=10, help="Leave out triplets on which the votes agree less than this."
    ),
    seed: int = SEED,
    as_json: bool = AS_JSON,
) -> None:
    """Make triplets of pictures from their FER+ votes: nearer is the face whose votes are shared alike.

    Ten times each face's voters are drawn anew; how often the same face is nearer is the triplet's votes.

    Example: mien triplets votes fer2013.parquet --landmarks fer2013-landmarks/ --out triplets.csv
    """
    import numpy as np

    from mien.cli.progress import busy
    from mien.data import read
    from mien.data.landmarks.picture_names import picture_names
    from mien.data.landmarks.triplet_votes import from_votes
    from mien.data.landmarks.triplets import write_triplets

    _check_out(out, force)
    faces = _faces(landmarks, False, 0)
    with busy(f"reading {pictures}"):
        batch = read(pictures)
    names = picture_names(batch)
    known = np.isin(names, faces.names) & batch.has_votes
    if not known.any():
        raise DataError(
            f"no face of {landmarks} has votes in {pictures}: expected landmarks found in these pictures, "
            f"named as {str(names[0])!r}"
            if len(names)
            else f"{pictures} holds no faces"
        )
    found = from_votes(
        names[known], batch.votes[known], batch.splits[known], per_face=per_face, least=least, seed=seed
    )
    write_triplets(found, out, _note(faces, f"from FER+ votes, agreement {least} or more, seed {seed}"))
    asked = per_face * len(faces)
    notes = [f"{asked - len(found):,} of {asked:,} fewer: faces without clear votes"] * (len(found) < asked)
    _report(faces, found, out, notes, as_json)


@triplets.command()
def show(
    source: Path = DATA,
    file: Path = typer.Argument(
        None, metavar="[FILE.csv]", help="Triplets of these faces; else those that lie beside them."
    ),
    *,
    skip_bad: bool = SKIP_BAD,
    split_seed: int = SPLIT_SEED,
    as_json: bool = AS_JSON,
) -> None:
    """Check triplets against their faces, and count them by split, by whose faces they are and by agreement.

    Example: mien triplets show spontaneous/ answers.csv
    """
    from mien.cli.progress import busy
    from mien.data.landmarks import read
    from mien.data.landmarks.triplet_votes import agreement
    from mien.data.landmarks.triplets import read_triplets

    with busy(f"reading {source}"):
        dataset = read(source, skip_bad=skip_bad, split_seed=split_seed)
    found = dataset.triplets if file is None else read_triplets(file)
    if found is None:
        raise DataError(f"no triplets lie beside the faces of {source}: name a file of them")
    counted = agreement(dataset.faces, found)
    where = str(file or source)
    if as_json:
        typer.echo(json.dumps({"source": where, "n": len(found), "agreement": counted.to_dict()}))
    else:
        _print(f"{where} · {len(found):,} triplets", _table(counted))


def _check_out(out: Path, force: bool) -> None:
    if out.suffix.lower() != ".csv":
        raise DataError(f"{out.name!r}: expected a name that ends in .csv")
    if out.exists() and not force:
        raise DataError(f"{out} is there already: add --force to replace it, or choose another name")


def _faces(source: Path, skip_bad: bool, split_seed: int) -> LandmarkBatch:
    """The faces of a dataset, whose own triplets, which are to be replaced, need not be readable."""
    from mien.cli.progress import busy
    from mien.data.landmarks import FACES, read

    own = source / FACES
    with busy(f"reading {source}"):
        faces = read(own if own.is_file() else source, skip_bad=skip_bad, split_seed=split_seed).faces
    for line in faces.left_out:
        typer.echo(f"mien: {line}", err=True)
    return faces


def _selection(faces: LandmarkBatch, every_image: bool, seed: int) -> Selection:
    import numpy as np

    from mien.data.landmarks.selection import select_images
    from mien.data.landmarks.triplet_selection import select_triplets

    return select_triplets(faces, np.arange(len(faces)) if every_image else select_images(faces), seed)


def _note(faces: LandmarkBatch, how: str) -> str:
    return (
        f"{how}; {'synthetic faces' if faces.synthetic else 'faces'} of {faces.source or 'no named source'}"
    )


def _report(
    faces: LandmarkBatch, found: Triplets, out: Path, notes: tuple[str, ...] | list[str], as_json: bool
) -> None:
    from mien.data.landmarks.triplet_votes import agreement

    counted = agreement(faces, found)
    if as_json:
        result: dict[str, Any] = {"out": str(out), "n": len(found), "source": found.source}
        typer.echo(json.dumps({**result, "agreement": counted.to_dict(), "notes": list(notes)}))
        return
    _print(f"{len(found):,} triplets written to {out} ({found.source})", _table(counted), *notes)


def _print(*things: str | Table) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for thing in things:
        if isinstance(thing, str):
            console.print(thing, markup=False, soft_wrap=True)
        else:
            console.print(thing)


def _table(counted: Agreement) -> Table:
    """Differences of votes across, splits and whose faces they are down, as the thesis prints it."""
    from rich.table import Table

    table = Table("difference of votes", *map(str, counted.differences), "all")
    for column in table.columns[1:]:
        column.justify = "right"
    for split, kinds in counted.counts.items():
        lines = {split: counted.total(split), **{f"  {kind}": numbers for kind, numbers in kinds.items()}}
        for name, numbers in lines.items():
            table.add_row(name, *(f"{number:,}" for number in (*numbers, sum(numbers))))
        table.add_section()
    return table
