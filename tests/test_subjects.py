"""No subject is ever in two splits, whatever the subjects, the faces and the seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.data.subjects import check_subjects, split_by_subject
from mien.errors import DataError
from mien.faces import FaceBatch
from synthetic import face_batch


def of(names: list[str]) -> FaceBatch:
    """A face of each named subject, as small as faces can be."""
    n = len(names)
    return FaceBatch(
        images=np.zeros((n, 1, 1), np.uint8),
        labels=np.zeros(n, np.int64),
        splits=np.zeros(n, np.int8),
        rows=np.arange(n),
        votes=np.zeros((n, 10), np.uint8),
        source="somewhere",
        subjects=np.array(names, np.str_),
    )


def splits_of(batch: FaceBatch) -> dict[str, set[int]]:
    assert batch.subjects is not None
    found: dict[str, set[int]] = {}
    for name, split in zip(batch.subjects.tolist(), batch.splits.tolist(), strict=True):
        found.setdefault(name, set()).add(split)
    return found


# numpy's text arrays drop NUL characters at the end; no file name has any.
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=6)
SOME = st.lists(NAMES, min_size=2, max_size=60).filter(lambda names: len(set(names)) > 1)
SHARES = st.tuples(*[st.integers(0, 10)] * 3).filter(any).map(lambda n: [one / sum(n) for one in n])


@settings(deadline=None)
@given(SOME, st.integers(0, 2**32), SHARES)
def test_no_subject_is_shared(names: list[str], seed: int, shares: list[float]) -> None:
    batch = split_by_subject(of(names), shares, seed)
    found = splits_of(batch)
    assert all(len(splits) == 1 for splits in found.values())
    check_subjects(batch)
    numbers = [sum(splits == {i} for splits in found.values()) for i in range(3)]
    wanted = sum(share > 0 for share in shares)
    assert all(number == 0 for number, share in zip(numbers, shares, strict=True) if not share)
    if len(found) >= wanted:
        assert all(numbers[i] >= 1 for i in range(3) if shares[i])
    # No split is further than two subjects from its share: one of rounding, one given to each empty split.
    assert all(abs(number - share * len(found)) <= 2 for number, share in zip(numbers, shares, strict=True))


@settings(deadline=None)
@given(SOME, st.integers(0, 2**32), st.randoms())
def test_the_order_and_number_of_faces_change_nothing(names: list[str], seed: int, random) -> None:
    shuffled = names + [random.choice(names) for _ in range(10)]
    random.shuffle(shuffled)
    assert splits_of(split_by_subject(of(names), seed=seed)) == splits_of(
        split_by_subject(of(shuffled), seed=seed)
    )


@pytest.mark.parametrize(
    ("subjects", "numbers"),
    [(2, [1, 1, 0]), (3, [1, 1, 1]), (4, [2, 1, 1]), (10, [8, 1, 1]), (43, [35, 4, 4]), (70, [56, 7, 7])],
)
def test_how_many_subjects_each_split_has(subjects: int, numbers: list[int]) -> None:
    found = splits_of(split_by_subject(of([f"s{i}" for i in range(subjects)])))
    assert [sum(splits == {i} for splits in found.values()) for i in range(3)] == numbers


def test_every_subject_comes_to_every_split() -> None:
    batch = of(list("abcdefghij"))
    tests = {name for seed in range(60) for name, at in splits_of(split_by_subject(batch, seed=seed)).items()
             if at == {2}}  # fmt: skip
    assert tests == set("abcdefghij")


def test_everything_else_stays() -> None:
    batch = replace(face_batch(20), subjects=np.array([f"s{i % 5}" for i in range(20)]))
    found = split_by_subject(batch)
    for name in ("images", "labels", "rows", "votes", "subjects"):
        np.testing.assert_array_equal(getattr(found, name), getattr(batch, name))


@pytest.mark.parametrize(
    ("shares", "said"),
    [((0.5, 0.5), "expected 3 numbers"), ((0.9, 0.2, -0.1), "of 0 or more"), ((0.8, 0.1, 0.2), "sum to 1")],
)
def test_shares_that_are_none(shares: tuple[float, ...], said: str) -> None:
    with pytest.raises(DataError, match=said):
        split_by_subject(of(["a", "b"]), shares)


def test_what_cannot_be_split() -> None:
    with pytest.raises(DataError, match=r"somewhere holds faces of one subject \(a\): expected two or more"):
        split_by_subject(of(["a", "a"]))
    with pytest.raises(DataError, match="synthetic names no subjects"):
        split_by_subject(face_batch(7))


def test_a_shared_subject_is_named() -> None:
    batch = replace(of(["b", "a", "a", "c"]), splits=np.array([0, 1, 2, 0], np.int8))
    with pytest.raises(DataError, match="subject 'a' of somewhere has faces in public and private: expected"):
        check_subjects(batch)
    check_subjects(replace(batch, splits=np.array([0, 2, 2, 0], np.int8)))
    check_subjects(face_batch(7))
