"""Face crops stored as picture files: decoded, checked for one size or brought to it, encoded."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mien.errors import ImageError
from mien.faces import UInt8

LARGEST_SIDE = 2048
"""A crop with a longer side is refused before it is decoded, so that no small file can fill the memory."""

LARGEST_SQUARED = 8192
"""The longest side of a picture that is made small as soon as it is decoded: whole photographs."""

_EIGHT_BIT = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"}


def squared(picture: Image.Image, size: int) -> Image.Image:
    """The largest square in the middle of a picture, size×size: bicubic, antialiased where it shrinks.

    A picture that is size×size already stays as it is.
    """
    return ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)


def all_squared(images: UInt8, size: int) -> UInt8:
    """`squared` of each of (N, H, W) uint8 grey images: (N, size, size) uint8."""
    if images.shape[1:] == (size, size):
        return images
    small = np.zeros((len(images), size, size), np.uint8)
    for i, image in enumerate(images):
        small[i] = np.asarray(squared(Image.fromarray(image), size))
    return small


def decode_grey(content: bytes | None, size: int | None = None) -> UInt8:
    """A face crop as (height, width) uint8 grey, from the bytes of any picture file that Pillow opens.

    size: `squared` to that side, turned upright by its EXIF tag, as whole photographs are; None as it is.
    Pillow rather than OpenCV: it raises on truncated and damaged files, where OpenCV writes to standard
    error and for some kinds returns half a picture.
    Raises: ImageError when the bytes are no whole 8-bit picture, or it is larger than `LARGEST_SIDE`, with a
    size than `LARGEST_SQUARED`.
    """
    if not content:
        raise ImageError("no picture: expected the bytes of a PNG or JPEG file")
    try:
        with Image.open(io.BytesIO(content)) as picture:
            largest = LARGEST_SIDE if size is None else LARGEST_SQUARED
            if max(picture.size) > largest:
                width, height = picture.size
                raise ImageError(f"a picture of {width}×{height}: expected at most {largest} a side")
            if picture.mode not in _EIGHT_BIT:
                raise ImageError(f"a picture of mode {picture.mode}: expected 8 bits a channel")
            grey = picture if picture.mode == "L" else picture.convert("L")
            return np.asarray(grey if size is None else squared(ImageOps.exif_transpose(grey), size))
    except UnidentifiedImageError as error:
        raise ImageError(f"{len(content)} bytes that do not decode as a picture (no known format)") from error
    # Pillow's readers raise many kinds of error on damaged files; every one means the same here.
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ImageError(f"{len(content)} bytes that do not decode as a picture ({error})") from error


def encode_png(image: UInt8) -> bytes:
    """A (height, width) uint8 grey image as the bytes of a PNG file, without loss."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def decode_all(
    contents: Iterable[bytes | None], size: int | None = None
) -> tuple[list[UInt8 | None], dict[int, str]]:
    """Decodes many crops of one size; the size that most of them have is taken as the right one.

    size: decode them all at this size instead, whatever theirs is, one by one as they come.
    Returns the images, None where there is none, and what is wrong with each of those, by position.
    """
    images: list[UInt8 | None] = []
    faults: dict[int, str] = {}
    for i, content in enumerate(contents):
        try:
            images.append(decode_grey(content, size))
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
