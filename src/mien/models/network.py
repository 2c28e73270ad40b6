"""What every network of the project is: raw pixels in, named outputs out, its own normalisation inside."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mien.errors import ModelError


class Outputs(NamedTuple):
    """Named outputs of a network.

    logits: (N, C) class scores before temperature. embedding: (N, E), what the last layer sees.
    maps: (N, K, h, w), the last convolution's maps.
    """

    logits: Tensor
    embedding: Tensor
    maps: Tensor


class MeanImage(nn.Module):
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
        """Takes the statistics of the training faces, (N, H, W) uint8, in float64."""
        mean = images.mean(axis=0, dtype=np.float64)
        # Accumulated over blocks, because a float64 copy of the whole set takes eight times its memory.
        squares = sum(
            float(np.square(block - mean).sum())
            for block in np.array_split(images, max(1, len(images) // 1024))
        )
        self.mean.copy_(torch.from_numpy(mean)[None, None])
        self.deviation.fill_(max((squares / images.size) ** 0.5, 1e-6))

    def forward(self, pixels: Tensor) -> Tensor:
        """Raw grey values 0…255 → mean 0, deviation 1 over the training set. Shape: (N, 1, H, W), kept."""
        return (pixels - self.mean) / self.deviation


class Network(nn.Module):
    """Base of the classifiers.

    Shape: `forward` takes (N, 1, S, S) raw grey values 0…255, S = `input_size`; `body` takes what
    `normalise` returns. Training calls them apart, so that augmentation may stand between.
    """

    architecture: str = ""
    input_size: int = 48
    normalise: MeanImage
    temperature: Tensor

    def __init__(self, labels: tuple[str, ...]) -> None:
        super().__init__()
        if len(labels) < 2 or len(set(labels)) != len(labels):
            raise ModelError(f"labels {labels}: expected at least two different names")
        self.labels = labels
        self.options: dict[str, object] = {}
        self.normalise = MeanImage(self.input_size)
        self.register_buffer("temperature", torch.ones(()))

    def body(self, faces: Tensor) -> Outputs:
        """Normalised faces (N, 1, S, S) → outputs."""
        raise NotImplementedError

    def forward(self, pixels: Tensor) -> Outputs:
        """Raw pixels (N, 1, S, S) in 0…255 → outputs."""
        return self.body(self.normalise(pixels))

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Calibrated probabilities (N, C): softmax of logits / temperature."""
        return torch.softmax(self(pixels).logits / self.temperature, dim=1)

    def parameter_count(self) -> int:
        """The number of trainable numbers."""
        return sum(parameter.numel() for parameter in self.parameters())
