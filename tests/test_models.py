"""One contract for every registered network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mien.errors import ModelError, RecipeError
from mien.evaluation.calibration import Scaling
from mien.evaluation.decision import Decision
from mien.inference.lookup import find_model
from mien.inference.predictor import Predictor
from mien.labels import EMOTIONS, SIX
from mien.losses import all_pairs, cross_entropy
from mien.models import Classifier, Network, architecture, architectures
from mien.models.onnx_file import export, read, restore
from mien.training.start import start_from
from mien.training.tasks.registry import task_kind

NAMES = list(architectures())
EMBEDDERS = ["siamese_alexnet", "siamese_conv"]
CLASSIFIERS = [name for name in NAMES if name not in EMBEDDERS]

SHIPPED = {"conv_net", "residual_net", "siamese_conv", "vgg_c"}


def exported(names: list[str]) -> list[Any]:
    """The names as parameters: a file of each is written, which takes seconds, so the rest are slow."""
    return [name if name in SHIPPED else pytest.param(name, marks=pytest.mark.slow) for name in names]


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
    # Ours: a stem, then a block of two convolutions and the way past them in each of three stages.
    ("residual_net", ()): (
        9 * (16 + 16 * 32)
        + 2 * (16 + 32)
        + 9 * (32 * 64 + 64 * 64)
        + 32 * 64
        + 6 * 64
        + 9 * (64 * 96 + 96 * 96)
        + 64 * 96
        + 6 * 96
        + 9 * (96 * 192 + 192 * 192)
        + 96 * 192
        + 6 * 192
        + 193 * 7
    ),
    # System D, 'Architecture': conv1, conv2 (48 inputs a filter, or all 96), conv3, then the dense layers.
    ("siamese_alexnet", ()): 34_944 + 307_456 + 885_120 + 66_454_528 + 262_400 + 514,
    ("siamese_alexnet", (("groups", 1),)): 34_944 + 614_656 + 885_120 + 66_454_528 + 262_400 + 514,
    # Its trunk is ours: four or eight convolutions without bias, their batch normalisations, the same head.
    ("siamese_conv", ()): 9 * 20_512 + 2 * 320 + 1_180_672 + 262_400 + 514,
    ("siamese_conv", (("convolutions", 2),)): 9 * 51_232 + 2 * 640 + 1_180_672 + 262_400 + 514,
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


def main_output(outputs: Any) -> torch.Tensor:
    """What a network is for: a classifier's scores, an embedder's places."""
    return outputs[0]


def loss(outputs: Any) -> torch.Tensor:
    """A loss of the network's kind, on labels that come round again after seven faces."""
    labels = torch.arange(len(outputs[0])) % 7
    return {"logits": cross_entropy, "embedding": all_pairs}[outputs._fields[0]](outputs[0], labels)


@pytest.mark.parametrize(("name", "options"), PARAMETERS)
def test_parameter_counts(name: str, options: tuple[tuple[str, object], ...]) -> None:
    chosen = architecture(name)
    assert chosen.parameters(dict(options)) == PARAMETERS[name, options]
    assert chosen.build(dict(options)).parameter_count() == PARAMETERS[name, options]


@pytest.mark.parametrize("name", NAMES)
def test_forward_and_backward_are_finite(name: str) -> None:
    network = build(name)
    outputs = network(faces(network, 8))
    width = {"classifier": len(EMOTIONS), "embedding": 2}[network.kind]
    assert main_output(outputs).shape == (8, width)
    assert outputs.embedding.shape[0] == outputs.maps.shape[0] == 8
    assert outputs.embedding.ndim == 2
    assert outputs.maps.ndim == 4
    loss(outputs).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name: str) -> None:
    network = build(name)
    before = {key: value.clone() for key, value in network.named_parameters()}
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    loss(network(faces(network, 14))).backward()
    optimiser.step()
    # A bias before batch normalisation is subtracted again with the mean, an embedder's last one moves all
    # places alike: their gradient is rounding alone.
    idle = {key for key in before if key.endswith("0.bias")}
    idle |= {list(before)[-1]} if name in EMBEDDERS else set()
    still = {key for key, value in network.named_parameters() if torch.equal(before[key], value)}
    assert still <= idle


@pytest.mark.parametrize("name", NAMES)
def test_batch_of_one_equals_its_row(name: str) -> None:
    network = build(name).eval()
    batch = faces(network, 5)
    with torch.inference_mode():
        together = main_output(network(batch))
        alone = torch.cat([main_output(network(batch[i : i + 1])) for i in range(5)])
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_network(name: str) -> None:
    one, two, other = build(name, 3), build(name, 3), build(name, 4)
    for key, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[key]), key
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", exported(NAMES))
def test_export_agrees_and_reads_back(name: str, tmp_path: Path) -> None:
    network = build(name)
    network.train()
    with torch.no_grad():
        for seed in range(3):
            network(faces(network, 16 if network.input_size == 48 else 2, seed))
    network.eval()
    path = tmp_path / "network.onnx"
    export(network, path, name=name)

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert tuple(output.name for output in session.get_outputs()) == network.answers
    assert session.get_outputs()[0].shape[0] == session.get_inputs()[0].shape[0] == "faces"
    for n in (1, 6):
        pixels = faces(network, n, seed=9)
        found = session.run(None, {"pixels": pixels.numpy()})
        with torch.inference_mode():
            expected = network.answer(pixels)
        for output, mine, theirs in zip(network.answers, found, expected, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-4, rtol=1e-4, err_msg=output)

    metadata, _ = read(path)
    assert (metadata["architecture"], metadata["kind"]) == (name, network.kind)
    assert (metadata["options"], metadata["input_size"]) == (network.options, network.input_size)
    assert tuple(metadata["labels"]) == EMOTIONS
    again = restore(path)
    for key, value in network.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, again.state_dict()[key]), key


