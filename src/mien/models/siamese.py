"""System D's networks: a trunk of convolutions, and a head that gives each face a place in the plane.

A siamese network is one of these shown two faces in turn: its two halves have the same weights. A batch goes
through once, and the loss is taken over all of its pairs.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise

from pydantic import Field
from torch import nn

from mien.models.layers import initialise, xavier_uniform
from mien.models.network import Embedder
from mien.models.normalisation import ChannelMeans, MeanImage
from mien.models.published import ALEXNET
from mien.models.registry import Options, register


class HeadOptions(Options):
    """Settings of the head that both networks have.

    hidden: units of the dense layers before the last. dimensions: of the map. dropout: share of the hidden
    units dropped in training; the paper gives no rate.
    """

    hidden: tuple[int, ...] = Field((1024, 256), min_length=1)
    dimensions: int = Field(2, ge=2)
    dropout: float = Field(0.5, ge=0, lt=1)


class Siamese(Embedder):
    """A trunk under the paper's head: dense layers with ReLU and dropout between, the last one linear."""

    def __init__(
        self,
        options: HeadOptions,
        labels: tuple[str, ...],
        trunk: nn.Sequential,
        features: int,
        normalise: MeanImage | ChannelMeans,
    ) -> None:
        """features: numbers that the trunk gives for a face. Initialised as the paper says (Xavier)."""
        super().__init__(labels, normalise=normalise)
        self.options = options.model_dump(mode="json")
        self.dimensions = options.dimensions
        self.trunk = trunk
        hidden: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise((features, *options.hidden)):
            hidden += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(options.dropout)]
        self.head = nn.Sequential(*hidden, nn.Linear(options.hidden[-1], options.dimensions))
        initialise(self, xavier_uniform)


class SiameseAlexNetOptions(HeadOptions):
    """Settings of `siamese_alexnet`.

    groups: parts of the second convolution, each of which sees as many of the first one's maps: 2 in the
    published AlexNet, 1 as the paper prints its shape (5×5×96).
    """

    groups: int = Field(2, ge=1, le=2)


@register(
    "siamese_alexnet",
    options=SiameseAlexNetOptions,
    summary="AlexNet's first three convolutions, then 1024-256-2 dense units: a place on a map.",
    source="System D, 'Architecture'; the trunk is that of Krizhevsky, Sutskever & Hinton 2012.",
)
class SiameseAlexNet(Siamese):
    """227 × 227 grey faces, repeated on the three channels that the published weights expect."""

    input_size = 227
    published = ALEXNET

    def __init__(self, options: SiameseAlexNetOptions, labels: tuple[str, ...]) -> None:
        trunk = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(3, 96, kernel_size=11, stride=4),  # 227 → 55
                relu1=nn.ReLU(),
                norm1=_response_normalisation(),
                pool1=nn.MaxPool2d(3, stride=2),  # 55 → 27
                conv2=nn.Conv2d(96, 256, kernel_size=5, padding=2, groups=options.groups),
                relu2=nn.ReLU(),
                norm2=_response_normalisation(),
                pool2=nn.MaxPool2d(3, stride=2),  # 27 → 13
                conv3=nn.Conv2d(256, 384, kernel_size=3, padding=1),
                relu3=nn.ReLU(),
            )
        )
        super().__init__(options, labels, trunk, 384 * 13 * 13, ChannelMeans(IMAGENET_BGR))


class SiameseConvOptions(HeadOptions):
    """Settings of `siamese_conv`.

    filters: maps of each block, which ends with a pooling that halves the face. convolutions: 3x3
    convolutions of a block, each with batch normalisation and ReLU.
    """

    filters: tuple[int, ...] = Field((32, 64, 96, 128), min_length=1, max_length=5)
    convolutions: int = Field(1, ge=1, le=4)


@register(
    "siamese_conv",
    options=SiameseConvOptions,
    summary="Blocks of 3x3 convolutions on 48x48 faces, then 1024-256-2 dense units: a place on a map.",
    source="System D's head on a trunk of ours, for faces of FER-2013's size.",
)
class SiameseConv(Siamese):
    """Four convolutions with default options; eight with `convolutions` 2."""

    def __init__(self, options: SiameseConvOptions, labels: tuple[str, ...]) -> None:
        maps = (1, *options.filters)
        blocks = [_block(inputs, outputs, options.convolutions) for inputs, outputs in pairwise(maps)]
        side = self.input_size // 2 ** len(options.filters)
        features = options.filters[-1] * side * side
        super().__init__(options, labels, nn.Sequential(*blocks), features, MeanImage(self.input_size))


IMAGENET_BGR = (104.007, 116.669, 122.679)
"""Mean blue, green and red of ImageNet's pictures, 0…255: what the published AlexNet was trained without."""


def _response_normalisation() -> nn.LocalResponseNorm:
    """Over five neighbouring maps, with the constants of the published network's file."""
    return nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0)


def _block(inputs: int, outputs: int, convolutions: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(convolutions):
        layers += [
            nn.Conv2d(outputs if number else inputs, outputs, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.MaxPool2d(2))
