"""The families of systems A and B: their layers in the papers' order, normalisations, initialisations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from mien.models import architecture
from mien.models.normalisation import ImageThenPixel

LETTER = {
    nn.Conv2d: "conv", nn.Linear: "dense", nn.ReLU: "relu", nn.ELU: "elu", nn.BatchNorm2d: "bn",
    nn.BatchNorm1d: "bn", nn.MaxPool2d: "pool", nn.Dropout: "drop", nn.Flatten: "flat",
}  # fmt: skip


def pattern(name: str, **options: object) -> str:
    """The order of a network's layers, as the papers write their patterns."""
    network = architecture(name).build(options)
    layers = [*network.features, *network.dense, network.head]  # type: ignore[misc,list-item]
    return " ".join(LETTER[type(layer)] for layer in layers)


BLOCK = "conv elu bn conv elu bn pool drop "
DENSE = "dense elu bn drop "


def test_type_c_is_the_pattern_of_table_5_6() -> None:
    assert pattern("vgg_c") == BLOCK * 3 + "flat " + DENSE * 2 + "dense"


def test_type_a_pools_after_single_convolutions() -> None:
    single = "conv relu bn pool drop "
    assert pattern("vgg_a", activation="relu") == (
        single * 2 + "conv relu bn conv relu bn pool drop flat " + "dense relu bn drop " * 2 + "dense"
    )


def test_options_move_batch_normalisation_and_dropout() -> None:
    before = pattern("vgg_c", batch_norm="before")
    assert before == (BLOCK * 3 + "flat " + DENSE * 2 + "dense").replace("elu bn", "bn elu")
    none = pattern("vgg_c", batch_norm="none", dropout_conv=0, dropout_dense=0)
    assert none == "conv elu conv elu pool " * 3 + "flat " + "dense elu " * 2 + "dense"
    each = pattern("vgg_c", dropout_place="layer")
    assert each == "conv elu bn drop conv elu bn drop pool " * 3 + "flat " + DENSE * 2 + "dense"


def test_bkvgg12_is_table_ii() -> None:
    two, three = "conv relu " * 2, "conv relu " * 3
    dense = "dense relu drop " * 2
    assert pattern("bkvgg12") == f"{two}pool {two}pool {two}pool {three}flat {dense}dense"


@pytest.mark.parametrize(("side", "sides"), [(42, (21, 11, 6)), (48, (24, 12, 6)), (41, (21, 11, 6))])
def test_bkvgg_keeps_the_last_odd_row(side: int, sides: tuple[int, ...]) -> None:
    network = architecture("bkvgg8").build({"crop": side})
    faces, seen = torch.rand(1, 1, side, side), []
    for layer in network.features:  # type: ignore[union-attr]
        faces = layer(faces)
        seen += [faces.shape[-1]] if isinstance(layer, nn.MaxPool2d) else []
    assert tuple(seen) == sides


def slow_same_pool(picture: np.ndarray, average: bool) -> np.ndarray:
    """TensorFlow's SAME, 3x3 by 2: the padding is split evenly, the odd row lies at the far end."""
    side = len(picture)
    out = math.ceil(side / 2)
    first = max((out - 1) * 2 + 3 - side, 0) // 2
    result = np.zeros((out, out))
    for row in range(out):
        for column in range(out):
            top, left = row * 2 - first, column * 2 - first
            window = picture[max(top, 0) : top + 3, max(left, 0) : left + 3]
            result[row, column] = window.mean() if average else window.max()
    return result


@pytest.mark.parametrize("crop", [42, 41, 40])
def test_bkstart_pools_as_tensorflow_does(crop: int) -> None:
    network = architecture("bkstart").build({"crop": crop})
    pools = [
        layer
        for layer in [*network.features, *network.dense]  # type: ignore[misc]
        if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d)
    ]
    side = crop
    for pool in pools:
        picture = np.random.default_rng(side).normal(size=(side, side))
        found = pool(torch.from_numpy(picture)[None, None])[0, 0].numpy()
        np.testing.assert_allclose(found, slow_same_pool(picture, isinstance(pool, nn.AvgPool2d)), atol=1e-12)
        side = len(found)
    assert side == 6 - (crop == 40)


def test_image_then_pixel_against_float64() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (1500, 6, 6), dtype=np.uint8)
    images[3] = 77  # without any contrast
    module = ImageThenPixel(6)
    module.fit(images)
    exact = np.zeros(images.shape)
    for number, image in enumerate(images.astype(np.float64)):
        centred = image - image.mean()
        exact[number] = centred / image.std() * 3.125 if image.std() else centred
    for row in range(6):
        for column in range(6):
            values = exact[:, row, column]
            exact[:, row, column] = (values - values.mean()) / values.std()
    found = module(torch.from_numpy(images)[:, None].float())[:, 0]
    np.testing.assert_allclose(found.numpy(), exact, atol=1e-4)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(0, unbiased=False), 1, atol=1e-5)


def test_system_b_scales_and_has_no_statistics() -> None:
    network = architecture("vgg_a").build()
    assert float(network.normalise(torch.full((1, 1, 48, 48), 255.0)).max()) == pytest.approx(1)
    unscaled = architecture("vgg_a").build({"rescale": 1})
    assert float(unscaled.normalise(torch.full((1, 1, 48, 48), 255.0)).max()) == 255


@pytest.mark.parametrize(
    ("name", "options", "variance"),
    [
        ("bkvgg12", {}, lambda inputs, outputs: 2 / inputs),
        ("vgg_b", {"initialisation": "he_normal"}, lambda inputs, outputs: 2 / inputs),
        ("vgg_b", {"initialisation": "glorot_normal"}, lambda inputs, outputs: 2 / (inputs + outputs)),
    ],
)
def test_initial_weights_have_the_papers_deviation(name: str, options: dict[str, object], variance) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    network = architecture(name).build(options)
    for layer in network.modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        assert not layer.bias.any()
        n, expected = layer.weight.numel(), variance(*_fans(layer))
        # Six standard errors of a normal's variance.
        assert abs(float(layer.weight.detach().double().square().mean()) / expected - 1) < 6 * (2 / n) ** 0.5
        if name.startswith("vgg"):
            assert float(layer.weight.detach().abs().max()) <= 2 * (expected**0.5) / 0.8796 + 1e-6


def _fans(layer: nn.Conv2d | nn.Linear) -> tuple[int, int]:
    outputs, inputs, *kernel = layer.weight.shape
    return inputs * math.prod(kernel), outputs * math.prod(kernel)
