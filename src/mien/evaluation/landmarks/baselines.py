"""What the models are held against: the coordinates themselves, and their principal components.

Thesis (system E), 6.3.1: all 249 coordinates, and PCA with 50, 40, 30 and 20 dimensions. Ours beside it: the
same of x − neutral, which is given what Models 2 and 3 are given, the person's neutral face.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.landmarks import LandmarkBatch

Matrix = NDArray[np.float64]
Transform = Callable[[LandmarkBatch], Matrix]
"""Faces → (N, F) float64."""

COMPONENTS: tuple[int, ...] = (50, 40, 30, 20)


@dataclass(frozen=True, slots=True)
class Baseline:
    """A representation that nothing but the training faces' mean and covariance goes into.

    difference: of x − neutral instead of x. components: kept by PCA; None for every coordinate.
    """

    name: str
    difference: bool = False
    components: int | None = None

    def fit(self, train: LandmarkBatch) -> Transform:
        """What turns faces into points, centred by the training faces' mean.

        Raises: DataError when neutral faces are needed and unknown, or there are too few faces for PCA.
        """
        from sklearn.decomposition import PCA

        x = self._coordinates(train)
        if self.components is None:
            centre = x.mean(axis=0)
            return lambda batch: self._coordinates(batch) - centre
        if len(x) <= self.components:
            raise DataError(
                f"{len(x)} training faces in {train.source or 'the data'}: {self.name} needs more than"
                f" {self.components}"
            )
        # Exact, and as fast for 300,000 faces as for 2,000: only the 249×249 covariance is decomposed.
        found = PCA(self.components, svd_solver="covariance_eigh").fit(x)
        return lambda batch: np.asarray(found.transform(self._coordinates(batch)), np.float64)

    def _coordinates(self, batch: LandmarkBatch) -> Matrix:
        points = batch.points.astype(np.float64)
        if self.difference:
            if batch.neutral is None:
                raise DataError(
                    f"no neutral faces in {batch.source or 'the data'}: {self.name} needs each person's"
                )
            points = points - batch.neutral
        return points.reshape(len(batch), -1)


BASELINES: dict[str, Baseline] = {
    baseline.name: baseline
    for kind, difference in (("", False), ("difference", True))
    for baseline in (
        Baseline(kind or "raw", difference),
        *(Baseline(f"{kind}-pca-{k}".lstrip("-"), difference, k) for k in COMPONENTS),
    )
}
"""Every baseline by name: raw, pca-50, …, difference, difference-pca-50, …"""


def representation(name: str, faces: Mapping[str, LandmarkBatch]) -> dict[str, Matrix]:
    """A baseline fitted on the training faces, of every split: (N, F) float64 by split.

    Raises: DataError when the name is unknown, there are no training faces, or as `Baseline.fit` does.
    """
    if name not in BASELINES:
        raise DataError(f"unknown baseline {name!r}: expected one of {', '.join(BASELINES)}")
    if "training" not in faces:
        raise DataError("no training faces: a baseline is fitted on them")
    transform = BASELINES[name].fit(faces["training"])
    return {split: transform(batch) for split, batch in faces.items()}
