"""Networks to and from one ONNX file: what ships, and what training starts from."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mien.errors import ModelError
from mien.labels import WEIGHT_TYPES
from mien.models.network import Network
from mien.models.registry import architecture
from mien.storage import atomic

METADATA_KEY = "mien"

WHOLE = "int8"
"""What a file in whole numbers says of its weights in the metadata."""


class _Exported(nn.Module):
    """The network as the file holds it: raw pixels in, named outputs out."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return self.network.answer(pixels)


def export(
    network: Network,
    path: Path,
    *,
    name: str,
    weights: str = "float32",
) -> None:
    """Writes the network as one ONNX file by the contract in ARCHITECTURE.md; initialisers keep their names.

    weights: 'float16' halves the file: weights are rounded when stored and computed with in 32 bits.
    Raises: ModelError when `weights` is not one of `WEIGHT_TYPES`, or one is too large for 16 bits.
    """
    import onnx
    import onnxscript.optimizer

    if weights not in WEIGHT_TYPES:
        raise ModelError(f"weights as {weights!r}: expected {' or '.join(WEIGHT_TYPES)}")

    size = network.input_size
    _flush_denormals(network)
    was_training = network.training
    network.eval()
    exported = _Exported(network).to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            exported,
            (torch.zeros(2, 1, size, size),),
            input_names=["pixels"],
            output_names=list(network.answers),
            dynamic_shapes={"pixels": {0: torch.export.Dim("faces")}},
            dynamo=True,
            optimize=False,
            verbose=False,
        )
    network.train(was_training)
    assert program is not None
    # Biases of nought, computed anew in every run, would keep runtimes from folding batch normalisations.
    onnxscript.optimizer.fold_constants(program.model)
    onnxscript.optimizer.remove_unused_nodes(program.model)
    model = program.model_proto
    _strip_prefix(model.graph, "network.")
    _strip_traces(model.graph)
    if weights == "float16":
        halve(model.graph, {name for name, value in network.named_parameters() if value.ndim > 1})
    metadata = {
        "name": name,
        "kind": network.kind,
        "architecture": network.architecture,
        "options": network.options,
        "labels": list(network.labels),
        "input_size": size,
        **network.metadata(),
    }
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(metadata)})
    onnx.checker.check_model(model)
    with atomic(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


@torch.no_grad()
def _flush_denormals(network: Network) -> None:
    """Sets weights too small for a normal float32 to 0: they change no answer and slow every runtime down."""
    for parameter in network.parameters():
        parameter[parameter.abs() < torch.finfo(parameter.dtype).tiny] = 0


def _strip_prefix(graph: Any, prefix: str) -> None:
    """Takes the wrapper's name off the initialisers, so that they are named as in the network itself."""
    for initialiser in graph.initializer:
        initialiser.name = initialiser.name.removeprefix(prefix)
    for node in graph.node:
        for position, name in enumerate(node.input):
            node.input[position] = name.removeprefix(prefix)


def _strip_traces(graph: Any) -> None:
    """Takes out what the exporter notes of the machine it ran on, such as the paths of the source files."""
    del graph.value_info[:]
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


def halve(graph: Any, names: set[str]) -> None:
    """Stores the named initialisers in 16 bits, each behind a cast that runtimes fold when they load it.

    Raises: ModelError when a weight is too large for 16 bits.
    """
    import onnx

    casts = []
    for initialiser in graph.initializer:
        if initialiser.name not in names:
            continue
        values = onnx.numpy_helper.to_array(initialiser)
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ModelError(f"{initialiser.name} has a weight too large for float16: export it as float32")
        name, wide = initialiser.name, f"{initialiser.name}.float32"
        initialiser.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), name))
        for node in graph.node:
            node.input[:] = [wide if each == name else each for each in node.input]
        casts.append(onnx.helper.make_node("Cast", [name], [wide], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def open_model(path: Path) -> tuple[Any, dict[str, Any]]:
    """The ONNX model and the metadata of an exported network.

    Raises: ModelError when the file is missing, corrupt, or was not exported by mien.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path)
    except FileNotFoundError as error:
        raise ModelError(f"no network at {path}: expected an .onnx file") from error
    except (DecodeError, OSError) as error:
        raise ModelError(f"{path} is no ONNX file, or a truncated one ({error})") from error
    properties = {prop.key: prop.value for prop in model.metadata_props}
    if METADATA_KEY not in properties:
        raise ModelError(f"{path} was not exported by mien: it lacks the metadata {METADATA_KEY!r}")
    return model, json.loads(properties[METADATA_KEY])


def read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The metadata and the state dictionary of an exported network.

    Raises: ModelError as `open_model`, or when the file is in whole numbers, of which no training begins.
    """
    import onnx

    model, metadata = open_model(path)
    if metadata.get("weights") == WHOLE:
        raise ModelError(
            f"{path} is in int8, by which faces are read and nothing is trained: name its float file"
        )
    state = {
        initialiser.name: torch.from_numpy(np.array(onnx.numpy_helper.to_array(initialiser)))
        for initialiser in model.graph.initializer
    }
    return metadata, state


def restore(path: Path) -> Network:
    """The torch network of an exported file, with its weights, normalisation and decision.

    Raises: ModelError as `read` does, when the metadata are damaged, or when the weights do not fit the
    architecture they name.
    """
    metadata, weights = read(path)
    network = architecture(metadata["architecture"]).build(metadata["options"], metadata["labels"])
    try:
        network.take(metadata)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path} has damaged metadata {METADATA_KEY!r}: {error!r}; export it again"
        ) from error
    state = network.state_dict()
    for name, value in state.items():
        if name in weights and weights[name].shape == value.shape:
            value.copy_(weights[name])
        elif not name.endswith("num_batches_tracked"):
            raise ModelError(
                f"{path} lacks {name} of shape {tuple(value.shape)} for {metadata['architecture']}"
            )
    return network.eval()
