"""Random numbers that are a function of what they are for, not of what was drawn before.

The mixing function is the 64-bit finaliser of MurmurHash3 (Appleby 2011, public domain).
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

_FIRST = -49064778989728563  # 0xff51afd7ed558ccd as a signed number
_SECOND = -4265267296055464877  # 0xc4ceb9fe1a85ec53 likewise


def key(seed: int, purpose: str, *numbers: int) -> int:
    """A 63-bit number for one purpose, such as (seed, 'shuffle', epoch); the same on every machine."""
    text = ":".join([str(seed), purpose, *map(str, numbers)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def _shift_right(value: Tensor, bits: int) -> Tensor:
    """Logical shift of int64: torch's own keeps the sign."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _mixed(value: Tensor) -> Tensor:
    for factor in (_FIRST, _SECOND):
        value = (value ^ _shift_right(value, 33)) * factor
    return value ^ _shift_right(value, 33)


def uniform(seed: int, purpose: str, epoch: int, rows: Tensor, draws: int = 1) -> Tensor:
    """Uniform numbers in [0, 1), one row of `draws` for each image, from (seed, purpose, epoch, image) alone.

    Shape: rows (N,) int64, the images' numbers in the training set; returns (N, draws) float32.
    """
    counter = rows[:, None] * draws + torch.arange(draws, device=rows.device)
    bits = _mixed(_mixed(counter) ^ key(seed, purpose, epoch))
    return _shift_right(bits, 40).to(torch.float32) / (1 << 24)


def permutation(seed: int, epoch: int, n: int) -> Tensor:
    """The order in which epoch `epoch` sees n images: (n,) int64 on the CPU."""
    generator = torch.Generator().manual_seed(key(seed, "shuffle", epoch))
    return torch.randperm(n, generator=generator)


def stratified(seed: int, epoch: int, labels: Tensor) -> Tensor:
    """An order as `permutation` gives, in which any run of faces has each label in the whole's proportion.

    Each label's faces are shuffled and spread evenly over the epoch, from a start of their own.
    Shape: labels (n,) int64 on the CPU; returns (n,) int64.
    """
    order = permutation(seed, epoch, len(labels))
    return _spread(seed, epoch, [order[labels[order] == label] for label in labels.unique()])


def even(seed: int, epoch: int, labels: Tensor) -> Tensor:
    """As many faces as there are, in which any run has each label equally often.

    Of a common label some faces are left out, others in each epoch; those of a rare one come again, each
    once before any comes twice.
    Shape: labels (n,) int64 on the CPU; returns (n,) int64, rows that may repeat.
    """
    order = permutation(seed, epoch, len(labels))
    rows = [order[labels[order] == label] for label in labels.unique()]
    counts = [(len(labels) + position) // len(rows) for position in range(len(rows))]
    return _spread(
        seed, epoch, [each.repeat(-(-n // len(each)))[:n] for each, n in zip(rows, counts, strict=True)]
    )


def _spread(seed: int, epoch: int, groups: list[Tensor]) -> Tensor:
    """The groups' rows, each group's in its order and evenly over the whole, from a start of its own."""
    generator = torch.Generator().manual_seed(key(seed, "strata", epoch))
    starts = torch.rand(len(groups), generator=generator, dtype=torch.float64)
    places = [
        (torch.arange(len(rows)).double() + start) / len(rows)
        for rows, start in zip(groups, starts, strict=True)
    ]
    return torch.cat(groups)[torch.cat(places).argsort()]
