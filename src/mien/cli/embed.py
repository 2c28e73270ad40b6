"""`mien embed`: where the faces of pictures lie on a network's map."""

from __future__ import annotations

import csv as csv_format
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.extras import require
from mien.cli.pictures import Pictures, no_face, printable, suggest_detector
from mien.errors import ImageError, ModelError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mien.inference.mapper import Mapper, Place, Reference

_SHARES_SHOWN = 3
_BOX = ("x", "y", "width", "height")


def embed(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SRC…", readable=False, help="Pictures, and folders of pictures.")
    ],
    *,
    model: Annotated[
        str | None,
        typer.Option(
            help="A shipped network that maps faces, an .onnx file, or a run folder.",
            show_default="siamese_conv",
        ),
    ] = None,
    crop: Annotated[bool, typer.Option("--crop", help="Each picture is a face already.")] = False,
    detector: Annotated[
        str | None, typer.Option(help="blazeface or haar; by default blazeface where it was fetched.")
    ] = None,
    neighbours: Annotated[
        int, typer.Option(min=1, metavar="K", help="How many of the other faces to name, nearest first.")
    ] = 5,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Draw the map there; needs the analysis extra."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array, one object a face.")] = False,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write one row a face.")] = None,
) -> None:
    """Give every face in pictures its place on a map of expressions, with what lies near it.

    Example: mien embed holiday/ --model siamese_conv --out map.png

    Faces near each other look alike to the network. It says which emotions the 25 nearest of its reference
    faces show, and which of the other faces given are nearest. Distances have no unit.
    """
    from mien.inference.lookup import DEFAULT_MAP
    from mien.inference.mapper import Mapper

    mapper = Mapper(model or DEFAULT_MAP, detector)
    reference = mapper.reference
    pictures = Pictures(sources)
    if out:
        _check_drawing(mapper, out, pictures)
    places, crops = _read(mapper, pictures, crop)
    if pictures.refused:
        raise typer.Exit(2)
    rows = _described(places, reference, neighbours)
    if csv:
        _write_csv(csv, mapper, rows, neighbours)
    if as_json:
        print("[\n" + ",\n".join(json.dumps(row, allow_nan=False) for row in rows) + "\n]" if rows else "[]")
    elif not csv:
        _show(rows, pictures.read)
    if reference is None and not as_json:
        print(
            f"no emotions nearby: {mapper.path.with_suffix('.json')} holds no reference faces",
            file=sys.stderr,
        )
    if out:
        _draw(out, mapper.card.name, places, crops, reference)
    if not (crop or detector or as_json):
        suggest_detector()
    if pictures.failures:
        raise typer.Exit(1)


def _check_drawing(mapper: Mapper, out: Path, pictures: Pictures) -> None:
    """Says before any work that a map cannot be drawn, or would lie in the place of a picture."""
    require("analysis")
    if out.suffix.lower() != ".png":
        raise ImageError(f"--out {out}: expected a file whose name ends in .png")
    if out.resolve() in {file.path.resolve() for file in pictures.files}:
        raise ImageError(f"--out {out} is one of the pictures to read: choose another file for the map")
    if mapper.card.dimensions != 2:
        raise ModelError(f"a map of {mapper.card.dimensions} dimensions cannot be drawn: leave out --out")


def _read(mapper: Mapper, pictures: Pictures, crop: bool) -> tuple[list[Place], list[NDArray[np.uint8]]]:
    """The places of all faces, and what the network saw of each."""
    places: list[Place] = []
    crops: list[NDArray[np.uint8]] = []
    for file, image in pictures:
        faces, seen = mapper.faces(image, crop)
        places += mapper.describe(faces, mapper.places(seen), str(file.path))
        crops += list(seen)
    return places, crops


