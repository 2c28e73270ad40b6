"""How a network's score is traced back to the picture: every method, by name.

A method gives a map (H, W) for a face and a class: how much each pixel has to do with the class's score
before the softmax. Where a map has signs, positive pixels speak for the class and negative ones against it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from captum.attr import FeatureAblation, IntegratedGradients, Occlusion
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mien.errors import DataError, ModelError, hint
from mien.explain.batches import Maps, explained, grey_of
from mien.explain.regions import REGIONS
from mien.explain.saliency import saliency as input_gradient
from mien.models.network import Classifier

STEPS = 64
"""Points of the path of integrated gradients; `completeness_gap` measures what they leave out."""

WINDOW, STRIDE = 8, 4
"""Pixels: the side of the sliding square, a sixth of a face's, and how far it moves."""

_PASSES = 64
"""Pictures that go through the network at once."""

_FACES = 16
"""Faces that are explained at once by methods of many passes."""

RegionMaps = NDArray[np.int8]
"""(N, H, W): for each pixel an index into `REGIONS`."""

Explain = Callable[[Classifier, NDArray[Any], NDArray[np.int64], RegionMaps], Maps]
"""A network in evaluation mode, faces (N, H, W) in 0…255, classes (N,), facial regions → maps (N, H, W)."""


@dataclass(frozen=True, slots=True)
class Method:
    """A registered method: what it shows in a line, and where it comes from.

    signed: its maps say what speaks against the class as well.
    """

    name: str
    summary: str
    source: str
    signed: bool
    explain: Explain


def _logits(network: Classifier) -> Callable[[Tensor], Tensor]:
    return lambda pixels: network(pixels).logits


def saliency(
    network: Classifier, images: NDArray[Any], targets: NDArray[np.int64], _: RegionMaps | None = None
) -> Maps:
    """The absolute gradient of the score by each pixel, in score a grey value; see `saliency.saliency`."""
    weight = next(network.parameters())
    return input_gradient(_logits(network), images, targets, device=weight.device, dtype=weight.dtype)


def integrated_gradients(
    network: Classifier,
    images: NDArray[Any],
    targets: NDArray[np.int64],
    _: RegionMaps | None = None,
    *,
    steps: int = STEPS,
) -> Maps:
    """Gradients along the straight path from a face's mean grey to the face, times what each pixel changed.

    A face's map sums to its score less that of the mean grey (completeness), up to the quadrature's error.
    Source: Sundararajan, Taly & Yan 2017, equation 1; Gauss-Legendre quadrature by Captum.
    """
    method = IntegratedGradients(_logits(network))

    def explain(pixels: Tensor, classes: Tensor, _: slice) -> Tensor:
        found: Tensor = method.attribute(
            pixels, grey_of(pixels), target=classes, n_steps=steps, internal_batch_size=_PASSES
        )
        return found

    return explained(network, images, targets, explain, _FACES)


def completeness_gap(
    network: Classifier, images: NDArray[Any], targets: NDArray[np.int64], *, steps: int = STEPS
) -> NDArray[np.float64]:
    """By how much maps of integrated gradients miss the score's difference, as a share of it: (N,) ≥ 0."""
    totals = integrated_gradients(network, images, targets, steps=steps).sum(axis=(1, 2))

    def difference(pixels: Tensor, classes: Tensor, _: slice) -> Tensor:
        with torch.no_grad():
            ends = network(pixels).logits - network(grey_of(pixels)).logits
        return ends.gather(1, classes[:, None])[:, :, None].expand(-1, *pixels.shape[2:])

    wanted = explained(network, images, targets, difference, _PASSES)[:, 0, 0]
    return np.abs(totals - wanted) / np.maximum(np.abs(wanted), np.finfo(np.float64).tiny)


