"""An exported network in ONNX Runtime behind a face detector: what all kinds of networks share."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from mien.errors import ImageError, ModelError, hint
from mien.evaluation.decision import Decision
from mien.faces import Face
from mien.inference.detectors import Detector, available, make_detector
from mien.inference.framing import centre_square, cut, square_of
from mien.inference.images import Picture, read_picture
from mien.inference.lookup import find_model

UInt8 = NDArray[np.uint8]
Floats = NDArray[np.float32]

BATCH = 64
"""Faces a run: enough for the processor's caches, little enough for its memory."""


@dataclass(frozen=True, slots=True)
class Card:
    """What an exported network says of itself, whatever its kind.

    kind: one of `KINDS`. labels: the emotions that it was trained on, in the order of its outputs where it
    has one for each. input_size: its faces are input_size × input_size.
    """

    name: str
    architecture: str
    kind: str
    labels: tuple[str, ...]
    input_size: int


@dataclass(frozen=True, slots=True)
class ClassifierCard(Card):
    """What a classifier says of itself. decision: what it makes of its logits, and when it is unsure."""

    decision: Decision

    @property
    def columns(self) -> int:
        """How many numbers the first output has for each face: one a label."""
        return len(self.labels)


@dataclass(frozen=True, slots=True)
class MapCard(Card):
    """What a network that maps faces says of itself. dimensions: of its map."""

    dimensions: int

    @property
    def columns(self) -> int:
        """How many numbers the first output has for each face: its place on the map."""
        return self.dimensions


class Kind(NamedTuple):
    """One kind of exported network.

    outputs: what such a file gives, its answer first. read: fields that all kinds share, and all fields of
    the metadata → the card. counted: what `columns` of the card counts. does, command: what such a network
    does, and the command that serves it, for messages.
    """

    outputs: tuple[str, ...]
    read: Callable[[dict[str, Any], dict[str, Any]], ClassifierCard | MapCard]
    counted: str
    does: str
    command: str


def _classifier(shared: dict[str, Any], fields: dict[str, Any]) -> ClassifierCard:
    return ClassifierCard(**shared, decision=Decision.from_metadata(fields))


def _map(shared: dict[str, Any], fields: dict[str, Any]) -> MapCard:
    return MapCard(**shared, dimensions=int(fields["dimensions"]))


KINDS: dict[str, Kind] = {
    "classifier": Kind(
        ("probabilities", "logits", "embedding", "maps"), _classifier, "labels", "names expressions",
        "mien predict",
    ),
    "embedding": Kind(("embedding", "maps"), _map, "dimensions", "gives faces places on a map", "mien embed"),
}  # fmt: skip
"""Every kind of network that is exported; files of the first release name none and are classifiers."""


class ExportedNetwork:
    """A network of any kind with a way to find faces; several threads may share one.

    A subclass may take one `kind` alone.
    model: a shipped network's name, a path to an .onnx file, or a run folder.
    detector: a detector's name, or an object that is one; None takes the preferred one that is there. It is
        made when the first picture needs it.
    threads: processor threads of one run; None leaves it to ONNX Runtime.
    Raises: ModelError when the network is unknown, damaged, of another kind, or not one that mien exported.
    """

    kind: ClassVar[str | None] = None
    card: Card

    def __init__(
        self,
        model: str | os.PathLike[str],
        detector: str | Detector | None = None,
        threads: int | None = None,
    ) -> None:
        self.path = find_model(model)
        self._session = _open_session(self.path, threads)
        self.card = _read_card(self._session, self.path)
        if self.kind not in {None, self.card.kind}:
            given = KINDS[self.card.kind]
            raise ModelError(
                f"{model} {given.does}: expected a network that {KINDS[str(self.kind)].does};"
                f" '{given.command}' serves this one"
            )
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
        """The emotions that it was trained on: a classifier's classes in the order of its outputs."""
        return self.card.labels

    def run(self, images: UInt8, outputs: tuple[str, ...]) -> tuple[Floats, ...]:
        """Named outputs (see `KINDS`) of the network for grey faces.

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


Network = TypeVar("Network", bound=ExportedNetwork)


def kept(take: type[Network], model: str | os.PathLike[str], detector: str | None) -> Network:
    """A network that stays loaded between calls; a file that was replaced, or a detector that was fetched
    since, is taken anew.

    take: the subclass of `ExportedNetwork` that it is to be.
    Raises: ModelError when the network or detector is unknown.
    """
    path = find_model(model)
    return cast(
        Network, _kept(cast(Hashable, take), str(path), path.stat().st_mtime_ns, detector or available()[0])
    )


@functools.lru_cache(maxsize=4)
def _kept(take: Any, path: str, changed_ns: int, detector: str) -> ExportedNetwork:
    return cast(ExportedNetwork, take(path, detector))


def source_name(image: Picture) -> str:
    """What is said of where a face came from: a path names itself, and anything else is 'image'."""
    return str(image) if isinstance(image, str | os.PathLike) else "image"


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


def _read_card(session: Any, path: Path) -> ClassifierCard | MapCard:
    inputs = [value.name for value in session.get_inputs()]
    outputs = {value.name: value.shape for value in session.get_outputs()}
    text = session.get_modelmeta().custom_metadata_map.get("mien")
    fields = {} if text is None else _fields(text, path)
    name = fields.get("kind", "classifier")
    if name not in KINDS:
        raise ModelError(
            f"{path} is a network of kind {name!r}: {hint(str(name), KINDS)}; a newer mien may know it"
        )
    kind = KINDS[name]
    if text is None or inputs != ["pixels"] or not set(kind.outputs) <= set(outputs):
        raise ModelError(
            f"{path} is not a network that mien exported: expected the input pixels, the outputs"
            f" {', '.join(kind.outputs)} and the metadata 'mien'; it has {', '.join([*inputs, *outputs])}"
        )
    try:
        shared = {
            "name": str(fields["name"]),
            "architecture": str(fields["architecture"]),
            "kind": name,
            "labels": tuple(str(label) for label in fields["labels"]),
            "input_size": int(fields["input_size"]),
        }
        card = kind.read(shared, fields)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, error) from error
    columns = outputs[kind.outputs[0]][-1]
    if isinstance(columns, int) and columns != card.columns:
        raise ModelError(
            f"{path} names {card.columns} {kind.counted} for {columns} columns of its {kind.outputs[0]}"
        )
    if len(set(card.labels)) != len(card.labels):
        raise ModelError(f"{path} names a label twice in {', '.join(card.labels)}; export it again")
    return card


def _fields(text: str, path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise TypeError(f"{type(fields).__name__} instead of an object")
    except (TypeError, ValueError) as error:
        raise _damaged(path, error) from error
    return cast(dict[str, Any], fields)


def _damaged(path: Path, error: Exception) -> ModelError:
    return ModelError(f"{path} has damaged metadata 'mien': {error!r}; export it again")
