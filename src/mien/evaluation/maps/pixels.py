"""Maps of faces made from their pixels alone: what a learned map is compared with.

Principal components are fitted on the training faces and place held-out ones; multidimensional scaling
places the faces that it is given and no others, so its map has no training faces to seek neighbours in.
Classical scaling of pixel distances would be the principal components again: the scaling here is metric, by
SMACOF, and fits the distances themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError
from mien.evaluation.maps.quality import Labels, MapQuality, Points, quality
from mien.evaluation.maps.scaling import classical, scaled, stress
from mien.evaluation.maps.separability import FOLDS

Images = NDArray[np.uint8]

SCALED_FACES = 600
"""How many faces are scaled: time and memory grow with the square of their number."""

DIMENSIONS = 2


@dataclass(frozen=True, slots=True, eq=False)
class PixelMap:
    """One map from pixels.

    how: what it is, in a sentence. rows: (M,) int64, which of the held-out faces are on it. points: (M, 2)
    float64. labels: (M,) int64. quality: of its points. fit: how well it keeps what it was made from: the
    share of the training faces' variance ('explained_variance'), or Kruskal's stress-1 ('stress').
    """

    how: str
    rows: Labels
    points: Points
    labels: Labels
    quality: MapQuality
    fit: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """As JSON, without rows and points."""
        return {"how": self.how, "fit": self.fit, "quality": self.quality.to_dict()}


@dataclass(frozen=True, slots=True, eq=False)
class _Faces:
    """Held-out faces and training faces as (N, pixels) float32, with labels (N,)."""

    pixels: NDArray[np.float32]
    labels: Labels
    train_pixels: NDArray[np.float32]
    train_labels: Labels
    emotions: tuple[str, ...]
    seed: int


def pixel_maps(
    images: Images,
    labels: ArrayLike,
    train_images: Images,
    train_labels: ArrayLike,
    emotions: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, PixelMap]:
    """The maps of `MAPS` by name, for held-out faces beside those that a network was trained on.

    images, train_images: (N, H, W) uint8 of one size. labels, train_labels: (N,) int, indices into
    `emotions`. seed: of the faces drawn for scaling, and of the parts that separability is judged in.
    Raises: DataError when the faces do not fit together, or `quality` refuses a map of them.
    """
    for name, pictures, truth in (
        ("held-out", images, np.asarray(labels)),
        ("training", train_images, np.asarray(train_labels)),
    ):
        if pictures.dtype != np.uint8 or pictures.ndim != 3 or truth.shape != pictures.shape[:1]:
            raise DataError(
                f"{name} faces of {pictures.dtype} {pictures.shape} with labels {truth.shape}: expected "
                "uint8 (N, H, W) and (N,)"
            )
        if not len(pictures) or (pictures == pictures[0]).all():
            raise DataError(f"the {len(pictures)} {name} faces are one picture: expected different ones")
    if images.shape[1:] != train_images.shape[1:]:
        raise DataError(f"held-out faces of {images.shape[1:]}, training faces of {train_images.shape[1:]}")
    faces = _Faces(
        _flat(images),
        np.asarray(labels),
        _flat(train_images),
        np.asarray(train_labels),
        tuple(emotions),
        seed,
    )
    return {name: make(faces) for name, make in MAPS.items()}


def stratified_sample(labels: ArrayLike, size: int, *, least: int = FOLDS, seed: int = 0) -> Labels:
    """Positions of about `size` faces with each label in its proportion: sorted int64.

    A label has at least `least` faces, or all of its faces where these are fewer; all labels keep theirs
    where there are no more than `size` faces.
    """
    truth = np.asarray(labels)
    if len(truth) <= size:
        return np.arange(len(truth))
    names, counts = np.unique(truth, return_counts=True)
    ideal = counts * size / len(truth)
    wanted = np.floor(ideal).astype(np.int64)
    largest = np.argsort(wanted - ideal, kind="stable")[: size - int(wanted.sum())]
    wanted[largest] += 1
    wanted = np.maximum(wanted, np.minimum(least, counts))
    order = np.random.default_rng(np.random.SeedSequence([seed, 0x5A3])).permutation(len(truth))
    drawn = [order[truth[order] == name][:count] for name, count in zip(names, wanted, strict=True)]
    return np.sort(np.concatenate(drawn))


def _principal(faces: _Faces) -> PixelMap:
    from sklearn.decomposition import PCA

    # The first components alone, for more pixels than a covariance matrix could hold, and nothing at random.
    components = PCA(DIMENSIONS, svd_solver="arpack", random_state=0)
    known = components.fit_transform(faces.train_pixels).astype(np.float64)
    points = components.transform(faces.pixels).astype(np.float64)
    found = quality(
        points, faces.labels, faces.emotions, reference=(known, faces.train_labels), seed=faces.seed
    )
    return PixelMap(
        how=f"The first {DIMENSIONS} principal components of the {len(known)} training faces' pixels.",
        rows=np.arange(len(points)),
        points=points,
        labels=faces.labels,
        quality=found,
        fit={"explained_variance": float(components.explained_variance_ratio_.sum())},
    )


def _scaled(faces: _Faces) -> PixelMap:
    from scipy.spatial.distance import pdist, squareform

    rows = stratified_sample(faces.labels, SCALED_FACES, seed=faces.seed)
    distances = squareform(pdist(faces.pixels[rows]))
    points = scaled(distances[None], classical(distances)[None])[0]
    return PixelMap(
        how=(
            f"Metric multidimensional scaling (SMACOF from the classical solution) of the pixel distances of "
            f"{len(rows)} held-out faces, each emotion in its proportion."
        ),
        rows=rows,
        points=points,
        labels=faces.labels[rows],
        quality=quality(points, faces.labels[rows], faces.emotions, seed=faces.seed),
        fit={"stress": stress(points, distances)},
    )


MAPS: dict[str, Callable[[_Faces], PixelMap]] = {"pca": _principal, "mds": _scaled}
"""Maps from pixels by name."""


def _flat(images: Images) -> NDArray[np.float32]:
    return images.reshape(len(images), -1).astype(np.float32)
