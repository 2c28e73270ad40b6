"""Moving pictures of landmarks: a space that turns, and faces that change.

Faces are drawn as connected surfaces. All frames of one picture have the same camera, so that what moves is
the face.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError
from mien.landmark_layout import COUNT
from mien.rendering.surface import camera_for, draw_face
from mien.report.landmark_figures import PAPER, emotion_legend, principal, view
from mien.report.moving import write_animation
from mien.report.style import blank, png, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FRAMES = 45
"""Of a whole turn: 8° each."""

_TURN_SECONDS = 0.11
_STEP_SECONDS, _END_SECONDS = 0.06, 0.9
"""How long a frame of a turn, one of a changing face, and its ends are shown."""

_MOST = 1500
"""Points of a turning space: more hide each other."""

_SIDE = 260
"""Pixels of a face's side."""


def turning_space(points: ArrayLike, labels: ArrayLike, path: Path, name: str = "") -> None:
    """Writes a space by three principal components, turning about the third (Figure 6.5), as GIF or WebP.

    points: (N, F); of more than some 1,500 a part is drawn. labels: (N,) indices into `EMOTIONS`, −1 where
    not known. name: of the space.
    Raises: DataError as `principal` does, or when the path has another ending; StorageError.
    """
    places, held = principal(points, 3)
    named = np.asarray(labels, np.int64)
    chosen = np.sort(np.random.default_rng(0).permutation(len(places))[:_MOST])
    title = f"{name}: 3 components hold {held.sum():.0%} of the variance".removeprefix(": ")
    figures = (
        _turned(places[chosen], named[chosen], 360 * number / _FRAMES, title) for number in range(_FRAMES)
    )
    write_animation([_opened(figure) for figure in figures], [_TURN_SECONDS] * _FRAMES, path)


@styled
def _turned(places: NDArray[np.float64], labels: NDArray[np.int64], azimuth: float, title: str) -> Figure:
    figure = blank(5.2, 5.0)
    figure.get_layout_engine().set(w_pad=0, h_pad=0.03)  # type: ignore[union-attr,call-arg]
    view(figure.add_subplot(projection="3d"), places, labels, azimuth)
    figure.suptitle(title, x=0.02, ha="left", fontsize=10)
    emotion_legend(figure, labels)
    return figure


def _opened(figure: Figure) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(png(figure, dpi=100))).convert("RGB")


def changing_faces(
    frames: ArrayLike, titles: Sequence[str], path: Path, *, note: str = "", turned: float = 0.0
) -> None:
    """Writes faces that change together, there and back, as GIF or WebP.

    frames: (steps, C, 83, 3) prepared, C faces side by side. titles: of the C faces, above them. note: a line
    below all of them. turned: degrees of yaw.
    Raises: DataError when the titles do not fit the faces, a landmark is not finite, or the path has another
    ending; StorageError.
    """
    faces = np.asarray(frames, np.float64)
    if faces.ndim != 4 or faces.shape[2:] != (COUNT, 3) or not faces.size:
        raise DataError(f"frames of shape {faces.shape}: expected (steps, faces, {COUNT}, 3)")
    if faces.shape[1] != len(titles):
        raise DataError(f"{faces.shape[1]} faces with {len(titles)} titles: expected one each")
    camera = camera_for(faces, turned)
    drawn = [
        _lettered(
            np.concatenate(
                [draw_face(face, size=_SIDE, camera=camera, background=PAPER) for face in step], axis=1
            ),
            titles,
            note,
        )
        for step in faces
    ]
    seconds = [_STEP_SECONDS] * len(drawn)
    seconds[0] = seconds[-1] = _END_SECONDS
    # There and back; both ends are shown once.
    back = slice(-2, 0, -1)
    write_animation([*drawn, *drawn[back]], [*seconds, *seconds[back]], path)


def _lettered(pixels: NDArray[np.uint8], titles: Sequence[str], note: str) -> Any:
    """A row of faces with a title above each, and a line below."""
    from PIL import Image, ImageDraw, ImageFont

    above, below = 30, 26 if note else 0
    height, width = pixels.shape[:2]
    sheet = Image.new("RGB", (width, height + above + below), "white")
    sheet.paste(Image.fromarray(pixels), (0, above))
    pen = ImageDraw.Draw(sheet)
    side = width / len(titles)
    for number, title in enumerate(titles):
        pen.text(
            ((number + 0.5) * side, above / 2), title, "#1B1F24", ImageFont.load_default(15), anchor="mm"
        )
    pen.text((8, above + height + below / 2), note, "#59636E", ImageFont.load_default(13), anchor="lm")
    return sheet
