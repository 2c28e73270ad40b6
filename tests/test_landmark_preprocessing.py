"""Preparation, neutral faces, selection and splits of landmarks against naive float64 reckonings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmark_trees import a_face, posed, spontaneous
from mien.data.formats import BadRows
from mien.data.landmarks import prepared, split_by_person, with_neutrals
from mien.data.landmarks.neutral import medoid, neutral_candidates
from mien.data.landmarks.preprocessing import eye_centres, faults, rotations, without_faults
from mien.data.landmarks.selection import blinks, lid_distances, select_images
from mien.data.landmarks.splits import SPONTANEOUS, check_people
from mien.errors import DataError
from mien.landmark_layout import LOWER_LIDS, UPPER_LIDS
from mien.landmarks import LandmarkBatch


def turn(pitch: float, yaw: float, roll: float) -> np.ndarray:
    """Rz(roll) Ry(yaw) Rx(pitch), written out."""
    (a, b, c), (d, e, f) = ([g(np.radians(x)) for x in (pitch, yaw, roll)] for g in (np.cos, np.sin))
    rx = np.array([[1, 0, 0], [0, a, -d], [0, d, a]])
    ry = np.array([[b, 0, e], [0, 1, 0], [-e, 0, b]])
    rz = np.array([[c, -f, 0], [f, c, 0], [0, 0, 1]])
    return rz @ ry @ rx


def by_hand(batch: LandmarkBatch) -> np.ndarray:
    """The thesis's preparation, face by face."""
    done = []
    for points, angles, sequence in zip(batch.points, batch.angles, batch.sequences, strict=True):
        straight = points.astype(np.float64)
        if sequence:
            back = np.linalg.inv(turn(*angles.astype(np.float64)))
            straight = np.array([back @ point for point in straight])
        right, left = (sum(straight[i] for i in lid) / len(lid) for lid in LOWER_LIDS)
        apart = np.sqrt(((right - left) ** 2).sum())
        done.append([(point - (right + left) / 2) / apart for point in straight])
    return np.array(done)


@pytest.mark.parametrize("batch", [posed(2), spontaneous(2)], ids=["posed", "spontaneous"])
def test_prepared_as_reckoned_by_hand(batch: LandmarkBatch) -> None:
    done = prepared(batch)
    assert done.points.dtype == np.float32
    np.testing.assert_allclose(done.points, by_hand(batch), atol=2e-6)
    eyes = eye_centres(done.points)
    np.testing.assert_allclose(eyes.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(eyes[:, 1] - eyes[:, 0], axis=1), 1, atol=1e-6)


def test_only_frames_are_turned_back() -> None:
    batch = posed(2)
    tilted = replace(batch, angles=np.full((len(batch), 3), 10, np.float32))
    assert np.array_equal(prepared(tilted).points, prepared(batch).points)
    assert np.array_equal(prepared(tilted).angles, tilted.angles)
    frames = spontaneous(1, 1)
    assert not prepared(frames).angles.any()
    assert not np.allclose(
        prepared(frames).points, prepared(replace(frames, angles=0 * frames.angles)).points, atol=1e-3
    )


def test_rotations_as_scipy_has_them() -> None:
    rotation = pytest.importorskip("scipy.spatial.transform").Rotation
    angles = np.random.default_rng(0).uniform(-180, 180, (50, 3)).astype(np.float32)
    expected = rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    np.testing.assert_allclose(rotations(angles), expected, atol=1e-12)


def test_which_way_heads_turn() -> None:
    """Pitch nods down, yaw turns to the person's left (+x), roll lifts the left side."""
    nose, left = np.array([0, 0, 1]), np.array([1, 0, 0])
    pitch, yaw, roll = rotations(np.diag([30, 30, 30]).astype(np.float32))
    assert (pitch @ nose)[1] < 0
    assert (yaw @ nose)[0] > 0
    assert (roll @ left)[1] > 0


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.floats(-500, 500, width=32), min_size=3, max_size=3),
    st.floats(0.0625, 128, width=32),
    st.lists(st.floats(-60, 60, width=32), min_size=3, max_size=3),
)
def test_shift_scale_and_pose_change_nothing(shift: list[float], scale: float, angles: list[float]) -> None:
    straight = np.stack([a_face() + np.random.default_rng(i).normal(0, 1, (83, 3)) for i in range(3)])
    batch = spontaneous(1, 1, 3)
    still = replace(batch, points=straight.astype(np.float32), angles=np.zeros((3, 3), np.float32))
    moved = (straight @ turn(*angles).T) * scale + shift
    same = replace(
        batch, points=moved.astype(np.float32), angles=np.tile(np.array(angles, np.float32), (3, 1))
    )
    tolerance = 1e-5 * (1 + np.abs(shift).max() / (70 * scale))
    np.testing.assert_allclose(prepared(same).points, prepared(still).points, atol=tolerance)


