"""System D's networks: shapes and arithmetic by hand, and the published weights of AlexNet's first layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from mien import fetching
from mien.errors import ModelError
from mien.labels import EMOTIONS, SIX
from mien.models import Network, architecture
from mien.models.onnx_file import export, read
from mien.training.start import start_from

SHAPES = {"conv1": (96, 3, 11, 11), "conv2": (256, 48, 5, 5), "conv3": (384, 256, 3, 3)}
BGR = np.array([104.007, 116.669, 122.679]).reshape(1, 3, 1, 1)


def alexnet(seed: int = 0, **options: object) -> Network:
    """With a small head: the trunk is what these tests are about."""
    torch.manual_seed(seed)
    return architecture("siamese_alexnet").build({"hidden": (4,), **options}, SIX).eval()


def pixels(n: int, size: int = 227, seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, 1, size, size))).float()


def published_file(path: Path, change: Callable[[onnx.ModelProto], None] = lambda model: None) -> Path:
    """A file laid out as bvlcalexnet-12.onnx is as far as its third convolution, with random weights."""
    rng = np.random.default_rng(7)
    initialisers = []
    for name, shape in SHAPES.items():
        weight = rng.normal(0, 2 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)
        bias = rng.normal(0, 0.1, shape[0]).astype(np.float32)
        initialisers += [
            numpy_helper.from_array(weight, f"{name}_w_0"),
            numpy_helper.from_array(bias, f"{name}_b_0"),
        ]
    lrn = {"size": 5, "alpha": 1e-4, "beta": 0.75, "bias": 1.0}
    pool = {"kernel_shape": [3, 3], "strides": [2, 2]}
    nodes = [
        helper.make_node("Conv", ["data_0", "conv1_w_0", "conv1_b_0"], ["conv1_1"], strides=[4, 4]),
        helper.make_node("Relu", ["conv1_1"], ["conv1_2"]),
        helper.make_node("LRN", ["conv1_2"], ["norm1_1"], **lrn),
        helper.make_node("MaxPool", ["norm1_1"], ["pool1_1"], **pool),
        helper.make_node(
            "Conv", ["pool1_1", "conv2_w_0", "conv2_b_0"], ["conv2_1"], pads=[2, 2, 2, 2], group=2
        ),
        helper.make_node("Relu", ["conv2_1"], ["conv2_2"]),
        helper.make_node("LRN", ["conv2_2"], ["norm2_1"], **lrn),
        helper.make_node("MaxPool", ["norm2_1"], ["pool2_1"], **pool),
        helper.make_node("Conv", ["pool2_1", "conv3_w_0", "conv3_b_0"], ["conv3_1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv3_1"], ["conv3_2"]),
    ]
    graph = helper.make_graph(
        nodes,
        "bvlc_alexnet",
        [helper.make_tensor_value_info("data_0", TensorProto.FLOAT, ["N", 3, 227, 227])],
        [helper.make_tensor_value_info("conv3_2", TensorProto.FLOAT, ["N", 384, 13, 13])],
        initialisers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7)
    change(model)
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_file(tmp_path_factory.mktemp("published") / "bvlcalexnet-12.onnx")


@pytest.mark.parametrize("groups", [1, 2])
def test_alexnets_layers_have_the_papers_shapes(groups: int) -> None:
    network = alexnet(groups=groups)
    found: dict[str, tuple[int, ...]] = {}
    assert isinstance(network.trunk, nn.Sequential)
    with torch.inference_mode():
        values = network.normalise(pixels(1))
        assert values.shape == (1, 3, 227, 227)
        for name, layer in network.trunk.named_children():
            values = layer(values)
            found[name] = tuple(values.shape[1:])
    assert found == {
        **dict.fromkeys(("conv1", "relu1", "norm1"), (96, 55, 55)),
        "pool1": (96, 27, 27),
        **dict.fromkeys(("conv2", "relu2", "norm2"), (256, 27, 27)),
        "pool2": (256, 13, 13),
        **dict.fromkeys(("conv3", "relu3"), (384, 13, 13)),
    }
    assert network.get_parameter("trunk.conv2.weight").shape == (256, 96 // groups, 5, 5)
    assert network.get_parameter("head.1.weight").shape == (4, 384 * 13 * 13)


@pytest.mark.parametrize(("convolutions", "count"), [(1, 4), (2, 8)])
def test_the_trunk_for_small_faces(convolutions: int, count: int) -> None:
    network = architecture("siamese_conv").build({"convolutions": convolutions}).eval()
    assert sum(isinstance(layer, nn.Conv2d) for layer in network.modules()) == count
    with torch.inference_mode():
        outputs = network(pixels(2, 48))
    assert outputs.maps.shape == (2, 128, 3, 3)
    assert outputs.embedding.shape == (2, 2)


def test_the_head_is_linear_at_its_end_with_dropout_between() -> None:
    head = architecture("siamese_conv").build().head
    kinds = [type(layer) for layer in head]  # type: ignore[union-attr,arg-type]
    dense = [nn.Linear, nn.ReLU, nn.Dropout]
    assert kinds == [nn.Flatten, *dense, *dense, nn.Linear]
    widths = [layer.out_features for layer in head if isinstance(layer, nn.Linear)]  # type: ignore[union-attr]
    assert widths == [1024, 256, 2]


def test_response_normalisation_against_a_loop() -> None:
    network = alexnet()
    rng = np.random.default_rng(2)
    values = rng.normal(0, 100, (2, 9, 3, 4))
    expected = np.empty_like(values)
    for image, channel, row, column in np.ndindex(values.shape):
        around = values[image, max(0, channel - 2) : channel + 3, row, column]
        divisor = (1 + 1e-4 / 5 * np.square(around).sum()) ** 0.75
        expected[image, channel, row, column] = values[image, channel, row, column] / divisor
    for name in ("trunk.norm1", "trunk.norm2"):
        found = network.get_submodule(name)(torch.from_numpy(values)).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    # The normalisation does something at the scale of the maps: a test on tiny values would not see it.
    assert np.abs(expected / values).min() < 0.95


@pytest.mark.parametrize("name", ["siamese_alexnet", "siamese_conv"])
def test_weights_begin_within_xaviers_bounds(name: str) -> None:
    torch.manual_seed(0)
    network = architecture(name).build({"hidden": (64, 32)})
    inputs = {"trunk.conv1": 3 * 121, "trunk.conv2": 48 * 25, "trunk.conv3": 256 * 9}
    layers = {
        key: layer for key, layer in network.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    }
    for key, layer in layers.items():
        fan = inputs.get(key, layer.weight[0].numel())
        bound = (3 / fan) ** 0.5
        assert layer.weight.abs().max() <= bound
        if layer.weight.numel() > 1000:
            assert layer.weight.abs().max() > 0.99 * bound, key
            assert layer.weight.std().item() == pytest.approx(fan**-0.5, rel=0.1), key
        assert layer.bias is None or not layer.bias.any()
    assert name != "siamese_alexnet" or inputs.keys() <= layers.keys()


def test_the_means_are_constants_of_the_published_network() -> None:
    network = alexnet()
    network.normalise.fit(np.zeros((4, 227, 227), np.uint8))
    grey = pixels(2)
    found = network.normalise(grey).numpy()
    np.testing.assert_allclose(found, grey.numpy().astype(np.float64) - BGR, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("siamese_alexnet", {"groups": 3}, "'groups': Input should be less than or equal to 2"),
        ("siamese_conv", {"dimensions": 0}, "'dimensions': Input should be greater than or equal to 2"),
        ("siamese_conv", {"hidden": ()}, "'hidden'"),
        ("siamese_conv", {"filters": (8,) * 6}, "'filters'"),
        ("siamese_conv", {"groups": 2}, "has no option 'groups'"),
        ("siamese_conv", {"dropout": 1.0}, "'dropout': Input should be less than 1"),
    ],
)
def test_wrong_options(name: str, options: dict[str, object], expected: str) -> None:
    with pytest.raises(ModelError, match=expected):
        architecture(name).build(options)


def test_published_weights_become_the_trunk_and_nothing_else(published: Path) -> None:
    network, untouched = alexnet(), alexnet()
    begun = start_from(network, str(published))
    assert begun.taken == 6
    assert begun.fresh == ("head.1.weight", "head.1.bias", "head.4.weight", "head.4.bias")
    model = onnx.load(published)
    theirs = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    for name in SHAPES:
        assert np.array_equal(network.get_parameter(f"trunk.{name}.weight").detach(), theirs[f"{name}_w_0"])
        assert np.array_equal(network.get_parameter(f"trunk.{name}.bias").detach(), theirs[f"{name}_b_0"])
    for name, value in untouched.state_dict().items():
        assert name.startswith("trunk.") or torch.equal(network.state_dict()[name], value), name


def test_the_trunk_computes_what_the_published_graph_does(published: Path) -> None:
    network = alexnet()
    start_from(network, str(published))
    grey = pixels(2)
    # The published graph sees blue, green and red without their means; grey is the same in all three.
    coloured = (grey.numpy() - BGR).astype(np.float32)
    session = onnxruntime.InferenceSession(published, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"data_0": coloured})[0]
    with torch.inference_mode():
        found = network(grey).maps.numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    swapped = session.run(None, {"data_0": (grey.numpy() - BGR[:, ::-1]).astype(np.float32)})[0]
    assert np.abs(swapped - expected).max() > 10 * np.abs(found - expected).max()


def renamed(model: onnx.ModelProto) -> None:
    model.graph.initializer[4].name = "conv3_w_0_quantized"


def wider(model: onnx.ModelProto) -> None:
    values = np.zeros((256, 96, 5, 5), np.float32)
    model.graph.initializer[2].CopyFrom(numpy_helper.from_array(values, "conv2_w_0"))


def pooled_first(model: onnx.ModelProto) -> None:
    """As CaffeNet, whose tensors have the same names and shapes."""
    nodes = list(model.graph.node)
    nodes[2], nodes[3] = nodes[3], nodes[2]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            renamed,
            r"was not exported by mien and lacks conv3_w_0: expected a network of mien, or bvlcalexnet",
        ),
        (wider, r"conv2_w_0 has the shape \(256, 96, 5, 5\): expected \(256, 48, 5, 5\), as in bvlcalexnet"),
        (pooled_first, r"begins with Conv, Relu, MaxPool, LRN, .*: expected Conv, Relu, LRN, MaxPool"),
    ],
)
def test_another_file_is_refused_whole(
    change: Callable[[onnx.ModelProto], None], expected: str, tmp_path: Path
) -> None:
    path = published_file(tmp_path / "other.onnx", change)
    network, untouched = alexnet(), alexnet()
    with pytest.raises(ModelError, match=expected) as caught:
        start_from(network, str(path))
    assert "\n" not in str(caught.value)
    for name, value in untouched.state_dict().items():
        assert torch.equal(network.state_dict()[name], value), name


def test_a_damaged_file_is_refused(published: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(published.read_bytes()[:100_000])
    with pytest.raises(ModelError, match="is no ONNX file, or a truncated one"):
        start_from(alexnet(), str(path))


def test_published_weights_need_two_groups(published: Path) -> None:
    with pytest.raises(ModelError, match=r"made for model.groups=2, the recipe has 1; set model.groups=2$"):
        start_from(alexnet(groups=1), str(published))


def test_a_network_that_takes_no_published_weights(published: Path) -> None:
    network = architecture("siamese_conv").build()
    with pytest.raises(ModelError, match="a siamese_conv takes no weights of 'alexnet'"):
        start_from(network, "alexnet")
    with pytest.raises(ModelError, match="was not exported by mien"):
        start_from(network, str(published))
    with pytest.raises(ModelError, match="a siamese_alexnet takes no weights of 'blazeface'"):
        start_from(alexnet(), "blazeface")


def test_fetched_weights_are_found_by_name(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    with pytest.raises(
        ModelError, match="'alexnet' is not here: bring it with 'mien fetch alexnet', or give"
    ):
        start_from(alexnet(), "alexnet")
    content = published.read_bytes()
    thing = fetching.FETCHABLES["alexnet"]
    member = dataclasses.replace(thing.members[0], size=len(content))
    monkeypatch.setitem(fetching.FETCHABLES, "alexnet", dataclasses.replace(thing, members=(member,)))
    fetching.file_of("alexnet").parent.mkdir()
    fetching.file_of("alexnet").write_bytes(content)
    network, other = alexnet(), alexnet()
    assert start_from(network, "alexnet").source == "alexnet"
    start_from(other, str(published))
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", ["siamese_alexnet", "siamese_conv"])
def test_an_embedder_starts_from_its_own_file_whatever_the_labels(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    options = {"hidden": (8, 4)}
    trained = architecture(name).build(options, SIX)
    trained.train()
    with torch.no_grad():
        trained(pixels(2, trained.input_size))
    path = tmp_path / "map.onnx"
    export(trained, path, name="map")
    network = architecture(name).build(options, EMOTIONS)
    begun = start_from(network, str(path))
    assert begun.fresh == ()
    expected = trained.state_dict()
    for key, value in network.state_dict().items():
        assert key.endswith("num_batches_tracked") or torch.equal(value, expected[key]), key
    assert read(path)[0]["labels"] == list(SIX)


def test_another_map_of_more_dimensions_keeps_its_last_layer(tmp_path: Path) -> None:
    path = tmp_path / "map.onnx"
    export(architecture("siamese_conv").build({"hidden": (8,)}), path, name="map")
    network = architecture("siamese_conv").build({"hidden": (8,), "dimensions": 3})
    assert start_from(network, str(path)).fresh == ("head.4.weight", "head.4.bias")
