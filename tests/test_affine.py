"""Rotation, scaling and crops of a batch against an obvious loop over the pixels of one face."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from mien.transforms import Augmentation, centre, mirror, uniform, warp

Picture = NDArray[np.float64]


def bilinear(picture: Picture, y: float, x: float, fill: str) -> float:
    """The grey value at a place between pixels; (0, 0) is the middle of the first one."""
    height, width = picture.shape
    value = 0.0
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            weight = (1 - abs(y - row)) * (1 - abs(x - column))
            if fill == "nearest":
                value += weight * picture[min(max(row, 0), height - 1), min(max(column, 0), width - 1)]
            elif 0 <= row < height and 0 <= column < width:
                value += weight * picture[row, column]
    return value


def slow_warp(
    picture: Picture,
    size: int,
    angle: float,
    zoom: tuple[float, float],
    shift: tuple[float, float],
    fill: str,
) -> Picture:
    """Pixel by pixel: back through the shift, the zoom, the rotation."""
    height, width = picture.shape
    radians = math.radians(angle)
    result = np.zeros((size, size))
    for row in range(size):
        for column in range(size):
            up_y = (row + 0.5 - size / 2 + shift[0]) / zoom[0]
            up_x = (column + 0.5 - size / 2 + shift[1]) / zoom[1]
            y = math.sin(radians) * up_x + math.cos(radians) * up_y
            x = math.cos(radians) * up_x - math.sin(radians) * up_y
            result[row, column] = bilinear(picture, y + height / 2 - 0.5, x + width / 2 - 0.5, fill)
    return result


@given(
    angle=st.floats(-180, 180),
    zoom=st.tuples(st.floats(0.7, 1.4), st.floats(0.7, 1.4)),
    shift=st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    fill=st.sampled_from(["zero", "nearest"]),
)
def test_warp_against_a_loop(
    angle: float, zoom: tuple[float, float], shift: tuple[float, float], fill: str
) -> None:
    picture = np.random.default_rng(0).normal(size=(9, 11))
    found = warp(
        torch.from_numpy(picture)[None, None],
        size=7,
        angle=angle,
        zoom=torch.tensor([zoom], dtype=torch.float64),
        shift=torch.tensor([shift], dtype=torch.float64),
        fill=fill,  # type: ignore[arg-type]
    )
    np.testing.assert_allclose(
        found[0, 0].numpy(), slow_warp(picture, 7, angle, zoom, shift, fill), atol=1e-9
    )


def test_rotation_is_anticlockwise() -> None:
    faces = torch.zeros(1, 1, 5, 5)
    faces[0, 0, 2, 4] = 1  # right of the middle
    assert float(warp(faces, size=5, angle=90.0)[0, 0, 0, 2]) == pytest.approx(1, abs=1e-6)  # above it


def test_whole_shifts_are_slices() -> None:
    faces = torch.rand(2, 1, 48, 48)
    for top, left in ((0, 0), (6, 0), (3, 3), (5, 6)):
        shift = torch.tensor([[top - 3.0, left - 3.0]]).expand(2, 2)
        found = warp(faces, size=42, shift=shift)
        torch.testing.assert_close(found, faces[:, :, top : top + 42, left : left + 42], atol=1e-5, rtol=0)


def test_centre() -> None:
    faces = torch.rand(2, 1, 48, 48)
    assert torch.equal(centre(faces, 42), faces[:, :, 3:45, 3:45])
    assert torch.equal(centre(faces, 48), faces)


SYSTEM_A = Augmentation(mirror=0.5, rotate=45, resize=(42, 54), crop="random", fill="zero")


def slow_system_a(picture: Picture, seed: int, epoch: int, row: int) -> Picture:
    """System A's four steps for one face, one after the other but for the sampling."""

    def draw(purpose: str, draws: int = 1) -> list[float]:
        return [float(u) for u in uniform(seed, purpose, epoch, torch.tensor([row]), draws)[0]]

    if draw("mirror")[0] < 0.5:
        picture = picture[:, ::-1]
    angle = -45 + 90 * draw("rotate")[0]
    side = 42 + math.floor(13 * draw("resize")[0])
    top, left = (math.floor((side - 42 + 1) * u) for u in draw("crop", 2))
    shift = (top + 21 - side / 2, left + 21 - side / 2)
    return slow_warp(picture, 42, angle, (side / 48, side / 48), shift, "zero")


