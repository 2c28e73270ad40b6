"""Grey pictures of people who do not exist: faces of a linear model, posed and lit, with subjects.

A stand-in for NimStim (Tottenham et al. 2009), which is licensed: posed people, six emotions, a split by
person, and in training as many pictures of each emotion as the siamese network's paper has (system D, Table
1). The shapes are the model's; skin, hair, brows, lips, eyes, light and noise are plain ones of our own, so
that a face is readable as one. The people's names say that they are synthetic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.landmarks.facekit import FaceBasis
from mien.data.landmarks.posing import EMOTION_UNITS, UNIT_SHAPES
from mien.errors import DataError
from mien.faces import FaceBatch
from mien.labels import EMOTIONS, FERPLUS_CHOICES, SIX, SPLITS
from mien.landmark_layout import LOWER_LIDS
from mien.rendering.parts import Part, joined, openings, region
from mien.rendering.rasteriser import Camera, Light, render, vertex_normals

Floats = NDArray[np.float64]

COUNTS: dict[str, int] = {"angry": 87, "disgust": 82, "fear": 80, "happy": 127, "sad": 84, "surprise": 44}
"""Training pictures by emotion, 504 in all, as the pairs of system D's Table 1 imply."""

PEOPLE: dict[str, int] = {"training": 35, "public": 4, "private": 4}
"""NimStim's 43 people, 80, 10 and 10 per cent; held-out people have as many pictures each as the others."""

SIDE = 227
"""Pixels of a picture's side, as the published AlexNet takes it."""


@dataclass(frozen=True)
class Looks:
    """How pictures differ, each by a normal or an even spread unless it says otherwise.

    identity: standard deviation of the identity coefficients. degree: least and most of an emotion's full
    mixture. strength, sides, take: standard deviations of the logarithm of how strongly a person uses an
    action unit, between right and left, and between takes. open_mouth: the share of takes with parted lips,
    and how far at most.
    pose: degrees of pitch, yaw and roll. shift: of the head in the picture, in distances between the eyes.
    height: how much a picture shows, in that unit, least and most.
    light: degrees to the sides and up by which it moves. ambient, background, skin: least and most of 0…1.
    noise: grey levels of the camera's noise.
    """

    identity: float = 0.9
    degree: tuple[float, float] = (0.75, 1.2)
    strength: float = 0.25
    sides: float = 0.12
    take: float = 0.15
    open_mouth: tuple[float, float] = (0.4, 0.35)
    pose: tuple[float, float, float] = (3.0, 4.0, 2.0)
    shift: float = 0.05
    height: tuple[float, float] = (3.5, 3.8)
    light: tuple[float, float] = (18.0, 10.0)
    ambient: tuple[float, float] = (0.3, 0.5)
    background: tuple[float, float] = (0.55, 0.9)
    skin: tuple[float, float] = (0.35, 0.95)
    noise: float = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class _Person:
    """rest (V, 3): their face, centimetres. habits: by emotion, each action unit's weight. albedo (V,): of
    their skin and hair.
    """

    rest: Floats
    habits: dict[str, dict[str, float]]
    albedo: Floats


