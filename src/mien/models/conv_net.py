"""System C's networks: the three-layer baseline and the small convolutional network."""

from __future__ import annotations

from itertools import pairwise

from pydantic import Field
from torch import Tensor, nn

from mien.models.network import Classifier, Outputs
from mien.models.registry import Options, register


class ConvNetOptions(Options):
    """Settings of `conv_net`.

    filters: maps of each convolution; each is followed by a pooling that halves the face.
    hidden: units of the affine layer. dropout: share of its units dropped in training.
    """

    filters: tuple[int, ...] = Field((32, 64, 96, 128), min_length=1, max_length=5)
    hidden: int = Field(200, ge=1)
    batch_norm: bool = True
    dropout: float = Field(0.0, ge=0, lt=1)


@register(
    "conv_net",
    options=ConvNetOptions,
    summary="Four 3x3 convolutions, each with ReLU and 2x2 pooling, then two affine layers.",
    source="System C, 3.4 and 4.2: batch normalisation right after each convolution in the final network.",
)
class ConvNet(Classifier):
    """417,575 parameters with batch normalisation, 416,935 without."""

    def __init__(self, options: ConvNetOptions, labels: tuple[str, ...]) -> None:
        super().__init__(labels)
        self.options = options.model_dump(mode="json")
        blocks = [
            nn.Sequential(
                nn.Conv2d(inputs, outputs, kernel_size=3, padding=1),
                nn.BatchNorm2d(outputs) if options.batch_norm else nn.Identity(),
                nn.ReLU(),
                nn.MaxPool2d(2),
            )
            for inputs, outputs in pairwise((1, *options.filters))
        ]
        self.features = nn.Sequential(*blocks)
        side = self.input_size // 2 ** len(options.filters)
        self.hidden = nn.Linear(options.filters[-1] * side * side, options.hidden)
        self.dropout = nn.Dropout(options.dropout)
        self.head = nn.Linear(options.hidden, len(labels))

    def body(self, faces: Tensor) -> Outputs:
        """(N, 1, 48, 48) → maps (N, 128, 3, 3), embedding (N, 200), logits (N, C) with default options."""
        maps = self.features(faces)
        embedding = self.hidden(maps.flatten(1)).relu()
        return Outputs(self.head(self.dropout(embedding)), embedding, maps)


class ConvBaselineOptions(Options):
    """Settings of `conv_baseline`. The paper gives neither number: both are ours."""

    filters: int = Field(32, ge=1)
    hidden: int = Field(100, ge=1)


@register(
    "conv_baseline",
    options=ConvBaselineOptions,
    summary="One 5x5 convolution with ReLU and 2x2 pooling, then two affine layers.",
    source="System C, 3.2; its filter and unit counts are not given: 32 and 100 are our choice.",
)
class ConvBaseline(Classifier):
    """1,844,839 parameters with our choice of 32 filters and 100 hidden units."""

    def __init__(self, options: ConvBaselineOptions, labels: tuple[str, ...]) -> None:
        super().__init__(labels)
        self.options = options.model_dump(mode="json")
        self.features = nn.Sequential(nn.Conv2d(1, options.filters, kernel_size=5, padding=2), nn.ReLU())
        self.pool = nn.MaxPool2d(2)
        self.hidden = nn.Linear(options.filters * (self.input_size // 2) ** 2, options.hidden)
        self.head = nn.Linear(options.hidden, len(labels))

    def body(self, faces: Tensor) -> Outputs:
        """(N, 1, 48, 48) → maps (N, 32, 48, 48), embedding (N, 100), logits (N, C) with default options."""
        maps = self.features(faces)
        embedding = self.hidden(self.pool(maps).flatten(1)).relu()
        return Outputs(self.head(embedding), embedding, maps)
