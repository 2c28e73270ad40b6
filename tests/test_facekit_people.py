"""Posed people and spontaneous-like recordings, drawn from a linear model of faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.data.landmarks.facekit import FaceBasis, read_basis
from mien.data.landmarks.neutral import with_neutrals
from mien.data.landmarks.posing import UNITS, Cast, Variation, posed_faces
from mien.data.landmarks.preprocessing import faults, prepared
from mien.data.landmarks.procedural import procedural
from mien.data.landmarks.spontaneous import SHARES, TASKS, Course, spontaneous_faces
from mien.labels import EMOTIONS, LANDMARK_SPLITS, SIX
from mien.landmark_layout import (
    ACTION_UNITS,
    COUNT,
    LOWER_LIDS,
    UNKNOWN_UNIT,
    UPPER_LIDS,
)
from mien.landmarks import LandmarkBatch

NEUTRAL = EMOTIONS.index("neutral")
STILL = Variation(
    degree_noise=0, strength=0, sides=0, take=0, leaks=0, resting=0, gain=0, turn=0, noise_cm=0, head=(0,) * 3
)  # fmt: skip
"""People who differ in their faces, and in the action units that they use, alone."""


@pytest.fixture(scope="module", params=["facekit", "procedural"])
def basis(request: pytest.FixtureRequest) -> FaceBasis:
    if request.param == "procedural":
        return procedural()
    return facekit(request)


def facekit(request: pytest.FixtureRequest) -> FaceBasis:
    path: Path = request.getfixturevalue("data_folder") / "ict_facekit_light.npz"
    if not path.is_file():
        pytest.skip(f"no FaceKit basis at {path}")
    return read_basis(path)


@pytest.fixture(scope="module")
def own() -> FaceBasis:
    return procedural()


@pytest.fixture(scope="module")
def people(own: FaceBasis) -> LandmarkBatch:
    return posed_faces(own, people=20, unseen=5)


@pytest.fixture(scope="module")
def recordings(own: FaceBasis) -> LandmarkBatch:
    return spontaneous_faces(own, people=6, unseen=2)


# --- posed people ----------------------------------------------------------------------------------------


def test_posed_people_are_bu3dfes(people: LandmarkBatch) -> None:
    assert len(people) == 25 * 25
    assert people.synthetic
    assert people.neutral is None
    for person in people.people:
        own = people.select(people.subjects == person)
        poses = sorted(zip(own.labels.tolist(), own.degrees.tolist(), strict=True))
        expected = [(EMOTIONS.index(name), degree) for name in SIX for degree in (1, 2, 3, 4)]
        assert poses == sorted([*expected, (NEUTRAL, 0)])
        assert len(np.unique(own.splits)) == 1
    assert {"P001_neutral", "P020_happy_3", "U005_surprise_4"} <= set(people.names)
    counts = [len(people.split(name).people) for name in LANDMARK_SPLITS]
    assert counts == [16, 2, 2, 5]
    assert (people.split("unseen").subjects.astype("U1") == "U").all()
    assert (people.units == UNKNOWN_UNIT).all()
    assert not faults(people)
    assert with_neutrals(prepared(people)).neutral is not None


@pytest.mark.parametrize("drawn", [posed_faces, spontaneous_faces])
def test_the_seed_decides_every_byte(own: FaceBasis, drawn: Callable[..., LandmarkBatch]) -> None:
    first, again, other = (drawn(own, people=2, unseen=1, seed=seed) for seed in (3, 3, 4))
    for name in ("points", "units", "splits", "names", "angles"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
    assert not np.isclose(first.points, other.points).all(axis=(1, 2)).any()
    # A person is the same in whatever company.
    more = drawn(own, people=3, unseen=1, seed=3)
    for person in first.people:
        np.testing.assert_array_equal(
            first.points[first.subjects == person], more.points[more.subjects == person]
        )


def expressions(own: FaceBasis, variation: Variation) -> np.ndarray[Any, Any]:
    """What each of two people's 24 expressions adds to their neutral face: (2, 24, 83, 3)."""
    faces = posed_faces(own, people=2, unseen=0, variation=variation).points.reshape(2, 25, COUNT, 3)
    return faces[:, 1:] - faces[:, :1]


