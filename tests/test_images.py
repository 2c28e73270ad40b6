"""Pictures of every kind become upright RGB; bad ones give one clear line."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.errors import ImageError
from mien.inference import images
from mien.inference.images import find_pictures, read_picture

RED_GREEN = np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)  # (1, 2, 3): red to the left of green


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes whose header claims a picture of any size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


def test_the_same_pixels_from_path_bytes_pil_and_numpy(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    image = Image.fromarray(pixels)
    path = tmp_path / "a.png"
    image.save(path)
    for source in (path, str(path), path.read_bytes(), image, pixels):
        read = read_picture(source)
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, pixels)


def test_grey_arrays_become_rgb() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(read_picture(grey), np.stack([grey] * 3, axis=2))


# EXIF 2.3, table 6: what lies at row 0 and column 0 of the stored picture, as numpy undoes it.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(orientation: int) -> None:
    stored = np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(stored), exif=exif)
    np.testing.assert_array_equal(read_picture(content), UPRIGHT[orientation](stored))


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"]
)
def test_every_mode_gives_rgb_of_the_same_size(mode: str) -> None:
    grey = Image.fromarray(np.tile(np.arange(0, 256, 16, dtype=np.uint8), (8, 1)))
    # LAB and I;16 are reached by other roads than convert.
    if mode == "LAB":
        image = Image.frombytes("LAB", grey.size, bytes([128, 128, 128]) * (grey.width * grey.height))
    elif mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        image = grey.convert("RGB").convert(mode) if mode in {"CMYK", "YCbCr", "HSV"} else grey.convert(mode)
    assert image.mode == mode
    read = read_picture(image)
    assert read.shape == (8, 16, 3)
    if mode not in {"1", "LAB"}:
        assert np.abs(read.astype(int) - np.asarray(grey)[:, :, None]).max() <= 2


def test_transparency_lies_on_white() -> None:
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 255))
    assert read_picture(image).tolist() == [[[255] * 3, [0] * 3]]
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([9, 9, 9, 50, 60, 70])
    palette.putpixel((1, 0), 1)
    assert read_picture(encoded(palette, transparency=0)).tolist() == [[[255] * 3, [50, 60, 70]]]
    keyed = encoded(Image.fromarray(RED_GREEN), transparency=(255, 0, 0))
    assert read_picture(keyed).tolist() == [[[255] * 3, [0, 255, 0]]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0], [0, 128, 255]),
        ([0.0, 100.0, 255.0], [0, 100, 255]),
        ([0.0, 257.0 * 100, 65535.0], [0, 100, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([0.0, float("nan"), 1.0], [0, 0, 255]),
        ([7.0, 7.0, 7.0], [7, 7, 7]),
    ],
)
def test_floats_take_the_smallest_range_that_holds_them(values: list[float], expected: list[int]) -> None:
    image = Image.fromarray(np.array([values], np.float32))
    assert read_picture(image)[0, :, 0].tolist() == expected


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (3, 2), colour) for colour in ("red", "blue")]
    content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert read_picture(content)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"these are words", "not a picture"),
        (encoded(Image.new("RGB", (200, 200), "red"), "JPEG")[:400], "damaged"),
        (encoded(Image.effect_noise((64, 64), 50))[:900], "truncated"),
        (bomb(60_000, 60_000), "million pixels"),
        (bomb(12_000, 12_000), "million"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n", "EPS"),
    ],
)
def test_bad_content_gives_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(ImageError, match=words) as caught:
            read_picture(source)
        assert "\n" not in str(caught.value)
    with pytest.raises(ImageError, match=r"bad\.jpg"):
        read_picture(path)


def test_bad_paths_and_types_give_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        read_picture(tmp_path / "nowhere.jpg")
    with pytest.raises(ImageError, match="is a folder"):
        read_picture(tmp_path)
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="no regular file"):
        read_picture(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="null"):
        read_picture("a\0b")
    with pytest.raises(ImageError, match="type list"):
        read_picture([1, 2])  # type: ignore[arg-type]
    for array in (np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 3, 3), np.uint8)):
        with pytest.raises(ImageError, match="array"):
            read_picture(array)
    monkeypatch.setattr(images, "MAX_BYTES", 10)
    (tmp_path / "big.png").write_bytes(b"x" * 11)
    with pytest.raises(ImageError, match="MiB"):
        read_picture(tmp_path / "big.png")


VALID = encoded(Image.fromarray(RED_GREEN).resize((32, 24)), "JPEG")


@given(st.integers(0, len(VALID) - 1), st.integers(0, 255), st.integers(0, len(VALID)))
def test_a_damaged_file_is_read_or_refused(position: int, value: int, length: int) -> None:
    damaged = bytearray(VALID)
    damaged[position] = value
    message, shape = "", ()
    try:
        shape = read_picture(bytes(damaged[:length])).shape
    except ImageError as error:
        message = str(error)
    assert len(shape) == 3 or message
    assert "\n" not in message


def test_folders_are_searched_in_order(tmp_path: Path) -> None:
    for name in ("b.JPG", "a/z.png", "a/notes.txt", ".hidden.png", ".git/x.png", "out/done.png", "c.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found, problems = find_pictures(tmp_path, outside=tmp_path / "out")
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a/z.png", "b.JPG", "c.webp"]
    assert problems == []
    named = tmp_path / "a" / "notes.txt"
    assert find_pictures(named) == ([named], [])
    (tmp_path / "out" / "done.png").unlink()
    with pytest.raises(ImageError, match="no picture in the folder"):
        find_pictures(tmp_path / "out")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_is_shut_is_named(tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.mkdir(mode=0)
    try:
        with pytest.raises(ImageError, match="shut"):
            find_pictures(shut)
        (tmp_path / "a.png").touch()
        found, problems = find_pictures(tmp_path)
        assert [path.name for path in found] == ["a.png"]
        assert ["shut" in str(problem) for problem in problems] == [True]
    finally:
        shut.chmod(0o700)
