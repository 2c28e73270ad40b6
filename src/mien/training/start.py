"""Starting weights: of a shipped network or an earlier run, also where the labels differ; published ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from mien import fetching
from mien.errors import ModelError
from mien.inference.lookup import find_model
from mien.models import Classifier, Network
from mien.models.onnx_file import read
from mien.models.published import Published, read_published


@dataclass(frozen=True)
class Start:
    """What was taken over. fresh: names of the tensors that keep their random weights."""

    source: str
    taken: int
    fresh: tuple[str, ...]


def start_from(network: Network, source: str) -> Start:
    """Copies every tensor of `source` that fits into the network, its normalisation included.

    A classifier's last layer fits when the labels are the same in number; where they are not, or stand for
    other emotions, it stays fresh. An embedder's labels are a record: all of it fits. Of published weights,
    those that the network names are taken, by what `mien fetch` calls them or by their file's path.
    Raises: ModelError when there is no such network, it is of another architecture, it lacks the statistics
    of its normalisation, or nothing but the normalisation fits; when published weights were not fetched, or
    do not fit.
    """
    path = _file(network, source)
    if network.published is not None and (tensors := read_published(path, network.published)) is not None:
        return _from_published(network, network.published, tensors, source)
    return _from_own(network, path, source)


def _file(network: Network, source: str) -> Path:
    if source not in fetching.FETCHABLES:
        return find_model(source)
    published = network.published
    if published is None or published.name != source:
        raise ModelError(
            f"a {network.architecture} takes no weights of {source!r}: choose a recipe of a network that does"
        )
    if not fetching.is_present(source):
        raise ModelError(
            f"{source!r} is not here: bring it with 'mien fetch {source}', or give the path of a "
            f"{published.file} downloaded elsewhere"
        )
    return fetching.file_of(source)


@torch.no_grad()
def _from_published(network: Network, published: Published, tensors: dict[str, Tensor], source: str) -> Start:
    for name, value in published.options.items():
        if network.options[name] != value:
            raise ModelError(
                f"{source}: its weights are made for model.{name}={value}, the recipe has "
                f"{network.options[name]}; set model.{name}={value}"
            )
    state = network.state_dict()
    for name, tensor in tensors.items():
        if tensor.shape != state[name].shape:
            raise ModelError(
                f"{source}: {published.tensors[name]} has the shape {tuple(tensor.shape)}: expected "
                f"{tuple(state[name].shape)}, as in {published.file}"
            )
    for name, tensor in tensors.items():
        state[name].copy_(tensor)
    fresh = tuple(name for name, _ in network.named_parameters() if name not in tensors)
    return Start(source, len(tensors), fresh)


@torch.no_grad()
def _from_own(network: Network, path: Path, source: str) -> Start:
    metadata, weights = read(path)
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
    head_fits = not isinstance(network, Classifier) or tuple(metadata["labels"]) == network.labels
    taken, fresh = [], []
    for name, value in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        fits = name in weights and weights[name].shape == value.shape
        if fits and (head_fits or not name.startswith("head.")):
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
