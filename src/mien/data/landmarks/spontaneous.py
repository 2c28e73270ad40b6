"""Spontaneous-like recordings drawn from a linear model of faces, in which action units come and go.

A stand-in for BP4D (41 people × 8 tasks), always labelled synthetic. People differ as in `posing`. In each
task expressions rise, stay and fade, several action units at a time, between talking, blinks and slow
movements of the head; a middle part of each recording is coded for the twelve `ACTION_UNITS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.landmarks.facekit import FaceBasis
from mien.data.landmarks.posing import UNITS, Cast, Doubles, Person, Variation, person_splits
from mien.data.landmarks.preprocessing import rotations
from mien.data.landmarks.splits import SPONTANEOUS
from mien.labels import LANDMARK_SPLITS
from mien.landmark_layout import ACTION_UNITS, UNKNOWN_UNIT
from mien.landmarks import UNLABELLED, LandmarkBatch

PROXY_23: dict[str, float] = {"24": 0.5, "28": 0.35}
"""AU23, the lip tightener, has no shape in FaceKit: here it is weakly pressed and weakly rolled-in lips."""

SHARES: tuple[float, ...] = (0.22, 0.17, 0.20, 0.45, 0.52, 0.61, 0.56, 0.46, 0.15, 0.32, 0.14, 0.14)
"""The share of coded frames in which each of `ACTION_UNITS` is present, about Table 5.3's."""

TASKS: dict[str, tuple[str, ...]] = {
    "happy": ("6", "10", "12", "14"),
    "sad": ("1", "4", "15", "17"),
    "surprise": ("1", "2", "12"),
    "embarrassed": ("6", "7", "12", "14", "24"),
    "fear": ("1", "2", "4", "7", "10"),
    "pain": ("4", "6", "7", "10", "17"),
    "angry": ("4", "7", "14", "17", "23", "24"),
    "disgust": ("4", "6", "7", "10", "15", "17"),
}
"""What each of the eight tasks is to elicit (BP4D's order T1 … T8), and the action units likelier in it."""

UNCODED: dict[str, float] = {"5": 0.2, "9": 0.2, "16": 0.2, "20": 0.2}
"""Action units that are not coded, and how often an expression includes them."""


@dataclass(frozen=True, slots=True)
class Course:
    """How recordings run: every constant beyond `Variation`. Times are in frames.

    frames: of a recording. coded: the first frame that is coded and the one after the last. calm: how long
    the face is at rest where coding begins. Expressions begin every `between` frames on average and rise,
    stay and fade for so long (`rise`, `stay`, `fade`: each from a half of that to one and a half times it).
    strength: how strong an action unit is at its height, and how its logarithm varies.
    task: by how much its task changes the logarithm of an action unit's odds, person: how much people differ.
    threshold: the activity from which a unit is coded as present; coder: the error of that judgement, which
    changes slowly.
    talk: how far the lips and the jaw move in talking. blink: the share of frames in a blink.
    head: how far heads turn: pitch, yaw, roll, degrees. pose_error: the error of the angles that are given.

    The values were set so that the baselines alone lie near the thesis's, before any model was trained. Of
    FaceKit, seed 0, F1 and AUC of linear SVMs on raw points, C among 0.01 … 10: validation 0.662 and 0.789,
    8 test people 0.677 and 0.793, 40 unseen ones 0.637 and 0.782 (thesis test: 0.633 and 0.766); less the
    neutral face test 0.697 and 0.836, unseen 0.662 and 0.819.
    """

    frames: int = 60
    coded: tuple[int, int] = (20, 44)
    calm: int = 2
    between: float = 6.0
    rise: float = 3.0
    stay: float = 7.0
    fade: float = 4.0
    strength: tuple[float, float] = (0.25, 0.8)
    task: float = 1.0
    person: float = 0.8
    threshold: float = 0.1
    coder: float = 0.2
    talk: float = 0.4
    blink: float = 0.08
    head: tuple[float, float, float] = (5.0, 8.0, 4.0)
    pose_error: float = 1.0


_CODED = tuple(str(unit) for unit in ACTION_UNITS)
_ACTING = (*_CODED, *UNCODED)
"""The units that expressions are made of; the coded ones first."""


