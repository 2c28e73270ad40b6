"""A finished run on landmarks: its network in one file that says what it is, and read back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mien.errors import CheckpointError, ModelError
from mien.models import LANDMARKS, LandmarkNetwork
from mien.models.landmark_network import COORDINATES
from mien.models.landmark_vae import LandmarkVAE
from mien.training import checkpoint

MODEL = "model.safetensors"
"""The selected network in a run folder."""

Floats = NDArray[np.float64]


def save(network: LandmarkNetwork, path: Path, name: str) -> None:
    """Writes weights, and what they are of, into one file.

    Raises: StorageError when the folder cannot be written or the disk is full.
    """
    about = {
        "name": name,
        "kind": network.kind,
        "architecture": network.architecture,
        "options": network.options,
        "labels": list(network.labels),
    }
    checkpoint.save(path, checkpoint.network_tensors(network), about)


def restore(path: Path) -> tuple[LandmarkNetwork, str]:
    """The network of a file, ready to represent faces, and its name.

    Raises: CheckpointError when the file is missing, corrupt, or of another kind; ModelError when its network
    is not known.
    """
    tensors, about = checkpoint.load(path)
    if about.get("kind") != LandmarkNetwork.kind:
        raise CheckpointError(f"{path} holds no network on landmarks: expected a {MODEL} of such a run")
    network = LANDMARKS.find(about["architecture"]).build(about["options"], about["labels"])
    checkpoint.restore_network(network, tensors, str(path))
    return network.eval(), str(about["name"])


@dataclass(frozen=True)
class Generator:
    """A trained autoencoder as plain functions. name: of the recipe that it was trained by."""

    name: str
    network: LandmarkVAE

    @property
    def latent(self) -> int:
        """Dimensions K of the latent space."""
        return self.network.latent

    @property
    def neutral(self) -> bool:
        """Whether the person's neutral face is an input."""
        return self.network.neutral

    @torch.inference_mode()
    def encode(self, x: Floats, y: Floats | None) -> tuple[Floats, Floats]:
        """Prepared faces and their neutral faces (N, 249) → mean and log variance (N, K)."""
        mean, log_variance = self.network.encode(self._centred(x), self._beside(y))
        return mean.double().numpy(), log_variance.double().numpy()

    @torch.inference_mode()
    def decode(self, z: Floats, y: Floats | None) -> Floats:
        """Latent vectors (N, K) and neutral faces (N, 249) → prepared faces (N, 249)."""
        drawn = torch.from_numpy(np.asarray(z, np.float32))[None]
        faces = self.network.decode(drawn, self._beside(y))[0] + self.network.mean_face
        return faces.double().numpy()

    def _beside(self, y: Floats | None) -> torch.Tensor | None:
        if not self.neutral:
            return None
        if y is None:
            raise ModelError(f"{self.name} needs each person's neutral face: none was given")
        return self._centred(y)

    def _centred(self, faces: Floats) -> torch.Tensor:
        flat = torch.from_numpy(np.asarray(faces, np.float32).reshape(-1, COORDINATES))
        return self.network.centred(flat)


def load(run: Path) -> Generator:
    """The autoencoder of a run folder, or of a model file.

    Raises: CheckpointError as `restore`, or when the run's network generates no faces.
    """
    path = run / MODEL if run.is_dir() else run
    network, name = restore(path)
    if not isinstance(network, LandmarkVAE):
        raise CheckpointError(f"{path} holds {network.architecture}, which generates no faces")
    return Generator(name, network)
