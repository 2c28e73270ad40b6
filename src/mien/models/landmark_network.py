"""What every network over landmarks is: prepared points in, a vector for each face out."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mien.errors import ModelError
from mien.landmark_layout import COUNT
from mien.landmarks import LandmarkBatch

COORDINATES = COUNT * 3
"""Numbers that a face is given as."""


class LandmarkNetwork(nn.Module):
    """Base of all representations of landmarks.

    neutral: whether it is also given the same person's neutral face. labels: the emotions it is judged by.
    """

    kind: ClassVar[str] = "landmarks"
    architecture: str = ""
    neutral: bool = False

    def __init__(self, labels: tuple[str, ...]) -> None:
        super().__init__()
        self.labels = labels
        self.options: dict[str, object] = {}

    def fit(self, faces: LandmarkBatch) -> None:
        """Takes from the training faces what is not learned step by step."""
        raise NotImplementedError

    def represent(self, faces: LandmarkBatch) -> NDArray[np.float64]:
        """The representation of prepared faces: (N, K) float64.

        Raises: ModelError when it needs neutral faces and the batch has none.
        """
        raise NotImplementedError

    def inputs(self, faces: LandmarkBatch) -> tuple[Tensor, Tensor | None]:
        """What the network is given of prepared faces: x (N, 249), and y (N, 249) where it takes it, float32.

        Raises: ModelError when it needs neutral faces and the batch has none.
        """
        points = torch.from_numpy(faces.points.reshape(len(faces), COORDINATES))
        if not self.neutral:
            return points, None
        if faces.neutral is None:
            raise ModelError(
                f"{self.architecture} needs each person's neutral face and {faces.source or 'the data'} name "
                "none: set model.neutral=false, or bring neutral faces"
            )
        return points, torch.from_numpy(faces.neutral.reshape(len(faces), COORDINATES))

    def parameter_count(self) -> int:
        """The number of trainable numbers."""
        return sum(parameter.numel() for parameter in self.parameters())
