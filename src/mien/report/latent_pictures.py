"""Pictures of a trained autoencoder over landmarks, by name: what `mien latent` draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, hint
from mien.evaluation.landmarks.dimensions import divergence
from mien.labels import EMOTIONS, SIX, emotion_index
from mien.landmarks import LandmarkBatch
from mien.report import landmark_animation as moving
from mien.report import landmark_figures as still
from mien.report import landmark_generation as made
from mien.report.moving import ENDINGS
from mien.report.style import png
from mien.storage import atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]

_STILL_STEPS, _MOVING_STEPS = 7, 20
"""Faces from one expression to another, side by side and one after another."""


@dataclass(frozen=True)
class Wanted:
    """What a picture is to show.

    person, other: names of people; None: the first ones. first, last: emotions; of a person's faces of one
    the strongest is taken. dimensions: of the latent space, from 0; none: those that say most.
    """

    person: str | None = None
    other: str | None = None
    first: str = "happy"
    last: str = "sad"
    dimensions: tuple[int, ...] = ()


@dataclass(frozen=True)
class LatentPicture:
    """A kind of picture. draw: as a PNG. animate: as a GIF or WebP, where it moves."""

    title: str
    draw: Callable[[made.Generator, LandmarkBatch, Wanted], Figure]
    animate: Callable[[made.Generator, LandmarkBatch, Wanted, Path], None] | None = None


def write_picture(
    name: str, generator: made.Generator, faces: LandmarkBatch, wanted: Wanted, out: Path
) -> None:
    """Writes one of `PICTURES` of prepared faces, moving or still by the name's ending, atomically.

    Raises: DataError when there is no such picture, it cannot have that ending, or a person, an emotion or a
    dimension is not there; ModelError where the network cannot; StorageError when the path cannot be written.
    """
    if name not in PICTURES:
        raise DataError(f"unknown picture {name!r}: {hint(name, PICTURES)}")
    picture, ending = PICTURES[name], out.suffix.lower()
    endings = (".png", *ENDINGS) if picture.animate else (".png",)
    if ending not in endings:
        raise DataError(f"--out {out}: of {name} expected a name that ends in {' or '.join(endings)}")
    if picture.animate is not None and ending != ".png":
        picture.animate(generator, faces, wanted, out)
        return
    content = png(_labelled(picture.draw(generator, faces, wanted), faces))
    with atomic(out) as temporary:
        temporary.write_bytes(content)


def _kind(faces: LandmarkBatch) -> str:
    return "synthetic faces" if faces.synthetic else ""


def _labelled(figure: Figure, faces: LandmarkBatch) -> Figure:
    """Says on the picture itself where its faces are of no people."""
    if faces.synthetic:
        figure.supxlabel("synthetic faces", x=0.995, ha="right", fontsize=8, color="#59636E")
    return figure


def _where(faces: LandmarkBatch) -> str:
    return f"{' and '.join(faces.splits_held)} of {faces.source or 'the data'}"


def _person(faces: LandmarkBatch, name: str | None) -> str:
    """A person's name as asked for, or the first one's."""
    people = faces.people
    if name is None:
        return people[0]
    if name not in people:
        raise DataError(f"no person {name!r} in {_where(faces)}: {hint(name, people)}")
    return name


def _other(faces: LandmarkBatch, wanted: Wanted, person: str) -> str:
    """The name of the person that an expression goes to: as asked for, or the first other one's."""
    others = [name for name in faces.people if name != person]
    if wanted.other is None and not others:
        raise DataError(f"{person} is alone in {_where(faces)}: expected another person, or another --split")
    return _person(faces, wanted.other or others[0])


def _face(faces: LandmarkBatch, person: str, emotion: str) -> int:
    """The row of a person's strongest face of an emotion."""
    label = emotion_index(emotion)
    rows = np.flatnonzero((faces.subjects == person) & (faces.labels == label))
    if not len(rows):
        own = {EMOTIONS[label] for label in faces.labels[faces.subjects == person].tolist() if label >= 0}
        held = f"expected one of {', '.join(sorted(own))}" if own else "no face of theirs has an emotion"
        raise DataError(f"{person} has no {EMOTIONS[label]} face: {held}")
    return int(rows[np.argmax(faces.degrees[rows])])


