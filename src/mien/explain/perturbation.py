"""Does a map name what the network uses? Its first places are taken from the face, or given back, first.

Source: Petsiuk, Das & Saenko 2018, RISE, section 4.3: deletion covers the places of a face in a map's order,
insertion uncovers them on a blurred face; the area under the class's probability is small and large for a
good map. Here a place is a square of `BLOCK` pixels, ranked by the map's mean in it: single pixels taken out
of so small a face make a pattern that no network has seen, and favour maps and orders that scatter them.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mien.explain.batches import Maps, grey_of, pixels_of, probabilities_of
from mien.explain.regions import REGIONS, FaceRegions
from mien.models.network import Classifier

BLOCK = 4
"""Pixels: the side of what is covered at once, a twelfth of a face's."""

STEPS = 18
"""In how many steps a face is covered: 8 of its 144 squares each."""

BLUR = 5.0
"""Pixels: the deviation of the Gaussian that blurs a face before insertion."""

FILLS = ("deletion", "insertion")

Orders = NDArray[np.int64]
"""(N, B): the squares of each face, first to last; 0 is the upper left one, 1 the next to the right."""


def order_of(maps: Maps, seed: int) -> Orders:
    """The squares of each face by the map's mean in them, the largest first; equal ones in a random order."""
    means = block_means(maps)
    chance = np.random.default_rng(seed).random(means.shape)
    return np.lexsort((chance, -means), axis=1)


def block_means(maps: Maps) -> NDArray[np.float64]:
    """The mean of maps (N, H, W) in each square: (N, B). Those at the right and lower edge may be smaller."""
    number = block_numbers(maps.shape[1], maps.shape[2])
    sums = np.stack([np.bincount(number.ravel(), each.ravel()) for each in maps])
    return sums / np.bincount(number.ravel())


def block_numbers(height: int, width: int) -> NDArray[np.int64]:
    """The number (H, W) of the square in which each pixel lies."""
    across = -(-width // BLOCK)
    return np.add.outer(np.arange(height) // BLOCK * across, np.arange(width) // BLOCK)


def random_order(images: NDArray[Any], seed: int) -> Orders:
    """The squares of each face (N, H, W) in a random order of its own."""
    return order_of(np.zeros(images.shape), seed)


def centre_order(regions: FaceRegions, seed: int) -> Orders:
    """The squares from the middle of each face outwards: what a map is worth that knows no network."""
    size = regions.maps.shape[-1]
    rows, columns = np.mgrid[:size, :size]
    face = regions.maps != REGIONS.index("outside")
    weights = face / np.maximum(face.sum(axis=(1, 2), keepdims=True), 1)
    middle = [(weights * axis).sum(axis=(1, 2))[:, None, None] for axis in (rows, columns)]
    return order_of(-np.hypot(rows - middle[0], columns - middle[1]), seed)


def curves(
    network: Classifier, images: NDArray[Any], targets: NDArray[np.int64], orders: Orders, fill: str
) -> NDArray[np.float64]:
    """The probability of the class as squares are taken away or given back: (N, STEPS + 1), first none are.

    fill: 'deletion', towards the face's mean grey, or 'insertion', from the face blurred.
    """
    pixels = pixels_of(network, images)
    number = torch.as_tensor(block_numbers(*images.shape[1:]), device=pixels.device)
    place = torch.as_tensor(orders.argsort(axis=1), device=pixels.device)
    turn = place[:, number.flatten()].reshape(pixels.shape)
    without = grey_of(pixels) if fill == "deletion" else pixels_of(network, blurred(images))
    before, after = (pixels, without) if fill == "deletion" else (without, pixels)
    ends = np.linspace(0, orders.shape[1], STEPS + 1).round().astype(int)
    rows = np.arange(len(images))
    found = [
        probabilities_of(network, torch.where(turn < int(end), after, before), batch=64)[rows, targets]
        for end in ends
    ]
    return np.stack(found, axis=1)


def area(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The area (N,) under curves (N, STEPS + 1) over the share of the face, 0…1: by trapezia."""
    return np.asarray((values[:, 1:] + values[:, :-1]).mean(axis=1) / 2)


def blurred(images: NDArray[Any]) -> NDArray[np.float64]:
    """Faces (N, H, W) without detail."""
    return np.stack([cv2.GaussianBlur(image.astype(np.float64), (0, 0), BLUR) for image in images])
