"""`mien landmarks`: the 83 landmarks of the faces in pictures, or of a dataset of faces."""

from __future__ import annotations

import contextlib
import csv as csv_format
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.extras import require
from mien.cli.pictures import Pictures, no_face, printable, suggest_detector
from mien.errors import DataError

if TYPE_CHECKING:
    from mien.data.formats import Format
    from mien.faces import FaceBatch
    from mien.inference.landmarker import Landmarker, PictureFace

_DATA_SUFFIXES = frozenset({".parquet", ".h5", ".hdf5", ".csv"})
_ANGLES = ("pitch", "yaw", "roll")
_BOX = ("x", "y", "width", "height")
_DEFAULT_SPLITS = ("training", "public")


def landmarks(
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SRC…", readable=False, help="Pictures, folders of them, or one dataset."),
    ],
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.parquet", help="Write landmarks that mien reads there.")
    ] = None,
    crop: Annotated[bool, typer.Option("--crop", help="Each picture is a face already.")] = False,
    detector: Annotated[
        str | None, typer.Option(help="blazeface or haar; by default blazeface where it was fetched.")
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SPLIT", help="Of a dataset; again for several.", show_default="training, public"
        ),
    ] = None,
    without_copies: Annotated[
        bool,
        typer.Option(
            "--without-copies", help="Of a dataset: leave out pixel copies of training faces, and repeats."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array, one object a face.")] = False,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write one row a face.")] = None,
) -> None:
    """Find the 83 landmarks of every face in pictures, or in a dataset that 'mien data' reads.

    Example: mien landmarks fer2013/ --out landmarks/faces.parquet

    It needs 'mien fetch facemesh'. Faces whose landmarks are not to be believed are left out and counted.
    Of a dataset every picture is a face, and its labels, splits and people are kept.
    """
    from mien.inference.landmarker import Landmarker, batch_of

    _check_outputs(sources, out, csv)
    landmarker = Landmarker()
    dataset = _dataset(sources)
    pictures = None
    if dataset is None:
        pictures = Pictures(sources)
        found = _in_pictures(landmarker, pictures, crop, detector)
    else:
        chosen = _chosen(dataset, sources[0], split or list(_DEFAULT_SPLITS), without_copies)
        found = _in_dataset(landmarker, chosen)
    with _sinks(as_json, csv) as write:
        faces = []
        for face in found:
            write(face)
            faces.append(face)
        if pictures and pictures.refused:
            raise typer.Exit(2)
    if out:
        _write(out, batch_of(faces, ", ".join(map(str, sources))))
    _tell(faces, pictures, listed=not (as_json or csv or out))
    if pictures and not (crop or detector or as_json):
        suggest_detector()
    if pictures and pictures.failures:
        raise typer.Exit(1)


def _check_outputs(sources: list[Path], out: Path | None, csv: Path | None) -> None:
    if out:
        require("analysis")
        if out.suffix.lower() != ".parquet":
            raise DataError(f"--out {out}: expected a file whose name ends in .parquet")
    for name, path in (("--out", out), ("--csv", csv)):
        if path and path.resolve() in {source.resolve() for source in sources}:
            raise DataError(f"{name} {path} is what is to be read: choose another file")


def _dataset(sources: list[Path]) -> tuple[Format, Path] | None:
    """The format of the one source where it is a dataset; None for pictures."""
    from mien.data import detect

    named = [source for source in sources if source.suffix.lower() in _DATA_SUFFIXES]
    if len(sources) > 1:
        if named:
            raise DataError(f"{named[0]} is a dataset: give it alone, or pictures and folders of them")
        return None
    if not named and not sources[0].is_dir():
        return None
    try:
        return detect(sources[0])
    except DataError:
        # A folder of pictures without the names of emotions is no dataset, and is looked through.
        if named:
            raise
        return None


def _chosen(found: tuple[Format, Path], source: Path, splits: list[str], without_copies: bool) -> FaceBatch:
    """The faces of a dataset's wanted splits, those there are; large pictures at the network's size."""
    import numpy as np

    from mien.data import read
    from mien.data.known import originals
    from mien.errors import hint
    from mien.inference.mesh import INPUT
    from mien.labels import SPLITS

    for name in splits:
        if name not in SPLITS:
            raise DataError(f"unknown split {name!r}: {hint(name, SPLITS)}")
    batch = read(source, size=INPUT if found[0].unsized else None)
    wanted = np.isin(batch.splits, [SPLITS.index(name) for name in splits])
    left = [SPLITS[split] for split in np.unique(batch.splits[~wanted])]
    if not wanted.any():
        raise DataError(f"no {' or '.join(splits)} faces in {source}: it holds {', '.join(left)}")
    if left:
        number = int((~wanted).sum())
        told = f"not read: {number:,} face{'s' * (number != 1)} of {', '.join(left)}"
        print(f"{told}; '--split {left[0]}' reads such", file=sys.stderr)
    if not without_copies:
        return batch.select(wanted)
    original = originals(batch)
    print(f"not read: {int((wanted & ~original).sum()):,} copies of training faces", file=sys.stderr)
    return batch.select(wanted & original)