def grad_cam(
    network: Classifier, images: NDArray[Any], targets: NDArray[np.int64], _: RegionMaps | None = None
) -> Maps:
    """The last convolution's maps, each weighed by the mean gradient of the score by it, where positive.

    Any network whose `Outputs.maps` lead to its logits will do. The map is enlarged (bilinear) to what the
    network's layers see, and 0 around that.
    Source: Selvaraju et al. 2017, equations 1 and 2.
    Raises: ModelError where the logits do not come from the maps.
    """

    def explain(pixels: Tensor, classes: Tensor, _: slice) -> Tensor:
        with torch.enable_grad():
            outputs = network(pixels.requires_grad_())
            score = outputs.logits.gather(1, classes[:, None]).sum()
            (gradient,) = torch.autograd.grad(score, outputs.maps, allow_unused=True)
        if gradient is None:
            raise ModelError(f"the logits of {network.architecture} do not come from its maps: no Grad-CAM")
        weights = gradient.mean(dim=(2, 3), keepdim=True)
        small = (weights * outputs.maps).sum(dim=1, keepdim=True).clamp_min(0)
        seen = functional.interpolate(
            small, size=(network.body_size, network.body_size), mode="bilinear", align_corners=False
        )
        before = (pixels.shape[-1] - network.body_size) // 2
        after = pixels.shape[-1] - network.body_size - before
        return functional.pad(seen, (before, after, before, after))

    return explained(network, images, targets, explain, _FACES)


def occlusion(
    network: Classifier, images: NDArray[Any], targets: NDArray[np.int64], _: RegionMaps | None = None
) -> Maps:
    """By how much the score falls when a square is covered with the face's mean grey; the mean over all
    squares that cover a pixel.

    Source: Zeiler & Fergus 2014, section 4.2, there with the probability; computed by Captum.
    """
    method = Occlusion(_logits(network))

    def explain(pixels: Tensor, classes: Tensor, _: slice) -> Tensor:
        with torch.no_grad():
            found: Tensor = method.attribute(
                pixels,
                sliding_window_shapes=(1, WINDOW, WINDOW),
                strides=(1, STRIDE, STRIDE),
                baselines=grey_of(pixels),
                target=classes,
                perturbations_per_eval=_PASSES // len(pixels),
            )
        return found

    return explained(network, images, targets, explain, _FACES)


def region_occlusion(
    network: Classifier, images: NDArray[Any], targets: NDArray[np.int64], regions: RegionMaps
) -> Maps:
    """By how much the score falls when a facial region is covered with the face's mean grey, spread evenly
    over the region: a map sums to the sum of the falls.

    Source: as `occlusion`, with the regions of `regions.REGIONS` in place of squares; computed by Captum.
    """
    if regions.shape != images.shape:
        raise DataError(f"regions of shape {regions.shape} for faces of {images.shape}: expected as many")
    method = FeatureAblation(_logits(network))

    def explain(pixels: Tensor, classes: Tensor, part: slice) -> Tensor:
        mask = torch.as_tensor(regions[part, None].astype(np.int64), device=pixels.device)
        with torch.no_grad():
            falls: Tensor = method.attribute(
                pixels, baselines=grey_of(pixels), target=classes, feature_mask=mask
            )
        shown = functional.one_hot(mask[:, 0], len(REGIONS)).sum(dim=(1, 2))
        return falls / shown.gather(1, mask.flatten(1)).reshape(mask.shape)

    return explained(network, images, targets, explain, _PASSES)


_ALL = (
    Method(
        "saliency", "which pixels would change the score the most", "Simonyan, Vedaldi & Zisserman 2014",
        False, saliency,
    ),
    Method(
        "integrated_gradients", "what each pixel adds to the score, against a face of one grey value",
        "Sundararajan, Taly & Yan 2017", True, integrated_gradients,
    ),
    Method(
        "grad_cam", "which places of the last convolution raise the score", "Selvaraju et al. 2017",
        False, grad_cam,
    ),
    Method(
        "occlusion", "how much the score falls when a square is covered", "Zeiler & Fergus 2014",
        True, occlusion,
    ),
    Method(
        "region_occlusion", "how much the score falls when a facial region is covered",
        "Zeiler & Fergus 2014, by facial region", True, region_occlusion,
    ),
)  # fmt: skip

METHODS: dict[str, Method] = {method.name: method for method in _ALL}
"""Every method by its name on the command line."""


def find(name: str) -> Method:
    """The method of that name.

    Raises: DataError naming the nearest known one.
    """
    if name not in METHODS:
        raise DataError(f"unknown method {name!r}: {hint(name, METHODS)}")
    return METHODS[name]
