"""A printed table of any shape: blocks of cells with notes, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Block:
    """Heads and rows of cells, one cell a head. title: what it holds; empty where it is alone."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    title: str = ""


@dataclass(frozen=True)
class Sheet:
    """A table as it is printed. notes: lines below it. never_run: recipes that it lacks.

    data: what `--json` prints.
    """

    blocks: Sequence[Block]
    notes: Sequence[str] = ()
    never_run: Sequence[str] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
