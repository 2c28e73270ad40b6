"""System B's networks: the VGG-like types A to F."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Literal

from pydantic import Field
from torch import Tensor, nn

from mien.models.layers import cut_glorot_normal, cut_he_normal, initialise
from mien.models.network import Classifier, Outputs
from mien.models.normalisation import Scale
from mien.models.registry import Options, register


@dataclass(frozen=True)
class Shape:
    """Filters of the 3x3 convolutions, block by block, and units of the dense layers but the last."""

    blocks: tuple[tuple[int, ...], ...]
    dense: tuple[int, ...] = (64, 64)


_C = ((32, 32), (64, 64), (128, 128))

TYPES: dict[str, Shape] = {
    "vgg_a": Shape(((32,), (64,), (128, 128))),
    "vgg_b": Shape(((64,), (128,), (256, 256))),
    "vgg_c": Shape(_C),
    "vgg_d": Shape(_C, (64, 64, 32)),
    "vgg_e": Shape((*_C, (256, 256))),
    "vgg_f": Shape((*_C, (256, 256, 256))),
}
"""Tables 5.1 and 5.2; a pooling follows every block. The counts of Table 5.3 bear it out."""

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"elu": nn.ELU, "relu": nn.ReLU}
INITIALISATIONS = {"he_normal": cut_he_normal, "glorot_normal": cut_glorot_normal}


class VggOptions(Options):
    """Settings of the types A to F; the defaults are those of the best model, Table 5.6's first.

    batch_norm: after or before the activation, or none; the last layer has none. dropout_conv, dropout_dense:
    shares dropped in training; the first acts once a block, after its pooling ('block'), or after each of its
    layers ('layer'), the second after each dense layer but the last. rescale: factor of grey values 0…255.
    """

    activation: Literal["elu", "relu"] = "elu"
    batch_norm: Literal["after", "before", "none"] = "after"
    dropout_conv: float = Field(0.3, ge=0, lt=1)
    dropout_dense: float = Field(0.3, ge=0, lt=1)
    dropout_place: Literal["block", "layer"] = "block"
    initialisation: Literal["he_normal", "glorot_normal"] = "he_normal"
    rescale: float = Field(1 / 255, gt=0)


class VggType(Classifier):
    """Blocks of 3x3 convolutions, each block pooled 2x2, then dense layers.

    Maps (N, 128, 12, 12), before the last pooling, and embedding (N, 64) in type C.
    """

    def __init__(self, shape: Shape, options: VggOptions, labels: tuple[str, ...]) -> None:
        super().__init__(labels, normalise=Scale(options.rescale))
        self.options = options.model_dump(mode="json")
        *convolutions, last_end = _blocks(shape, options)
        self.features = nn.Sequential(*(layer for part in convolutions for layer in part))
        side = self.input_size // 2 ** len(shape.blocks)
        units = (shape.blocks[-1][-1] * side**2, *shape.dense)
        self.dense = nn.Sequential(*last_end, nn.Flatten(), *_dense(units, options))
        self.head = nn.Linear(units[-1], len(labels))
        initialise(self, INITIALISATIONS[options.initialisation])

    def body(self, faces: Tensor) -> Outputs:
        """(N, 1, 48, 48) → logits, the last dense layer's units, the last convolution's maps."""
        maps = self.features(faces)
        embedding = self.dense(maps)
        return Outputs(self.head(embedding), embedding, maps)


def _blocks(shape: Shape, options: VggOptions) -> Iterator[list[nn.Module]]:
    """The convolutions of a block, what follows its last one, those of the next block, and so on."""
    rate = options.dropout_conv
    within, behind = (rate, 0.0) if options.dropout_place == "layer" else (0.0, rate)
    for inputs, block in zip((1, *(block[-1] for block in shape.blocks)), shape.blocks, strict=False):
        layers: list[nn.Module] = []
        for before, after in pairwise((inputs, *block)):
            layers += _dropout(within) if layers else []
            layers.append(nn.Conv2d(before, after, kernel_size=3, padding=1))
            layers += _activated(nn.BatchNorm2d, after, options)
        yield layers
        yield [*_dropout(within), nn.MaxPool2d(2), *_dropout(behind)]


def _dense(units: tuple[int, ...], options: VggOptions) -> Iterator[nn.Module]:
    for inputs, outputs in pairwise(units):
        yield nn.Linear(inputs, outputs)
        yield from _activated(nn.BatchNorm1d, outputs, options)
        yield from _dropout(options.dropout_dense)


def _activated(
    batch_norm: type[nn.BatchNorm1d | nn.BatchNorm2d], width: int, options: VggOptions
) -> list[nn.Module]:
    """Activation and batch normalisation in their order, the latter with Keras's constants."""
    activation = ACTIVATIONS[options.activation]()
    if options.batch_norm == "none":
        return [activation]
    # Keras: epsilon 1e-3, and 0.99 of the old mean kept; torch counts the share of the new one.
    layers = [activation, batch_norm(width, eps=1e-3, momentum=0.01)]
    return layers if options.batch_norm == "after" else layers[::-1]


def _dropout(rate: float) -> list[nn.Module]:
    return [nn.Dropout(rate)] if rate else []


for _name, _shape in TYPES.items():
    _layers = sum(map(len, _shape.blocks)) + len(_shape.dense) + 1
    register(
        _name,
        options=VggOptions,
        summary=f"{_layers} layers: convolutions of 3x3 in {len(_shape.blocks)} blocks, "
        f"dense {', '.join(map(str, _shape.dense))} and one a class.",
        source="System B, 5.1, Tables 5.1 and 5.2; parameters as in Table 5.3.",
    )(partial(VggType, _shape))
