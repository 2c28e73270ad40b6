"""Posed people drawn from a linear model of faces: a neutral face, and six emotions in four degrees.

A stand-in for BU-3DFE (100 people × 25 faces), always labelled synthetic. An emotion is a mixture of action
units (EMFACS, after Ekman & Friesen), each a sum of the model's expression shapes by its authors' map. The
model adds expressions to people, so that x − neutral would give an expression away at once. Real people are
not additive, and so here mixture, strength, sidedness and effect of an expression vary with the person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.landmarks.facekit import FaceBasis
from mien.data.landmarks.preprocessing import rotations
from mien.data.landmarks.splits import POSED
from mien.labels import EMOTIONS, LANDMARK_SPLITS, SIX
from mien.landmark_layout import ACTION_UNITS, COUNT, LOWER_LIDS, REGIONS, UNKNOWN_UNIT, UPPER_LIDS
from mien.landmarks import LandmarkBatch

Doubles = NDArray[np.float64]

UNIT_SHAPES: dict[str, tuple[str, ...]] = {
    "1": ("browInnerUp",),
    "2": ("browOuterUp",),
    "4": ("browDown",),
    "5": ("eyeWide",),
    "6": ("cheekSquint",),
    "7": ("eyeSquint",),
    "9": ("noseSneer",),
    "10": ("mouthShrugUpper",),
    "11": ("mouthUpperUp",),
    "12": ("mouthSmile",),
    "14": ("mouthDimple",),
    "15": ("mouthFrown",),
    "16": ("mouthLowerDown",),
    "17": ("mouthShrugLower",),
    "18": ("mouthPucker",),
    "20": ("mouthStretch",),
    "22": ("mouthFunnel",),
    "24": ("mouthPress",),
    "26": ("jawOpen",),
    "28": ("mouthRollLower", "mouthRollUpper"),
    "45": ("eyeBlink",),
}
"""Each action unit's expression shapes, by FaceKit's authors; a shape with sides is taken on both."""

UNITS: tuple[str, ...] = tuple(UNIT_SHAPES)

EMOTION_UNITS: dict[str, dict[str, tuple[float, float]]] = {
    "angry": {"4": (1.0, 0.95), "5": (0.5, 0.5), "7": (0.8, 0.7), "24": (0.8, 0.7), "17": (0.4, 0.4)},
    "disgust": {"9": (0.7, 0.9), "10": (0.6, 0.6), "15": (0.4, 0.4), "16": (0.5, 0.4), "4": (0.4, 0.4)},
    "fear": {
        "1": (0.8, 0.8), "2": (0.6, 0.6), "4": (0.6, 0.6), "5": (0.9, 0.8), "7": (0.4, 0.4),
        "20": (0.8, 0.7), "26": (0.25, 0.6),
    },
    "happy": {"6": (0.8, 0.8), "12": (0.9, 0.98), "26": (0.15, 0.5)},
    "sad": {"1": (0.9, 0.8), "4": (0.7, 0.7), "15": (0.9, 0.85), "17": (0.5, 0.5)},
    "surprise": {"1": (0.9, 0.9), "2": (0.9, 0.9), "5": (0.9, 0.8), "26": (0.4, 0.9)},
}  # fmt: skip
"""Each emotion's action units: how strong at the fullest (0…1), and what share of people use it."""


