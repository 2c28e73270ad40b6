"""Exported networks in other numbers: what they say of themselves stays, and whole numbers answer alike."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from mien import data as datasets
from mien.cli import app as application
from mien.errors import ModelError
from mien.experiments.conversion import converted
from mien.inference.lookup import find_model
from mien.inference.predictor import Predictor
from mien.models.formats import convert, weight_type
from mien.models.onnx_file import METADATA_KEY, open_model, restore
from mien.models.quantisation import FACES, calibration_faces, kept_in_float
from synthetic import face_batch

NAME = "conv_net"


def smooth(n: int, seed: int = 0) -> NDArray[np.uint8]:
    """Pictures of a few soft blobs: a network answers them in several ways, as it does faces."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(0, 256, (n, 6, 6))
    rows = np.linspace(0, 5, 48)
    low, part = np.minimum(rows.astype(int), 4), rows - np.minimum(rows.astype(int), 4)
    upright = coarse[:, low] * (1 - part)[:, None] + coarse[:, low + 1] * part[:, None]
    return (upright[:, :, low] * (1 - part) + upright[:, :, low + 1] * part).astype(np.uint8)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shipped network with one more thing in its metadata."""
    model, metadata = open_model(find_model(NAME))
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps({**metadata, "more": {"kept": [0.25]}})})
    path = tmp_path_factory.mktemp("float") / "network.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="module")
def whole(source: Path) -> Path:
    path = source.with_name("whole.onnx")
    convert(source, path, "int8", smooth(96))
    return path


def weights_of(path: Path) -> dict[str, NDArray[np.generic]]:
    model, _ = open_model(path)
    return {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}


def test_sixteen_bits_and_back(source: Path, tmp_path: Path) -> None:
    half, wide = tmp_path / "half.onnx", tmp_path / "wide.onnx"
    convert(source, half, "float16")
    convert(half, wide, "float32")
    assert [weight_type(path) for path in (source, half, wide)] == ["float32", "float16", "float32"]
    before, after = weights_of(source), weights_of(wide)
    assert before.keys() == after.keys()
    for name, value in before.items():
        rounded = value.astype(np.float16).astype(np.float32) if name.endswith("weight") else value
        expected = rounded if value.ndim > 1 and name.endswith("weight") else value
        np.testing.assert_array_equal(after[name], expected, err_msg=name)
    faces = smooth(8, seed=3)
    for one, other in zip(half_and_wide(half, faces), half_and_wide(wide, faces), strict=True):
        np.testing.assert_array_equal(one, other)
    assert restore(wide).parameter_count() == restore(source).parameter_count()


def half_and_wide(path: Path, faces: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
    readings = Predictor(path).classify(faces)
    return readings.probabilities, readings.logits


@pytest.mark.parametrize("weights", ["float32", "float16", "int8"])
def test_what_it_says_of_itself_is_kept(source: Path, tmp_path: Path, weights: str) -> None:
    path = tmp_path / "converted.onnx"
    convert(source, path, weights, smooth(16))
    (model, said), (original, before) = open_model(path), open_model(source)
    assert {key: value for key, value in said.items() if key != "weights"} == before
    assert said.get("weights") == ("int8" if weights == "int8" else None)
    assert Predictor(path).card == Predictor(source).card
    for part in ("input", "output"):
        shapes = [
            [(each.name, str(each.type)) for each in getattr(found.graph, part)]
            for found in (model, original)
        ]
        assert [name for name, _ in shapes[0]] == [name for name, _ in shapes[1]]
    assert {each.domain for each in model.opset_import} == {""}


def test_whole_numbers_answer_nearly_alike(source: Path, whole: Path) -> None:
    faces = smooth(64, seed=1)
    before, after = Predictor(source).classify(faces), Predictor(whole).classify(faces)
    assert np.corrcoef(before.logits.ravel(), after.logits.ravel())[0, 1] > 0.995
    assert (before.logits.argmax(axis=1) == after.logits.argmax(axis=1)).mean() > 0.9
    np.testing.assert_allclose(after.probabilities.sum(axis=1), 1, atol=1e-5)
    expected = Predictor(whole).card.decision.scaling(after.logits)
    np.testing.assert_allclose(after.probabilities, expected, atol=1e-5)


def test_fused_kernels_compute_what_the_file_says(whole: Path) -> None:
    """Without any fusion every operation is computed in 32 bits between roundings: the definition."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(whole), options, providers=["CPUExecutionProvider"])
    faces = smooth(64, seed=2)
    (defined,) = session.run(["logits"], {"pixels": faces[:, None].astype(np.float32)})
    found = Predictor(whole).classify(faces).logits
    # A sum that falls on the edge between two whole numbers may be rounded either way.
    assert np.abs(defined - found).max() < 0.02 * np.abs(defined).max()


def test_weights_have_seven_bits_a_scale_a_channel_and_stay_near(source: Path, whole: Path) -> None:
    stored = weights_of(whole)
    kernels = {name: value for name, value in stored.items() if value.dtype == np.int8 and value.ndim == 4}
    assert len(kernels) == 4
    for name, value in kernels.items():
        assert np.abs(value).max() <= 64
        scales = stored[name.replace("_quantized", "_scale")]
        assert scales.shape == (len(value),)
        assert (np.abs(value.reshape(len(value), -1)).max(axis=1) >= 63).all()
    heads = [value for value in stored.values() if value.dtype == np.float32 and value.shape == (7, 200)]
    np.testing.assert_array_equal(heads[0], weights_of(source)["head.weight"])


