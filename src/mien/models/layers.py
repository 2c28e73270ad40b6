"""Building blocks that several families share: initialisations as the papers' frameworks have them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

_CUT_DEVIATION = 0.87962566103423978
"""Standard deviation of a standard normal cut at ±2: Keras divides by it to keep the deviation."""


def he_normal(layer: nn.Conv2d | nn.Linear) -> None:
    """Normal weights of deviation √(2 / inputs), zero biases. Source: system A, eq. 2; He et al. 2015."""
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    _no_bias(layer)


def cut_he_normal(layer: nn.Conv2d | nn.Linear) -> None:
    """As `he_normal`, cut at two deviations: Keras's `he_normal`, which system B used."""
    inputs, _ = _fans(layer)
    _cut_normal(layer, (2 / inputs) ** 0.5)


def cut_glorot_normal(layer: nn.Conv2d | nn.Linear) -> None:
    """Normal of deviation √(2 / (inputs + outputs)), cut at two deviations: Keras's `glorot_normal`."""
    _cut_normal(layer, (2 / sum(_fans(layer))) ** 0.5)


def xavier_uniform(layer: nn.Conv2d | nn.Linear) -> None:
    """Even weights within ±√(3 / inputs), zero biases: Caffe's `xavier` filler, which system D used."""
    inputs, _ = _fans(layer)
    nn.init.uniform_(layer.weight, -((3 / inputs) ** 0.5), (3 / inputs) ** 0.5)
    if layer.bias is not None:
        _no_bias(layer)


def initialise(network: nn.Module, how: Callable[[nn.Conv2d | nn.Linear], None]) -> None:
    """Applies an initialisation to every convolution and affine layer."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            how(layer)


def _fans(layer: nn.Conv2d | nn.Linear) -> tuple[int, int]:
    places = layer.weight[0][0].numel()
    return layer.weight.shape[1] * places, layer.weight.shape[0] * places


def _cut_normal(layer: nn.Conv2d | nn.Linear, deviation: float) -> None:
    wide = deviation / _CUT_DEVIATION
    nn.init.trunc_normal_(layer.weight, std=wide, a=-2 * wide, b=2 * wide)
    _no_bias(layer)


def _no_bias(layer: nn.Conv2d | nn.Linear) -> None:
    assert isinstance(layer.bias, torch.Tensor)
    nn.init.zeros_(layer.bias)
