"""Face crops stored as picture files: decoded, checked for one size, encoded."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence

import numpy as np
from PIL import Image

from mien.errors import ImageError
from mien.faces import UInt8

LARGEST_SIDE = 2048
"""A crop with a longer side is refused before it is decoded, so that no small file can fill the memory."""

_EIGHT_BIT = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"}


def decode_grey(content: bytes | None) -> UInt8:
    """A face crop as (height, width) uint8 grey, from the bytes of any picture file that Pillow opens.

    Pillow rather than OpenCV: it raises on truncated and damaged files, where OpenCV writes to standard
    error and for some kinds returns half a picture.
    Raises: ImageError when the bytes are no whole 8-bit picture, or it is larger than `LARGEST_SIDE`.
    """
    if not content:
        raise ImageError("no picture: expected the bytes of a PNG or JPEG file")
    try:
        with Image.open(io.BytesIO(content)) as picture:
            if max(picture.size) > LARGEST_SIDE:
                width, height = picture.size
                raise ImageError(f"a picture of {width}×{height}: expected at most {LARGEST_SIDE} a side")
            if picture.mode not in _EIGHT_BIT:
                raise ImageError(f"a picture of mode {picture.mode}: expected 8 bits a channel")
            return np.asarray(picture if picture.mode == "L" else picture.convert("L"))
    # Pillow's readers raise many kinds of error on damaged files; every one means the same here.
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ImageError(f"{len(content)} bytes that do not decode as a picture ({error})") from error


def encode_png(image: UInt8) -> bytes:
    """A (height, width) uint8 grey image as the bytes of a PNG file, without loss."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def decode_all(contents: Sequence[bytes | None]) -> tuple[list[UInt8 | None], dict[int, str]]:
    """Decodes many crops of one size; the size that most of them have is taken as the right one.

    Returns the images, None where there is none, and what is wrong with each of those, by position.
    """
    images: list[UInt8 | None] = []
    faults: dict[int, str] = {}
    for i, content in enumerate(contents):
        try:
            images.append(decode_grey(content))
        except ImageError as error:
            images.append(None)
            faults[i] = str(error)
    sizes = Counter(image.shape for image in images if image is not None)
    if len(sizes) > 1:
        (right, _), *_ = sizes.most_common(1)
        for i, image in enumerate(images):
            if image is not None and image.shape != right:
                (height, width), (right_height, right_width) = image.shape, right
                faults[i] = (
                    f"a picture of {width}×{height}: expected {right_width}×{right_height} like most others"
                )
                images[i] = None
    return images, faults