@pytest.mark.parametrize("batch", [posed(2), spontaneous(2)], ids=["posed", "spontaneous"])
def test_preparing_twice_changes_not_a_bit(batch: LandmarkBatch) -> None:
    once = with_neutrals(prepared(batch))
    twice = prepared(once)
    assert np.array_equal(once.points, twice.points)
    assert once.neutral is not None
    assert twice.neutral is not None
    assert np.array_equal(once.neutral, twice.neutral)


def test_a_blink_moves_no_eye() -> None:
    batch = posed(2)
    closed = batch.points.copy()
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        closed[:, upper] = closed[:, lower[::-1]]
    blinked = prepared(replace(batch, points=closed))
    others = [i for i in range(83) if not any(i in lid for lid in UPPER_LIDS)]
    assert np.array_equal(blinked.points[:, others], prepared(batch).points[:, others])


def spoilt(how: str) -> LandmarkBatch:
    batch = posed(2)
    points = batch.points.copy()
    if how == "finite":
        points[7, 3, 1] = np.nan
    elif how == "coincide":
        points[7, list(LOWER_LIDS[0])] = points[7, list(LOWER_LIDS[1])]
    else:
        points[7, :, 1] *= -1
    return replace(batch, points=points)


@pytest.mark.parametrize(
    ("how", "said"), [("finite", "neutral face is not finite"), ("coincide", "eyes of its neutral face")]
)
def test_a_bad_neutral_face_is_named(how: str, said: str) -> None:
    batch = with_neutrals(prepared(posed(2)))
    with pytest.raises(DataError, match=said) as caught:
        prepared(replace(batch, neutral=spoilt(how).points))
    assert "face F0001_DI04WH_F3D of F0001" in str(caught.value)


@pytest.mark.parametrize(
    ("how", "said"), [("finite", "not finite"), ("coincide", "eyes coincide"), ("lid", "lid lies above")]
)
def test_a_bad_face_is_named(how: str, said: str) -> None:
    batch = spoilt(how)
    with pytest.raises(DataError) as caught:
        prepared(batch)
    assert "face F0001_DI04WH_F3D of F0001" in str(caught.value)
    assert said in str(caught.value)
    assert list(faults(batch)) == [7]
    bad = BadRows(skip=True)
    assert len(without_faults(batch, bad)) == len(batch) - 1
    assert len(bad.lines) == 1
    with pytest.raises(DataError, match="--skip-bad"):
        without_faults(batch, BadRows())


def naive_medoid(rows: np.ndarray) -> int:
    rows = rows.astype(np.float64)
    sums = [sum(float(np.sqrt(((row - other) ** 2).sum())) for other in rows) for row in rows]
    return int(np.argmin(sums))


@pytest.mark.parametrize("number", [1, 2, 3, 17, 300])
def test_medoid_as_by_a_loop(number: int) -> None:
    rows = np.random.default_rng(number).normal(size=(number, 249)).astype(np.float32)
    assert medoid(rows) == (0 if number == 2 else naive_medoid(rows))


def test_of_equal_faces_the_first_is_the_medoid() -> None:
    rows = np.random.default_rng(1).normal(size=(1, 249)).repeat(600, axis=0)
    assert medoid(rows) == 0
    assert medoid(np.concatenate([rows[:1] + 5, rows])) == 1


def test_neutral_of_posed_people() -> None:
    batch = with_neutrals(prepared(posed(3)))
    assert batch.neutral is not None
    for i in range(len(batch)):
        (own,) = np.flatnonzero((batch.subjects == batch.subjects[i]) & (batch.labels == 6))
        assert np.array_equal(batch.neutral[i], batch.points[own])


def test_neutral_of_spontaneous_people() -> None:
    batch = prepared(spontaneous(3, 3))
    done = with_neutrals(batch)
    assert done.neutral is not None
    for person in batch.people:
        own = np.flatnonzero(batch.subjects == person)
        absent = [i for i in own if all(unit == 0 for unit in batch.units[i])]
        best = absent[naive_medoid(batch.points[absent].reshape(len(absent), -1))]
        assert all(np.array_equal(done.neutral[i], batch.points[best]) for i in own)
    assert neutral_candidates(batch).sum() == 3 * 3 * 2


