"""What a network expects of its input: raw grey values in, normalised faces out, statistics saved with it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

_BLOCK = 1024
_LEAST_DEVIATION = 1e-6
"""A pixel or picture without any contrast is divided by this instead of by 0."""


class Normalisation(nn.Module):
    """Base: raw grey values (N, 1, H, W) in 0…255 → normalised faces of the same shape."""

    def fit(self, images: np.ndarray) -> None:
        """Takes the statistics of the training faces, (N, H, W) uint8; nothing where there are none."""


class MeanImage(Normalisation):
    """Subtracts the training set's mean image and divides by one standard deviation for all pixels.

    Source: system C, 3.1: 'mean-center and normalize'.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, 1, size, size))
        self.register_buffer("deviation", torch.ones(()))

    def fit(self, images: np.ndarray) -> None:
        """Takes mean image and deviation of the training faces, (N, H, W) uint8, in float64."""
        mean = images.mean(axis=0, dtype=np.float64)
        squares = sum(float(np.square(block - mean).sum()) for block in _blocks(images))
        self.mean.copy_(torch.from_numpy(mean)[None, None])
        self.deviation.fill_(max((squares / images.size) ** 0.5, _LEAST_DEVIATION))

    def forward(self, pixels: Tensor) -> Tensor:
        """Raw grey values 0…255 → mean 0, deviation 1 over the training set. Shape: (N, 1, H, W), kept."""
        return (pixels - self.mean) / self.deviation


class ImageThenPixel(Normalisation):
    """Each picture to mean 0 and one deviation, then each pixel to mean 0, deviation 1 over the training set.

    Source: system A, III.C.1. A picture of one grey value becomes zeros before the second step.
    """

    mean: Tensor
    deviation: Tensor

    IMAGE_DEVIATION = 3.125

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, 1, size, size))
        self.register_buffer("deviation", torch.ones(1, 1, size, size))

    def fit(self, images: np.ndarray) -> None:
        """Takes every pixel's mean and deviation over the normalised faces, (N, H, W) uint8, in float64."""
        total = sum(_each_image(block).sum(axis=0) for block in _blocks(images))
        mean = total / len(images)
        squares = sum(np.square(_each_image(block) - mean).sum(axis=0) for block in _blocks(images))
        deviation = np.maximum((squares / len(images)) ** 0.5, _LEAST_DEVIATION)
        self.mean.copy_(torch.from_numpy(mean)[None, None])
        self.deviation.copy_(torch.from_numpy(deviation)[None, None])

    def forward(self, pixels: Tensor) -> Tensor:
        """Raw grey values 0…255 → normalised faces. Shape: (N, 1, H, W), kept."""
        centred = pixels - pixels.mean(dim=(1, 2, 3), keepdim=True)
        spread = centred.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp_min(_LEAST_DEVIATION)
        return (centred * (self.IMAGE_DEVIATION / spread) - self.mean) / self.deviation


class Scale(Normalisation):
    """Multiplies by a constant. Source: system B, 5.2.2: 1/255."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, pixels: Tensor) -> Tensor:
        """Raw grey values 0…255 → 0…255 · factor. Shape: (N, 1, H, W), kept."""
        return pixels * self.factor


class ChannelMeans(Normalisation):
    """Repeats grey on several channels and subtracts a constant from each.

    Source: the published AlexNet's preprocessing, which system D's pretrained layers need.
    """

    means: Tensor

    def __init__(self, means: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("means", torch.tensor(means).reshape(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Raw grey values 0…255 → centred channels. Shape: (N, 1, H, W) → (N, K, H, W)."""
        return pixels - self.means


def _blocks(images: np.ndarray) -> Iterator[np.ndarray]:
    """Parts of the faces in float64: a copy of the whole set would take eight times its memory."""
    for start in range(0, len(images), _BLOCK):
        yield images[start : start + _BLOCK].astype(np.float64)


def _each_image(block: np.ndarray) -> np.ndarray:
    centred = block - block.mean(axis=(1, 2), keepdims=True)
    spread = np.maximum(centred.std(axis=(1, 2), keepdims=True), _LEAST_DEVIATION)
    return centred * (ImageThenPixel.IMAGE_DEVIATION / spread)
