"""Saliency maps: which pixels would change the score of a class the most."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError, MissingDependency

if TYPE_CHECKING:
    import torch

BATCH = 128
"""Pictures whose gradients are taken at once."""


def saliency(
    logits_of: Callable[[torch.Tensor], torch.Tensor],
    images: NDArray[Any],
    targets: ArrayLike | None = None,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
) -> NDArray[np.float64]:
    """Largest absolute input gradient of the class score over the channels, for each pixel.

    The score is the unnormalised one: the class's probability also rises when another class's score falls.
    Source: Simonyan, Vedaldi & Zisserman 2014, section 3.1; system C, its saliency maps.
    logits_of: raw pixels (N, channels, H, W) in 0…255 on `device` → logits (N, C); a network in evaluation
    mode, whose rows do not depend on each other.
    images: (N, H, W) or (N, channels, H, W). targets: (N,) class indices; the most probable class where None.
    dtype: of the gradients, float32 where None. Returns (N, H, W) ≥ 0 in score a grey value.
    Raises: DataError when images and targets do not fit together; MissingDependency without torch.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingDependency("saliency needs torch: install it with pip install 'mien[train]'") from error
    pictures = images[:, None] if images.ndim == 3 else images
    if pictures.ndim != 4:
        raise DataError(f"images have shape {images.shape}: expected (N, H, W) or (N, channels, H, W)")
    wanted = None if targets is None else np.asarray(targets, np.int64)
    if wanted is not None and wanted.shape != (len(pictures),):
        raise DataError(f"{wanted.shape} targets for {len(pictures)} images: expected one each")
    maps = np.zeros((len(pictures), *pictures.shape[2:]))
    for start in range(0, len(pictures), BATCH):
        part = slice(start, start + BATCH)
        x = torch.as_tensor(pictures[part], device=device).to(dtype or torch.float32).requires_grad_()
        with torch.enable_grad():
            logits = logits_of(x)
            classes = logits.argmax(1) if wanted is None else torch.as_tensor(wanted[part], device=device)
            # Rows are independent, so that one sum gives every picture the gradient of its own score.
            score = logits.gather(1, classes[:, None]).sum()
            (gradient,) = torch.autograd.grad(score, x)
        maps[part] = gradient.abs().amax(dim=1).cpu().numpy()
    return maps