def test_a_person_without_neutral_is_named_or_left_out() -> None:
    batch = posed(3)
    lacking = batch.select(~((batch.subjects == "M0001") & (batch.labels == 6)))
    with pytest.raises(DataError, match=r"M0001: no neutral face among 24: expected a face labelled neutral"):
        with_neutrals(lacking)
    bad = BadRows(skip=True)
    assert with_neutrals(lacking, bad).people == ["F0001", "F0002"]
    assert len(bad.lines) == 1
    frames = spontaneous(2)
    always = frames.select((frames.subjects != "F001") | (frames.units == 1).any(axis=1))
    with pytest.raises(DataError, match=r"F001: no neutral face among .* every action unit coded and absent"):
        with_neutrals(always)


def test_single_pictures_have_no_neutral_face() -> None:
    batch = posed(2)
    strangers = replace(batch, subjects=batch.names)
    assert with_neutrals(strangers).neutral is None


def test_blinks_are_below_half_of_ones_own_median() -> None:
    batch = prepared(spontaneous(2, 2, 20))
    points = batch.points.copy()
    closed = np.array([3, 4, 50])
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        below = points[np.ix_(closed, lower[::-1])]
        points[np.ix_(closed, upper)] = below + 0.3 * (points[np.ix_(closed, upper)] - below)
    batch = replace(batch, points=points)
    assert np.flatnonzero(blinks(batch)).tolist() == closed.tolist()
    first = [
        np.linalg.norm(points[0, u].astype(np.float64) - points[0, low])
        for u, low in ((1, 7), (2, 6), (3, 5), (9, 15), (10, 14), (11, 13))
    ]
    assert lid_distances(batch)[0] == pytest.approx(np.mean(first))
    # A person with narrow eyes is not one who blinks.
    narrow = points.copy()
    own = batch.subjects == "F001"
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        below = narrow[np.ix_(own, lower[::-1])]
        narrow[np.ix_(own, upper)] = below + 0.45 * (narrow[np.ix_(own, upper)] - below)
    assert np.flatnonzero(blinks(replace(batch, points=narrow))).tolist() == closed.tolist()


def test_one_image_for_each_vector_of_units() -> None:
    batch = prepared(spontaneous(2, 2, 40))
    units = batch.units.copy()
    units[:, 3:] = np.where(units[:, 3:] == 9, 9, 0)
    batch = replace(batch, units=units)
    chosen = select_images(batch)
    assert (np.diff(chosen) > 0).all()
    told = [(batch.subjects[i], tuple(batch.units[i])) for i in chosen]
    open_eyed = np.flatnonzero(batch.coded & ~blinks(batch))
    assert len(set(told)) == len(told)
    assert set(told) == {(batch.subjects[i], tuple(batch.units[i])) for i in open_eyed}
    for i, (person, vector) in zip(chosen, told, strict=True):
        alike = [j for j in open_eyed if batch.subjects[j] == person and tuple(batch.units[j]) == vector]
        best = 0 if len(alike) == 2 else naive_medoid(batch.points[alike].reshape(len(alike), -1))
        assert i == alike[best]


def test_nothing_to_select_where_nothing_is_coded() -> None:
    assert select_images(posed(2)).tolist() == []


def people(number: int, recordings: bool) -> LandmarkBatch:
    batch = (spontaneous(1, 1, number) if recordings else posed(4)).select(np.arange(number))
    names = np.array([f"P{i:03d}" for i in range(number)])
    return replace(batch, names=names, subjects=names)


@pytest.mark.parametrize(
    ("number", "recordings", "numbers"), [(100, False, [80, 10, 10]), (41, True, [25, 8, 8])]
)
def test_people_are_split_as_in_the_thesis(number: int, recordings: bool, numbers: list[int]) -> None:
    batch = split_by_person(people(number, recordings))
    assert np.bincount(batch.splits).tolist() == numbers
    other = split_by_person(people(number, recordings), seed=1)
    assert not np.array_equal(other.splits, batch.splits)
    check_people(batch)
    assert sum(SPONTANEOUS) == pytest.approx(1)


def test_a_person_across_splits_is_named() -> None:
    batch = posed(2)
    splits = batch.splits.copy()
    splits[30] = 3
    with pytest.raises(DataError, match=r"'M0001' of random has faces in training and unseen"):
        check_people(replace(batch, splits=splits))