def _neutral(generator: made.Generator, faces: LandmarkBatch, person: str) -> Floats | None:
    """A person's neutral face (83, 3), None where the network takes none."""
    if not generator.neutral or faces.neutral is None:
        return None
    return np.asarray(faces.neutral[faces.subjects == person][0], np.float64)


def _dimensions(
    generator: made.Generator, faces: LandmarkBatch, wanted: Wanted, count: int
) -> tuple[int, ...]:
    """The dimensions asked for, or as many as say most of these faces."""
    if wanted.dimensions:
        return wanted.dimensions
    x = faces.points.reshape(len(faces), -1).astype(np.float64)
    beside = generator.neutral and faces.neutral is not None
    y = (
        faces.neutral.reshape(len(faces), -1).astype(np.float64)
        if beside and faces.neutral is not None
        else None
    )
    said = divergence(*generator.encode(x, y))
    return tuple(int(number) for number in np.argsort(-said, kind="stable")[:count])


def _grid(generator: made.Generator, faces: LandmarkBatch, wanted: Wanted) -> Figure:
    dimensions = _dimensions(generator, faces, wanted, 2)
    if len(dimensions) != 2:
        raise DataError(f"{len(dimensions)} dimension for a grid: expected two, such as 2,16")
    neutral = _neutral(generator, faces, _person(faces, wanted.person))
    tiles = made.grid(generator, neutral, *dimensions)
    return still.generated(tiles, made.VALUES, *dimensions, neutral)


def _traverse(generator: made.Generator, faces: LandmarkBatch, wanted: Wanted) -> Figure:
    dimensions = _dimensions(generator, faces, wanted, 4)
    neutral = _neutral(generator, faces, _person(faces, wanted.person))
    tiles = made.traversed(generator, neutral, dimensions)
    columns = [f"{value:g}".replace("-", "−") for value in made.VALUES]
    return still.faces(tiles, [f"z{number + 1}" for number in dimensions], columns)


def _traverse_moving(generator: made.Generator, faces: LandmarkBatch, wanted: Wanted, out: Path) -> None:
    dimensions = _dimensions(generator, faces, wanted, 4)
    neutral = _neutral(generator, faces, _person(faces, wanted.person))
    values = tuple(np.linspace(made.VALUES[0], made.VALUES[-1], _MOVING_STEPS).tolist())
    frames = made.traversed(generator, neutral, dimensions, values).swapaxes(0, 1)
    moving.changing_faces(frames, [f"z{number + 1}" for number in dimensions], out, note=_kind(faces))


def _between(
    generator: made.Generator, faces: LandmarkBatch, wanted: Wanted, steps: int
) -> tuple[str, Floats]:
    """Whose faces, and the faces (steps, 83, 3) from the first emotion to the last."""
    person = _person(faces, wanted.person)
    first, last = (faces.points[_face(faces, person, emotion)] for emotion in (wanted.first, wanted.last))
    return person, made.between(generator, first, last, _neutral(generator, faces, person), steps)


def _interpolate(generator: made.Generator, faces: LandmarkBatch, wanted: Wanted) -> Figure:
    person, tiles = _between(generator, faces, wanted, _STILL_STEPS)
    shares = [f"{number}/{_STILL_STEPS - 1}" for number in range(1, _STILL_STEPS - 1)]
    return still.faces(tiles[None], [person], [wanted.first, *shares, wanted.last])


def _interpolate_moving(generator: made.Generator, faces: LandmarkBatch, wanted: Wanted, out: Path) -> None:
    person, frames = _between(generator, faces, wanted, _MOVING_STEPS)
    title = f"{person}: {wanted.first} to {wanted.last}"
    moving.changing_faces(frames[:, None], [title], out, note=_kind(faces))


