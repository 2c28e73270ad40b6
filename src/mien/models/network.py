"""What every network of the project is: raw pixels in, named outputs out, its own normalisation inside."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from mien.errors import ModelError
from mien.models.normalisation import MeanImage, Normalisation
from mien.transforms import centre


class Outputs(NamedTuple):
    """Named outputs of a network.

    logits: (N, C) class scores before temperature. embedding: (N, E), what the last layer sees.
    maps: (N, K, h, w), the last convolution's maps.
    """

    logits: Tensor
    embedding: Tensor
    maps: Tensor


class Network(nn.Module):
    """Base of the classifiers.

    Shape: `forward` takes (N, 1, S, S) raw grey values 0…255, S = `input_size`; `body` takes the middle, or
    any other crop, of what `normalise` returns: (N, 1, B, B), B = `body_size`. Training normalises first, so
    that augmentation stands between; test protocols that show several crops do likewise.
    averages: what such protocols average over crops: 'probabilities', or the 'scores' of a support-vector
    loss, which are no logarithms of anything. The loss that a network is trained with sets it.
    """

    architecture: str = ""
    input_size: int = 48
    averages: Literal["probabilities", "scores"] = "probabilities"
    temperature: Tensor

    def __init__(
        self, labels: tuple[str, ...], *, normalise: Normalisation | None = None, body_size: int | None = None
    ) -> None:
        super().__init__()
        if len(labels) < 2 or len(set(labels)) != len(labels):
            raise ModelError(f"labels {labels}: expected at least two different names")
        self.labels = labels
        self.options: dict[str, object] = {}
        self.body_size = body_size or self.input_size
        if self.body_size > self.input_size:
            raise ModelError(
                f"a crop of {self.body_size} pixels: expected at most {self.input_size}, the picture's side"
            )
        self.normalise = normalise or MeanImage(self.input_size)
        self.register_buffer("temperature", torch.ones(()))

    def body(self, faces: Tensor) -> Outputs:
        """Normalised faces (N, 1, B, B) → outputs."""
        raise NotImplementedError

    def forward(self, faces: Tensor, normalised: bool = False) -> Outputs:
        """Raw pixels (N, 1, S, S) in 0…255, or normalised faces (N, 1, B, B), → outputs.

        Training, too, comes in by this door: what makes a network ready for a device, a precision or several
        processes wraps it alone.
        """
        return self.body(faces if normalised else centre(self.normalise(faces), self.body_size))

    def probabilities(self, pixels: Tensor) -> Tensor:
        """Calibrated probabilities (N, C): softmax of logits / temperature."""
        return torch.softmax(self(pixels).logits / self.temperature, dim=1)

    def parameter_count(self) -> int:
        """The number of trainable numbers."""
        return sum(parameter.numel() for parameter in self.parameters())
