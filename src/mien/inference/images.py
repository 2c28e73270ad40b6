"""Opening pictures of any kind as upright RGB, within bounds, and finding them in folders."""

from __future__ import annotations

import io
import os
import stat
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from mien.errors import ImageError

UInt8 = NDArray[np.uint8]
Picture = str | os.PathLike[str] | bytes | Image.Image | NDArray[Any]
"""What people hand over: a path, an encoded file's bytes, a PIL image, or numpy uint8 RGB or grey."""

MAX_BYTES = 256 * 2**20
"""Larger files are refused before they are read."""

MAX_PIXELS = 128_000_000
"""Larger pictures are refused before they are decoded: above a 108-megapixel telephone's, 384 MB as RGB."""

PICTURE_SUFFIXES = frozenset(
    (
        ".avif", ".bmp", ".dib", ".gif", ".ico", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".jpx", ".pbm",
        ".pcx", ".pgm", ".png", ".pnm", ".ppm", ".qoi", ".sgi", ".tga", ".tif", ".tiff", ".webp", ".xbm",
    )
)  # fmt: skip
"""What counts as a picture in a folder; a file that is named is always tried."""

_RUNS_A_PROGRAM = frozenset({"EPS", "WMF"})
"""Formats that Pillow hands to another program: an untrusted file must not reach one."""


def read_picture(source: Picture) -> UInt8:
    """A picture as it is meant to be seen: upright (EXIF orientation applied), RGB, transparency over white.

    Source: a path, the bytes of an encoded file, a PIL image, or numpy uint8 (H, W, 3) RGB or (H, W) grey.
    Of animations the first frame is taken. 16-bit pictures are scaled to 8 bits; 32-bit integers and
    floats are taken as 0…1, 0…255 or 0…65535, whichever is the smallest range that holds them, and
    otherwise stretched from their minimum to their maximum.
    Shape: returns (H, W, 3) uint8.
    Raises: ImageError when the file is missing, empty, truncated, no picture, or too large.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _decode(source, "the image")
    if isinstance(source, bytes | bytearray | memoryview):
        return _open(bytes(source), f"the picture of {len(source)} bytes")
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return _open(_read_bytes(path), str(path))
    raise ImageError(
        f"a picture of type {type(source).__name__}: expected a path, bytes, a PIL image or a numpy array"
    )


def find_pictures(source: Path, outside: Path | None = None) -> tuple[list[Path], list[ImageError]]:
    """The files to read: a file itself, whatever its name, or the pictures below a folder, sorted by path.

    Hidden files and folders are passed over, as is the folder `outside`. Nothing is opened.
    Returns: the files, and an error for each folder below the source that could not be listed.
    Raises: ImageError when the folder itself cannot be listed or holds no picture.
    """
    try:
        if not source.is_dir():
            return [source], []
        shut = outside.resolve() if outside else None
    except OSError as error:
        raise ImageError(f"cannot read {source}: {error.strerror}; check its permissions") from error
    found: list[Path] = []
    shut_out: list[ImageError] = []

    def refuse(error: OSError) -> None:
        shut_out.append(
            ImageError(f"cannot read the folder {error.filename}: {error.strerror}; check its permissions")
        )

    for root, folders, files in os.walk(source, onerror=refuse):
        here = Path(root)
        folders[:] = [
            each for each in folders if not each.startswith(".") and (here / each).resolve() != shut
        ]
        found += [
            here / name
            for name in files
            if not name.startswith(".") and Path(name).suffix.lower() in PICTURE_SUFFIXES
        ]
    if not found:
        if shut_out:
            raise shut_out[0]
        raise ImageError(f"no picture in the folder {source}: expected files such as .jpg, .png or .webp")
    return sorted(found), shut_out


def _read_bytes(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(f"{path} is a folder: expected a picture file")
        # A pipe or device would block or never end.
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{path} is no regular file: expected a picture file")
        if status.st_size == 0:
            raise ImageError(f"{path} is empty: expected a picture")
        _check_bytes(status.st_size, str(path))
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"{path} does not exist: expected a picture or a folder of pictures") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"cannot read {path}: {reason}") from error


def _check_bytes(size: int, name: str) -> None:
    if size > MAX_BYTES:
        raise ImageError(f"{name} has {size / 2**20:.0f} MiB: at most {MAX_BYTES // 2**20} are read")


def _check_pixels(width: int, height: int, name: str) -> None:
    if width < 1 or height < 1:
        raise ImageError(f"{name} is {width}×{height} pixels: expected at least one pixel")
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name} is {width}×{height} pixels, more than the {MAX_PIXELS // 10**6} million that are read:"
            " make it smaller first"
        )


def _open(content: bytes, name: str) -> UInt8:
    if not content:
        raise ImageError(f"{name} is empty: expected a picture")
    _check_bytes(len(content), name)
    try:
        with warnings.catch_warnings():
            # The bound on pixels below is ours; Pillow's warnings about damaged metadata help no reader.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content)) as image:
                return _decode(image, name)
    except Image.UnidentifiedImageError:
        raise ImageError(f"{name} is not a picture that can be read: expected JPEG, PNG, WebP, …") from None
    except Image.DecompressionBombError:
        raise ImageError(
            f"{name} would unpack to more than the {MAX_PIXELS // 10**6} million pixels that are read:"
            " make it smaller first"
        ) from None
    except ImageError:
        raise
    # Pillow's readers raise almost anything on a damaged file: OSError, SyntaxError, IndexError…
    except Exception as error:
        raise ImageError(f"{name} is damaged or truncated: {error}") from error


def _decode(image: Image.Image, name: str) -> UInt8:
    _check_pixels(*image.size, name)
    if image.format in _RUNS_A_PROGRAM:
        raise ImageError(f"{name} is {image.format}: expected a picture of pixels such as JPEG or PNG")
    try:
        image.load()
    except Exception as error:
        raise ImageError(f"{name} is damaged or truncated: {error}") from error
    try:
        rgb = _to_rgb(_upright(image))
    except (ValueError, OSError) as error:
        raise ImageError(f"{name} has a colour mode that cannot be read, {image.mode}: {error}") from error
    return np.asarray(rgb, dtype=np.uint8)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    # Damaged EXIF says nothing about the pixels, which are whole.
    except Exception:
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in {"I", "F"} or image.mode.startswith("I;"):
        return Image.fromarray(_to_eight_bits(np.asarray(image), image.mode)).convert("RGB")
    if image.has_transparency_data:
        colours = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, colours).convert("RGB")
    return image.convert("RGB")


def _to_eight_bits(values: NDArray[Any], mode: str) -> UInt8:
    wide = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(wide.min()), float(wide.max())
    if mode.startswith("I;16"):
        low, high = 0.0, 65535.0
    elif low >= 0 and high <= 65535:
        ranges = (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
        low, high = 0.0, next(top for top in ranges if high <= top)
    scaled = (wide - low) * (255.0 / max(high - low, 1e-30))
    eight: UInt8 = np.rint(scaled).astype(np.uint8)
    return eight


def _from_array(array: NDArray[Any]) -> UInt8:
    grey = array.ndim == 2
    if array.dtype != np.uint8 or not (grey or (array.ndim == 3 and array.shape[2] == 3)):
        raise ImageError(
            f"an array of {array.dtype} {array.shape}:"
            " expected uint8, RGB (height, width, 3) or grey (height, width)"
        )
    _check_pixels(array.shape[1], array.shape[0], "the array")
    return np.repeat(array[:, :, None], 3, axis=2) if grey else np.ascontiguousarray(array)