def test_the_same_faces_give_the_same_bytes(source: Path, whole: Path, tmp_path: Path) -> None:
    again, other = tmp_path / "again.onnx", tmp_path / "other.onnx"
    convert(source, again, "int8", smooth(96))
    convert(source, other, "int8", smooth(96, seed=9))
    assert again.read_bytes() == whole.read_bytes() != other.read_bytes()
    assert whole.stat().st_size < 0.3 * source.stat().st_size


def test_whole_numbers_teach_nothing_and_are_converted_no_further(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="name its float file"):
        restore(whole)
    with pytest.raises(ModelError, match="in whole numbers already"):
        convert(whole, tmp_path / "x.onnx", "float32")
    assert weight_type(whole) == "int8"
    assert not (tmp_path / "x.onnx").exists()


def test_wrong_wishes(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "x.onnx"
    with pytest.raises(ModelError, match="did you mean 'int8'"):
        convert(source, target, "int9")
    with pytest.raises(ModelError, match="name a dataset"):
        convert(source, target, "int8")
    with pytest.raises(ModelError, match=r"expected \(N, 48, 48\)"):
        convert(source, target, "int8", np.zeros((3, 32, 32), np.uint8))
    with pytest.raises(ModelError, match="no faces"):
        convert(source, target, "int8", smooth(0))
    assert not target.exists()


def test_a_card_holds_nothing_that_was_measured_of_the_file_it_was_made_of(
    source: Path, tmp_path: Path
) -> None:
    kept = {"recipe": "c/distilled", "licence": "MIT"}
    names = ("figures", "protocols", "maps", "difference", "latency", "fairness", "name")
    measured = {name: {"of": "another"} for name in names}
    original = tmp_path / "original.onnx"
    original.write_bytes(source.read_bytes())
    original.with_suffix(".json").write_text(json.dumps({**kept, **measured}))
    found = converted(original, tmp_path / "half.onnx", "float16")
    assert not measured.keys() & found.card.keys()
    assert {key: found.card[key] for key in kept} == kept
    assert found.card == json.loads((tmp_path / "half.json").read_text(encoding="utf-8"))


def test_calibration_faces_are_drawn_once_each() -> None:
    numbered = np.arange(FACES + 100, dtype=np.uint16).view(np.uint8).reshape(-1, 1, 2)
    drawn = calibration_faces(numbered)
    assert len(np.unique(drawn.reshape(len(drawn), 2), axis=0)) == FACES
    np.testing.assert_array_equal(drawn, calibration_faces(numbered))
    assert len(calibration_faces(numbered[:7])) == 7


def test_what_stays_in_float() -> None:
    def graph(*kinds: str) -> onnx.GraphProto:
        nodes = [onnx.helper.make_node(kind, [], [], name=f"{n}") for n, kind in enumerate(kinds)]
        return onnx.helper.make_graph(nodes, "g", [], [])

    found = kept_in_float(graph("Sub", "Div", "Conv", "Relu", "Gemm", "Relu", "Gemm", "Div", "Softmax"))
    assert found == ["0", "1", "6", "7", "8"]
    with pytest.raises(ModelError, match="without a convolution"):
        kept_in_float(graph("Gemm", "Softmax"))


def in_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["mien", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        application.main()
    said = capsys.readouterr()
    return int(stopped.value.code or 0), said.out, said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--weights", "int9", "--out", "x.onnx"), "did you mean 'int8'?"),
        (("--weights", "int8", "--out", "x.onnx"), "name a dataset with --data"),
        (("--format", "onxx", "--out", "x.onnx"), "did you mean 'onnx'?"),
        (("--out", "x.bin"), "expected a name that ends in .onnx"),
        (("--out", str(find_model(NAME))), "is the network itself"),
    ],
)
def test_bad_wishes_are_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    code, out, error = in_process(monkeypatch, capsys, "export", NAME, *arguments)
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert said in error


@pytest.mark.slow
def test_the_command_measures_the_file_that_it_wrote(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    faces = face_batch(40, seed=2)
    data, out = tmp_path / "faces.csv", tmp_path / "whole.onnx"
    datasets.write(faces, data, "csv")
    wish = ("export", NAME, "--weights", "int8", "--data", data, "--out", out, "--json")
    code, printed, error = in_process(monkeypatch, capsys, *wish)
    assert code == 0, error
    card = json.loads(printed)
    assert card == json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert (card["weights"], card["bytes"], card["recipe"]) == ("int8", out.stat().st_size, "c/distilled")
    split = datasets.read(data).split("public")
    right = Predictor(out).classify(split.images).logits.argmax(axis=1) == split.labels
    assert card["figures"]["public"]["accuracy"] == right.mean()
    before = Predictor(NAME).classify(split.images).logits.argmax(axis=1) == split.labels
    assert card["difference"]["public"]["difference"] == pytest.approx(right.mean() - before.mean())
    half = ("export", NAME, "--weights", "float16", "--out", tmp_path / "half.onnx", "--json")
    card = json.loads(in_process(monkeypatch, capsys, *half)[1])
    assert card["weights"] == "float16"
    assert "figures" not in card