@dataclass(frozen=True, slots=True)
class Variation:
    """How people and their faces differ: every constant by which posed and spontaneous faces are drawn.

    identity: standard deviation of the identity coefficients, of which 1 is the model's own.
    degrees: how strongly degrees 1…4 ask for an emotion's action units; degree_noise: the logarithm of that
    varies by so much between a person's faces.
    strength: how much people differ in each action unit: the standard deviation of its logarithm.
    sides: the same between right and left. take: the same between the faces of one person.
    fullest: what the activity of an action unit tends to, however strongly it is asked for.
    leaks: the share of people who mix a foreign action unit into an emotion, for each unit and emotion;
    leak: how strongly at most.
    resting: traces of action units in a person's rest, the standard deviation of a half-normal.
    gain: how much the size of an expression's effect differs between people, for each area of the face: the
    standard deviation of its logarithm. turn: how far its direction differs, in degrees, about each axis.
    by_shape: the share of `gain` and `turn` that the shape of the face decides; the rest is the person's own.
    noise_cm: the error of a landmark, on each axis. head: by how much heads turn: pitch, yaw, roll, degrees.

    The values were set so that the baselines alone lie near the thesis's, before any model was trained:
    linear SVMs of 7 classes on prepared, centred landmarks, C among 0.1 … 30 chosen on validation. FaceKit,
    seed 0, training, validation, the 10 test people and 200 unseen ones, in brackets the thesis's (6.3): raw
    0.872, 0.684, 0.720, 0.705 (0.874, 0.684, 0.720); PCA-50 0.784, 0.660, 0.716, 0.705 (test 0.724); PCA-30
    0.767, 0.640, 0.696, 0.686 (test 0.676); triplets by rules that raw distances satisfy 0.604, 0.551, 0.609,
    0.587 (0.614, 0.564, 0.593). Less the neutral face: raw 0.890, 0.780, 0.796, 0.788; PCA-30 0.831, 0.764,
    0.788, 0.787. `tests/test_facekit_people.py` measures those of the unseen again.
    """

    identity: float = 0.85
    degrees: tuple[float, float, float, float] = (0.3, 0.55, 1.0, 1.7)
    degree_noise: float = 0.15
    strength: float = 0.6
    sides: float = 0.2
    take: float = 0.25
    fullest: float = 1.3
    leaks: float = 0.25
    leak: float = 0.5
    resting: float = 0.1
    gain: float = 0.4
    turn: float = 12.0
    by_shape: float = 0.7
    noise_cm: float = 0.07
    head: tuple[float, float, float] = (2.5, 2.5, 2.0)


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """What stays with a person whatever the expression.

    rest: (83, 3) their neutral landmarks, centimetres. effects: (U, 2, 83, 3) what each of `UNITS` at its
    fullest does to them, on the right and the left side. strengths: (U, 2) how readily they do it.
    """

    rest: Doubles
    effects: Doubles
    strengths: Doubles


class Cast:
    """People drawn from a basis, and how their faces move."""

    def __init__(self, basis: FaceBasis, variation: Variation) -> None:
        """Raises: DataError when the basis lacks a shape of `UNIT_SHAPES`."""
        self.basis = basis.at_landmarks
        self.variation = variation
        self.units = _unit_effects(self.basis)
        self.areas, self.sides = _areas(self.basis.mean.astype(np.float64))
        modes = min(_SHAPE_MODES, len(self.basis.identity))
        # Drawn once for all: people of like shape move alike, whatever the seed of the people.
        by_shape = np.random.default_rng(0).normal(size=(modes, self.areas.shape[1], 4))
        self.by_shape = by_shape / np.linalg.norm(by_shape, axis=0)

    def person(self, rng: np.random.Generator) -> Person:
        """The next person that a generator draws."""
        v = self.variation
        identity = rng.normal(0, v.identity, len(self.basis.identity))
        rest = self.basis.faces(identity[None], np.zeros((1, len(self.basis.names))))[0].astype(np.float64)
        own = rng.normal(size=(self.areas.shape[1], 4))
        shape = np.einsum("m,mak->ak", identity[: len(self.by_shape)] / v.identity, self.by_shape)
        bent = self.areas @ (np.sqrt(v.by_shape) * shape + np.sqrt(1 - v.by_shape) * own)
        strengths = np.exp(rng.normal(0, v.strength, len(UNITS)))[:, None]
        sides = np.exp(rng.normal(0, v.sides, (len(UNITS), 1)) * (-1, 1))
        # Over the middle of the face the turn to a side fades, so that left and right stay one surface.
        angles = v.turn * bent[:, 1:] * np.stack([np.ones(COUNT), self.sides, self.sides], axis=1)
        turned = np.einsum("vij,usvj->usvi", rotations(angles.astype(np.float32)), self.units)
        effects = np.exp(v.gain * bent[:, :1]) * turned
        resting = np.abs(rng.normal(0, v.resting, len(UNITS))) * _MAY_REST
        return Person(rest + np.einsum("u,usvc->vc", resting, effects), effects, strengths * sides)

    def moved(self, person: Person, weights: Doubles) -> Doubles:
        """The landmarks (N, 83, 3) of a person at weights (N, U) of `UNITS`."""
        fullest = self.variation.fullest
        # A muscle that is asked for ever more gives ever less.
        active = fullest * np.tanh(weights[:, :, None] * person.strengths / fullest)
        by_side = active.reshape(len(weights), -1) @ person.effects.reshape(-1, COUNT * 3)
        faces = person.rest + by_side.reshape(-1, COUNT, 3)
        # Closed lids meet; the model's sum of a blink and a squint would pass one through the other.
        for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
            faces[:, upper, 1] = np.maximum(faces[:, upper, 1], faces[:, lower[::-1], 1])
        return np.asarray(faces)

    def photographed(self, person: Person, weights: Doubles, rng: np.random.Generator) -> Doubles:
        """The same as a scanner would have them, with errors, the head turned a little."""
        faces = self.moved(person, weights)
        faces += rng.normal(0, self.variation.noise_cm, faces.shape)
        angles = rng.normal(0, self.variation.head, (len(faces), 3)).astype(np.float32)
        return np.asarray(np.einsum("nij,nvj->nvi", rotations(angles), faces))


