"""A small network that keeps the contract of exported ones, and the same thing in numpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mien.labels import EMOTIONS

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
    blocks = images.astype(np.float64).reshape(len(images), 3, 16, 3, 16).mean(axis=(2, 4))
    logits = blocks.reshape(len(images), 9) @ weight + bias
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / TEMPERATURE)
    return powers / powers.sum(axis=1, keepdims=True), logits


def write_network(path: Path, metadata: dict[str, Any] | str | None = None, **changes: Any) -> Path:
    """Writes the network; `metadata` replaces its card, `changes` replace single fields of it."""
    weight, bias = weights()
    nodes = [
        helper.make_node("AveragePool", ["pixels"], ["maps"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["maps"], ["embedding"]),
        helper.make_node("Gemm", ["embedding", "weight", "bias"], ["logits"]),
        helper.make_node("Div", ["logits", "temperature"], ["cooled"]),
        helper.make_node("Softmax", ["cooled"], ["probabilities"], axis=1),
    ]
    shapes = {
        "probabilities": ["N", len(EMOTIONS)],
        "logits": ["N", len(EMOTIONS)],
        "embedding": ["N", 9],
        "maps": ["N", 1, 3, 3],
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["N", 1, SIZE, SIZE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [
            numpy_helper.from_array(weight, "weight"),
            numpy_helper.from_array(bias, "bias"),
            numpy_helper.from_array(np.float32(TEMPERATURE), "temperature"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    card = {
        "name": "tiny",
        "architecture": "tiny",
        "options": {},
        "labels": list(EMOTIONS),
        "input_size": SIZE,
        "unsure_below": 0.3,
        "temperature": TEMPERATURE,
    } | changes
    if metadata is None:
        metadata = card
    if metadata != "":
        text = metadata if isinstance(metadata, str) else json.dumps(metadata)
        helper.set_model_props(model, {"mien": text})
    onnx.save(model, path)
    return path
