"""Who each face shows travels with the faces, and no part of a batch loses it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mien.errors import DataError
from mien.faces import FaceBatch
from synthetic import face_batch

NAMES = np.array([f"{i % 5:02}F" for i in range(14)])


def named(n: int = 14) -> FaceBatch:
    return replace(face_batch(n), subjects=NAMES[:n])


def test_a_source_that_names_none() -> None:
    batch = face_batch(7)
    assert batch.subjects is None
    assert batch.select(np.array([1, 2])).subjects is None


def test_selecting_keeps_the_subjects() -> None:
    batch = named()
    where = np.array([3, 0, 12])
    assert batch.select(where).subjects.tolist() == ["03F", "00F", "02F"]
    assert batch.select(batch.labels == 1).subjects.tolist() == NAMES[batch.labels == 1].tolist()
    assert batch.split("public").subjects.tolist() == NAMES[batch.splits == 1].tolist()


def test_joining_keeps_the_subjects_that_all_parts_name() -> None:
    longer = replace(named(2), subjects=np.array(["a long name", "b"]))
    joined = FaceBatch.concatenate([named(3), longer], "both")
    assert joined.subjects.tolist() == ["00F", "01F", "02F", "a long name", "b"]
    assert FaceBatch.concatenate([named(3), face_batch(2)], "both").subjects is None


@pytest.mark.parametrize("wrong", [NAMES[:3], np.arange(14), NAMES.astype(object), NAMES[:, None]])
def test_subjects_are_one_text_a_face(wrong: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"subjects is .*: expected text \(14,\)"):
        replace(face_batch(14), subjects=wrong)


def test_what_was_left_out_is_joined() -> None:
    parts = [replace(named(2), left_out=(line,)) for line in ("3 of another view", "1 calm face")]
    assert FaceBatch.concatenate(parts, "both").left_out == ("3 of another view", "1 calm face")
