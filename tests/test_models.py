"""One contract for every registered network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mien.errors import ModelError
from mien.labels import EMOTIONS
from mien.models import Network, architecture, architectures
from mien.models.onnx_file import export, read, restore
from mien.training.start import start_from

NAMES = list(architectures())

# Counted by hand from system C's text; the baseline's filter and unit counts are our choice.
PARAMETERS = {
    ("conv_net", ()): 417_575,
    ("conv_net", (("batch_norm", False),)): 416_935,
    ("conv_baseline", ()): 32 * 25 + 32 + 24 * 24 * 32 * 100 + 100 + 100 * 7 + 7,
    # System A, Table III, to the last digit by hand.
    ("bkstart", ()): 7_170_983,
    ("bkvgg8", ()): 3_405_063,
    ("bkvgg10", ()): 4_142_727,
    ("bkvgg12", ()): 4_188_903,
    ("bkvgg14", ()): 4_926_567,
    # System B, Table 5.3, to the last digit by hand.
    ("vgg_a", ()): 540_807,
    ("vgg_b", ()): 1_555_911,
    ("vgg_c", ()): 587_175,
    ("vgg_d", ()): 589_095,
    ("vgg_e", ()): 1_325_991,
    ("vgg_f", ()): 1_916_583,
}


def build(name: str, seed: int = 0) -> Network:
    torch.manual_seed(seed)
    network = architecture(name).build()
    rng = np.random.default_rng(seed)
    network.normalise.fit(rng.integers(0, 256, (64, network.input_size, network.input_size), dtype=np.uint8))
    return network


def faces(network: Network, n: int, seed: int = 1) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (n, 1, network.input_size, network.input_size))).float()


@pytest.mark.parametrize(("name", "options"), PARAMETERS)
def test_parameter_counts(name: str, options: tuple[tuple[str, object], ...]) -> None:
    chosen = architecture(name)
    assert chosen.parameters(dict(options)) == PARAMETERS[name, options]
    assert chosen.build(dict(options)).parameter_count() == PARAMETERS[name, options]


@pytest.mark.parametrize("name", NAMES)
def test_forward_and_backward_are_finite(name: str) -> None:
    network = build(name)
    outputs = network(faces(network, 8))
    assert outputs.logits.shape == (8, len(EMOTIONS))
    assert outputs.embedding.shape[0] == outputs.maps.shape[0] == 8
    assert outputs.embedding.ndim == 2
    assert outputs.maps.ndim == 4
    torch.nn.functional.cross_entropy(outputs.logits, torch.arange(8) % 7).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name: str) -> None:
    network = build(name)
    before = {key: value.clone() for key, value in network.named_parameters()}
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    torch.nn.functional.cross_entropy(network(faces(network, 14)).logits, torch.arange(14) % 7).backward()
    optimiser.step()
    still = [
        key
        for key, value in network.named_parameters()
        # A bias before batch normalisation is subtracted again with the mean: its gradient is rounding alone.
        if torch.equal(before[key], value) and not key.endswith("0.bias")
    ]
    assert not still


@pytest.mark.parametrize("name", NAMES)
def test_batch_of_one_equals_its_row(name: str) -> None:
    network = build(name).eval()
    batch = faces(network, 5)
    with torch.inference_mode():
        together = network(batch).logits
        alone = torch.cat([network(batch[i : i + 1]).logits for i in range(5)])
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_network(name: str) -> None:
    one, two, other = build(name, 3), build(name, 3), build(name, 4)
    for key, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[key]), key
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_export_agrees_and_reads_back(name: str, tmp_path: Path) -> None:
    network = build(name)
    network.train()
    for seed in range(3):
        network(faces(network, 16, seed))
    network.eval()
    with torch.no_grad():
        network.temperature.fill_(1.7)
    path = tmp_path / "network.onnx"
    export(network, path, name=name, unsure_below=0.5)

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for n in (1, 6):
        pixels = faces(network, n, seed=9)
        probabilities, logits, embedding, maps = session.run(None, {"pixels": pixels.numpy()})
        with torch.inference_mode():
            expected = network(pixels)
        np.testing.assert_allclose(logits, expected.logits, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(embedding, expected.embedding, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(maps, expected.maps, atol=1e-4, rtol=1e-4)
        np.testing.assert_allclose(probabilities, torch.softmax(expected.logits / 1.7, 1), atol=1e-5)

    metadata, _ = read(path)
    assert metadata["architecture"] == name
    assert tuple(metadata["labels"]) == EMOTIONS
    again = restore(path)
    for key, value in network.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, again.state_dict()[key]), key


@pytest.mark.parametrize("name", NAMES)
def test_other_label_sets(name: str) -> None:
    network = architecture(name).build(labels=("happy", "sad"))
    assert network(faces(network, 3)).logits.shape == (3, 2)


def test_the_body_sees_the_middle_of_the_normalised_face() -> None:
    network = build("bkvgg8").eval()
    pixels = faces(network, 3)
    with torch.inference_mode():
        middle = network.normalise(pixels)[:, :, 3:45, 3:45]
        assert torch.equal(network(pixels).logits, network.body(middle).logits)


def test_what_a_network_averages_travels_with_it(tmp_path: Path) -> None:
    network = build("bkvgg8")
    assert network.averages == "probabilities"
    network.averages = "scores"
    export(network, tmp_path / "network.onnx", name="x", unsure_below=0.5)
    assert restore(tmp_path / "network.onnx").averages == "scores"


def test_normalisation_against_float64() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3000, 48, 48), dtype=np.uint8)
    network = architecture("conv_net").build()
    network.normalise.fit(images)
    exact = images.astype(np.float64)
    exact = (exact - exact.mean(0)) / (exact - exact.mean(0)).std()
    found = network.normalise(torch.from_numpy(images)[:, None].float())[:, 0]
    np.testing.assert_allclose(found.numpy(), exact, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("conv_nett", {}, "did you mean 'conv_net'"),
        ("conv_net", {"dropot": 0.5}, "has no option 'dropot': did you mean 'dropout'"),
        ("conv_net", {"dropout": 1.5}, r"less than 1 \(got 1.5\)"),
        ("bkvgg12", {"crop": 60}, "crop of 60 pixels: expected at most 48"),
        ("bkvgg12", {"crop": 4}, "greater than or equal to 5"),
        ("vgg_c", {"activation": "gelu"}, "'elu' or 'relu'"),
    ],
)
def test_wrong_names_and_options(name: str, options: dict[str, object], expected: str) -> None:
    with pytest.raises(ModelError, match=expected):
        architecture(name).build(options)


def test_denormal_weights_are_exported_as_zero(tmp_path: Path) -> None:
    network = build("conv_net")
    with torch.no_grad():
        network.head.weight[0, :5] = 1e-40  # type: ignore[union-attr,operator]
    export(network, tmp_path / "network.onnx", name="x", unsure_below=0.5)
    _, weights = read(tmp_path / "network.onnx")
    assert not weights["head.weight"][0, :5].any()
    assert all(not ((w != 0) & (w.abs() < 1.2e-38)).any() for w in weights.values() if w.is_floating_point())


def test_a_file_says_nothing_of_where_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    export(build("conv_net"), path, name="x", unsure_below=0.5)
    payload = path.read_bytes()
    assert b".py" not in payload
    assert str(Path(__file__).parents[1]).encode() not in payload


@pytest.mark.parametrize("name", ["bkvgg8", "vgg_a"])
def test_half_weights_are_the_rounded_ones(name: str, tmp_path: Path) -> None:
    network = build(name).eval()
    whole, half = tmp_path / "whole.onnx", tmp_path / "half.onnx"
    export(network, whole, name=name, unsure_below=0.5)
    export(network, half, name=name, unsure_below=0.5, weights="float16")
    assert half.stat().st_size < 0.52 * whole.stat().st_size
    again = restore(half)
    for key, value in network.named_parameters():
        expected = value.half().float() if value.ndim > 1 else value
        assert torch.equal(again.get_parameter(key), expected), key
    assert torch.equal(again.normalise.state_dict().get("mean", torch.ones(1)),
                       network.normalise.state_dict().get("mean", torch.ones(1)))  # fmt: skip
    pixels = faces(network, 4)
    session = onnxruntime.InferenceSession(half, providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        expected = again(pixels).logits
    np.testing.assert_allclose(session.run(["logits"], {"pixels": pixels.numpy()})[0], expected, atol=1e-4)


def test_weights_too_large_for_16_bits_are_refused(tmp_path: Path) -> None:
    network = build("vgg_a")
    with torch.no_grad():
        network.head.weight[0, 0] = 1e5  # type: ignore[union-attr,operator]
    with pytest.raises(ModelError, match=r"head.weight has a weight too large for float16"):
        export(network, tmp_path / "network.onnx", name="x", unsure_below=0.5, weights="float16")


def test_weights_without_their_statistics_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    export(build("bkvgg8"), path, name="x", unsure_below=0.5)
    model = onnx.load(path)
    for initialiser in model.graph.initializer:
        if initialiser.name == "normalise.mean":
            initialiser.name = "lost"
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"lacks normalise.mean of shape \(1, 1, 48, 48\) for bkvgg8"):
        restore(path)
    with pytest.raises(ModelError, match=r"lacks normalise.mean, a statistic of the faces"):
        start_from(build("bkvgg8"), str(path))


def test_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    with pytest.raises(ModelError, match="no network"):
        read(path)
    export(build("conv_net"), path, name="x", unsure_below=0.5)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError, match="truncated"):
        read(path)
