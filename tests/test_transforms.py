"""Random numbers are a function of what they are for; transforms equal their obvious form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mien.transforms import Augmentation, key, mirror, permutation, uniform

MASK = (1 << 64) - 1


def slow_uniform(seed: int, purpose: str, epoch: int, row: int, draws: int) -> list[float]:
    """The same numbers in Python's own unbounded integers."""

    def mixed(value: int) -> int:
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            value = ((value ^ (value >> 33)) * factor) & MASK
        return value ^ (value >> 33)

    return [
        (mixed(mixed(row * draws + draw) ^ key(seed, purpose, epoch)) >> 40) / (1 << 24)
        for draw in range(draws)
    ]


@given(
    seed=st.integers(0, 2**31),
    epoch=st.integers(0, 5000),
    rows=st.lists(st.integers(0, 10**7), min_size=1, max_size=5),
    draws=st.integers(1, 4),
)
def test_uniform_against_python_integers(seed: int, epoch: int, rows: list[int], draws: int) -> None:
    found = uniform(seed, "mirror", epoch, torch.tensor(rows), draws)
    expected = [slow_uniform(seed, "mirror", epoch, row, draws) for row in rows]
    np.testing.assert_array_equal(found.numpy(), np.array(expected, np.float32))


def test_uniform_is_uniform_and_independent() -> None:
    values = uniform(0, "mirror", 0, torch.arange(200_000), 2).double()
    assert float(values.min()) >= 0
    assert float(values.max()) < 1
    # Five standard errors of the mean, the variance and the correlation of 200,000 draws.
    assert abs(float(values.mean()) - 0.5) < 5 * (1 / 12 / values.numel()) ** 0.5
    assert abs(float(values.var()) - 1 / 12) < 5 * (1 / 180 / values.numel()) ** 0.5
    assert abs(float(torch.corrcoef(values.T)[0, 1])) < 5 / len(values) ** 0.5


def test_uniform_does_not_depend_on_the_batch() -> None:
    rows = torch.randperm(1000)
    whole = uniform(1, "mirror", 2, rows)
    parts = torch.cat([uniform(1, "mirror", 2, part) for part in rows.split(37)])
    assert torch.equal(whole, parts)
    assert not torch.equal(whole, uniform(1, "mirror", 3, rows))
    assert not torch.equal(whole, uniform(2, "mirror", 2, rows))
    assert not torch.equal(whole, uniform(1, "rotate", 2, rows))


def test_permutation_holds_every_row_once_and_differs_by_epoch() -> None:
    first, second = permutation(0, 0, 100), permutation(0, 1, 100)
    assert sorted(first.tolist()) == list(range(100))
    assert not torch.equal(first, second)
    assert torch.equal(first, permutation(0, 0, 100))


def test_mirror_against_a_loop() -> None:
    faces = torch.rand(6, 1, 5, 7)
    flipped = torch.tensor([True, False, True, True, False, False])
    found = mirror(faces, flipped)
    for face, wanted, result in zip(faces, flipped, found, strict=True):
        for y in range(5):
            for x in range(7):
                assert result[0, y, x] == face[0, y, 6 - x if wanted else x]


def test_augmentation_mirrors_about_as_often_as_asked() -> None:
    faces = torch.arange(2.0).expand(4000, 1, 2, 2)
    found = Augmentation(mirror=0.3)(faces, size=2, seed=0, epoch=0, rows=torch.arange(4000))
    share = float((found[:, 0, 0, 0] == 1).double().mean())
    assert abs(share - 0.3) < 5 * (0.3 * 0.7 / 4000) ** 0.5
    assert torch.equal(Augmentation()(faces, size=2, seed=0, epoch=0, rows=torch.arange(4000)), faces)


@pytest.mark.parametrize("value", [-0.1, 1.1])
def test_probabilities_outside_0_and_1_are_refused(value: float) -> None:
    with pytest.raises(ValidationError):
        Augmentation(mirror=value)


def test_erased_rectangles_are_as_large_and_as_frequent_as_asked() -> None:
    faces = torch.ones(4000, 1, 48, 48)
    found = Augmentation(erase=0.4, erase_area=0.2)(faces, size=48, seed=0, epoch=0, rows=torch.arange(4000))
    covered = found[:, 0] == 0
    share = covered.float().mean(dim=(1, 2))
    erased = share > 0
    assert abs(float(erased.double().mean()) - 0.4) < 5 * (0.4 * 0.6 / 4000) ** 0.5
    # A side is a whole number of pixels: half a pixel either way of a long side.
    assert float(share.max()) < 0.2 * 1.15
    assert 0.09 < float(share[erased].mean()) < 0.13
    for mask in covered[erased][:50]:
        rows, columns = mask.any(dim=1), mask.any(dim=0)
        assert torch.equal(mask, rows[:, None] & columns[None, :])
        assert int(rows.sum()) == 1 + int(rows.nonzero().max() - rows.nonzero().min())


def test_light_is_one_gain_and_one_offset_a_face() -> None:
    faces = torch.randn(500, 1, 4, 4)
    found = Augmentation(contrast=0.3, brightness=0.2)(faces, size=4, seed=0, epoch=0, rows=torch.arange(500))
    for face, seen in zip(faces.flatten(1).double(), found.flatten(1).double(), strict=True):
        gain, offset = np.polyfit(face.numpy(), seen.numpy(), 1)
        np.testing.assert_allclose(seen, gain * face + offset, atol=1e-5)
        assert 0.7 - 1e-5 <= gain <= 1.3 + 1e-5
        assert abs(offset) <= 0.2 + 1e-5


def test_shifts_are_within_their_range() -> None:
    face = torch.zeros(1, 1, 21, 21)
    face[0, 0, 10, 10] = 1
    rows = torch.arange(300)
    found = Augmentation(shift=4, fill="zero")(
        face.expand(300, -1, -1, -1), size=21, seed=0, epoch=0, rows=rows
    )
    grid = torch.arange(21.0)
    total = found.sum(dim=(1, 2, 3))
    down = (found[:, 0].sum(2) * grid).sum(1) / total - 10
    assert 3.5 < float(down.abs().max()) <= 4.0001
    assert abs(float(down.mean())) < 5 * 4 / (3 * 300) ** 0.5
