"""Maps laid over the faces that they explain, one picture a source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien import storage
from mien.errors import StorageError
from mien.explain.regions import REGIONS, evidence
from mien.report.figures import heat
from mien.report.style import blank, png, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mien.explain.faces import Explained

MARK = "_explained"
"""Stands at the end of a picture's name."""

_SIDE = 2.0
_MOST = 0.75
"""How much a map's highest place hides of the face."""

_EDGE = (1.0, 1.0, 1.0, 0.55)


class Sheets:
    """Pictures in a folder, as the sources lie in theirs: `photo.jpg` becomes `photo_explained.png`.

    written: how many there are so far. No source is overwritten: a taken name gets a number.
    Raises: StorageError when the folder cannot be made.
    """

    def __init__(self, folder: Path, sources: Iterable[Path]) -> None:
        self.written = 0
        self._folder = folder
        self._taken = {source.resolve() for source in sources}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot make {folder}: {error.strerror}; choose another folder") from error

    def save(self, name: Path, faces: Sequence[Explained]) -> Path:
        """Writes the faces of a source; `name` is its path in its folder. Returns where."""
        stem = self._folder / name.parent / f"{name.stem}{MARK}"
        target, number = stem.with_name(f"{stem.name}.png"), 2
        while target.resolve() in self._taken:
            target, number = stem.with_name(f"{stem.name}-{number}.png"), number + 1
        self._taken.add(target.resolve())
        drawn = png(sheet(faces))
        with storage.atomic(target) as temporary:
            temporary.write_bytes(drawn)
        self.written += 1
        return target


@styled
def sheet(faces: Sequence[Explained]) -> Figure:
    """A row a face: the face, then each method's map over it, the regions' edges drawn in.

    Under a map stand the two regions with most of what speaks for the emotion.
    """
    methods = list(faces[0].maps)
    figure = blank(height=len(faces) * (_SIDE + 0.55), width=max((1 + len(methods)) * (_SIDE + 0.15), 4.4))
    grid = figure.subplots(len(faces), 1 + len(methods), squeeze=False)
    for row, face in zip(grid, faces, strict=True):
        row[0].imshow(face.image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        reading = face.prediction
        row[0].set_title(f"{reading.label}{'?' * reading.unsure} {reading.confidence:.0%}", fontsize=9)
        for axes, told in zip(row[1:], face.to_rows(), strict=True):
            values = face.maps[told["method"]]
            axes.imshow(overlay(face.image, values), interpolation="nearest")
            _edges(axes, face.regions.maps[0])
            title = told["method"].replace("_", " ")
            axes.set_title(title if face.target == reading.label else f"{title}: {face.target}", fontsize=9)
            axes.text(
                0.5, -0.04, most(told["share"]), transform=axes.transAxes, ha="center", va="top", fontsize=8
            )
        for axes in row:
            axes.set_axis_off()
    return figure


def overlay(image: NDArray[np.uint8], values: NDArray[np.floating]) -> NDArray[np.float64]:
    """A map's evidence over a grey face, both (H, W): (H, W, 3) in 0…1; without evidence the face shows."""
    grey = np.repeat(image[..., None] / 255, 3, axis=2)
    found = np.nan_to_num(evidence(values[None])[0])
    strength = found / (found.max() or 1.0)
    hidden = _MOST * strength[..., None]
    return np.asarray((1 - hidden) * grey + hidden * heat(0.25 + 0.75 * strength)[..., :3])


def most(share: dict[str, float | None]) -> str:
    """The two regions with the largest shares, such as 'mouth 41%, cheeks 22%'."""
    held = sorted(((value, name) for name, value in share.items() if value is not None), reverse=True)
    return ", ".join(f"{name} {value:.0%}" for value, name in held[:2]) or "nothing speaks for it"


def _edges(axes: Any, regions: NDArray[np.int8]) -> None:
    """Thin lines around brows, eyes, nose, mouth and the face."""
    height, width = regions.shape
    for name in (*REGIONS[:4], "outside"):
        mask = regions == REGIONS.index(name)
        if mask.any() and not mask.all():
            axes.contour(
                np.arange(width), np.arange(height), mask, levels=[0.5], colors=[_EDGE], linewidths=0.7
            )