def _in_dataset(landmarker: Landmarker, batch: FaceBatch) -> Iterator[PictureFace]:
    from mien.cli.progress import faces_done
    from mien.inference.landmarker import faces_in_dataset

    with faces_done("landmarks") as report:
        for done, face in enumerate(faces_in_dataset(landmarker, batch), 1):
            report(done, len(batch))
            yield face


def _in_pictures(
    landmarker: Landmarker, pictures: Pictures, crop: bool, detector: str | None
) -> Iterator[PictureFace]:
    from mien.inference.detectors import make_detector
    from mien.inference.landmarker import faces_in_picture

    finder = None if crop else make_detector(detector)
    for file, image in pictures:
        yield from faces_in_picture(landmarker, image, printable(str(file.path)), finder)


@contextlib.contextmanager
def _sinks(as_json: bool, csv: Path | None) -> Iterator[Any]:
    """What writes a face wherever it was asked for; files take their names when all went well."""
    from mien import storage
    from mien.landmark_layout import NAMES

    columns = ["name", *_BOX, "detection", "emotion", "split", "score", *_ANGLES, "left_out"]
    columns += [f"{name}_{axis}" for name in NAMES for axis in "xyz"]
    with contextlib.ExitStack() as stack:
        table = None
        if csv:
            path = stack.enter_context(storage.atomic(csv))
            file = stack.enter_context(path.open("w", newline="", encoding="utf-8"))
            table = csv_format.DictWriter(file, columns)
            table.writeheader()
        begun = False

        def write(face: PictureFace) -> None:
            nonlocal begun
            row = _described(face) if as_json or table else {}
            if as_json:
                sys.stdout.write((",\n" if begun else "[\n") + json.dumps(row, allow_nan=False))
                begun = True
            if table:
                table.writerow(_flat(row))

        yield write
        if as_json:
            print("\n]" if begun else "[]")
    if csv:
        print(f"wrote {csv}", file=sys.stderr)


def _described(face: PictureFace) -> dict[str, Any]:
    """The object of a face as `--json` prints it; points and angles are null where it is left out."""
    from mien.labels import EMOTIONS

    found = face.found
    believed = not found.reason
    return {
        "name": face.name,
        "box": list(face.face.box),
        "detection": round(face.face.score, 4),
        "emotion": EMOTIONS[face.label] if face.label >= 0 else None,
        "split": face.split,
        "score": round(found.score, 4),
        "angles": [round(float(angle), 2) for angle in found.angles] if believed else None,
        "points": [[round(float(at), 3) for at in point] for point in found.points] if believed else None,
        "left_out": found.reason or None,
    }


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    from mien.landmark_layout import NAMES

    flat = {key: row[key] for key in ("name", "detection", "emotion", "split", "score", "left_out")}
    flat |= dict(zip(_BOX, row["box"], strict=True))
    if row["points"] is not None:
        flat |= dict(zip(_ANGLES, row["angles"], strict=True))
        for name, point in zip(NAMES, row["points"], strict=True):
            flat |= {f"{name}_{axis}": at for axis, at in zip("xyz", point, strict=True)}
    return flat


def _write(out: Path, batch: Any) -> None:
    from mien.data.landmarks import write_parquet

    if not len(batch):
        print(f"no face to write: {out} was not written", file=sys.stderr)
        return
    write_parquet(batch, out)
    print(f"wrote {len(batch):,} face{'s' * (len(batch) != 1)} to {out}", file=sys.stderr)


def _tell(faces: list[PictureFace], pictures: Pictures | None, listed: bool) -> None:
    """How many were found and left out, and a table of the faces where nothing else holds them.

    Of a dataset, which has many, the counts stand for the table; of pictures they are told on standard error
    where any face was left out.
    """
    from mien.inference.landmarker import counts_of

    if listed and pictures:
        _show(faces, pictures.read)
    for split, counted in counts_of(faces).items():
        total = sum(counted.values())
        if pictures and total == counted[""]:
            continue
        of = f" of {split}" if pictures is None else ""
        why = [f"{number:,} {reason}" for reason, number in counted.most_common() if reason]
        left = f"; left out: {', '.join(why)}" if why else ""
        line = f"landmarks of {counted['']:,} of {total:,} face{'s' * (total != 1)}{of}{left}"
        print(line, file=sys.stdout if listed and not pictures else sys.stderr)


def _show(faces: list[PictureFace], pictures: int) -> None:
    """The table on standard output; where there is no face, a line that says so."""
    if not faces:
        print(no_face(pictures))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("face", overflow="fold")
    table.add_column("box x y w h", overflow="fold")
    table.add_column("score", justify="right")
    for angle in _ANGLES:
        table.add_column(angle, justify="right")
    table.add_column("")
    for each in faces:
        turned = ["–"] * 3 if each.found.reason else [f"{angle:.0f}°" for angle in each.found.angles]
        table.add_row(
            Text(each.name),
            " ".join(map(str, each.face.box)),
            f"{each.found.score:.2f}",
            *turned,
            each.found.reason and f"left out: {each.found.reason}",
        )
    Console().print(table)