_SHAPE_MODES = 10
"""How many of the first identity modes, the largest, bear on how a person's expressions look."""

_RESTING = ("1", "2", "4", "7", "12", "14", "15", "17", "24")
_MAY_REST = np.array([unit in _RESTING for unit in UNITS], np.float64)
"""Action units by whose traces faces at rest differ."""

_LEAKING = ("1", "2", "4", "6", "7", "9", "10", "12", "14", "15", "17", "18", "20", "24", "28")
"""Action units that some people mix into an emotion to which they do not belong."""

_AREA_CM = 2.5
"""How far an area of the face reaches: the standard deviation of its weight."""


def _unit_effects(basis: FaceBasis) -> Doubles:
    """What each of `UNITS` does to the landmarks at its fullest, on the right and the left: (U, 2, 83, 3)."""
    effects = np.zeros((len(UNITS), 2, COUNT, 3))
    for row, shapes in enumerate(UNIT_SHAPES.values()):
        for shape in shapes:
            for side, letter in enumerate("RL"):
                sided = f"{shape}_{letter}"
                if sided in basis.names:
                    effects[row, side] += basis.expression[basis.shape(sided)]
                else:
                    effects[row, side] += basis.expression[basis.shape(shape)] / 2
    return effects


def _areas(mean: Doubles) -> tuple[Doubles, Doubles]:
    """How much each landmark belongs to five areas (83, 5), and its side (83,) from −1 right to 1 left.

    Areas are brow, eye, nose, mouth and jaw, alike on both sides, and pass smoothly into each other.
    """
    groups = (("right_brow",), ("right_eye",), ("right_nose", "nostrils"), ("outer_lips",), ("jaw",))
    folded = mean * (1, 1, 0)
    folded[:, 0] = np.abs(folded[:, 0])
    number = {region.name: list(region.indices) for region in REGIONS}
    members = [[each for name in group for each in number[name]] for group in groups]
    centres = [folded[group].mean(axis=0) for group in members]
    apart = np.linalg.norm(folded[:, None] - np.array(centres), axis=2)
    weight = np.exp(-((apart / _AREA_CM) ** 2) / 2)
    return weight / weight.sum(axis=1, keepdims=True), np.tanh(mean[:, 0])


