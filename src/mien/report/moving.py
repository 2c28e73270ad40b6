"""Pictures one after another in one file: an animated GIF or WebP that repeats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.errors import DataError
from mien.storage import atomic

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS: tuple[str, ...] = (".gif", ".webp")
"""What the name of a moving picture ends in."""

_NEAR_WHITE = 244


def write_animation(pictures: Sequence[Image], seconds: Sequence[float], path: Path) -> None:
    """Writes pictures of one size, each shown so many seconds, atomically.

    A GIF has one palette for all, of 255 colours: they keep their shade from picture to picture.
    Raises: DataError when there is no picture, or the name ends in none of `ENDINGS`; StorageError when the
    path cannot be written.
    """
    if not pictures:
        raise DataError("no picture to animate: expected at least one")
    if path.suffix.lower() not in ENDINGS:
        raise DataError(f"{path.name!r}: expected a name that ends in {' or '.join(ENDINGS)}")
    times = [round(1000 * each) for each in seconds]
    with atomic(path) as temporary:
        if path.suffix.lower() == ".webp":
            first, *others = pictures
            first.save(
                temporary, format="WEBP", save_all=True, append_images=others, duration=times, loop=0,
                quality=88, method=4,
            )  # fmt: skip
        else:
            first, *others = _one_palette(pictures)
            first.save(temporary, format="GIF", save_all=True, append_images=others, duration=times, loop=0)


def _one_palette(pictures: Sequence[Image]) -> list[Image]:
    """The pictures in the 255 colours that suit all of them best."""
    from PIL import Image

    sheet = Image.new("RGB", (pictures[0].width, sum(picture.height for picture in pictures)))
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (0, number * picture.height))
    palette = sheet.quantize(255, dither=Image.Dither.NONE)
    shades = np.array(palette.getpalette()).reshape(-1, 3)
    # The palette has shades near white, and the paper would be drawn in one of them.
    shades[(shades > _NEAR_WHITE).all(axis=1)] = 255
    palette.putpalette(shades.ravel().tolist())
    return [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
