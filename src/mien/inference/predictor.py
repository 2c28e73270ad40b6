"""Reading expressions: an exported network in ONNX Runtime, behind a face detector."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mien.errors import ImageError, ModelError
from mien.faces import Face, Prediction
from mien.inference.detectors import Detector, make_detector
from mien.inference.framing import centre_square, cut, square_of
from mien.inference.images import Picture, read_picture
from mien.inference.lookup import DEFAULT_MODEL, find_model

UInt8 = NDArray[np.uint8]
Floats = NDArray[np.float32]

BATCH = 64
"""Faces a run: enough for the processor's caches, little enough for its memory."""

OUTPUTS = ("probabilities", "logits", "embedding", "maps")
"""What every exported network gives."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What the network says of N faces: calibrated probabilities (N, C); logits (N, C) before that."""

    probabilities: Floats
    logits: Floats


@dataclass(frozen=True, slots=True)
class Card:
    """What an exported network says of itself.

    labels: the C classes in the order of its outputs. input_size: its faces are input_size × input_size.
    unsure_below: a prediction is unsure where its largest probability lies below it.
    """

    name: str
    architecture: str
    labels: tuple[str, ...]
    input_size: int
    unsure_below: float
    temperature: float


class Predictor:
    """A network with a way to find faces; several threads may share one.

    model: a shipped network's name, a path to an .onnx file, or a run folder.
    detector: a detector's name, or an object that is one; None takes the preferred one that is there. It is
        made when the first picture needs it.
    threads: processor threads of one run; None leaves it to ONNX Runtime.
    Raises: ModelError when the network is unknown, damaged, or not one that mien exported.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        detector: str | Detector | None = None,
        threads: int | None = None,
    ) -> None:
        self.path = find_model(model)
        self._session = _open_session(self.path, threads)
        self.card = _read_card(self._session, self.path)
        self._wanted_detector = detector
        if isinstance(detector, str):
            self.detector  # noqa: B018  a wrong name shall be told now and not at the first picture

    @functools.cached_property
    def detector(self) -> Detector:
        """What finds the faces.

        Raises: ModelError when its name is unknown or its file was never fetched.
        """
        wanted = self._wanted_detector
        return make_detector(wanted) if wanted is None or isinstance(wanted, str) else wanted

    @property
    def labels(self) -> tuple[str, ...]:
        """The network's classes, in the order of its outputs."""
        return self.card.labels

    def run(self, images: UInt8, outputs: tuple[str, ...]) -> tuple[Floats, ...]:
        """Named outputs (see `OUTPUTS`) of the network for grey faces.

        Shape: images (N, S, S) uint8, S the network's input size, N may be 0; returns (N, …) float32 a name.
        Raises: ImageError when the shape or type differs.
        """
        size = self.card.input_size
        if images.dtype != np.uint8 or images.ndim != 3 or images.shape[1:] != (size, size):
            raise ImageError(f"faces of {images.dtype} {images.shape}: expected uint8 (N, {size}, {size})")
        parts = []
        # A network has no batch of none: its outputs' shapes are learnt from one blank face.
        source = images if len(images) else np.zeros((1, size, size), np.uint8)
        for start in range(0, len(source), BATCH):
            pixels = source[start : start + BATCH, None].astype(np.float32)
            parts.append(self._session.run(list(outputs), {"pixels": pixels}))
        return tuple(np.concatenate(arrays)[: len(images)] for arrays in zip(*parts, strict=True))

    def classify(self, images: UInt8) -> Readings:
        """The network's reading of grey faces.

        Shape: images (N, S, S) uint8, S the network's input size; N may be 0.
        Raises: ImageError when the shape or type differs.
        """
        return Readings(*self.run(images, ("probabilities", "logits")))

    def faces(self, image: Picture, crop: bool = False) -> tuple[list[Face], UInt8]:
        """The faces of a picture, largest first, and what the network sees of them.

        crop: the picture is a face: its box is the whole picture, and the largest square in its middle is
            read, so that nothing is squashed.
        Shape: returns N faces and (N, S, S) uint8 grey, S the network's input size.
        Raises: ImageError when the picture cannot be read.
        """
        pixels = read_picture(image)
        height, width = pixels.shape[:2]
        if crop:
            faces, squares = [Face((0, 0, width, height), 1.0)], [centre_square(width, height)]
        else:
            found = self.detector.detect(pixels)
            faces = [detection.face(width, height) for detection in found]
            squares = [square_of(detection.box, self.detector.framing) for detection in found]
        size = self.card.input_size
        crops = [cut(pixels, square, size) for square in squares]
        return faces, np.stack(crops) if crops else np.zeros((0, size, size), np.uint8)

    def predict(self, image: Picture, crop: bool = False, source: str | None = None) -> list[Prediction]:
        """The expression of every face in a picture, largest face first; an empty list where there is none.

        image: a path, an encoded file's bytes, a PIL image, or numpy uint8 RGB (H, W, 3) or grey (H, W).
        crop: the picture is a face already.
        source: what the predictions name as their source; a path names itself, and anything else 'image'.
        Raises: ImageError when the picture cannot be read.
        """
        if source is None:
            source = str(image) if isinstance(image, str | os.PathLike) else "image"
        faces, crops = self.faces(image, crop)
        return self.describe(faces, self.classify(crops), source)

    def describe(self, faces: list[Face], readings: Readings, source: str) -> list[Prediction]:
        """Faces and their readings as predictions, numbered in that order."""
        return [
            Prediction(
                source=source,
                face=number,
                box=face.box,
                detection=face.score,
                emotions=dict(zip(self.labels, map(float, probabilities), strict=True)),
                unsure=bool(probabilities.max() < self.card.unsure_below),
            )
            for number, (face, probabilities) in enumerate(zip(faces, readings.probabilities, strict=True))
        ]