def rendered_pictures(
    basis: FaceBasis,
    *,
    counts: Mapping[str, int] = COUNTS,
    people: Mapping[str, int] = PEOPLE,
    size: int = SIDE,
    seed: int = 0,
    looks: Looks | None = None,
) -> FaceBatch:
    """Pictures of posed people, by default 504 for training and 57 each for validation and test.

    counts: training pictures by emotion; the other splits have them in proportion to their people. people: by
    split; nobody is in two. Emotions go round the people of a split, so that all show all where there are
    enough. The same seed gives the same bytes.
    Raises: DataError when the basis has no surface or lacks a shape, or nobody is asked for in a split.
    """
    if not len(basis.triangles):
        raise DataError(f"{basis.source} has no triangles: expected a basis with its surface")
    if not all(people.get(split, 0) > 0 for split in SPLITS):
        raise DataError(f"people {dict(people)}: expected one or more of each of {', '.join(SPLITS)}")
    chosen, studio = looks or Looks(), _Studio.of(basis)
    images, labels, splits, subjects = [], [], [], []
    number = 0
    for split, name in enumerate(SPLITS):
        share = people[name] / people[SPLITS[0]]
        wanted = [label for label in SIX for _ in range(round(counts.get(label, 0) * share))]
        cast = [
            studio.person(np.random.default_rng([seed, 0, number + who]), chosen)
            for who in range(people[name])
        ]
        for place, emotion in enumerate(wanted):
            who = number + place % people[name]
            take = np.random.default_rng([seed, 1 + split, place])
            images.append(studio.picture(cast[place % people[name]], emotion, take, chosen, size))
            labels.append(EMOTIONS.index(emotion))
            splits.append(split)
            subjects.append(f"synthetic {who + 1:03d}")
        number += people[name]
    n = len(images)
    return FaceBatch(
        images=np.stack(images),
        labels=np.array(labels, np.int64),
        splits=np.array(splits, np.int8),
        rows=np.arange(n),
        votes=np.zeros((n, len(FERPLUS_CHOICES)), np.uint8),
        source=f"synthetic: {basis.model}'s faces as pictures, seed {seed}",
        subjects=np.array(subjects, np.str_),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Studio:
    """What is the same in all pictures. brows, lips, hair: (V,) 0…1, how far a vertex belongs to them."""

    basis: FaceBasis
    brows: Floats
    lips: Floats
    hair: Floats
    plain: Floats

    @classmethod
    def of(cls, basis: FaceBasis) -> _Studio:
        plain, _ = _upright(basis.mean.astype(np.float64), basis)
        points = plain[basis.landmarks]
        brows = np.maximum(*(_inside(points, name, plain) for name in ("right_brow", "left_brow")))
        lips = np.clip(_inside(points, "outer_lips", plain), 0, 1)
        # Over a line that runs from above the forehead down behind the ears.
        hair = _smooth(plain[:, 1] - 0.8 - 0.2 * np.cos(2 * plain[:, 0]) + 0.9 * (-plain[:, 2] - 0.55), 0.06)
        hair *= plain[:, 1] > -0.6
        return cls(basis, brows, lips, hair, plain)

    def person(self, rng: np.random.Generator, looks: Looks) -> _Person:
        """The next person that a generator draws."""
        identity = rng.normal(0, looks.identity, (1, len(self.basis.identity)))
        rest = self.basis.mean + self.basis.offsets("identity", identity)[0]
        habits = {}
        for emotion in SIX:
            units = EMOTION_UNITS[emotion]
            used = {unit: rng.random() < share for unit, (_, share) in units.items()}
            strengths = np.exp(rng.normal(0, looks.strength, len(units)))
            habits[emotion] = {
                unit: full * float(strength) * used[unit]
                for (unit, (full, _)), strength in zip(units.items(), strengths, strict=True)
            }
        skin = rng.uniform(*looks.skin)
        waves, phases = rng.normal(0, 2.5, (3, 6)), rng.uniform(0, 2 * np.pi, 6)
        uneven = 1 + 0.02 * np.sin(self.plain @ waves + phases).sum(axis=1)
        tones = rng.uniform([0.30, 0.60, 0.08], [0.60, 0.85, 0.65])
        albedo = np.full(len(self.plain), skin) * uneven
        for where, tone in ((self.brows, tones[0]), (self.lips, tones[1])):
            albedo *= 1 - where * (1 - tone)
        # Hair has a tone of its own, not a share of the skin's.
        albedo += self.hair * (min(tones[2], 0.8 * skin) - albedo)
        return _Person(rest, habits, np.clip(albedo, 0.03, 1))

    def picture(
        self, person: _Person, emotion: str, rng: np.random.Generator, looks: Looks, size: int
    ) -> NDArray[np.uint8]:
        """A take of a person: (size, size) uint8."""
        weights = self._weights(person.habits[emotion], rng, looks)
        face = person.rest + self.basis.offsets("expression", weights[None])[0]
        vertices, points = _upright(face, self.basis)
        triangles = self.basis.triangles.astype(np.int64)
        skin = Part(vertices, triangles, vertex_normals(vertices, triangles), person.albedo[:, None])
        parts = [Part(p.vertices, p.triangles, p.normals, p.colours[:, :1]) for p in openings(points)]
        whole = joined([skin, *parts])
        pitch, yaw, roll = rng.normal(0, looks.pose)
        across, up = rng.normal(0, looks.shift, 2)
        camera = Camera(pitch, yaw, roll, (across, -0.25 + up, -0.4), rng.uniform(*looks.height), distance=16)
        aside, above = np.radians(rng.normal((0, 18), looks.light))
        light = Light(
            (np.sin(aside), np.sin(above), np.cos(aside) * np.cos(above)), rng.uniform(*looks.ambient)
        )
        sheet = render(
            whole.vertices, whole.triangles, normals=whole.normals, albedo=whole.colours[:, 0], size=size,
            camera=camera, light=light, background=255 * rng.uniform(*looks.background),
        )  # fmt: skip
        noisy = sheet + rng.normal(0, looks.noise, sheet.shape)
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)

    def _weights(self, habits: dict[str, float], rng: np.random.Generator, looks: Looks) -> Floats:
        """The expression coefficients (E,) of a take: 0…1.1."""
        names = self.basis.names
        weights = np.zeros(len(names))
        degree = rng.uniform(*looks.degree)
        for unit, habit in habits.items():
            take, side = np.exp(rng.normal(0, looks.take)), rng.normal(0, looks.sides)
            for shape in UNIT_SHAPES[unit]:
                sided = {f"{shape}_R": np.exp(side), f"{shape}_L": np.exp(-side)}
                for name, factor in sided.items() if f"{shape}_R" in names else ((shape, 1.0),):
                    weights[self.basis.shape(name)] += habit * degree * take * factor
        share, farthest = looks.open_mouth
        parted = rng.random() < share
        weights[self.basis.shape("jawOpen")] += parted * rng.uniform(0.05, farthest)
        return np.clip(weights, 0, 1.1)


