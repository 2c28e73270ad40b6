"""What a format of landmarks is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mien.data.formats import BadRows
from mien.landmarks import LandmarkBatch


@dataclass(frozen=True, slots=True)
class LandmarkFormat:
    """One format: how it is recognised by its content, and read.

    read: the faces as they lie there, with splits; faces that are wrong are reported to `BadRows`; the number
    draws the splits of a source that tells none.
    """

    name: str
    description: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, BadRows, int], LandmarkBatch]
