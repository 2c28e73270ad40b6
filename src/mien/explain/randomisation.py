"""Do maps depend on what the network has learned? Weights become random from the top down; maps are compared.

Source: Adebayo et al. 2018, Sanity Checks for Saliency Maps, section 3.1, cascading randomisation. A method
whose maps stay alike when nothing that was learned is left shows the picture, not the network.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mien.errors import ModelError
from mien.explain.batches import Maps, pixels_of
from mien.explain.methods import Method, RegionMaps
from mien.models.network import Classifier

STAGES = 5
"""At how many depths maps are compared: the last layer alone first, all layers last."""

_SSIM_DEVIATION = 1.5
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """How alike maps are to those of the trained network when layers from `down_to` upwards are random.

    share: of the network's weights that are random. rank, structure: (N,) Spearman's rank correlation and
    the structural similarity, 0 where a map is the same everywhere and so says nothing. empty: how many are.
    """

    down_to: str
    share: float
    rank: NDArray[np.float64]
    structure: NDArray[np.float64]
    empty: int


def layers(network: Classifier, images: NDArray[Any]) -> list[tuple[str, list[nn.Module]]]:
    """Layers with weights in the order in which they are run, each with the normalisation that follows it.

    Raises: ModelError when there are fewer than two.
    """
    named = [
        (name, module)
        for name, module in network.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    ]
    run: list[tuple[str, nn.Module]] = []
    hooks = [
        module.register_forward_hook(lambda *_, each=(name, module): run.append(each))
        for name, module in named
    ]
    with torch.no_grad():
        network(pixels_of(network, images[:1]))
    for hook in hooks:
        hook.remove()
    found: list[tuple[str, list[nn.Module]]] = []
    for name, module in dict(run).items():
        if isinstance(module, _BatchNorm) and found:
            found[-1][1].append(module)
        else:
            found.append((name, [module]))
    if len(found) < 2:
        raise ModelError(f"{network.architecture} has {len(found)} layers with weights: expected two or more")
    return found


def cascade(
    network: Classifier, images: NDArray[Any], stages: int = STAGES, seed: int = 0
) -> Iterator[tuple[str, float, Classifier]]:
    """The network with ever more of its layers random, from the last to the first, the trained one untouched.

    The values of each weight tensor change places among themselves, so that their sizes stay those of the
    trained ones; running statistics of batch normalisation are measured anew on the faces.
    Yields the lowest random layer's name, the share of the weights that are random, and the network.
    """
    random = copy.deepcopy(network)
    found = layers(random, images)[::-1]
    total = sum(value.numel() for _, modules in found for value in _values(modules))
    generator = torch.Generator().manual_seed(seed)
    # The last layer alone, then the others in nearly equal parts.
    ends = np.unique(np.linspace(1, len(found), min(stages, len(found))).round().astype(int))
    done = start = 0
    for end in ends:
        for _, modules in found[start:end]:
            for value in _values(modules):
                _shuffle(value, generator)
                done += value.numel()
        _measure_statistics(random, images)
        yield found[end - 1][0], done / total, copy.deepcopy(random)
        start = end


def compared(
    method: Method,
    network: Classifier,
    images: NDArray[Any],
    targets: NDArray[np.int64],
    regions: RegionMaps,
    maps: Maps,
    cascaded: list[tuple[str, float, Classifier]],
) -> list[Stage]:
    """How alike a method's maps stay along a cascade of networks. maps: those of the trained network."""
    stages = []
    for name, share, random in cascaded:
        other = method.explain(random, images, targets, regions)
        empty = int((np.ptp(other, axis=(1, 2)) == 0).sum())
        stages.append(Stage(name, share, rank_correlations(maps, other), similarities(maps, other), empty))
    return stages


def rank_correlations(maps: Maps, others: Maps) -> NDArray[np.float64]:
    """Spearman's rank correlation of each pair of maps (N, H, W): (N,), 0 where one is the same all over."""
    from scipy.stats import rankdata

    ranks = [rankdata(each.reshape(len(each), -1), axis=1) for each in (maps, others)]
    first, second = (each - each.mean(axis=1, keepdims=True) for each in ranks)
    norms = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    products = (first * second).sum(axis=1)
    return np.divide(products, norms, out=np.zeros(len(maps)), where=norms > 0)


def similarities(maps: Maps, others: Maps) -> NDArray[np.float64]:
    """The structural similarity of each pair of maps (N, H, W), each scaled to 0…1: (N,), 0 as above.

    Source: Wang et al. 2004, with a Gaussian window of deviation 1.5 and their constants.
    """
    from scipy.ndimage import gaussian_filter

    def mean(values: Maps) -> Maps:
        blurred: Maps = gaussian_filter(values, sigma=(0, _SSIM_DEVIATION, _SSIM_DEVIATION), truncate=3.5)
        return blurred

    x, y = _scaled(maps), _scaled(others)
    mean_x, mean_y = mean(x), mean(y)
    variances = mean(x * x) - mean_x**2 + mean(y * y) - mean_y**2
    covariance = mean(x * y) - mean_x * mean_y
    found = (2 * mean_x * mean_y + _SSIM_C1) * (2 * covariance + _SSIM_C2)
    found /= (mean_x**2 + mean_y**2 + _SSIM_C1) * (variances + _SSIM_C2)
    says = (np.ptp(maps, axis=(1, 2)) > 0) & (np.ptp(others, axis=(1, 2)) > 0)
    return np.where(says, found.mean(axis=(1, 2)), 0.0)


def _scaled(maps: Maps) -> Maps:
    low, span = maps.min(axis=(1, 2), keepdims=True), np.ptp(maps, axis=(1, 2))[:, None, None]
    return np.divide(maps - low, span, out=np.zeros(maps.shape), where=span > 0)


def _values(modules: list[nn.Module]) -> list[Tensor]:
    return [value for module in modules for value in module.parameters(recurse=False)]


@torch.no_grad()
def _shuffle(value: Tensor, generator: torch.Generator) -> None:
    order = torch.randperm(value.numel(), generator=generator).to(value.device)
    value.copy_(value.flatten()[order].reshape(value.shape))


@torch.no_grad()
def _measure_statistics(network: Classifier, images: NDArray[Any]) -> None:
    """Running means and variances of batch normalisation become those of these faces."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    if not norms or len(images) < 2:
        return
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    network(pixels_of(network, images))
    for norm, momentum in zip(norms, kept, strict=True):
        norm.eval()
        norm.momentum = momentum