def _described(places: list[Place], reference: Reference | None, k: int) -> list[dict[str, Any]]:
    """The object of each face as `--json` prints it; `emotions` is null without reference faces."""
    from mien.inference.neighbours import others, shares

    points = [place.point for place in places]
    emotions = [None] * len(places) if reference is None else shares(points, reference)
    return [
        {
            **place.to_dict(),
            "neighbours": {
                "emotions": near and {name: round(share, 4) for name, share in near.items()},
                "faces": [
                    {"source": places[i].source, "face": places[i].face, "distance": round(distance, 4)}
                    for i, distance in faces
                ],
            },
        }
        for place, near, faces in zip(places, emotions, others(points, k), strict=True)
    ]


def _write_csv(path: Path, mapper: Mapper, rows: list[dict[str, Any]], k: int) -> None:
    """One row a face: what `--json` says of it, flat; empty where there is no k-th nearest face."""
    from mien import storage
    from mien.labels import EMOTIONS

    found = mapper.reference
    columns = [
        *("source", "face", *_BOX, "detection"),
        *(f"point_{axis}" for axis in range(1, mapper.card.dimensions + 1)),
        *(() if found is None else (EMOTIONS[number] for number in sorted(set(found.labels.tolist())))),
        *(f"nearest_{rank}{end}" for rank in range(1, k + 1) for end in ("", "_face", "_distance")),
    ]
    # File names that are no UTF-8 keep their bytes.
    with (
        storage.atomic(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        table = csv_format.DictWriter(file, columns)
        table.writeheader()
        table.writerows(map(_flat, rows))
    print(f"wrote {path}", file=sys.stderr)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    flat = {key: row[key] for key in ("source", "face", "detection")}
    flat |= dict(zip(_BOX, row["box"], strict=True))
    flat |= {f"point_{axis}": value for axis, value in enumerate(row["point"], 1)}
    flat |= row["neighbours"]["emotions"] or {}
    for rank, face in enumerate(row["neighbours"]["faces"], 1):
        flat[f"nearest_{rank}"] = face["source"]
        flat |= {f"nearest_{rank}_{key}": face[key] for key in ("face", "distance")}
    return flat


def _show(rows: list[dict[str, Any]], pictures: int) -> None:
    """The table on standard output; where there is no face, a line that says so."""
    if not rows:
        print(no_face(pictures))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", justify="right", style="dim")
    table.add_column("picture", overflow="fold")
    table.add_column("face", justify="right")
    table.add_column("place", justify="right")
    table.add_column("reference faces nearby")
    table.add_column("nearest faces, distance", overflow="fold")
    several = {row["source"] for row in rows if row["face"]}
    for number, row in enumerate(rows, 1):
        near = row["neighbours"]
        ranked = sorted((near["emotions"] or {}).items(), key=lambda pair: -pair[1])[:_SHARES_SHOWN]
        others = [
            f"{_named(Path(each['source']).name, each, several)} {each['distance']:.2f}"
            for each in near["faces"]
        ]
        table.add_row(
            str(number),
            Text(printable(row["source"])),
            str(row["face"]),
            " ".join(f"{value:.2f}" for value in row["point"]),
            ", ".join(f"{name} {share:.0%}" for name, share in ranked if share) or "–",
            Text("\n".join(others) or "–"),
        )
    Console().print(table)


def _named(name: str, face: dict[str, Any], several: set[str]) -> str:
    """A picture's name, with the face's number where the picture is one of `several` faces."""
    return printable(name) + (f" #{face['face']}" if face["source"] in several else "")


def _draw(
    out: Path,
    network: str,
    places: list[Place],
    crops: list[NDArray[np.uint8]],
    reference: Reference | None,
) -> None:
    if not places:
        print(f"no face to draw: {out} was not written", file=sys.stderr)
        return
    import numpy as np

    from mien.report.embed_figure import NewFaces, embed_map, write

    several = {place.source for place in places if place.face}
    names = [_named(Path(place.source).stem, place.to_dict(), several) for place in places]
    faces = NewFaces.of([place.point for place in places], names, np.stack(crops))
    given = f"{len(places)} face{'s' * (len(places) != 1)}"
    among = "" if reference is None else f" among {len(reference.points)} of its {reference.split} split"
    write(embed_map(faces, reference, f"{network}: {given}{among}"), out)
    print(f"wrote {out}", file=sys.stderr)