@pytest.mark.parametrize(
    "knob", ["strength", "sides", "take", "degree_noise", "leak", "gain", "turn", "noise_cm", "head"]
)
def test_without_variation_everyone_would_move_alike(
    own: FaceBasis, knob: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.data.landmarks import posing

    everyone_uses_all = {
        emotion: {unit: (strength, 1.1) for unit, (strength, _) in units.items()}
        for emotion, units in posing.EMOTION_UNITS.items()
    }
    monkeypatch.setattr(posing, "EMOTION_UNITS", everyone_uses_all)
    first, second = expressions(own, STILL)
    np.testing.assert_allclose(first, second, atol=1e-5)
    turned: dict[str, Any] = {
        "leak": {"leaks": 0.5},
        "head": {"head": (3.0, 3.0, 3.0)},
        "turn": {"turn": 10.0},
    }
    first, second = expressions(own, replace(STILL, **turned.get(knob, {knob: 0.3})))
    assert np.abs(first - second).max() > 1e-2


def test_higher_degrees_move_faces_farther(people: LandmarkBatch) -> None:
    ready = with_neutrals(prepared(people))
    assert ready.neutral is not None
    far = np.linalg.norm(ready.points - ready.neutral, axis=(1, 2))
    means = [far[ready.degrees == degree].mean() for degree in range(5)]
    assert means == sorted(means)
    assert means[0] == 0


def test_like_faces_move_alike(own: FaceBasis) -> None:
    """What the shape decides of an expression's effect is the same for two people of one shape."""
    only_shape = replace(STILL, gain=0.4, turn=12.0, by_shape=1.0)
    cast = Cast(own, only_shape)
    first, twin = (cast.person(np.random.default_rng([1, 2])) for _ in range(2))
    np.testing.assert_array_equal(first.effects, twin.effects)
    other = cast.person(np.random.default_rng([1, 3]))
    assert np.abs(first.effects - other.effects).max() > 0.05


def test_closed_lids_meet(basis: FaceBasis) -> None:
    cast = Cast(basis, STILL)
    weights = np.zeros((1, len(UNITS)))
    weights[0, [UNITS.index(unit) for unit in ("6", "7", "45")]] = 1.5
    face = cast.moved(cast.person(np.random.default_rng(0)), weights)[0]
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        assert (face[upper, 1] >= face[lower[::-1], 1]).all()


@pytest.mark.slow
def test_the_baselines_lie_near_the_thesiss(request: pytest.FixtureRequest) -> None:
    """The figures in `Variation`, on which the whole comparison of models rests."""
    from sklearn.decomposition import PCA
    from sklearn.svm import LinearSVC

    faces = with_neutrals(prepared(posed_faces(facekit(request))))
    assert faces.neutral is not None
    train, unseen = faces.split("training"), faces.split("unseen")

    def accuracy(x: np.ndarray[Any, Any], others: np.ndarray[Any, Any], cost: float) -> tuple[float, float]:
        middle = x.mean(axis=0)
        machine = LinearSVC(C=cost, dual=False, tol=1e-2, random_state=0).fit(x - middle, train.labels)
        return machine.score(x - middle, train.labels), machine.score(others - middle, unseen.labels)

    raw, raw_unseen = (each.points.reshape(len(each), -1).astype(np.float64) for each in (train, unseen))
    few = PCA(30, random_state=0).fit(raw)
    assert accuracy(raw, raw_unseen, 3) == pytest.approx((0.872, 0.705), abs=0.01)
    assert accuracy(few.transform(raw), few.transform(raw_unseen), 30)[1] == pytest.approx(0.686, abs=0.01)
    less, less_unseen = (
        (each.points - each.neutral).reshape(len(each), -1).astype(np.float64)  # type: ignore[operator]
        for each in (train, unseen)
    )
    few = PCA(30, random_state=0).fit(less)
    assert accuracy(few.transform(less), few.transform(less_unseen), 3)[1] == pytest.approx(0.787, abs=0.01)


# --- spontaneous recordings ------------------------------------------------------------------------------


def test_recordings_are_bp4ds(recordings: LandmarkBatch) -> None:
    course = Course()
    assert recordings.synthetic
    assert len(recordings) == 8 * len(TASKS) * course.frames
    counts = [len(recordings.split(name).people) for name in LANDMARK_SPLITS]
    assert counts == [4, 1, 1, 2]
    sequences, frames = np.unique(recordings.sequences, return_counts=True)
    assert len(sequences) == 8 * len(TASKS)
    assert set(frames) == {course.frames}
    assert {"S001_T1", "S006_T8", "U002_T5"} <= set(sequences)
    assert recordings.names[1] == "S001_T1_0002"
    assert recordings.subjects[0] == "S001"
    assert not faults(recordings)
    coded = recordings.coded.reshape(-1, course.frames)
    assert coded[:, slice(*course.coded)].all()
    assert coded.sum() == len(sequences) * (course.coded[1] - course.coded[0])
    assert (recordings.units[~recordings.coded] == UNKNOWN_UNIT).all()


def test_everyone_has_a_neutral_frame_in_every_task(recordings: LandmarkBatch) -> None:
    course = Course()
    calm = recordings.units.reshape(-1, course.frames, len(ACTION_UNITS))[:, course.coded[0] :][
        :, : course.calm
    ]
    assert (calm == 0).all()
    assert with_neutrals(prepared(recordings)).neutral is not None


def test_units_are_as_frequent_as_in_the_thesis(own: FaceBasis) -> None:
    # People of like habits: far fewer of them show the shares.
    units = spontaneous_faces(own, people=0, unseen=12, course=Course(person=0)).units
    shares = units[units[:, 0] != UNKNOWN_UNIT].mean(axis=0)
    np.testing.assert_allclose(shares, SHARES, atol=0.1)
    assert np.corrcoef(shares, SHARES)[0, 1] > 0.9


def test_recorded_angles_turn_faces_back(own: FaceBasis) -> None:
    exact = Course(talk=0, blink=0, pose_error=0)
    faces = spontaneous_faces(own, people=2, unseen=0, variation=Variation(noise_cm=0), course=exact)
    assert np.abs(faces.angles).max() > 10
    person = prepared(faces.select(faces.subjects == "S001"))
    calm = person.points.reshape(len(TASKS), exact.frames, COUNT, 3)[:, exact.coded[0]]
    np.testing.assert_allclose(calm, np.broadcast_to(calm[0], calm.shape), atol=1e-4)
    # Between two frames a face moves little, between two tasks' middles much.
    steps = np.abs(np.diff(faces.points.reshape(-1, exact.frames, COUNT, 3), axis=1)).mean()
    apart = np.abs(np.diff(faces.points.reshape(-1, exact.frames, COUNT, 3)[:, ::20], axis=1)).mean()
    assert steps < apart / 3


def test_blinks_close_eyes(own: FaceBasis) -> None:
    course = Course(talk=0, pose_error=0, blink=0.5)
    faces = prepared(spontaneous_faces(own, people=0, unseen=1, course=course))
    lids = [
        faces.points[:, upper, 1].mean(axis=1) - faces.points[:, lower, 1].mean(axis=1)
        for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True)
    ]
    open_by = np.mean(lids, axis=0)
    assert 0.2 < (open_by < np.quantile(open_by, 0.9) / 2).mean() < 0.6
