"""`mien explain`: what a network looked at, as pictures and as shares of facial regions."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.extras import require
from mien.cli.pictures import Pictures, no_face, printable, suggest_detector

if TYPE_CHECKING:
    from mien.explain.faces import Explained


def explain(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SRC…", readable=False, help="Pictures, and folders of pictures.")
    ],
    *,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="saliency, integrated_gradients, grad_cam, occlusion, region_occlusion; again for more.",
            show_default="region_occlusion",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A shipped network's name, an .onnx file, or a run folder; see 'mien models'."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(metavar="EMOTION", help="What to explain; else what the face was read as.")
    ] = None,
    crop: Annotated[bool, typer.Option("--crop", help="Each picture is a face already.")] = False,
    detector: Annotated[
        str | None, typer.Option(help="blazeface or haar; by default blazeface where it was fetched.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the maps, laid over the faces, there.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON array, one object a face and method.")
    ] = False,
) -> None:
    """Show what in a face speaks for its expression, to the network.

    Example: mien explain photo.jpg --method region_occlusion --out explained

    Regions lie where the mesh sees them ('mien fetch facemesh'), else where the mean face has them. A share
    is of what speaks for the expression; × says how many times the region's share of the picture that is.
    Which methods deserve trust: docs/explain.md.
    """
    require("train")
    from mien.explain.faces import Explainer
    from mien.report.explain_pictures import Sheets

    explainer = Explainer(model, detector, tuple(method or ("region_occlusion",)), target)
    pictures = Pictures(sources, outside=out)
    sheets = Sheets(out, (file.path for file in pictures.files)) if out else None
    found: list[Explained] = []
    for file, image in pictures:
        faces = explainer.explain(image, crop, printable(str(file.path)))
        found += faces
        if sheets and faces:
            sheets.save(file.name, faces)
    if pictures.refused:
        raise typer.Exit(2)
    if as_json:
        rows = [row for each in found for row in each.to_rows()]
        print(json.dumps(rows, indent=1, allow_nan=False))
    else:
        _show(found, pictures.read)
    if sheets:
        print(f"wrote {sheets.written} picture{'s' * (sheets.written != 1)} to {out}", file=sys.stderr)
    if not (crop or detector or as_json):
        suggest_detector()
    if pictures.failures:
        raise typer.Exit(1)


def _show(found: list[Explained], pictures: int) -> None:
    """A line a face and method on standard output; where there is no face, a line that says so."""
    if not found:
        print(no_face(pictures))
        return
    from rich.table import Table
    from rich.text import Text

    from mien.cli.tables import table_console
    from mien.explain.regions import REGIONS

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("picture", "face", "explained", "method", *REGIONS, "upper half", "regions by"):
        table.add_column(head, justify="left" if head in {"picture", "explained", "method"} else "right")
    for each in found:
        for row in each.to_rows():
            table.add_row(
                Text(row["source"]),
                str(row["face"]),
                Text(f"{row['target']} {row['probability']:.0%}"),
                row["method"],
                *(_cell(row, name) for name in REGIONS),
                "–" if row["upper"] is None else f"{row['upper']:.0%}",
                row["regions"],
            )
    table_console().print(table)


def _cell(row: dict[str, Any], region: str) -> str:
    """A region's share, and how many times its own share of the picture that is."""
    share, times = row["share"][region], row["density"][region]
    if share is None:
        return "–"
    return f"{share:.0%}" if times is None else f"{share:.0%} ×{times:.1f}"


explanations = typer.Typer(
    name="explanations",
    help="What 'mien explain' shows, measured: which methods deserve trust, and where each emotion shows.",
    no_args_is_help=True,
)

DATA = typer.Option(..., "--data", help="Dataset in any format that mien data reads.")
SEED = typer.Option(0, "--seed", min=0, help="The same seed draws the same faces.")


