"""Pictures to a network's device and back, a part at a time: what all methods share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from mien.errors import DataError
from mien.models.network import Classifier

Maps = NDArray[np.float64]


def pixels_of(network: Classifier, images: NDArray[Any]) -> Tensor:
    """Grey faces (N, H, W) in 0…255 as (N, 1, H, W) in the network's own precision, on its device."""
    weight = next(network.parameters())
    return torch.as_tensor(np.ascontiguousarray(images)[:, None], device=weight.device).to(weight.dtype)


def grey_of(pixels: Tensor) -> Tensor:
    """Each face's mean grey value, in its shape: (N, 1, H, W), kept. A face without any form.

    It stands for what is taken away: no network reads an expression from one grey value, and unlike black it
    leaves no edge that a face of that brightness would not have.
    """
    return pixels.mean(dim=(1, 2, 3), keepdim=True).expand_as(pixels)


def explained(
    network: Classifier,
    images: NDArray[Any],
    targets: ArrayLike,
    explain: Callable[[Tensor, Tensor, slice], Tensor],
    batch: int,
) -> Maps:
    """Maps (N, H, W) of faces (N, H, W), made `batch` faces at a time.

    explain: pixels (B, 1, H, W), targets (B,) and which faces they are → (B, 1, H, W) or (B, H, W).
    Raises: DataError when images and targets do not fit together or with the network.
    """
    size = network.input_size
    if images.ndim != 3 or images.shape[1:] != (size, size):
        raise DataError(f"images have shape {images.shape}: expected (N, {size}, {size})")
    wanted = np.asarray(targets, np.int64)
    if wanted.shape != (len(images),):
        raise DataError(f"{wanted.shape} targets for {len(images)} images: expected one each")
    if len(wanted) and not (wanted.min() >= 0 and wanted.max() < len(network.labels)):
        raise DataError(f"a target lies outside 0…{len(network.labels) - 1}, the network's classes")
    maps = np.zeros(images.shape)
    for start in range(0, len(images), batch):
        part = slice(start, start + batch)
        pixels = pixels_of(network, images[part])
        classes = torch.as_tensor(wanted[part], device=pixels.device)
        found = explain(pixels, classes, part).detach()
        maps[part] = found.reshape(len(pixels), size, size).cpu().numpy()
    return maps


def probabilities_of(network: Classifier, pixels: Tensor, batch: int = 256) -> NDArray[np.float64]:
    """Calibrated probabilities (N, C) of raw pixels (N, 1, H, W)."""
    with torch.no_grad():
        parts = [network.probabilities(part).double().cpu().numpy() for part in pixels.split(batch)]
    return np.concatenate(parts)