def test_system_a_augmentation_against_a_loop() -> None:
    pictures = np.random.default_rng(1).normal(size=(4, 48, 48))
    rows = torch.tensor([0, 17, 28_708, 5])
    found = SYSTEM_A(torch.from_numpy(pictures).float()[:, None], size=42, seed=3, epoch=7, rows=rows)
    assert found.shape == (4, 1, 42, 42)
    for picture, row, face in zip(pictures, rows.tolist(), found, strict=True):
        np.testing.assert_allclose(face[0].numpy(), slow_system_a(picture, 3, 7, row), atol=2e-4)


def test_system_b_augmentation_against_a_loop() -> None:
    pictures = np.random.default_rng(1).normal(size=(3, 48, 48))
    rows = torch.tensor([0, 17, 28_708])
    augmentation = Augmentation(mirror=0.5, rotate=10, zoom=0.1, fill="nearest")
    found = augmentation(torch.from_numpy(pictures).float()[:, None], size=48, seed=0, epoch=1, rows=rows)
    flipped = uniform(0, "mirror", 1, rows)[:, 0] < 0.5
    for number, picture in enumerate(pictures):
        angle = -10 + 20 * float(uniform(0, "rotate", 1, rows)[number, 0])
        vertical, horizontal = (1 + 0.1 * (2 * float(u) - 1) for u in uniform(0, "zoom", 1, rows, 2)[number])
        before = picture[:, ::-1] if flipped[number] else picture
        expected = slow_warp(before, 48, angle, (vertical, horizontal), (0, 0), "nearest")
        np.testing.assert_allclose(found[number, 0].numpy(), expected, atol=2e-4)


def test_augmentation_does_not_depend_on_the_batch() -> None:
    faces = torch.rand(12, 1, 48, 48)
    rows = torch.arange(12)
    whole = SYSTEM_A(faces, size=42, seed=0, epoch=0, rows=rows)
    parts = [SYSTEM_A(faces[part], size=42, seed=0, epoch=0, rows=part) for part in rows.split(5)]
    torch.testing.assert_close(whole, torch.cat(parts))
    assert not torch.allclose(whole, SYSTEM_A(faces, size=42, seed=0, epoch=1, rows=rows))


def test_draws_cover_what_the_paper_names() -> None:
    draws = SYSTEM_A._draws(torch.zeros(4000, 1, 48, 48), 42, 0, 0, torch.arange(4000))
    sides = (draws["zoom"][:, 0] * 48).round().int()
    assert sorted(set(sides.tolist())) == list(range(42, 55))
    assert float(draws["angle"].min()) < -44
    assert float(draws["angle"].max()) > 44
    assert torch.equal(draws["zoom"][:, 0], draws["zoom"][:, 1])
    corners = draws["shift"] + (sides[:, None] - 42) / 2
    assert torch.equal(corners, corners.round())
    assert bool((corners >= 0).all())
    assert bool((corners <= sides[:, None] - 42).all())
    largest = corners[sides == 54]
    assert set(largest.flatten().int().tolist()) == set(range(13))


@pytest.mark.parametrize("plain", [{}, {"resize": (48, 48)}])
def test_no_geometry_leaves_the_middle_untouched(plain: dict[str, object]) -> None:
    faces = torch.rand(3, 1, 48, 48)
    rows = torch.arange(3)
    found = Augmentation(mirror=1.0, **plain)(faces, size=42, seed=0, epoch=0, rows=rows)  # type: ignore[arg-type]
    assert torch.equal(found, mirror(faces, torch.ones(3, dtype=torch.bool))[:, :, 3:45, 3:45])


@pytest.mark.parametrize("wrong", [{"resize": (54, 42)}, {"rotate": 200}, {"fill": "mean"}, {"crop": "left"}])
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Augmentation(**wrong)  # type: ignore[arg-type]


def test_a_crop_larger_than_the_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="crop of 42 pixels from pictures of 40"):
        Augmentation(resize=(40, 54), crop="random").check(42, 48)
    SYSTEM_A.check(42, 48)
