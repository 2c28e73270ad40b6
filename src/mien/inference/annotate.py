"""Drawing what was read onto a copy of the picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mien.faces import Prediction

SURE = (255, 214, 10)
UNSURE = (200, 200, 200)
DARK = (20, 20, 20)


def annotate(image: NDArray[np.uint8], predictions: list[Prediction]) -> Image.Image:
    """The picture with a box, a label and its confidence at each face.

    A sure reading has a full yellow box; an unsure one a dashed grey box and a question mark. Both lie on a
    dark outline, so that they show on any background; lines and letters grow with the picture.
    Shape: image (H, W, 3) uint8; it is not changed. Returns an RGB image of the same size.
    """
    drawn = Image.fromarray(image).copy()
    pen = ImageDraw.Draw(drawn)
    thickness = max(1, round(max(drawn.size) / 250))
    # Smallest face last, so that its label is not hidden.
    for prediction in sorted(predictions, key=lambda each: -each.box[2] * each.box[3]):
        colour = UNSURE if prediction.unsure else SURE
        _draw_box(pen, prediction.box, colour, thickness, dashed=prediction.unsure)
        _draw_label(pen, prediction, colour, thickness, drawn.size)
    return drawn


def caption(prediction: Prediction) -> str:
    """What is written at a face, such as 'happy 93 %', 'happy or surprise' or 'sad? 41 %'."""
    if prediction.unsure and len(prediction.could_be or ()) > 1:
        return prediction.words
    return f"{prediction.words} {100 * prediction.confidence:.0f} %"


def _draw_box(
    pen: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    colour: tuple[int, int, int],
    thickness: int,
    dashed: bool,
) -> None:
    x, y, width, height = box
    right, bottom = x + width - 1, y + height - 1
    pen.rectangle((x, y, right, bottom), outline=DARK, width=3 * thickness)
    if width <= 2 * thickness or height <= 2 * thickness:
        return
    left, top, right, bottom = x + thickness, y + thickness, right - thickness, bottom - thickness
    if not dashed:
        pen.rectangle((left, top, right, bottom), outline=colour, width=thickness)
        return
    dash = max(4 * thickness, 4)
    for start in range(left, right + 1, 2 * dash):
        for edge in (top, bottom - thickness + 1):
            end = (min(start + dash, right), edge + thickness - 1)
            pen.rectangle((start, edge, *end), fill=colour)
    for start in range(top, bottom + 1, 2 * dash):
        for edge in (left, right - thickness + 1):
            end = (edge + thickness - 1, min(start + dash, bottom))
            pen.rectangle((edge, start, *end), fill=colour)


def _draw_label(
    pen: ImageDraw.ImageDraw,
    prediction: Prediction,
    colour: tuple[int, int, int],
    thickness: int,
    size: tuple[int, int],
) -> None:
    text = caption(prediction)
    x, y, width, height = prediction.box
    # As wide as the face, yet neither too small to read nor larger than a line of the picture.
    letters = min(max(width / 7, 10, max(size) / 60), max(size) / 20 + 6)
    font = ImageFont.load_default(size=letters)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    margin = 2 * thickness
    wide, high = right - left + 2 * margin, bottom - top + 2 * margin
    # Above the face, else below it, else inside; never beyond the picture.
    at_y = y - high if y >= high else y + height if y + height + high <= size[1] else y
    at_x = min(max(x, 0), max(size[0] - wide, 0))
    pen.rectangle((at_x, at_y, at_x + wide, at_y + high), fill=DARK)
    pen.text((at_x + margin - left, at_y + margin - top), text, fill=colour, font=font)