@explanations.command()
def measure(
    model: str = typer.Argument(..., help="A network's name, an .onnx file or a run folder."),
    *,
    data: Path = DATA,
    split: str = typer.Option("public", help="training, public or private."),
    per_emotion: int = typer.Option(100, min=2, help="Faces of each emotion, of those that are read right."),
    checked: int = typer.Option(150, min=2, help="How many of them trust is measured on."),
    method: list[str] = typer.Option([], help="One method alone; again for several.", show_default="all"),
    seed: int = SEED,
    out: Path = typer.Option(..., "--out", metavar="FILE.json", help="Where the figures go."),
) -> None:
    """Measure every method: random weights, deletion and insertion, and the regions of each emotion.

    Example: mien explanations measure mien_s --data fer2013/ --out results/measurements/explain-mien_s.json

    Minutes to an hour, by the network's size. Without 'mien fetch facemesh' every face has the mean face's
    regions.
    """
    require("train")
    import functools
    import hashlib

    from mien import data as datasets
    from mien import storage
    from mien.explain.faces import classifier
    from mien.explain.measure import choose
    from mien.explain.measure import measure as measure_all
    from mien.explain.methods import METHODS, find
    from mien.inference.predictor import Predictor

    methods = tuple(find(name).name for name in method) or tuple(METHODS)
    predictor = Predictor(model)
    network = classifier(predictor)
    faces, about = choose(network, datasets.read(data, assume_split=split).split(split), per_emotion, seed)
    note = functools.partial(print, file=sys.stderr)
    figures = measure_all(network, faces, checked, seed, note, methods)
    command = f"mien explanations measure {model} --data {data.name} --split {split}"
    command += f" --per-emotion {per_emotion} --checked {checked} --seed {seed}"
    command += "".join(f" --method {name}" for name in method)
    found = {
        "command": command,
        "model": predictor.card.name,
        "sha256": hashlib.sha256(predictor.path.read_bytes()).hexdigest(),
        "architecture": network.architecture,
        "dataset": data.name,
        "split": split,
        "faces": about,
        **figures,
    }
    storage.write_json(out, found)
    print(f"wrote {out}", file=sys.stderr)


@explanations.command()
def template(
    *,
    data: Path = DATA,
    limit: int = typer.Option(3000, min=1, help="Faces of the training split, drawn at random."),
    seed: int = SEED,
    out: Path = typer.Option(..., "--out", metavar="FILE.json", help="Where the mean landmarks go."),
) -> None:
    """Measure where the parts of a face lie on average; faces that the mesh cannot read have these regions.

    Example: mien explanations template --data fer2013/ --out template.json

    It needs 'mien fetch facemesh'. What is used is src/mien/explain/template.json.
    """
    require("analysis")
    from mien import data as datasets
    from mien import storage
    from mien.cli.progress import busy
    from mien.explain.template import measure as measure_template
    from mien.inference.landmarker import Landmarker

    reader = Landmarker()
    with busy(f"reading faces of {data}"):
        storage.write_json(out, measure_template(datasets.read(data), reader, limit, seed))
    print(f"wrote {out}", file=sys.stderr)


@explanations.command()
def draw(
    measured: Path = typer.Argument(..., metavar="FILE.json", readable=False, help="What 'measure' wrote."),
    *,
    out: Path = typer.Option(..., "--out", metavar="FILE.png", help="The picture to write."),
) -> None:
    """Draw the average map of each emotion by each method, upon the mean face's outlines.

    Example: mien explanations draw results/measurements/explain-mien_s.json --out docs/gallery/explained.png
    """
    require("analysis")
    from mien import storage
    from mien.report.explain_averages import averages
    from mien.report.explain_tables import read
    from mien.report.style import png

    drawn = png(averages(read(measured)), dpi=110)
    with storage.atomic(out) as temporary:
        temporary.write_bytes(drawn)
    print(f"wrote {out}", file=sys.stderr)
