"""Faces of a picture, read and explained: one network, several methods."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError, ModelError, hint
from mien.explain.batches import Maps
from mien.explain.methods import find
from mien.explain.regions import REGIONS, FaceRegions, areas, halves, shares
from mien.explain.template import face_regions, landmarker
from mien.faces import Prediction
from mien.inference.images import Picture
from mien.inference.lookup import DEFAULT_MODEL
from mien.inference.predictor import Predictor
from mien.labels import SYNONYMS
from mien.models.network import Classifier
from mien.models.onnx_file import restore


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """A face, how it was read, and its maps for one emotion.

    image: (S, S) uint8, what the network sees. regions: of this one face. maps: (S, S) by method.
    """

    prediction: Prediction
    image: NDArray[np.uint8]
    target: str
    regions: FaceRegions
    maps: dict[str, Maps]

    def to_rows(self) -> list[dict[str, Any]]:
        """An object a method, as `mien explain --json` prints them.

        share: of the evidence, by region, summing to 1. density: that share over the region's share of the
        picture; null where it has none. upper: the upper half's share of the evidence in the face. All null
        where nothing speaks for the emotion.
        """
        sizes = areas(self.regions)[0]
        rows = []
        for name, values in self.maps.items():
            parts = shares(values[None], self.regions)[0]
            upper, lower = halves(values[None], self.regions)[0]
            densities = np.divide(parts, sizes, out=np.full(len(parts), np.nan), where=sizes > 0)
            within = upper + lower
            rows.append(
                {
                    "source": self.prediction.source,
                    "face": self.prediction.face,
                    "box": list(self.prediction.box),
                    "label": self.prediction.label,
                    "confidence": round(self.prediction.confidence, 4),
                    "target": self.target,
                    "probability": round(self.prediction.emotions[self.target], 4),
                    "method": name,
                    "regions": "landmarks" if self.regions.read[0] else "template",
                    "share": _by_region(parts),
                    "density": _by_region(densities),
                    "upper": _number(upper / within) if within > 0 else None,
                }
            )
        return rows


def _by_region(values: NDArray[np.float64]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in zip(REGIONS, values, strict=True)}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


class Explainer:
    """A network that reads faces, and the methods that trace its reading back.

    model: a shipped network's name, an .onnx file or a run folder; None takes the default. detector: see
    `ExportedNetwork`. methods: names in `METHODS`. target: the emotion to explain; None: what each face is
    read as.
    Raises: ModelError when the network is unknown or no classifier; DataError when a method or emotion is.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None,
        detector: str | None,
        methods: tuple[str, ...],
        target: str | None = None,
    ) -> None:
        self._methods = [find(name) for name in dict.fromkeys(methods)]
        self._predictor = Predictor(model or DEFAULT_MODEL, detector)
        self._target = None if target is None else _emotion(target, self._predictor.labels)
        self._network = classifier(self._predictor)
        self._landmarker = landmarker()

    def explain(self, image: Picture, crop: bool, source: str) -> list[Explained]:
        """The faces of a picture, largest first, each with its maps. crop: the picture is a face already."""
        faces, crops = self._predictor.faces(image, crop)
        if not faces:
            return []
        predictions = self._predictor.describe(faces, self._predictor.classify(crops), source)
        names = [self._target or prediction.label for prediction in predictions]
        targets = np.array([self._predictor.labels.index(name) for name in names], np.int64)
        regions = face_regions(crops, self._landmarker)
        maps = {
            method.name: method.explain(self._network, crops, targets, regions.maps)
            for method in self._methods
        }
        return [
            Explained(
                prediction,
                crops[number],
                names[number],
                regions[number : number + 1],
                {name: values[number] for name, values in maps.items()},
            )
            for number, prediction in enumerate(predictions)
        ]


def classifier(predictor: Predictor) -> Classifier:
    """The network of a predictor's file, for gradients, with weights that gather none.

    Raises: ModelError when the file cannot be read back as the network that it was exported from.
    """
    network = restore(predictor.path)
    if not isinstance(network, Classifier):
        raise ModelError(f"{predictor.path} names no expressions: expected a classifier")
    return network.requires_grad_(False)


def _emotion(name: str, labels: tuple[str, ...]) -> str:
    known = SYNONYMS.get(name.lower(), name.lower())
    if known not in labels:
        raise DataError(f"unknown emotion {name!r}: {hint(name, labels)}")
    return known
