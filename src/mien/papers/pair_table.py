"""System D's Table 1: pairs of pictures by emotion, from the numbers of pictures that it implies."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mien import data as datasets
from mien.data.pairs import PairCounts, pair_counts, pairs_of
from mien.labels import SIX, SPLITS
from mien.papers.sheet import Block, Sheet
from mien.papers.sources import Sources

TITLE = "pairs of pictures by emotion"

PUBLISHED: tuple[tuple[int, ...], ...] = (
    (3741, 7134, 6960, 11049, 7308, 3828),
    (3321, 6560, 10414, 6888, 3608),
    (3160, 10160, 6720, 3520),
    (8001, 10668, 5588),
    (3486, 3696),
    (946,),
)
"""The upper triangle with its diagonal, emotions in the order of `SIX`."""

TOTAL = 126_756
"""As the paper's text has it."""


def implied(pairs: int) -> int:
    """How many pictures have so many pairs: n of n(n−1)/2."""
    return (1 + math.isqrt(1 + 8 * pairs)) // 2


def sheet(sources: Sources) -> Sheet:
    """Table 1 as the pictures that it implies give it, and that of a dataset's training faces."""
    paper = pair_counts({name: implied(row[0]) for name, row in zip(SIX, PUBLISHED, strict=True)})
    cells = [cell for row in PUBLISHED for cell in row]
    alike = int((paper.table[np.triu_indices(len(SIX))] == cells).sum())
    numbers = ", ".join(f"{count} {name}" for name, count in zip(SIX, paper.faces.tolist(), strict=True))
    notes = [
        "the paper prints pairs and no numbers of pictures: its pairs of one emotion, n(n−1)/2, imply "
        f"{numbers}",
        f"these give {alike} of its {len(cells)} cells as printed, and {paper.total:,} pairs where it has "
        f"{TOTAL:,}: all pairs of {paper.faces.sum()} pictures",
    ]
    blocks = [_block("the paper's, of NimStim", paper)]
    data: dict[str, Any] = {
        "paper": {**paper.to_dict(), "cells_as_printed": alike, "cells": len(cells), "total_printed": TOTAL},
        "data": None,
    }
    if sources.data is None:
        notes.append("--data PATH sets the training faces of a dataset beside it")
        return Sheet(blocks, notes, data=data)
    faces = datasets.read(sources.data)
    held = pairs_of(faces.split(SPLITS[0]))
    blocks.append(_block(f"{SPLITS[0]} faces of {sources.data.resolve().name}", held))
    notes.append("a dataset's own faces, copies included; recipes of system D leave copies out")
    data["data"] = {"source": str(sources.data), "split": SPLITS[0], **held.to_dict()}
    return Sheet(blocks, notes, data=data)


def _block(title: str, counts: PairCounts) -> Block:
    rows = [
        (name, f"{number:,}", *("" if column < row else f"{pairs:,}" for column, pairs in enumerate(cells)))
        for row, (name, number, cells) in enumerate(
            zip(counts.emotions, counts.faces.tolist(), counts.table.tolist(), strict=True)
        )
    ]
    about = f"{counts.total:,} pairs, {counts.same:,} of one emotion, {counts.different:,} of two"
    return Block(("emotion", "faces", *counts.emotions), rows, f"{title}: {about}")
