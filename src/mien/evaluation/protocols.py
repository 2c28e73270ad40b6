"""How a picture is shown to a network at test time. A protocol is one function in the registry.

A protocol gets a classifier, faces and a report of progress, and gives one row of scores a face, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.faces import FaceBatch, UInt8

BATCH = 256
"""Pictures shown to the classifier at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """probabilities: (N, C) calibrated, rows summing to 1. logits: (N, C) before the temperature."""

    probabilities: NDArray[np.floating]
    logits: NDArray[np.floating]


Classifier = Callable[[UInt8], tuple[NDArray[np.floating], NDArray[np.floating]]]
"""Images (N, H, W) uint8 → (probabilities (N, C), logits (N, C))."""

Progress = Callable[[int, int], None]
"""Called with the faces done and the faces in all."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A registered protocol: its name, one line of what it does, and the function."""

    name: str
    summary: str
    run: Callable[[Classifier, FaceBatch, Progress], Scores]


PROTOCOLS: dict[str, Protocol] = {}
"""Every protocol by name."""


def find(name: str) -> Protocol:
    """The protocol of a name.

    Raises: DataError when there is none; the line lists those that there are.
    """
    if name not in PROTOCOLS:
        known = ", ".join(f"{each.name} ({each.summary})" for each in PROTOCOLS.values())
        raise DataError(f"unknown protocol {name!r}: expected one of: {known}")
    return PROTOCOLS[name]


def single(classify: Classifier, faces: FaceBatch, progress: Progress) -> Scores:
    """Each picture once, as it is."""
    probabilities, logits = [], []
    for start in range(0, len(faces), BATCH):
        p, z = classify(faces.images[start : start + BATCH])
        probabilities.append(p)
        logits.append(z)
        progress(min(start + BATCH, len(faces)), len(faces))
    return Scores(np.concatenate(probabilities), np.concatenate(logits))


PROTOCOLS["single"] = Protocol("single", "the picture as it is", single)
