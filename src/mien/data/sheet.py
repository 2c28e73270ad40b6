"""A sample sheet: some faces of each emotion side by side, as one picture."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.errors import DataError
from mien.faces import FaceBatch
from mien.labels import EMOTIONS
from mien.storage import atomic

CELL = 96
"""The least side of a drawn face, in pixels; smaller faces are enlarged by a whole factor."""

_MARGIN = 4
_NAMES_WIDTH = 150
_FONT_SIZE = 16


def sample_sheet(batch: FaceBatch, per_emotion: int = 10, seed: int = 0) -> Image.Image:
    """Draws one row an emotion: its name and number of faces, then faces drawn at random without repetition.

    seed: the same seed draws the same faces of the same batch.
    """
    height, width = batch.images.shape[1:]
    factor = max(1, math.ceil(CELL / max(height, width)))
    height, width = height * factor, width * factor
    size = (
        _NAMES_WIDTH + per_emotion * (width + _MARGIN) + _MARGIN,
        len(EMOTIONS) * (height + _MARGIN) + _MARGIN,
    )
    sheet = Image.new("L", size, 255)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    for row, name in enumerate(EMOTIONS):
        there = np.flatnonzero(batch.labels == row)
        top = _MARGIN + row * (height + _MARGIN)
        draw.text((_MARGIN, top + height // 2), f"{name}\n{len(there):,}", fill=0, font=font, anchor="lm")
        # Keyed by the emotion too, so that more faces of one do not change the choice of another.
        chosen = np.random.default_rng((seed, row)).permutation(there)[:per_emotion]
        for column, at in enumerate(chosen):
            face = Image.fromarray(batch.images[at]).resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(face, (_NAMES_WIDTH + column * (width + _MARGIN), top))
    return sheet


def write_sheet(batch: FaceBatch, path: Path, per_emotion: int = 10, seed: int = 0) -> None:
    """Writes `sample_sheet` as a picture file.

    Raises: DataError when the name's ending is no picture format.
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in Image.SAVE:
        raise DataError(f"cannot draw a sheet as {path.name!r}: expected a name that ends in .png or .jpg")
    with atomic(path) as temporary:
        sample_sheet(batch, per_emotion, seed).save(temporary, kind)
