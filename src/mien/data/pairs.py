"""All pairs of faces, counted by the emotions of the two: what the siamese network (system D) is trained on.

Of n faces of one emotion there are n(n−1)/2 pairs of the same emotion, and n·m with m faces of another:
n(n−1)/2 of all n faces. The paper's Table 1 is that of NimStim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.faces import FaceBatch
from mien.labels import EMOTIONS, SIX, SPLITS


@dataclass(frozen=True, slots=True, eq=False)
class PairCounts:
    """How many pairs there are of each two emotions.

    emotions: (K,) names. faces: (K,) int64, how many faces of each.
    table: (K, K) int64, pairs of the row's and the column's emotion, each pair once: 0 below the diagonal.
    """

    emotions: tuple[str, ...]
    faces: NDArray[np.int64]
    table: NDArray[np.int64]

    @property
    def same(self) -> int:
        """Pairs of one emotion."""
        return int(np.trace(self.table))

    @property
    def different(self) -> int:
        """Pairs of two emotions."""
        return self.total - self.same

    @property
    def total(self) -> int:
        """All pairs: n(n−1)/2 of n faces."""
        return int(self.table.sum())

    def to_dict(self) -> dict[str, Any]:
        """The object that `mien data show --pairs --json` prints, of each split and of all faces."""
        return {
            "faces": dict(zip(self.emotions, self.faces.tolist(), strict=True)),
            "table": {
                name: dict(zip(self.emotions[row:], self.table[row, row:].tolist(), strict=True))
                for row, name in enumerate(self.emotions)
            },
            "same": self.same,
            "different": self.different,
            "total": self.total,
        }


def pair_counts(faces: Mapping[str, int]) -> PairCounts:
    """The pairs among so many faces of each emotion, in the mapping's order.

    Raises: DataError when a number is negative.
    """
    for name, number in faces.items():
        if number < 0:
            raise DataError(f"{number} faces of {name}: expected 0 or more")
    numbers = np.array(list(faces.values()), np.int64)
    table = np.triu(np.outer(numbers, numbers), k=1) + np.diag(numbers * (numbers - 1) // 2)
    return PairCounts(tuple(faces), numbers, table)


def pairs_of(batch: FaceBatch, emotions: tuple[str, ...] = SIX) -> PairCounts:
    """The pairs among a batch's faces of these emotions, whatever their splits.

    Raises: DataError when it holds fewer than two of the emotions.
    """
    numbers = np.bincount(batch.labels, minlength=len(EMOTIONS))
    faces = {name: int(numbers[EMOTIONS.index(name)]) for name in emotions}
    held = [name for name, number in faces.items() if number]
    if len(held) < 2:
        raise DataError(
            f"no pairs of different emotions in {batch.source or 'the data'}: "
            f"of {', '.join(emotions)} it holds {', '.join(held) or 'none'}, expected two or more"
        )
    return pair_counts(faces)


def pairs_by_split(batch: FaceBatch) -> dict[str, PairCounts]:
    """Of each split that has faces, the pairs within it of the six emotions.

    A network sees pairs within a split alone, so that these do not add up to the pairs of all faces.
    """
    counted = {}
    for i, split in enumerate(SPLITS):
        numbers = np.bincount(batch.labels[batch.splits == i], minlength=len(EMOTIONS))
        if numbers.any():
            counted[split] = pair_counts({name: int(numbers[EMOTIONS.index(name)]) for name in SIX})
    return counted