def _smooth(rng: np.random.Generator, frames: int, columns: int, width: float) -> Doubles:
    """Slow noise (frames, columns) of variance 1: white noise under a Gaussian of this width."""
    reach = int(4 * width)
    kernel = np.exp(-((np.arange(-reach, reach + 1) / width) ** 2) / 2)
    white = rng.normal(size=(frames + 2 * reach, columns))
    drawn = [np.convolve(white[:, c], kernel / np.linalg.norm(kernel), "valid") for c in range(columns)]
    return np.stack(drawn, axis=1)


def _pulses(frames: int, starts: Doubles, rise: float, stay: float, fade: float) -> Doubles:
    """An expression's course in units that start so (K,): (frames, K), up from 0 to 1 and down by cosines."""
    t = np.arange(frames)[:, None] - starts
    up, down = np.clip(t / rise, 0, 1), np.clip((t - rise - stay) / fade, 0, 1)
    return np.asarray((1 - np.cos(np.pi * up)) / 2 * (1 + np.cos(np.pi * down)) / 2)


def _activity(rng: np.random.Generator, course: Course, odds: Doubles) -> Doubles:
    """One recording's activity (frames, len(_ACTING)), 0 at rest.

    odds: (len(_ACTING),) the logarithm of the odds that an expression includes each unit.
    """
    active = np.zeros((course.frames, len(_ACTING)))
    calm = np.arange(course.coded[0], course.coded[0] + course.calm)
    start = -rng.uniform(0, course.between)
    while start < course.frames:
        rise, stay, fade = rng.uniform(0.5, 1.5, 3) * (course.rise, course.stay, course.fade)
        included = rng.random(len(odds)) < 1 / (1 + np.exp(-odds))
        lag = rng.uniform(0, 1, len(odds))
        height = course.strength[0] * np.exp(rng.normal(0, course.strength[1], len(odds)))
        shapes = height * included * _pulses(course.frames, start + lag, rise, stay, fade)
        active = np.maximum(active, shapes)
        start += rng.exponential(course.between)
    # Coders begin at a calm moment: every expression has faded by then, and the next rises after it.
    distance = np.abs(np.arange(course.frames)[:, None] - calm).min(axis=1)
    return active * (1 - np.cos(np.pi * np.clip(distance / course.rise, 0, 1)))[:, None] / 2


def _coded(rng: np.random.Generator, course: Course, active: Doubles) -> NDArray[np.int8]:
    """What a coder would write (frames, 12): 1 present, 0 absent, 9 outside the coded part."""
    units = np.full((course.frames, len(ACTION_UNITS)), UNKNOWN_UNIT, np.int8)
    judged = active[:, : len(ACTION_UNITS)]
    error = course.coder * _smooth(rng, course.frames, len(ACTION_UNITS), course.rise)
    # Nobody sees an action in a face that does not move.
    present = (judged + error > course.threshold) & (judged > 0)
    coded = slice(*course.coded)
    units[coded] = present[coded]
    return units


def _weights(rng: np.random.Generator, course: Course, active: Doubles) -> Doubles:
    """The weights (frames, U) of `UNITS`: the activity, talking and blinks."""
    weights = np.zeros((course.frames, len(UNITS)))
    for column, unit in enumerate(_ACTING):
        for name, share in PROXY_23.items() if unit == "23" else ((unit, 1.0),):
            weights[:, UNITS.index(name)] += share * active[:, column]
    talking = np.clip(_smooth(rng, course.frames, 1, 4.0), 0, 1)
    for name, share in (("26", 0.4), ("16", 1.0), ("18", 1.0), ("22", 0.7), ("28", 0.6)):
        quick = np.abs(rng.normal(size=course.frames))
        weights[:, UNITS.index(name)] += share * course.talk * talking[:, 0] * quick
    blinks = rng.random(course.frames) < course.blink
    weights[:, UNITS.index("45")] += blinks * rng.uniform(0.3, 1, course.frames)
    return weights


@dataclass(frozen=True, slots=True, eq=False)
class _Recording:
    points: Doubles
    angles: Doubles
    units: NDArray[np.int8]


