"""A network that is shown many crops of a face and answers with their mean: protocols Eval1 and Eval2."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mien.errors import ImageError, ModelError
from mien.evaluation.protocols import Protocol
from mien.faces import UInt8
from mien.labels import PRECISIONS
from mien.models.network import Classifier, Network
from mien.transforms.views import views

_CACHED = 108
"""Crops that a processor takes through the layers together: more, and their maps leave its caches."""


def mean_logits(logits: Tensor, averages: Literal["probabilities", "scores"]) -> Tensor:
    """One row of logits a face from those of its crops, so that the arg max is the paper's.

    'scores' (a support-vector loss): their mean. 'probabilities' (cross-entropy): the logarithm of the mean
    of softmax(logits), at temperature 1 as the paper has it; softmax gives that mean back. What a softmax
    does not see and an energy or a factor for each class does, their height, is the mean of the crops' own.
    Source: system A, III.C.4.
    Shape: (N, V, C) → (N, C).
    """
    if averages == "scores":
        return logits.mean(dim=1)
    height = logits.logsumexp(dim=2).mean(dim=1)[:, None]
    return logits.log_softmax(dim=2).logsumexp(dim=1) - math.log(logits.shape[1]) + height


class MultiCrop:
    """A classifier by a protocol with crops: faces in, calibrated probabilities and mean logits out.

    Faces are normalised whole, then cut by `transforms.views`; every crop goes through the network's body.
    Probabilities are the softmax of the mean logits, scaled as the network's own are.
    precision: of the layers, one of `PRECISIONS`; crops and means are 32 bits or more in all. An accelerator
    rounds convolutions of 32 bits as torch is set to: TF32 unless it is told otherwise.
    device: None takes the accelerator where there is one. The network is moved there and set to evaluation.
    Raises: ModelError when the protocol has no crops for what the network sees, or the precision is unknown.
    """

    def __init__(
        self,
        network: Network,
        protocol: Protocol,
        *,
        precision: str = "32-true",
        device: torch.device | str | None = None,
    ) -> None:
        if precision not in PRECISIONS:
            raise ModelError(f"unknown precision {precision!r}: expected {' or '.join(PRECISIONS)}")
        if protocol.crops is None:
            raise ModelError(f"{protocol.name} shows no crops: the exported file reads faces by itself")
        if not isinstance(network, Classifier):
            raise ModelError(f"{network.architecture} maps faces: {protocol.name} tests classifiers")
        protocol.check(network.body_size, network.architecture or type(network).__name__)
        self.crops = protocol.crops
        self.faces_at_once = protocol.faces_at_once
        self.precision = precision
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.network = network.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def __call__(self, images: UInt8) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Probabilities and logits, each (N, C) in the order of the network's labels.

        Shape: images (N, S, S) uint8, S the network's input size; N may be 0.
        Raises: ImageError when the shape or type differs.
        """
        side = self.network.input_size
        if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (side, side):
            raise ImageError(f"faces of {images.dtype} {images.shape}: expected uint8 (N, {side}, {side})")
        logits = torch.zeros(len(images), len(self.network.labels), dtype=torch.float64)
        for start in range(0, len(images), self.faces_at_once):
            rows = slice(start, start + self.faces_at_once)
            logits[rows] = self._mean_logits(torch.from_numpy(images[rows]))
        return self.network.decision.scaling(logits), logits.numpy()

    @torch.inference_mode()
    def _mean_logits(self, images: Tensor) -> Tensor:
        """(N, S, S) uint8 → (N, C) float64 on the CPU."""
        faces = self.network.normalise(images.to(self.device)[:, None].float())
        shown = views(
            faces,
            side=self.network.body_size,
            sizes=self.crops.sizes,
            angles=self.crops.angles,
            places=self.crops.places,
            mirrored=self.crops.mirrored,
        )
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16-mixed"):
            crops = shown.flatten(0, 1)
            parts = crops.split(_CACHED) if self.device.type == "cpu" else (crops,)
            logits = torch.cat([self.network.body(part).logits for part in parts])
        # (N · V, C) → (N, V, C), in float64: 648 terms a mean
        each = logits.double().unflatten(0, (len(images), len(self.crops)))
        return mean_logits(each, self.network.averages).cpu()
