"""`mien data facekit`: landmarks of people drawn from a linear model of faces, always labelled synthetic."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.errors import DataError
from mien.labels import SPLITS

if TYPE_CHECKING:
    from mien.data.landmarks.facekit import FaceBasis
    from mien.landmarks import LandmarkBatch

facekit = typer.Typer(
    name="facekit",
    help="Draw synthetic people from ICT-FaceKit: landmarks, posed or spontaneous-like, and pictures; open "
    "stand-ins for BU-3DFE, BP4D and NimStim.",
    no_args_is_help=True,
)

BASIS = typer.Option(
    None,
    "--basis",
    metavar="PATH",
    help="FaceKit's .npz file or a clone of its repository; without it, a small procedural face.",
)
OUT = typer.Option(..., "--out", "-o", metavar="FILE.parquet", help="The file to write.")
SEED = typer.Option(0, "--seed", min=0, help="The same seed draws the same people and faces.")
FORCE = typer.Option(False, "--force", help="Replace the file where it exists.")
AS_JSON = typer.Option(False, "--json", help="JSON alone on standard output.")


@facekit.command()
def posed(
    *,
    basis: Path = BASIS,
    out: Path = OUT,
    seed: int = SEED,
    people: int = typer.Option(100, "--people", min=10, help="People, split 80/10/10 %."),
    unseen: int = typer.Option(200, "--unseen", min=0, help="Further people, for a larger test."),
    force: bool = FORCE,
    as_json: bool = AS_JSON,
) -> None:
    """Draw posed people: a neutral face each, and six emotions in four degrees.

    Example: mien data facekit posed --basis ict_facekit_light.npz --out posed/faces.parquet
    """
    from mien.data.landmarks.posing import Variation, posed_faces

    _check_target(out, force)
    faces = posed_faces(_basis(basis), people=people, unseen=unseen, seed=seed)
    _write(faces, out, (Variation(),), as_json)


@facekit.command()
def spontaneous(
    *,
    basis: Path = BASIS,
    out: Path = OUT,
    seed: int = SEED,
    people: int = typer.Option(41, "--people", min=5, help="People, split 25/8/8 of 41."),
    unseen: int = typer.Option(40, "--unseen", min=0, help="Further people, for a larger test."),
    force: bool = FORCE,
    as_json: bool = AS_JSON,
) -> None:
    """Draw recordings of people in eight tasks, with action units coded in the middle of each.

    AU23 has no shape in FaceKit: weakly pressed and rolled-in lips stand for it.

    Example: mien data facekit spontaneous --basis ict_facekit_light.npz --out spontaneous/faces.parquet
    """
    from mien.data.landmarks.posing import Variation
    from mien.data.landmarks.spontaneous import Course, spontaneous_faces

    _check_target(out, force)
    faces = spontaneous_faces(_basis(basis), people=people, unseen=unseen, seed=seed)
    _write(faces, out, (Variation(), Course()), as_json)


@facekit.command()
def pictures(
    *,
    basis: Path = BASIS,
    out: Path = OUT,
    seed: int = SEED,
    size: int = typer.Option(227, "--size", min=16, help="Pixels of a picture's side."),
    force: bool = FORCE,
    as_json: bool = AS_JSON,
) -> None:
    """Draw grey pictures of posed people: an open stand-in for NimStim, with 504 pictures for training.

    Example: mien data facekit pictures --basis ict_facekit_light.npz --out pictures.parquet
    """
    from mien.cli.progress import busy
    from mien.data import write
    from mien.data.landmarks.pictures import rendered_pictures

    _check_target(out, force)
    with busy("drawing pictures"):
        faces = rendered_pictures(_basis(basis), size=size, seed=seed)
    write(faces, out, "parquet")
    counts = {name: int((faces.splits == i).sum()) for i, name in enumerate(SPLITS)}
    if as_json:
        told = {"target": str(out), "source": faces.source, "synthetic": True, "n": len(faces)}
        typer.echo(json.dumps({**told, "splits": counts}, indent=2))
        return
    parts = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    typer.echo(f"{len(faces):,} synthetic pictures written to {out}: {parts}")


def _check_target(out: Path, force: bool) -> None:
    if out.suffix != ".parquet":
        raise DataError(f"{out.name!r}: expected a name that ends in .parquet")
    if out.exists() and not force:
        raise DataError(f"{out} exists: choose another name, or --force to replace it")
    if out.is_dir():
        raise DataError(f"{out} is a folder, which a file cannot replace: choose another name")


def _basis(path: Path | None) -> FaceBasis:
    if path is not None:
        from mien.data.landmarks.facekit import read_basis

        return read_basis(path)
    from mien.data.landmarks.procedural import procedural

    typer.echo("mien: no --basis: the faces are of a small procedural face, fit for trials only", err=True)
    return procedural()


def _write(faces: LandmarkBatch, out: Path, constants: tuple[object, ...], as_json: bool) -> None:
    """The file, with every constant by which it was drawn among what it says of its source."""
    from mien.data.landmarks.parquet import write_parquet
    from mien.labels import LANDMARK_SPLITS

    write_parquet(replace(faces, source="; ".join([faces.source, *map(repr, constants)])), out)
    counts = {name: int((faces.splits == i).sum()) for i, name in enumerate(LANDMARK_SPLITS)}
    if as_json:
        result: dict[str, Any] = {
            "target": str(out),
            "source": faces.source,
            "synthetic": faces.synthetic,
            "n": len(faces),
            "people": len(faces.people),
            "splits": {name: count for name, count in counts.items() if count},
        }
        typer.echo(json.dumps(result, indent=2))
        return
    parts = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    typer.echo(f"{len(faces):,} synthetic faces of {len(faces.people):,} people written to {out}: {parts}")
