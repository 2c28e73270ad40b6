"""How a picture is shown to a network at test time: each protocol is one entry in the registry.

A protocol says what is shown; who shows it, a classifier, gives one row of scores a face. Here stand
`PROTOCOLS`, the loop over faces, and the seeded part of a split where all of it would take too long.
`transforms.views` cuts the crops, `models.multi_crop` averages a network's answers over them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, ModelError
from mien.faces import FaceBatch, UInt8

_PICTURES, _CROPS = 256, 2592
"""Pictures, or crops, of a batch: seconds of work for two cores, a load for an accelerator."""

_FIRST, _MIDDLE, _LAST = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """probabilities: (N, C) calibrated, rows summing to 1. logits: (N, C) before the scaling."""

    probabilities: NDArray[np.floating]
    logits: NDArray[np.floating]


Classifier = Callable[[UInt8], tuple[NDArray[np.floating], NDArray[np.floating]]]
"""Images (N, H, W) uint8 → (probabilities (N, C), logits (N, C))."""

Progress = Callable[[int, int], None]
"""Called with the faces done and the faces in all."""


@dataclass(frozen=True, slots=True)
class Crops:
    """Which crops of a normalised face are shown: at every size, every angle and every place, and mirrored.

    The face is rescaled to size × size pixels, then turned about its centre by the angle, zero where there
    is no face; then crops of the side that the network sees are cut, and mirrored.
    sizes: pixels. angles: degrees. places: (row, column) of a crop, each 0 the first, 1 the middle, 2 the
    last that fits.
    """

    sizes: tuple[int, ...]
    angles: tuple[float, ...]
    places: tuple[tuple[int, int], ...]
    mirrored: bool = True

    def __len__(self) -> int:
        """Crops of one face."""
        return len(self.sizes) * len(self.angles) * len(self.places) * (2 if self.mirrored else 1)


@dataclass(frozen=True, slots=True)
class Protocol:
    """A registered protocol: its name and one line of what it shows.

    crops: what is averaged over; None where a face is shown once, as it is.
    """

    name: str
    summary: str
    crops: Crops | None = None

    @property
    def faces_at_once(self) -> int:
        """Faces whose pictures or crops make a batch: at least one."""
        return _PICTURES if self.crops is None else max(1, _CROPS // len(self.crops))

    def check(self, side: int, network: str) -> None:
        """That a network whose layers see side × side pixels can be shown these crops.

        A network that sees all of a 48×48 face has no crops in eval1, where each would be the face itself;
        in eval2 it sees crops of 48×48 of the larger sizes, and at size 48 the turned face, nine times.
        Raises: ModelError.
        """
        if self.crops is None:
            return
        smallest, largest = min(self.crops.sizes), max(self.crops.sizes)
        if side > smallest:
            raise ModelError(
                f"{network} sees {side}×{side} pixels: {self.name} cannot cut that from faces of"
                f" {smallest}×{smallest}; expected at most {smallest}"
            )
        if side == largest:
            raise ModelError(
                f"{network} sees whole faces of {side}×{side}: {self.name} shows crops that are smaller than"
                f" the face; use --protocol single"
            )


_CORNERS_AND_CENTRE = (*product((_FIRST, _LAST), (_FIRST, _LAST)), (_MIDDLE, _MIDDLE))
_SQUARE = tuple(product((_FIRST, _MIDDLE, _LAST), (_FIRST, _MIDDLE, _LAST)))

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("single", "the picture as it is"),
        Protocol(
            "eval1",
            "10 crops: corners, centre and their mirrors",
            Crops(sizes=(48,), angles=(0.0,), places=_CORNERS_AND_CENTRE),
        ),
        Protocol(
            "eval2",
            "648 crops: 4 sizes, 9 angles, 9 places and their mirrors",
            Crops(
                sizes=(48, 50, 52, 54),
                angles=tuple(11.25 * step for step in range(-4, 5)),
                places=_SQUARE,
            ),
        ),
    )
}
"""Every protocol by name. eval1, eval2: system A, III.C.4, which does not say where its 5 and 9 crops lie."""


def find(name: str) -> Protocol:
    """The protocol of a name.

    Raises: DataError when there is none; the line lists those that there are.
    """
    if name not in PROTOCOLS:
        known = ", ".join(f"{each.name} ({each.summary})" for each in PROTOCOLS.values())
        raise DataError(f"unknown protocol {name!r}: expected one of: {known}")
    return PROTOCOLS[name]


def show(classify: Classifier, faces: FaceBatch, at_once: int, progress: Progress) -> Scores:
    """Every face's row of scores, in order, asked for `at_once` faces at a time."""
    probabilities, logits = [], []
    for start in range(0, len(faces), at_once):
        p, z = classify(faces.images[start : start + at_once])
        probabilities.append(p)
        logits.append(z)
        progress(min(start + at_once, len(faces)), len(faces))
    return Scores(np.concatenate(probabilities), np.concatenate(logits))


@dataclass(frozen=True, slots=True)
class Sample:
    """A random part of a split: `faces` of `of`, drawn without replacement from `seed`."""

    faces: int
    of: int
    seed: int

    def rows(self) -> NDArray[np.int64]:
        """Positions in the split, rising: a function of the three numbers alone."""
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, 0x5AB5E7]))
        return np.sort(rng.permutation(self.of)[: self.faces])


def sample(faces: FaceBatch, limit: int | None, seed: int = 0) -> tuple[FaceBatch, Sample | None]:
    """At most `limit` of the faces, and how they were drawn; all of them, and None, where that suffices.

    limit: at least 1; None for all.
    """
    if limit is None or limit >= len(faces):
        return faces, None
    drawn = Sample(limit, len(faces), seed)
    return faces.select(drawn.rows()), drawn
