"""Where the parts of a face lie: by its own landmarks where the mesh reads it, else by the mean face's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import fetching
from mien.errors import DataError
from mien.explain.regions import FaceRegions, Points, regions_of
from mien.faces import FaceBatch, UInt8
from mien.inference.landmarker import Landmarker
from mien.inference.mesh import FETCHABLE
from mien.labels import SPLITS
from mien.landmark_layout import MIRROR
from mien.storage import packaged

FILE = "template.json"


def landmarker() -> Landmarker | None:
    """What reads a face's own landmarks; None where `mien fetch facemesh` did not bring it."""
    return Landmarker() if fetching.is_present(FETCHABLE) else None


def face_regions(images: UInt8, reader: Landmarker | None) -> FaceRegions:
    """The regions of faces (N, S, S) uint8 as FER-2013 cuts them.

    reader: None gives every face the template's regions, as does a face whose landmarks are not believed.
    """
    return regions_at(
        [None if reader is None else own_points(image, reader) for image in images], images.shape[-1]
    )


def regions_at(points: Sequence[Points | None], size: int) -> FaceRegions:
    """The regions of faces whose landmarks (83, 2) are these, the template's where they are None."""
    drawn = [_mean_regions(size) if each is None else regions_of(each, size) for each in points]
    shape = (len(points), size, size)
    return FaceRegions(
        maps=np.array([regions for regions, _ in drawn], np.int8).reshape(shape),
        upper=np.array([upper for _, upper in drawn], np.bool_).reshape(shape),
        read=np.array([each is not None for each in points], np.bool_),
    )


def own_points(image: UInt8, reader: Landmarker) -> Points | None:
    """A face's landmarks (83, 2) in pixels of its picture, y down; None where they are not believed."""
    found = reader.read(image)
    return None if found.reason else np.asarray(found.points[:, :2] * (1, -1), np.float64)


def template(size: int) -> Points:
    """The mean face's landmarks (83, 2) in a picture of size × size pixels."""
    return _sides() * size - 0.5


@cache
def _mean_regions(size: int) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    return regions_of(template(size), size)


@cache
def _sides() -> Points:
    stored = json.loads((packaged("explain") / FILE).read_text(encoding="utf-8"))
    return np.array(stored["points"], np.float64)


def measure(faces: FaceBatch, reader: Landmarker, limit: int, seed: int) -> dict[str, Any]:
    """The template: the mean landmarks of training faces and of their mirror images, in sides of the picture.

    limit: faces of the training split, drawn by the seed; all where there are fewer.
    Raises: DataError when no face is read.
    """
    training = faces.split(SPLITS[0])
    rows = np.random.default_rng(seed).permutation(len(training))[:limit]
    size = training.images.shape[-1]
    read = [own_points(image, reader) for image in training.images[np.sort(rows)]]
    kept = np.array([points for points in read if points is not None])
    if not len(kept):
        raise DataError(f"the mesh reads none of {len(rows)} training faces in {faces.source}")
    # A pixel is a square around its centre: the middle of the first lies half a pixel from the edge.
    mean = (kept.mean(axis=0) + 0.5) / size
    mirrored = mean[MIRROR] * (-1, 1) + (1, 0)
    return {
        "split": SPLITS[0],
        "faces": len(kept),
        "of": len(rows),
        "seed": seed,
        "spread": round(float(((kept + 0.5) / size).std(axis=0).mean()), 5),
        "points": np.round((mean + mirrored) / 2, 5).tolist(),
    }
