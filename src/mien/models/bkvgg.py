"""System A's networks: BKStart, rebuilt from the competition's winner, and the four BKVGG networks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

from pydantic import Field
from torch import Tensor, nn

from mien.models.layers import he_normal, initialise
from mien.models.network import Classifier, Outputs
from mien.models.normalisation import ImageThenPixel
from mien.models.registry import Options, register

BLOCKS: dict[str, tuple[tuple[int, ...], ...]] = {
    "bkvgg8": ((32,), (64,), (128,), (256, 256)),
    "bkvgg10": ((32,), (64,), (128, 128), (256, 256, 256)),
    "bkvgg12": ((32, 32), (64, 64), (128, 128), (256, 256, 256)),
    "bkvgg14": ((32, 32), (64, 64), (128, 128, 128), (256, 256, 256, 256)),
}
"""Filters of the 3x3 convolutions, block by block, as Table II has them; Table III's counts bear it out."""

_DENSE = (256, 256)


class BkOptions(Options):
    """Settings of `bkstart` and the BKVGG networks.

    crop: side of what the layers see, in pixels of the 48x48 face. dropout: share of the units dropped in
    training, after each fully connected layer but the last.
    """

    # Three poolings leave one pixel of 5.
    crop: int = Field(42, ge=5)
    dropout: float = Field(0.5, ge=0, lt=1)


class _Bk(Classifier):
    """What all five share: normalisation, crop, He-normal weights."""

    features: nn.Sequential
    dense: nn.Sequential
    head: nn.Linear

    def __init__(self, options: BkOptions, labels: tuple[str, ...]) -> None:
        super().__init__(labels, normalise=ImageThenPixel(self.input_size), body_size=options.crop)
        self.options = options.model_dump(mode="json")

    @property
    def _side(self) -> int:
        """Side of the last maps: each of the three poolings keeps the last odd row."""
        return -(-self.body_size // 8)

    def body(self, faces: Tensor) -> Outputs:
        """(N, 1, crop, crop) → maps of the last convolution, embedding of the last dense layer, logits."""
        maps = self.features(faces)
        embedding = self.dense(maps)
        return Outputs(self.head(embedding), embedding, maps)


class BkVgg(_Bk):
    """Blocks of 3x3 convolutions with ReLU, 2x2 max pooling between blocks, two dense layers of 256 units.

    Maps (N, 256, 6, 6), embedding (N, 256) with crops of 42.
    """

    def __init__(
        self, blocks: tuple[tuple[int, ...], ...], options: BkOptions, labels: tuple[str, ...]
    ) -> None:
        super().__init__(options, labels)
        self.features = nn.Sequential(*_convolutions(blocks))
        units = (blocks[-1][-1] * self._side**2, *_DENSE)
        self.dense = nn.Sequential(
            nn.Flatten(),
            *(
                layer
                for inputs, outputs in pairwise(units)
                for layer in (nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(options.dropout))
            ),
        )
        self.head = nn.Linear(units[-1], len(labels))
        initialise(self, he_normal)


def _convolutions(blocks: tuple[tuple[int, ...], ...]) -> Iterator[nn.Module]:
    inputs = 1
    for number, block in enumerate(blocks):
        if number:
            yield nn.MaxPool2d(2, ceil_mode=True)
        for outputs in block:
            yield nn.Conv2d(inputs, outputs, kernel_size=3, padding=1)
            yield nn.ReLU()
            inputs = outputs


@register(
    "bkstart",
    options=BkOptions,
    summary="Three convolutions with 3x3 pooling, a dense layer of 3072; sees 42x42.",
    source="System A, III.A, Table I: the competition's winner, rebuilt.",
)
class BkStart(_Bk):
    """7,170,983 parameters. Convolutions and poolings pad as TensorFlow's SAME does: 42→21→11→6.

    Padding does not count in averages. Maps (N, 64, 11, 11), embedding (N, 3072).
    """

    def __init__(self, options: BkOptions, labels: tuple[str, ...]) -> None:
        super().__init__(options, labels)
        half, quarter = -(-self.body_size // 2), -(-self.body_size // 4)
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, **_same(self.body_size)),
            nn.ZeroPad2d((1, 2, 1, 2)),
            nn.Conv2d(32, 32, kernel_size=4),
            nn.ReLU(),
            nn.AvgPool2d(3, 2, count_include_pad=False, **_same(half)),
            nn.Conv2d(32, 64, kernel_size=5, padding=2),
            nn.ReLU(),
        )
        self.dense = nn.Sequential(
            nn.AvgPool2d(3, 2, count_include_pad=False, **_same(quarter)),
            nn.Flatten(),
            nn.Linear(64 * self._side**2, 3072),
            nn.ReLU(),
            nn.Dropout(options.dropout),
        )
        self.head = nn.Linear(3072, len(labels))
        initialise(self, he_normal)


def _same(side: int) -> dict[str, Any]:
    """TensorFlow's SAME, 3x3 by 2: an odd side gets a row at both ends, an even one at the far end."""
    return {"padding": 1} if side % 2 else {"ceil_mode": True}


for _name, _blocks in BLOCKS.items():
    register(
        _name,
        options=BkOptions,
        summary=f"{sum(map(len, _blocks))} convolutions of 3x3 in four blocks, three dense; sees 42x42.",
        source="System A, III.B, Table II; parameters as in Table III.",
    )(partial(BkVgg, _blocks))
