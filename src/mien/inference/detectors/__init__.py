"""The registry of face detectors: a new one is one file and one entry here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mien import fetching
from mien.errors import ModelError, hint
from mien.inference.detectors.base import Detection, Detector, Framing

__all__ = ["DETECTORS", "Detection", "Detector", "Entry", "Framing", "available", "make_detector"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One detector: what it is, how to make it, and what `mien fetch` must have brought for it."""

    name: str
    summary: str
    make: Callable[[], Detector]
    fetchable: str | None = None

    @property
    def available(self) -> bool:
        """Its file is there, or it needs none."""
        return self.fetchable is None or fetching.is_present(self.fetchable)


def _blazeface() -> Detector:
    from mien.inference.detectors.blazeface import BlazeFace

    return BlazeFace(fetching.file_of("blazeface"))


def _haar() -> Detector:
    from mien.inference.detectors.haar import Haar

    return Haar()


DETECTORS: dict[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry("blazeface", "BlazeFace full-range: finds more, invents less", _blazeface, "blazeface"),
        Entry("haar", "OpenCV's Haar cascade: always there, upright frontal faces", _haar),
    )
}
"""Every detector by name, the preferred one first."""


def available() -> list[str]:
    """Names of the detectors that can be made now, the preferred one first."""
    return [name for name, entry in DETECTORS.items() if entry.available]


def make_detector(name: str | None = None) -> Detector:
    """A detector by name; without one, the preferred of those whose file is there.

    Raises: ModelError when the name is unknown or its file was never fetched.
    """
    if name is None:
        name = available()[0]
    if name not in DETECTORS:
        raise ModelError(f"unknown detector {name!r}: {hint(name, DETECTORS)}")
    entry = DETECTORS[name]
    if not entry.available:
        raise ModelError(
            f"detector {name!r} needs a file that is not here: bring it with 'mien fetch {entry.fetchable}'"
        )
    return entry.make()
