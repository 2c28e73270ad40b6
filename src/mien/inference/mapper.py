"""Giving faces places on a map of expressions: an exported embedder behind a face detector."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, ModelError
from mien.faces import Face
from mien.inference.detectors import Detector
from mien.inference.exported import ExportedNetwork, Floats, MapCard, UInt8, kept, source_name
from mien.inference.images import Picture
from mien.inference.lookup import DEFAULT_MAP
from mien.labels import emotion_index


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Labelled faces that the network itself has placed, to read the map by.

    split: where they come from. points: (N, D) float64. labels: (N,) int64, indices into `EMOTIONS`.
    """

    split: str
    points: NDArray[np.float64]
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one face of a picture lies on a map.

    face: its number in the picture, largest first. box: (x, y, width, height) in pixels. detection: the
    detector's confidence in 0…1. point: D coordinates, to be compared within one network alone.
    """

    source: str
    face: int
    box: tuple[int, int, int, int]
    detection: float
    point: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """What `mien embed --json` prints of the face itself."""
        return {
            "source": self.source,
            "face": self.face,
            "box": list(self.box),
            "detection": round(self.detection, 4),
            "point": [round(value, 4) for value in self.point],
        }


class Mapper(ExportedNetwork):
    """A network that maps faces, with a way to find them; several threads may share one.

    model: a shipped network's name, a path to an .onnx file, or a run folder.
    detector, threads: see `ExportedNetwork`.
    Raises: ModelError when the network is unknown, damaged, a classifier, or not one that mien exported.
    """

    kind = "embedding"
    card: MapCard

    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT_MAP,
        detector: str | Detector | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__(model, detector, threads)

    def places(self, images: UInt8) -> Floats:
        """Where the network puts grey faces; near each other means alike in expression.

        Shape: images (N, S, S) uint8, S the network's input size, N may be 0; returns (N, D) float32. The
        map has no unit: distances compare with each other, and within one network alone.
        Raises: ImageError when the shape or type differs; ModelError when a place is not finite.
        """
        points = self.run(images, ("embedding",))[0]
        if not np.isfinite(points).all():
            raise ModelError(f"{self.path} gives a face no finite place: its weights are damaged")
        return points

    def embed(self, image: Picture, crop: bool = False, source: str | None = None) -> list[Place]:
        """The place of every face in a picture, largest face first; an empty list where there is none.

        image: a path, an encoded file's bytes, a PIL image, or numpy uint8 RGB (H, W, 3) or grey (H, W).
        crop: the picture is a face already.
        source: what the places name as their source; a path names itself, and anything else 'image'.
        Raises: ImageError when the picture cannot be read.
        """
        faces, crops = self.faces(image, crop)
        return self.describe(faces, self.places(crops), source_name(image) if source is None else source)

    def describe(self, faces: list[Face], points: Floats, source: str) -> list[Place]:
        """Faces and their points (N, D) as places, numbered in that order."""
        return [
            Place(source, number, face.box, face.score, tuple(map(float, point)))
            for number, (face, point) in enumerate(zip(faces, points, strict=True))
        ]

    @functools.cached_property
    def reference(self) -> Reference | None:
        """The faces that the card beside the network's file holds; None where there is no card or no map.

        Raises: ModelError when the card does not parse, or its points do not fit the network.
        """
        path = self.path.with_suffix(".json")
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
            given = card.get("map")
            if given is None:
                return None
            points = np.array(given["points"], np.float64)
            labels = np.array([emotion_index(label) for label in given["labels"]], np.int64)
            if (
                points.shape != (len(labels), self.card.dimensions)
                or not len(labels)
                or not np.isfinite(points).all()
            ):
                raise ValueError(
                    f"points of shape {points.shape} for {len(labels)} labels and {self.card.dimensions}"
                    " dimensions, or not finite"
                )
            return Reference(str(given["split"]), points, labels)
        except FileNotFoundError:
            return None
        except (OSError, AttributeError, KeyError, TypeError, ValueError, DataError) as error:
            raise ModelError(f"cannot read the map in {path}: {error!r}; export the network again") from error


def embed(
    image: Picture,
    model: str | os.PathLike[str] = DEFAULT_MAP,
    crop: bool = False,
    detector: str | None = None,
) -> list[Place]:
    """The place of every face in a picture on a network's map, largest face first.

    The network stays loaded between calls. image, crop: see `Mapper.embed`.
    Raises: ImageError when the picture cannot be read, ModelError when the network or detector is unknown.
    """
    return kept(Mapper, model, detector).embed(image, crop)