def _emotion_weights(rng: np.random.Generator, variation: Variation) -> Doubles:
    """One person's own mixture of `UNITS` for each of the six emotions, at its fullest: (6, U)."""
    weights = np.zeros((len(SIX), len(UNITS)))
    for row, emotion in enumerate(SIX):
        own = weights[row]
        used, leaks, strengths = rng.random(len(UNITS)), rng.random(len(UNITS)), rng.random(len(UNITS))
        for unit, (strength, share) in EMOTION_UNITS[emotion].items():
            place = UNITS.index(unit)
            own[place] = strength * (used[place] < share)
        for unit in _LEAKING:
            place = UNITS.index(unit)
            own[place] += variation.leak * strengths[place] * (leaks[place] < variation.leaks)
    return weights


def _person_weights(rng: np.random.Generator, variation: Variation) -> Doubles:
    """The action units of a person's 25 faces (25, U): neutral, then each emotion's four degrees."""
    emotions = _emotion_weights(rng, variation)
    degrees = np.array(variation.degrees) * np.exp(rng.normal(0, variation.degree_noise, (len(SIX), 4)))
    faces = (degrees[:, :, None] * emotions[:, None]).reshape(-1, len(UNITS))
    takes = np.exp(rng.normal(0, variation.take, faces.shape))
    return np.concatenate([np.zeros((1, len(UNITS))), faces * takes])


def posed_faces(
    basis: FaceBasis,
    *,
    people: int = 100,
    unseen: int = 200,
    seed: int = 0,
    variation: Variation | None = None,
) -> LandmarkBatch:
    """Posed people: 25 faces each, a neutral one and six emotions in degrees 1…4, centimetres, not prepared.

    people: P001 … are split 80/10/10 % into training, public and private, drawn from the seed. unseen: people
    U001 … beyond them, for a test large enough. Faces are called P001_neutral, P001_happy_3 and so on.
    Heads are turned a little, which nothing records: posed data is not turned back (thesis 6.2).
    Raises: DataError when the basis lacks a shape of `UNIT_SHAPES`.
    """
    chosen = variation or Variation()
    cast = Cast(basis, chosen)
    splits = person_splits(people, POSED, seed)
    everyone = [("P", i, splits[i]) for i in range(people)]
    everyone += [("U", i, LANDMARK_SPLITS.index("unseen")) for i in range(unseen)]
    faces = []
    for kind, number, _ in everyone:
        rng = np.random.default_rng([seed, "PU".index(kind), number])
        person = cast.person(rng)
        faces.append(cast.photographed(person, _person_weights(rng, chosen), rng))
    subjects = [f"{kind}{number + 1:03d}" for kind, number, _ in everyone]
    poses = [("neutral", 0), *((emotion, degree) for emotion in SIX for degree in (1, 2, 3, 4))]
    n, each = len(everyone) * len(poses), len(poses)
    return LandmarkBatch(
        points=np.concatenate(faces).astype(np.float32),
        names=np.array([f"{name}_{e}" + (f"_{d}" if d else "") for name in subjects for e, d in poses]),
        subjects=np.repeat(np.array(subjects), each),
        labels=np.tile(np.array([EMOTIONS.index(e) for e, _ in poses], np.int64), len(everyone)),
        degrees=np.tile(np.array([d for _, d in poses], np.int8), len(everyone)),
        units=np.full((n, len(ACTION_UNITS)), UNKNOWN_UNIT, np.int8),
        splits=np.repeat(np.array([split for *_, split in everyone], np.int8), each),
        sequences=np.full(n, "", "U1"),
        angles=np.zeros((n, 3), np.float32),
        source=f"posed faces of {basis.model}, seed {seed}",
        synthetic=True,
    )


def person_splits(people: int, shares: tuple[float, float, float], seed: int) -> list[int]:
    """Each person's index into `LANDMARK_SPLITS`, drawn: training, public and private by these shares."""
    held_out = [round(people * share) for share in shares[1:]]
    splits = np.zeros(people, np.int64)
    order = np.random.default_rng([seed, 2]).permutation(people)
    splits[order[: held_out[0]]] = LANDMARK_SPLITS.index("public")
    splits[order[held_out[0] : sum(held_out)]] = LANDMARK_SPLITS.index("private")
    return [int(split) for split in splits]
