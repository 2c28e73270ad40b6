"""An exported network in other numbers: its weights in 32 or 16 bits, or all of it in whole numbers of 8."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien.errors import ModelError, hint
from mien.labels import EXPORTED_WEIGHTS
from mien.models import quantisation
from mien.models.onnx_file import METADATA_KEY, WHOLE, halve, open_model
from mien.models.registry import architecture
from mien.storage import atomic

UInt8 = NDArray[np.uint8]


def convert(source: Path, target: Path, weights: str, faces: UInt8 | None = None) -> None:
    """Writes an exported network in other numbers. What it says of itself is kept word for word.

    weights: one of `EXPORTED_WEIGHTS`. float32 of a file in 16 bits holds the rounded weights.
    faces: (N, S, S) uint8 of the training split, to calibrate int8 on.
    Raises: ModelError when `weights` is unknown, the source was not exported by mien or is in whole numbers
    already, a weight is too large for 16 bits, or int8 has no faces to calibrate on.
    """
    if weights not in CONVERSIONS:
        raise ModelError(f"weights as {weights!r}: {hint(weights, CONVERSIONS)}")
    model, metadata = open_model(source)
    if metadata.get("weights") == WHOLE:
        raise ModelError(f"{source} is in whole numbers already: convert the float file that it was made of")
    model = CONVERSIONS[weights](source, model, metadata, faces)
    metadata = {key: value for key, value in metadata.items() if key != "weights"}
    if weights == WHOLE:
        metadata["weights"] = WHOLE
    _say(model, metadata)
    with atomic(target) as temporary:
        temporary.write_bytes(model.SerializeToString())


def weight_type(path: Path) -> str:
    """In what numbers an exported file is: one of `EXPORTED_WEIGHTS`.

    Raises: ModelError as `open_model`.
    """
    model, metadata = open_model(path)
    if metadata.get("weights") == WHOLE:
        return WHOLE
    return EXPORTED_WEIGHTS[bool(_halved_names(model))]


def _say(model: Any, metadata: dict[str, Any]) -> None:
    import onnx

    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(metadata)})
    onnx.checker.check_model(model)


def _halved_names(model: Any) -> set[str]:
    import onnx

    return {each.name for each in model.graph.initializer if each.data_type == onnx.TensorProto.FLOAT16}


def _wide(source: Path, model: Any, metadata: dict[str, Any], faces: UInt8 | None) -> Any:
    """Weights of 16 bits in 32, without the casts that stood behind them."""
    import onnx

    halved = _halved_names(model)
    casts = {
        node.output[0]: node.input[0]
        for node in model.graph.node
        if node.op_type == "Cast" and node.input[0] in halved
    }
    for initialiser in model.graph.initializer:
        if initialiser.name in halved:
            values = onnx.numpy_helper.to_array(initialiser).astype(np.float32)
            initialiser.CopyFrom(onnx.numpy_helper.from_array(values, initialiser.name))
    nodes = [node for node in model.graph.node if node.output[0] not in casts]
    for node in nodes:
        node.input[:] = [casts.get(each, each) for each in node.input]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _half(source: Path, model: Any, metadata: dict[str, Any], faces: UInt8 | None) -> Any:
    """Weights in 16 bits, as `export` writes them."""
    if _halved_names(model):
        return model
    with torch.device("meta"):
        network = architecture(metadata["architecture"]).build(metadata["options"], metadata["labels"])
    halve(model.graph, {name for name, value in network.named_parameters() if value.ndim > 1})
    return model


def _whole(source: Path, model: Any, metadata: dict[str, Any], faces: UInt8 | None) -> Any:
    """Weights and activations in whole numbers of 8 bits."""
    if faces is None:
        raise ModelError("int8 is calibrated on training faces: name a dataset with --data")
    size = metadata["input_size"]
    if faces.ndim != 3 or faces.shape[1:] != (size, size):
        raise ModelError(f"calibration faces {faces.shape}: expected (N, {size}, {size})")
    with tempfile.TemporaryDirectory() as folder:
        wide = Path(folder) / "float.onnx"
        wide.write_bytes(_wide(source, model, metadata, None).SerializeToString())
        return quantisation.quantise(wide, Path(folder) / "whole.onnx", faces)


CONVERSIONS: dict[str, Callable[[Path, Any, dict[str, Any], UInt8 | None], Any]] = dict(
    zip(EXPORTED_WEIGHTS, (_wide, _half, _whole), strict=True)
)
"""How a file in each kind of numbers is made of a float file: its path, model, metadata and faces → model."""
