"""Our own networks: residual 3x3 convolutions, shaped for faces of 48x48 pixels."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from mien.models.network import Classifier, Outputs
from mien.models.normalisation import ImageThenPixel, MeanImage, Normalisation
from mien.models.registry import Options, register

NORMALISATIONS: dict[str, type[MeanImage] | type[ImageThenPixel]] = {
    "training_set": MeanImage,
    "each_picture": ImageThenPixel,
}
"""What the layers see: grey values as they are, or each picture brought to one mean and contrast first."""


class ResidualOptions(Options):
    """Settings of `residual_net`.

    crop: side of what the layers see, in pixels of the 48x48 face.
    stem: maps of the plain convolutions in front, each followed by a pooling that halves the face.
    widths, depths: maps and residual blocks of each stage; a pooling stands between two stages.
    squeeze: by what the units of a block's channel attention are fewer than its maps; 0 for no attention.
    pooling: what the last layer sees: each map's mean, or every place of every map.
    dropout: share of what the last layer sees that is dropped in training.
    normalisation: one of `NORMALISATIONS`.
    """

    crop: int = Field(44, ge=8, le=48)
    stem: tuple[int, ...] = Field((16, 32), min_length=1, max_length=3)
    widths: tuple[int, ...] = Field((64, 96, 192), min_length=1, max_length=4)
    depths: tuple[int, ...] = Field((1, 1, 1), min_length=1, max_length=4)
    squeeze: int = Field(0, ge=0)
    pooling: Literal["mean", "places"] = "mean"
    dropout: float = Field(0.0, ge=0, lt=1)
    normalisation: Literal[tuple(NORMALISATIONS)] = "training_set"  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _as_many_depths(self) -> ResidualOptions:
        if len(self.widths) != len(self.depths) or min(self.depths) < 1:
            raise ValueError(
                f"depths {self.depths}: expected one number of blocks for each width of {self.widths}"
            )
        return self


class _Attention(nn.Module):
    """Weighs each map by what all maps' means say. Source: Hu et al. 2018, squeeze-and-excitation."""

    def __init__(self, maps: int, squeeze: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(maps, max(1, maps // squeeze))
        self.excite = nn.Linear(self.squeeze.out_features, maps)

    def forward(self, maps: Tensor) -> Tensor:
        weights = self.excite(self.squeeze(maps.mean(dim=(2, 3))).relu()).sigmoid()
        return maps * weights[:, :, None, None]


class _Block(nn.Module):
    """Two convolutions beside a way past them. Source: He et al. 2016."""

    def __init__(self, inputs: int, outputs: int, squeeze: int) -> None:
        super().__init__()
        self.first = _convolution(inputs, outputs)
        self.second = _convolution(outputs, outputs)
        self.attention = _Attention(outputs, squeeze) if squeeze else nn.Identity()
        self.past: nn.Module = nn.Identity()
        if inputs != outputs:
            self.past = nn.Sequential(
                nn.Conv2d(inputs, outputs, kernel_size=1, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, maps: Tensor) -> Tensor:
        seen = self.attention(self.second(self.first(maps).relu()))
        summed: Tensor = seen + self.past(maps)
        return summed.relu()


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(outputs)
    )


def _halved() -> nn.MaxPool2d:
    return nn.MaxPool2d(2, ceil_mode=True)


@register(
    "residual_net",
    options=ResidualOptions,
    summary="Residual blocks of 3x3 convolutions with batch normalisation behind a thin stem.",
    source="Ours, of known parts: residual blocks (He et al. 2016), channel attention (Hu et al. 2018).",
)
class ResidualNet(Classifier):
    """With default options 726,135 parameters and 19.3 M multiply-adds a face."""

    def __init__(self, options: ResidualOptions, labels: tuple[str, ...]) -> None:
        normalise: Normalisation = NORMALISATIONS[options.normalisation](self.input_size)
        super().__init__(labels, normalise=normalise, body_size=options.crop)
        self.options = options.model_dump(mode="json")
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((1, *options.stem)):
            layers += [_convolution(inputs, outputs), nn.ReLU(), _halved()]
        inputs = options.stem[-1]
        for stage, (width, depth) in enumerate(zip(options.widths, options.depths, strict=True)):
            if stage:
                layers.append(_halved())
            for _ in range(depth):
                layers.append(_Block(inputs, width, options.squeeze))
                inputs = width
        self.features = nn.Sequential(*layers)
        side = -(-self.body_size // 2 ** (len(options.stem) + len(options.widths) - 1))
        self.pool: nn.Module = nn.AdaptiveAvgPool2d(1) if options.pooling == "mean" else nn.Identity()
        self.dropout = nn.Dropout(options.dropout)
        self.head = nn.Linear(inputs * (1 if options.pooling == "mean" else side * side), len(labels))
        _initialise(self)

    def body(self, faces: Tensor) -> Outputs:
        """(N, 1, 44, 44) → maps (N, 192, 3, 3), embedding (N, 192), logits (N, C) with default options."""
        maps = self.features(faces)
        embedding = self.pool(maps).flatten(1)
        return Outputs(self.head(self.dropout(embedding)), embedding, maps)


def _initialise(network: nn.Module) -> None:
    """He-normal convolutions."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