def _upright(vertices: Floats, basis: FaceBasis) -> tuple[Floats, Floats]:
    """A face's vertices (V, 3) moved and scaled as prepared landmarks are, and its landmarks (83, 3)."""
    right, left = (vertices[basis.landmarks[list(lid)]].mean(axis=0) for lid in LOWER_LIDS)
    moved = (vertices - (right + left) / 2) / np.linalg.norm(left - right)
    return moved, moved[basis.landmarks]


def _smooth(values: Floats, width: float) -> Floats:
    """From 0 below to 1 above, over a width."""
    return np.asarray(1 / (1 + np.exp(-np.clip(values / width, -50, 50))))


def _inside(points: Floats, name: str, plain: Floats) -> Floats:
    """How far vertices (V, 3) lie within a region's closed line, seen from the front: (V,) 0…1, soft edge."""
    line = points[list(region(name))][:, :2]
    first, second = line, np.roll(line, -1, axis=0)
    x, y = plain[:, :1], plain[:, 1:2]
    rise = np.where(second[:, 1] == first[:, 1], 1.0, second[:, 1] - first[:, 1])
    crossing = first[:, 0] + (y - first[:, 1]) / rise * (second[:, 0] - first[:, 0])
    within = ((first[:, 1] > y) != (second[:, 1] > y)) & (x < crossing)
    signs = np.where(within.sum(axis=1) % 2 == 1, 1.0, -1.0)
    along = second - first
    at = plain[:, None, :2] - first
    share = np.clip((at * along).sum(axis=2) / (along**2).sum(axis=1), 0, 1)
    apart = np.linalg.norm(at - share[:, :, None] * along, axis=2).min(axis=1)
    # What lies far behind the line is not the region, though it is seen through it.
    near = np.abs(plain[:, 2] - points[list(region(name)), 2].mean()) < 0.5
    return _smooth(signs * apart + 0.01, 0.012) * near