def load(
    model: str | os.PathLike[str] = DEFAULT_MODEL,
    detector: str | Detector | None = None,
    threads: int | None = None,
) -> Predictor:
    """A predictor by the network's name or path, to be used again and again; see `Predictor`."""
    return Predictor(model, detector, threads)


@functools.lru_cache(maxsize=4)
def _kept(path: str, changed_ns: int, detector: str) -> Predictor:
    return Predictor(path, detector)


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
    from mien.inference.detectors import available

    path = find_model(model)
    # A file that was replaced, or a detector that was fetched since, is taken anew.
    return _kept(str(path), path.stat().st_mtime_ns, detector or available()[0]).predict(image, crop)


def _open_session(path: Path, threads: int | None) -> Any:
    options = onnxruntime.SessionOptions()
    # Errors reach the user as one line; ONNX Runtime's own log would come before it.
    options.log_severity_level = 4
    if threads is not None:
        if threads < 1:
            raise ModelError(f"{threads} threads: expected at least 1")
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    # ONNX Runtime's exceptions have no common base but Exception.
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path} is not a network that ONNX Runtime can load: {first}") from error


def _read_card(session: Any, path: Path) -> Card:
    inputs = [value.name for value in session.get_inputs()]
    outputs = [value.name for value in session.get_outputs()]
    text = session.get_modelmeta().custom_metadata_map.get("mien")
    if text is None or inputs != ["pixels"] or not set(OUTPUTS) <= set(outputs):
        raise ModelError(
            f"{path} is not a network that mien exported: expected the input pixels, the outputs"
            f" {', '.join(OUTPUTS)} and the metadata 'mien'; it has {', '.join(inputs + outputs)}"
        )
    try:
        fields = cast(dict[str, Any], json.loads(text))
        card = Card(
            name=str(fields["name"]),
            architecture=str(fields["architecture"]),
            labels=tuple(str(label) for label in fields["labels"]),
            input_size=int(fields["input_size"]),
            unsure_below=float(fields["unsure_below"]),
            temperature=float(fields["temperature"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} has damaged metadata 'mien': {error!r}; export it again") from error
    classes = next(value.shape for value in session.get_outputs() if value.name == "probabilities")[-1]
    unequal = isinstance(classes, int) and classes != len(card.labels)
    if unequal or len(set(card.labels)) != len(card.labels):
        raise ModelError(f"{path} names {len(card.labels)} labels {card.labels} for {classes} classes")
    return card
