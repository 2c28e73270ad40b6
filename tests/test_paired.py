"""Two networks on the same faces: against all resamples of a small set, and all signs."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import DataError
from mien.evaluation.paired import packed, paired_difference, unpacked

answers = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_bits_come_back(right: list[bool]) -> None:
    stored = packed(right)
    assert unpacked(stored).tolist() == right
    assert len(stored["right"]) == 2 * ((len(right) + 7) // 8)


def test_bits_that_are_too_few_are_refused() -> None:
    with pytest.raises(DataError, match="restore the entry"):
        unpacked({"n": 17, "right": "ff"})
    with pytest.raises(DataError, match="restore the entry"):
        unpacked({"n": 8, "right": "no"})


@settings(deadline=None)
@given(answers)
def test_difference_and_counts(pairs: list[tuple[bool, bool]]) -> None:
    first, second = (np.array(each) for each in zip(*pairs, strict=True))
    found = paired_difference(first, second)
    assert found.difference == pytest.approx(second.mean() - first.mean())
    assert (found.gained, found.lost) == ((second & ~first).sum(), (first & ~second).sum())
    turned = paired_difference(second, first)
    assert (turned.difference, turned.p) == (pytest.approx(-found.difference), found.p)
    assert found.ci95[0] <= found.difference <= found.ci95[1]


def test_p_is_the_share_of_signs_as_uneven() -> None:
    """Of all 2^9 ways in which nine differing faces could have fallen, those at least as uneven as 8 to 1."""
    first = np.array([False] * 8 + [True] + [True] * 5)
    second = np.array([True] * 8 + [False] + [True] * 5)
    uneven = [abs(sum(signs)) >= 7 for signs in product((-1, 1), repeat=9)]
    assert paired_difference(first, second).p == pytest.approx(np.mean(uneven))


def test_interval_is_that_of_all_resamples() -> None:
    """Of four faces there are 4^4 resamples; the drawn interval has the ends of all of them."""
    first, second = np.array([0, 0, 1, 1], bool), np.array([1, 1, 1, 0], bool)
    apart = second.astype(float) - first
    means = [np.mean(apart[list(drawn)]) for drawn in product(range(4), repeat=4)]
    low, high = np.quantile(means, (0.025, 0.975))
    assert paired_difference(first, second).ci95 == (pytest.approx(low), pytest.approx(high))


def test_seeds_count_with_their_mean() -> None:
    first = np.array([[1, 0, 0], [1, 1, 0]], bool)
    second = np.array([[1, 1, 1]], bool)
    found = paired_difference(first, second)
    assert found.difference == pytest.approx(0.5)
    assert (found.gained, found.lost, found.p) == (1.5, 0.0, None)


def test_other_faces_are_refused() -> None:
    with pytest.raises(DataError, match="the same faces"):
        paired_difference([True], [True, False])
    with pytest.raises(DataError, match="at least one"):
        paired_difference([], [])
