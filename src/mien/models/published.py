"""Weights that others published, as the first layers of a network of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mien.errors import ModelError
from mien.models.onnx_file import METADATA_KEY


@dataclass(frozen=True)
class Published:
    """Which tensors of a published ONNX file a network takes.

    name: what `mien fetch` and `mien train --from` call it. file: its published name. tensors: the file's
    initialiser by the network's own tensor. operators: what the file's graph begins with; another network may
    have initialisers of the same names. options: the network's options that the weights are made for.
    """

    name: str
    file: str
    tensors: Mapping[str, str]
    operators: tuple[str, ...]
    options: Mapping[str, object] = field(default_factory=dict)


ALEXNET = Published(
    name="alexnet",
    file="bvlcalexnet-12.onnx",
    tensors={
        f"trunk.{layer}.{ours}": f"{layer}_{theirs}_0"
        for layer in ("conv1", "conv2", "conv3")
        for ours, theirs in (("weight", "w"), ("bias", "b"))
    },
    operators=(*("Conv", "Relu", "LRN", "MaxPool") * 2, "Conv", "Relu"),
    options={"groups": 2},
)
"""The ONNX Model Zoo's copy of Caffe's AlexNet (Krizhevsky, Sutskever & Hinton 2012).

Its initialisers are named conv1_w_0 (96, 3, 11, 11), conv1_b_0 (96), conv2_w_0 (256, 48, 5, 5) and so on; its
channels are blue, green and red. The file could not be reached where this was written: names, shapes and the
order of operators are those that others print of it, and the reader was tested on a file of the same layout
with random weights.
"""


def read_published(path: Path, published: Published) -> dict[str, Tensor] | None:
    """The tensors that `published` names, by the network's own names; None where mien exported the file.

    Raises: ModelError when the file is no ONNX file, lacks a tensor, or is of another network.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path)
    except (DecodeError, OSError) as error:
        raise ModelError(f"{path} is no ONNX file, or a truncated one ({error})") from error
    if any(each.key == METADATA_KEY for each in model.metadata_props):
        return None
    found = {each.name: each for each in model.graph.initializer}
    if lacking := [name for name in published.tensors.values() if name not in found]:
        raise ModelError(
            f"{path} was not exported by mien and lacks {lacking[0]}: expected a network of mien, or "
            f"{published.file} of the ONNX Model Zoo"
        )
    begins = tuple(node.op_type for node in model.graph.node[: len(published.operators)])
    if begins != published.operators:
        raise ModelError(
            f"{path} begins with {', '.join(begins)}: expected {', '.join(published.operators)}, as "
            f"{published.file} does"
        )
    return {
        ours: torch.from_numpy(np.array(onnx.numpy_helper.to_array(found[theirs])))
        for ours, theirs in published.tensors.items()
    }
