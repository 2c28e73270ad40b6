"""Small networks that keep the contract of exported ones, and the same things in numpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mien.labels import EMOTIONS, SIX

SIZE = 48
TEMPERATURE = 2.0


def weights(classes: int = len(EMOTIONS)) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(5)
    return (
        random.normal(0, 0.02, (9, classes)).astype(np.float32),
        random.normal(0, 0.5, classes).astype(np.float32),
    )


def reference(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and logits of (N, 48, 48) uint8 faces, in float64."""
    weight, bias = weights()
    logits = _blocks(images) @ weight + bias
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / TEMPERATURE)
    return powers / powers.sum(axis=1, keepdims=True), logits


def reference_places(images: np.ndarray) -> np.ndarray:
    """Places (N, 2) of (N, 48, 48) uint8 faces on the small embedder's map, in float64."""
    weight, bias = weights(2)
    return _blocks(images) @ weight + bias


def _blocks(images: np.ndarray) -> np.ndarray:
    means = images.astype(np.float64).reshape(len(images), 3, 16, 3, 16).mean(axis=(2, 4))
    return means.reshape(len(images), 9)


def write_network(path: Path, metadata: dict[str, Any] | str | None = None, **changes: Any) -> Path:
    """Writes the classifier; `metadata` replaces its card, `changes` replace single fields of it."""
    weight, bias = weights()
    nodes = [
        helper.make_node("AveragePool", ["pixels"], ["maps"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["maps"], ["embedding"]),
        helper.make_node("Gemm", ["embedding", "weight", "bias"], ["logits"]),
        helper.make_node("Div", ["logits", "temperature"], ["cooled"]),
        helper.make_node("Softmax", ["cooled"], ["probabilities"], axis=1),
    ]
    classes = len(EMOTIONS)
    outputs = {"probabilities": [classes], "logits": [classes], "embedding": [9], "maps": [1, 3, 3]}
    values = {"weight": weight, "bias": bias, "temperature": np.float32(TEMPERATURE)}
    card = _card(EMOTIONS) | {"unsure_below": 0.3, "temperature": TEMPERATURE} | changes
    return _write(path, nodes, outputs, values, card if metadata is None else metadata)


def write_embedder(path: Path, metadata: dict[str, Any] | str | None = None, **changes: Any) -> Path:
    """Writes the network that maps faces; `metadata` and `changes` as for `write_network`."""
    weight, bias = weights(2)
    nodes = [
        helper.make_node("AveragePool", ["pixels"], ["maps"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["maps"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["embedding"]),
    ]
    card = _card(SIX) | {"kind": "embedding", "dimensions": 2} | changes
    outputs = {"embedding": [2], "maps": [1, 3, 3]}
    return _write(
        path, nodes, outputs, {"weight": weight, "bias": bias}, card if metadata is None else metadata
    )


def _card(labels: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": "tiny",
        "architecture": "tiny",
        "options": {},
        "labels": list(labels),
        "input_size": SIZE,
    }


def _write(
    path: Path,
    nodes: list[Any],
    outputs: dict[str, list[int]],
    values: dict[str, Any],
    metadata: dict[str, Any] | str,
) -> Path:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 1, SIZE, SIZE])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])
            for name, shape in outputs.items()
        ],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if metadata != "":
        text = metadata if isinstance(metadata, str) else json.dumps(metadata)
        helper.set_model_props(model, {"mien": text})
    onnx.save(model, path)
    return path
