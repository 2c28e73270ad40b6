"""A dataset of faces as the source of a map of emotions: what people said of them, or what a network did.

`map_files` reads sources of other kinds. Both have `name`, `emotions` and `make` (see `map_files.Content`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien import data
from mien.data.known import originals
from mien.errors import DataError, hint
from mien.evaluation import humans
from mien.evaluation.maps import responses
from mien.evaluation.protocols import Progress
from mien.faces import FaceBatch
from mien.inference.exported import ExportedNetwork
from mien.inference.map_files import present
from mien.labels import EMOTIONS, SPLITS, SYNONYMS

_AT_ONCE = 256
"""Faces shown to a network between two words on how far it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Voted:
    """Faces and what people said of them."""

    faces: FaceBatch

    @property
    def name(self) -> str:
        """People, and which faces."""
        return f"people's votes on {self.faces.source}"

    @property
    def emotions(self) -> tuple[str, ...]:
        """Those of the six that label a face."""
        return present(self.faces.labels)

    def make(self, emotions: Sequence[str]) -> responses.Source:
        """Each face's votes, as shares among these emotions."""
        return replace(responses.votes(self.faces, emotions), source=self.name)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Faces and the network that is shown them: a classifier answers, another one gives points.

    network: its name, for titles. progress: is told how many faces are done.
    """

    faces: FaceBatch
    predictor: ExportedNetwork
    network: str
    progress: Progress = lambda done, of: None

    @property
    def name(self) -> str:
        """The network, and which faces."""
        return f"{self.network} on {self.faces.source}"

    @property
    def emotions(self) -> tuple[str, ...]:
        """Those of the six that label a face."""
        return present(self.faces.labels)

    def make(self, emotions: Sequence[str]) -> responses.Source:
        """The network's probabilities among these emotions, or its points, for their faces alone."""
        wanted = [EMOTIONS.index(name) for name in emotions if name in EMOTIONS]
        return _ANSWERS[self.predictor.card.kind](
            replace(self, faces=self.faces.select(np.isin(self.faces.labels, wanted))), emotions
        )

    def outputs(self, name: str) -> NDArray[np.float64]:
        """One of the network's outputs for all faces: (N, …)."""
        images, parts = self.faces.images, []
        for start in range(0, max(len(images), 1), _AT_ONCE):
            (part,) = self.predictor.run(images[start : start + _AT_ONCE], (name,))
            parts.append(part)
            self.progress(min(start + _AT_ONCE, len(images)), len(images))
        return np.concatenate(parts).astype(np.float64)


def _probabilities(shown: Shown, emotions: Sequence[str]) -> responses.Source:
    answers, labels = shown.outputs("probabilities"), shown.predictor.labels
    return responses.probabilities(answers, shown.faces.labels, labels, emotions, shown.name)


def _embeddings(shown: Shown, emotions: Sequence[str]) -> responses.Source:
    return responses.embeddings(shown.outputs("embedding"), shown.faces.labels, emotions, shown.name)


_ANSWERS: dict[str, Callable[[Shown, Sequence[str]], responses.Source]] = {
    "classifier": _probabilities,
    "embedding": _embeddings,
}
"""What a map is made of, for each kind of exported network."""


def with_votes(faces: FaceBatch, emotions: Sequence[str]) -> FaceBatch:
    """The faces of these emotions that `responses.votes` takes: what people and a network are compared on.

    Raises: DataError when there is none.
    """
    wanted = [EMOTIONS.index(name) for name in emotions]
    known = np.isfinite(humans.shares(faces.votes, emotions)).all(axis=1)
    kept = known & np.isin(faces.labels, wanted)
    if not kept.any():
        raise DataError(
            f"no face of {faces.source} has votes for {', '.join(emotions)}: expected FER+ votes, as"
            " FER-2013's parquet holds them"
        )
    return faces.select(kept)


def emotion_names(listed: str) -> tuple[str, ...]:
    """Emotions from a list with commas, in any known convention.

    Raises: DataError naming what is unknown or named twice.
    """
    found: list[str] = []
    for given in listed.split(","):
        key = given.strip().lower()
        name = SYNONYMS.get(key, key)
        if name not in EMOTIONS:
            raise DataError(f"unknown emotion {given.strip()!r}: {hint(key, (*EMOTIONS, *SYNONYMS))}")
        if name in found:
            raise DataError(f"the emotion {name!r} is named twice in {listed!r}: expected each once")
        found.append(name)
    return tuple(found)


def is_dataset(path: Path) -> bool:
    """Whether a path holds a dataset of faces, rather than one of `KINDS`.

    Raises: DataError when there is nothing at the path.
    """
    try:
        data.detect(path)
    except DataError:
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_size:
                return False
        raise
    return True


def open_dataset(
    path: Path,
    split: str | None = None,
    model: str | None = None,
    *,
    skip_bad: bool = False,
    without_copies: bool = False,
) -> Voted | Shown:
    """A dataset of faces, or one split of it, with people's answers or those of a network.

    model: a shipped network's name, an .onnx file or a run folder; faces are brought to the size it sees.
    without_copies: leave out faces of other splits that are pixel copies of a training face, and repeats
    within training.
    Raises: DataError as `data.read` does; ModelError where there is no such network.
    """
    # Where no split is asked for, it makes no difference which one faces that tell none are in.
    assumed, name = split or SPLITS[0], path.resolve().name
    network = None if model is None else ExportedNetwork(model)
    size = None if network is None else network.card.input_size
    faces = data.read(path, skip_bad=skip_bad, assume_split=assumed, size=size)
    if without_copies:
        faces = faces.select(originals(faces))
    if split is not None:
        faces, name = faces.split(split), f"{name} ({split})"
    faces = replace(faces, source=name)
    return Voted(faces) if model is None or network is None else Shown(faces, network, _network_name(model))


def _network_name(model: str) -> str:
    """A short name of a network: of a path, the file or run folder."""
    path = Path(model)
    return path.parent.name if path.name == "model.onnx" and path.parent.name else path.name