def _transferred(
    generator: made.Generator, faces: LandmarkBatch, wanted: Wanted, emotion: str, steps: int
) -> tuple[Floats, Floats]:
    person = _person(faces, wanted.person)
    other = _other(faces, wanted, person)
    rest, theirs = _neutral(generator, faces, person), _neutral(generator, faces, other)
    if rest is None or theirs is None:
        raise DataError("transfer needs neutral faces, and a network that takes them: one of Models 2 and 3")
    return made.transferred(generator, faces.points[_face(faces, person, emotion)], rest, theirs, steps)


def _pair(faces: LandmarkBatch, wanted: Wanted) -> list[str]:
    person = _person(faces, wanted.person)
    return [person, f"as {_other(faces, wanted, person)}"]


def _transfer(generator: made.Generator, faces: LandmarkBatch, wanted: Wanted) -> Figure:
    person = _person(faces, wanted.person)
    held = set(faces.labels[faces.subjects == person].tolist())
    shown = [name for name in SIX if EMOTIONS.index(name) in held]
    if not shown:
        raise DataError(f"{person} shows none of {', '.join(SIX)}: nothing to transfer")
    pairs = [_transferred(generator, faces, wanted, emotion, 2) for emotion in shown]
    tiles = np.stack([[mine[-1] for mine, _ in pairs], [theirs[-1] for _, theirs in pairs]])
    return still.faces(tiles, _pair(faces, wanted), shown)


def _transfer_moving(generator: made.Generator, faces: LandmarkBatch, wanted: Wanted, out: Path) -> None:
    frames = _transferred(generator, faces, wanted, wanted.first, _MOVING_STEPS)
    titles = [f"{name}, {wanted.first}" for name in _pair(faces, wanted)]
    moving.changing_faces(np.stack(frames, axis=1), titles, out, note=_kind(faces))


def _reconstruct(generator: made.Generator, faces: LandmarkBatch, wanted: Wanted) -> Figure:
    person = _person(faces, wanted.person)
    held = set(faces.labels[faces.subjects == person].tolist())
    shown = [name for name in SIX if EMOTIONS.index(name) in held]
    rows = [_face(faces, person, name) for name in shown]
    if not rows:
        own = np.flatnonzero(faces.subjects == person)
        rows = own[np.linspace(0, len(own) - 1, min(len(SIX), len(own))).round().astype(int)].tolist()
        shown = faces.names[rows].tolist()
    part = faces.select(np.array(rows))
    neutral = part.neutral if generator.neutral else None
    return still.reconstructions(
        shown, part.points, made.reconstructed(generator, part.points, neutral), neutral
    )


def _means(generator: made.Generator, faces: LandmarkBatch) -> Floats:
    return made.encoded(generator, faces.points, faces.neutral)


def _maps(generator: made.Generator, faces: LandmarkBatch, _: Wanted) -> Figure:
    original = faces.points.reshape(len(faces), -1)
    return still.principal_maps(
        [("original data", original), (f"latent space of {generator.name}", _means(generator, faces))],
        faces.labels,
    )


def _space(generator: made.Generator, faces: LandmarkBatch, _: Wanted) -> Figure:
    return still.principal_views(_means(generator, faces), faces.labels, f"latent space of {generator.name}")


def _space_moving(generator: made.Generator, faces: LandmarkBatch, _: Wanted, out: Path) -> None:
    name = f"latent space, {_kind(faces)}".removesuffix(", ")
    moving.turning_space(_means(generator, faces), faces.labels, out, name)


PICTURES: dict[str, LatentPicture] = {
    "grid": LatentPicture("faces over two dimensions, from a neutral face (Figures 6.6, 6.10)", _grid),
    "traverse": LatentPicture("faces along single dimensions", _traverse, _traverse_moving),
    "interpolate": LatentPicture(
        "from one expression of a person to another", _interpolate, _interpolate_moving
    ),
    "transfer": LatentPicture(
        "a person's expressions with another's neutral face", _transfer, _transfer_moving
    ),
    "reconstruct": LatentPicture("faces beside their reconstructions (Figures 6.2, 6.9)", _reconstruct),
    "maps": LatentPicture("original data and latent space by two principal components (Figure 6.3)", _maps),
    "space": LatentPicture("latent space by three components, every 90° (Figure 6.5)", _space, _space_moving),
}  # fmt: skip
"""By name on the command line."""
