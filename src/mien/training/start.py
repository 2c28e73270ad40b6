"""Starting weights: from a shipped network or an earlier run, also where the labels differ."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mien.errors import ModelError
from mien.inference.lookup import find_model
from mien.models import Network
from mien.models.onnx_file import read


@dataclass(frozen=True)
class Start:
    """What was taken over. fresh: names of the tensors that keep their random weights."""

    source: str
    taken: int
    fresh: tuple[str, ...]


@torch.no_grad()
def start_from(network: Network, source: str) -> Start:
    """Copies every tensor of `source` that fits into the network, its normalisation included.

    The last layer fits when the labels are the same in number; where they are not, or stand for other
    emotions, it stays fresh.
    Raises: ModelError when there is no such network, it is of another architecture, it lacks the statistics
    of its normalisation, or nothing but the normalisation fits.
    """
    metadata, weights = read(find_model(source))
    if metadata["architecture"] != network.architecture:
        # A tensor may have the same name and shape by accident: the last layer's bias always has.
        raise ModelError(
            f"{source} is a {metadata['architecture']}, the recipe's network a {network.architecture}: "
            "choose a recipe of the same network"
        )
    statistics = [name for name in network.state_dict() if name.startswith("normalise.")]
    if lacking := [name for name in statistics if name not in weights]:
        raise ModelError(
            f"{source} lacks {lacking[0]}, a statistic of the faces that it was trained on: its weights mean "
            "nothing without; export it again from its run"
        )
    same_labels = tuple(metadata["labels"]) == network.labels
    taken, fresh = [], []
    for name, value in network.state_dict().items():
        if name == "temperature" or name.endswith("num_batches_tracked"):
            continue
        fits = name in weights and weights[name].shape == value.shape
        if fits and (same_labels or not name.startswith("head.")):
            value.copy_(weights[name])
            taken.append(name)
        else:
            fresh.append(name)
    parameters = {name for name, _ in network.named_parameters()}
    if not parameters & set(taken):
        raise ModelError(
            f"no weight of {source} fits: its options are {metadata['options']}, the recipe's "
            f"{network.options}; make model.* the same"
        )
    return Start(source, len(taken), tuple(fresh))