def _recording(
    cast: Cast, person: Person, course: Course, odds: Doubles, rng: np.random.Generator
) -> _Recording:
    active = _activity(rng, course, odds)
    units = _coded(rng, course, active)
    faces = cast.moved(person, _weights(rng, course, active))
    faces += rng.normal(0, cast.variation.noise_cm, faces.shape)
    angles = np.array(course.head) * _smooth(rng, course.frames, 3, 6.0)
    points = np.einsum("nij,nvj->nvi", rotations(angles.astype(np.float32)), faces)
    return _Recording(points, angles + rng.normal(0, course.pose_error, angles.shape), units)


def _odds(rng: np.random.Generator, course: Course) -> Doubles:
    """Of one person, the logarithm of the odds of each unit in each task: (8, len(_ACTING))."""
    # Expressions begin at random, so that a unit is absent from all that last into a frame with
    # exp(−included · lasting): this share includes it.
    lasting = (course.rise / 2 + course.stay + course.fade / 2) / course.between
    coded = 1 - (course.calm + course.rise) / (course.coded[1] - course.coded[0])
    seen = np.clip(np.array(SHARES) / coded, 0, 0.95)
    usual = np.concatenate([-np.log(1 - seen) / lasting, list(UNCODED.values())])
    usual = np.clip(usual, 0.02, 0.98)
    likelier = np.array([[unit in likely for unit in _ACTING] for likely in TASKS.values()], np.float64)
    by_task = course.task * (likelier - likelier.mean(axis=0))
    # What varies in its odds is nearer to even on average; a wider middle makes up for it (MacKay 1992).
    middle = np.sqrt(1 + np.pi / 8 * (course.person**2 + by_task.var(axis=0))) * np.log(usual / (1 - usual))
    return np.asarray(middle + by_task + rng.normal(0, course.person, len(_ACTING)))


def spontaneous_faces(
    basis: FaceBasis,
    *,
    people: int = 41,
    unseen: int = 40,
    seed: int = 0,
    variation: Variation | None = None,
    course: Course | None = None,
) -> LandmarkBatch:
    """Recordings of people in eight tasks, centimetres, heads turned by `angles`: not prepared.

    people: S001 … are split 25/8/8 of 41 into training, public and private, drawn from the seed. unseen:
    people U001 … beyond them. A recording is called S001_T3, its frames S001_T3_0001 …; emotions are
    unlabelled, as BP4D's, and which face is neutral is not marked. Outside the coded part units are 9.
    Raises: DataError when the basis lacks a shape of `posing.UNIT_SHAPES`.
    """
    chosen = course or Course()
    cast = Cast(basis, variation or Variation())
    splits = person_splits(people, SPONTANEOUS, seed)
    everyone = [("S", number, splits[number]) for number in range(people)]
    everyone += [("U", number, LANDMARK_SPLITS.index("unseen")) for number in range(unseen)]
    recordings = []
    for kind, number, _ in everyone:
        rng = np.random.default_rng([seed, "SU".index(kind), number, 1])
        person = cast.person(rng)
        recordings += [_recording(cast, person, chosen, odds, rng) for odds in _odds(rng, chosen)]
    subjects = np.repeat([f"{kind}{number + 1:03d}" for kind, number, _ in everyone], len(TASKS))
    tasks = [f"{name}_T{task % len(TASKS) + 1}" for task, name in enumerate(subjects)]
    n = len(tasks) * chosen.frames
    return LandmarkBatch(
        points=np.concatenate([each.points for each in recordings]).astype(np.float32),
        names=np.array([f"{task}_{frame + 1:04d}" for task in tasks for frame in range(chosen.frames)]),
        subjects=np.repeat(subjects, chosen.frames),
        labels=np.full(n, UNLABELLED, np.int64),
        degrees=np.zeros(n, np.int8),
        units=np.concatenate([each.units for each in recordings]),
        splits=np.repeat(np.array([split for *_, split in everyone], np.int8), n // len(everyone)),
        sequences=np.repeat(np.array(tasks), chosen.frames),
        angles=np.concatenate([each.angles for each in recordings]).astype(np.float32),
        source=f"spontaneous-like faces of {basis.model}, seed {seed}",
        synthetic=True,
    )
