"""Reading expressions: an exported classifier behind a face detector."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.conformal import sets
from mien.faces import Face, Prediction
from mien.inference.detectors import Detector
from mien.inference.exported import ClassifierCard, ExportedNetwork, Floats, UInt8, kept, source_name
from mien.inference.images import Picture
from mien.inference.lookup import DEFAULT_MODEL


@dataclass(frozen=True, slots=True)
class Readings:
    """What the network says of N faces: calibrated probabilities (N, C); logits (N, C) before that."""

    probabilities: Floats
    logits: Floats


class Predictor(ExportedNetwork):
    """A classifier with a way to find faces; several threads may share one.

    model: a shipped network's name, a path to an .onnx file, or a run folder.
    detector, threads: see `ExportedNetwork`.
    Raises: ModelError when the network is unknown, damaged, no classifier, or not one that mien exported.
    """

    kind = "classifier"
    card: ClassifierCard

    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        detector: str | Detector | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__(model, detector, threads)

    def classify(self, images: UInt8) -> Readings:
        """The network's reading of grey faces.

        Shape: images (N, S, S) uint8, S the network's input size; N may be 0.
        Raises: ImageError when the shape or type differs.
        """
        return Readings(*self.run(images, ("probabilities", "logits")))

    def predict(self, image: Picture, crop: bool = False, source: str | None = None) -> list[Prediction]:
        """The expression of every face in a picture, largest face first; an empty list where there is none.

        image: a path, an encoded file's bytes, a PIL image, or numpy uint8 RGB (H, W, 3) or grey (H, W).
        crop: the picture is a face already.
        source: what the predictions name as their source; a path names itself, and anything else 'image'.
        Raises: ImageError when the picture cannot be read.
        """
        faces, crops = self.faces(image, crop)
        return self.describe(faces, self.classify(crops), source_name(image) if source is None else source)

    def describe(self, faces: list[Face], readings: Readings, source: str) -> list[Prediction]:
        """Faces and their readings as predictions, numbered in that order."""
        decision = self.card.decision
        decided = decision(readings.logits, readings.probabilities)
        return [
            Prediction(
                source=source,
                face=number,
                box=face.box,
                detection=face.score,
                emotions=dict(zip(self.labels, map(float, probabilities), strict=True)),
                unsure=not bool(decided.sure[number]),
                could_be=None if decision.coverage is None else self._names(could_be, probabilities),
                familiar=None if decision.limit is None else bool(decided.familiar[number]),
            )
            for number, (face, probabilities, could_be) in enumerate(
                zip(faces, readings.probabilities, sets(decided.probabilities, decided.reached), strict=True)
            )
        ]

    def _names(self, could_be: NDArray[np.bool_], probabilities: Floats) -> tuple[str, ...]:
        """The emotions of a set, the most probable first."""
        order = np.argsort(-probabilities, kind="stable")
        return tuple(self.labels[place] for place in order if could_be[place])


def load(
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    detector: str | Detector | None = None,
    threads: int | None = None,
) -> Predictor:
    """A predictor by the network's name or path, to be used again and again; see `Predictor`."""
    return Predictor(model, detector, threads)


def predict(
    image: Picture,
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    crop: bool = False,
    detector: str | None = None,
) -> list[Prediction]:
    """The expression of every face in a picture, largest face first.

    The network stays loaded between calls. image, crop: see `Predictor.predict`.
    Raises: ImageError when the picture cannot be read, ModelError when the network or detector is unknown.
    """
    return kept(Predictor, model, detector).predict(image, crop)
