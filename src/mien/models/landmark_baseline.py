"""What system E's autoencoders are held against, as networks without anything to learn step by step."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.landmarks.baselines import BASELINES, Transform
from mien.landmarks import LandmarkBatch
from mien.models.landmark_network import LandmarkNetwork
from mien.models.registry import LANDMARKS, Options


class LandmarkBaselineOptions(Options):
    """Settings of `landmark_baseline`. baseline: which of `BASELINES`."""

    baseline: Literal[tuple(BASELINES)] = "raw"  # type: ignore[valid-type]


@LANDMARKS.register(
    "landmark_baseline",
    options=LandmarkBaselineOptions,
    summary="The coordinates themselves, or their principal components; of the faces, or of x − neutral.",
    source="System E, 6.3.1; the differences are ours.",
)
class LandmarkBaseline(LandmarkNetwork):
    """Fitted to the training faces in one go."""

    def __init__(self, options: LandmarkBaselineOptions, labels: tuple[str, ...]) -> None:
        super().__init__(labels)
        self.options = options.model_dump(mode="json")
        self.baseline = BASELINES[options.baseline]
        self._transform: Transform | None = None

    def fit(self, faces: LandmarkBatch) -> None:
        """Finds the mean and the principal components of the training faces."""
        self._transform = self.baseline.fit(faces)

    def represent(self, faces: LandmarkBatch) -> NDArray[np.float64]:
        """Coordinates, or their components: (N, F) float64."""
        assert self._transform is not None, "fit comes first"
        return self._transform(faces)
