"""Checkpoints: one safetensors file, written atomically, verified when read, never a pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from mien.errors import CheckpointError
from mien.storage import atomic


def save(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Writes tensors and a JSON-able state into one file; a reader sees the old file or the new one whole.

    Raises: StorageError when the folder cannot be written or the disk is full.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    metadata = {"state": json.dumps(state), "sha256": _digest(plain)}
    with atomic(path) as temporary:
        # Not save_file: its errors are not the system's, and a full disk must be named as one.
        temporary.write_bytes(to_bytes(plain, metadata=metadata))


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the state of a checkpoint.

    Raises: CheckpointError when the file is missing, truncated, altered or of another kind.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(f"no checkpoint {path}: expected a run folder that has trained") from error
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is corrupt ({error}): remove it, or train into a new folder"
        ) from error
    if metadata.get("sha256") != _digest(tensors):
        raise CheckpointError(
            f"{path} is corrupt (its checksum differs): remove it, or train into a new folder"
        )
    return tensors, json.loads(metadata["state"])


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name}:{tensors[name].dtype}:{tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as flat names: `optimiser.PARAMETER.KEY`."""
    state = optimiser.state_dict()["state"]
    return {
        f"optimiser.{index}.{key}": torch.as_tensor(value)
        for index, values in state.items()
        for key, value in values.items()
        if value is not None
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts back what `optimiser_tensors` gave, each tensor in its parameter's memory layout."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        prefix, index, key = [*name.split(".", 2), "", ""][:3]
        if prefix != "optimiser":
            continue
        parameter = parameters[int(index)]
        alike = tensor.shape == parameter.shape
        state.setdefault(int(index), {})[key] = (
            torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor) if alike else tensor
        )
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def network_tensors(network: nn.Module) -> dict[str, Tensor]:
    """The network's state dictionary as flat names: `network.KEY`."""
    return {f"network.{key}": value for key, value in network.state_dict().items()}


def restore_network(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Puts back what `network_tensors` gave.

    Raises: CheckpointError when the tensors are those of another network, or statistics of the faces are
    missing.
    """
    state = {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
    wanted = [name for name in network.state_dict() if name.startswith("normalise.")]
    if lost := [name for name in wanted if name not in state]:
        raise CheckpointError(
            f"{source} lacks {lost[0]}, a statistic of the faces trained on: train into a new folder"
        )
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise CheckpointError(f"{source} holds another network's weights: {reason}") from error