@pytest.mark.parametrize("name", exported(CLASSIFIERS))
def test_a_classifiers_file_gives_calibrated_probabilities(name: str, tmp_path: Path) -> None:
    network = build(name).eval()
    assert isinstance(network, Classifier)
    scaling = Scaling((0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 1.7), (-1.0, -0.5, 0.0, 0.0, 0.2, 0.5, 1.0))
    network.decide(Decision(scaling, 0.25, coverage=0.8, share=0.9, limit=-1.5))
    path = tmp_path / "network.onnx"
    export(network, path, name=name)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    outputs = {output.name for output in session.get_outputs()}
    assert outputs == {"probabilities", "logits", "embedding", "maps"}
    pixels = faces(network, 6, seed=9)
    found = session.run(["probabilities"], {"pixels": pixels.numpy()})[0]
    with torch.inference_mode():
        expected = scaling(network(pixels).logits)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    metadata, _ = read(path)
    assert metadata["calibration"] == scaling.to_dict() | {"scaling": "vector"}
    assert metadata["familiar"] == {"share": 0.9, "energy": -1.5}
    assert metadata["averages"] == "probabilities"
    assert metadata["conformal"] == {"coverage": 0.8, "threshold": 0.25}
    assert "unsure_below" not in metadata
    again = restore(path)
    assert isinstance(again, Classifier)
    assert again.decision == network.decision
    assert torch.equal(again.calibration.bias, network.calibration.bias)


def test_the_weights_of_earlier_releases_runs_are_taken_without_their_temperature() -> None:
    network = build("conv_net")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(before | {"temperature": torch.tensor(1.0)})
    assert network.state_dict().keys() == before.keys()
    with pytest.raises(RuntimeError, match="coldness"):
        network.load_state_dict(before | {"coldness": torch.tensor(1.0)})


def test_files_of_earlier_releases_are_read_back_with_their_temperature() -> None:
    network = restore(find_model("vgg_c"))
    assert isinstance(network, Classifier)
    metadata, weights = read(find_model("vgg_c"))
    assert "temperature" in weights
    assert network.decision.scaling.temperature == pytest.approx(metadata["temperature"])
    pixels = faces(network, 3, seed=1)
    found = network.probabilities(pixels).detach().numpy()
    expected = Predictor("vgg_c").classify(pixels[:, 0].numpy().astype(np.uint8)).probabilities
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_an_embedders_file_gives_places_alone(tmp_path: Path) -> None:
    network = architecture("siamese_conv").build({"dimensions": 3}, labels=SIX).eval()
    path = tmp_path / "network.onnx"
    export(network, path, name="map")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["embedding", "maps"]
    assert [len(output.shape) for output in session.get_outputs()] == [2, 4]
    assert session.get_outputs()[0].shape[1] == 3
    metadata, weights = read(path)
    assert (metadata["kind"], metadata["dimensions"], tuple(metadata["labels"])) == ("embedding", 3, SIX)
    assert not {"calibration", "averages", "unsure_below", "conformal", "familiar"} & {*metadata}
    assert not {name for name in weights if name.startswith("calibration")}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_other_label_sets(name: str) -> None:
    network = architecture(name).build(labels=("happy", "sad"))
    assert network(faces(network, 3)).logits.shape == (3, 2)


def test_an_embedders_labels_change_nothing_of_it() -> None:
    counts = {labels: architecture("siamese_conv").parameters(labels=labels) for labels in (EMOTIONS, SIX)}
    assert len(set(counts.values())) == 1


@pytest.mark.parametrize(
    ("task", "name", "expected"),
    [("classification", "siamese_conv", "contrastive"), ("contrastive", "conv_net", "classification")],
)
def test_a_task_refuses_networks_of_another_kind(task: str, name: str, expected: str) -> None:
    network = architecture(name).build()
    task_kind(expected).check(network)
    with pytest.raises(RecipeError, match=f"^task.name '{task}' does not train {name}: expected {expected}"):
        task_kind(task).check(network)


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
    export(network, tmp_path / "network.onnx", name="x")
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
    export(network, tmp_path / "network.onnx", name="x")
    _, weights = read(tmp_path / "network.onnx")
    assert not weights["head.weight"][0, :5].any()
    assert all(not ((w != 0) & (w.abs() < 1.2e-38)).any() for w in weights.values() if w.is_floating_point())


def test_a_file_says_nothing_of_where_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    export(build("conv_net"), path, name="x")
    payload = path.read_bytes()
    assert b".py" not in payload
    assert str(Path(__file__).parents[1]).encode() not in payload


@pytest.mark.parametrize("name", ["bkvgg8", "vgg_a"])
def test_half_weights_are_the_rounded_ones(name: str, tmp_path: Path) -> None:
    network = build(name).eval()
    whole, half = tmp_path / "whole.onnx", tmp_path / "half.onnx"
    export(network, whole, name=name)
    export(network, half, name=name, weights="float16")
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
        export(network, tmp_path / "network.onnx", name="x", weights="float16")


def test_weights_without_their_statistics_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    export(build("bkvgg8"), path, name="x")
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
    export(build("conv_net"), path, name="x")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError, match="truncated"):
        read(path)
