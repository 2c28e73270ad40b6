"""Which three faces people are asked about: each image in three triplets of one person and three of several.

Thesis, 5.2.2: where the reference and one answer alone are of one person, people choose by appearance and not
by expression, so the three faces are either all of one person or all of different persons. Within each split
they are chosen greedily, from the start again where that runs into a wall. A wall is here only that the same
three faces come a second time: at every step those are taken without which the rest could not be dealt out
any more, the others in proportion to how often they are still to come.

Three times are not possible for everyone: a person of fewer than three images has no triplet alone, and one
with more than a third of a split's images is too often there for triplets of different persons. These come
less often, and a line says so; the thesis has 11,191 of 11,204 triplets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.labels import LANDMARK_SPLITS
from mien.landmarks import LandmarkBatch, Text

TIMES = 3
"""How many triplets of each kind an image is in."""

KINDS: tuple[str, ...] = ("one person", "different persons")
"""Whose the three faces are; a triplet of any other kind is never asked about."""

_RESTARTS = 30
_REDRAWS = 20
_Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Questions to ask: is the first face more like the second or the third?

    rows: (T, 3) int64, where the batch holds the reference and the two faces to choose from.
    one_person: (T,) bool, the three are of one person; else of three.
    notes: a line for each split and kind in which some images come less often than thrice.
    """

    rows: _Rows
    one_person: NDArray[np.bool_]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def names(self, batch: LandmarkBatch) -> Text:
        """(T, 3) names of the faces, as `triplets.write_questions` takes them."""
        return batch.names[self.rows]


def select_triplets(batch: LandmarkBatch, positions: NDArray[np.int64], seed: int = 0) -> Selection:
    """Triplets of a batch's images at some positions (P,), within each split.

    Which of the three is the reference is drawn. No two questions are alike, and no three faces come twice
    where there are other ways.
    Raises: DataError when no three images of a split can be asked about.
    """
    found: list[tuple[_Rows, bool]] = []
    notes: list[str] = []
    for split in np.unique(batch.splits[positions]).tolist():
        rng = np.random.default_rng((seed, split))
        here = np.unique(positions[batch.splits[positions] == split])
        subjects = np.unique(batch.subjects[here], return_inverse=True)[1]
        alone = [here[subjects == person] for person in range(subjects.max() + 1)]
        within = [images[_dealt(np.arange(len(images)), rng)] for images in alone]
        across = here[_dealt(subjects, rng)]
        for kind, rows in zip(KINDS, (np.concatenate(within), across), strict=True):
            found.append((rows, kind == KINDS[0]))
            times = np.bincount(np.searchsorted(here, rows.ravel()), minlength=len(here))
            if fewer := int((times < TIMES).sum()):
                notes.append(
                    f"{LANDMARK_SPLITS[split]}: {fewer:,} of {len(here):,} images are in fewer than {TIMES} "
                    f"triplets of {kind}: {_REASONS[kind]}"
                )
    rows = np.concatenate([np.zeros((0, 3), np.int64), *(part for part, _ in found)])
    if not len(rows):
        raise DataError(
            f"no triplets among {len(positions)} images of {batch.source or 'the data'}: expected three or "
            "more of one person, or of three people, in a split"
        )
    one_person = np.repeat([one for _, one in found], [len(part) for part, _ in found])
    return Selection(rows, one_person, tuple(notes))


_REASONS = {
    "one person": f"people with fewer than {TIMES} images have none",
    "different persons": "one person has more than a third of the images, or there are fewer than three",
}


def _dealt(group_of: _Rows, rng: np.random.Generator) -> _Rows:
    """Triplets of members of three different groups each: (T, 3). Every member is in `TIMES` where it can be.

    group_of: (n,) the group of each member, counted from 0 without gaps.
    """
    times, triplets = _shared_out(group_of, rng)
    if not triplets:
        return np.zeros((0, 3), np.int64)
    # Three members alone are one set, which has to come three times.
    starts = _RESTARTS if len(group_of) > 3 else 0
    sets = next(
        (sets for _ in range(starts) if (sets := _greedy(group_of, times, triplets, rng, False))), None
    ) or _greedy(group_of, times, triplets, rng, True)
    drawn: dict[tuple[int, ...], _Rows] = {}
    rows = []
    for members in sets:
        key = tuple(sorted(members))
        # The same three again, where it has to be: another of them is the reference.
        drawn[key] = np.roll(drawn[key], 1) if key in drawn else rng.permutation(members)
        rows.append(drawn[key])
    return np.array(rows, np.int64)


def _shared_out(group_of: _Rows, rng: np.random.Generator) -> tuple[_Rows, int]:
    """How often each member comes, (n,) of at most `TIMES`, in how many triplets: as many as there can be.

    T triplets need that no group comes more than T times, 3·T in all.
    """
    sizes = np.bincount(group_of) * TIMES
    triplets = next(t for t in range(sizes.sum() // 3, -1, -1) if np.minimum(sizes, t).sum() >= 3 * t)
    share = np.minimum(sizes, triplets)
    for _ in range(share.sum() - 3 * triplets):
        share[rng.choice(np.flatnonzero(share == share.max()))] -= 1
    times = np.zeros(len(group_of), np.int64)
    for group, number in enumerate(share.tolist()):
        members = rng.permutation(np.flatnonzero(group_of == group))
        times[members] = number // len(members)
        times[members[: number % len(members)]] += 1
    return times, triplets


def _greedy(
    group_of: _Rows, times: _Rows, triplets: int, rng: np.random.Generator, repeat: bool
) -> list[tuple[int, ...]]:
    """Sets of three, one after the other; empty where one comes twice and that is not allowed."""
    left = np.bincount(group_of, weights=times)
    queues = [_queue(np.flatnonzero(group_of == group), times, rng) for group in range(len(left))]
    found: dict[tuple[int, ...], None] = {}
    sets = []
    for still in range(triplets, 0, -1):
        for _ in range(_REDRAWS):
            keys = rng.exponential(size=len(left)) / np.maximum(left, 0.5)
            keys[left == 0] = np.inf
            # A group that comes as often as there are triplets left is in all of them.
            keys[left == still] = 0
            groups = np.argsort(keys)[:3]
            members = tuple(sorted(int(queues[group][-1]) for group in groups))
            if members not in found:
                break
        else:
            if not repeat:
                return []
        found[members] = None
        sets.append(members)
        left[groups] -= 1
        for group in groups:
            queues[group].pop()
    return sets


def _queue(members: _Rows, times: _Rows, rng: np.random.Generator) -> list[int]:
    """A group's members in the order in which they come, from the end: all once before any comes again."""
    rounds = [rng.permutation(members[times[members] > number]) for number in range(TIMES)]
    return [int(member) for each in rounds for member in each]
