"""Faces in pictures as 83 landmarks: the mesh, looked at from several tilts, and what is not believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.landmarks.picture_names import picture_names
from mien.data.landmarks.preprocessing import faults, rotations
from mien.faces import Face, FaceBatch
from mien.inference import mesh_map
from mien.inference.detectors import Detector
from mien.inference.framing import Square, centre_square, square_of
from mien.inference.mesh import Mesh
from mien.labels import LANDMARK_SPLITS, SPLITS
from mien.landmark_layout import ACTION_UNITS, COUNT, UNKNOWN_UNIT
from mien.landmarks import UNLABELLED, LandmarkBatch

Floats = NDArray[np.float32]
UInt8 = NDArray[np.uint8]

TILTS = (0.0, -25.0, 25.0)
"""Degrees by which the first look leans: the others where the upright one is not believed."""

AT_LEAST = 0.5
"""Below this score the network sees no face; MediaPipe's own threshold."""

AT_MOST = 0.08
"""Readings of a face and of its mirror image that lie farther apart are not believed, in distances between
the eyes. Half of FER-2013's training faces have 0.03 or less."""

WITHIN = 0.9
"""The share of eyes, nose and lips that must lie in the picture."""

SMALLEST = 0.12
"""The distance between the eyes must be this share of the square's side."""

TURNED = 50.0
"""Degrees of yaw beyond which the farther half of a face is guessed."""

NO_FACE = "no face seen"
UNSURE = "read otherwise in the mirror"
OUTSIDE = "eyes, nose or lips outside the picture"
TOO_CLOSE = "eyes too close together"
TOO_TURNED = f"turned by more than {TURNED:.0f}°"
FAULTY = "lids crossed"
REASONS = (NO_FACE, UNSURE, OUTSIDE, TOO_CLOSE, TOO_TURNED, FAULTY)
"""Why a face is left out, in the order in which they are asked."""


@dataclass(frozen=True, slots=True, eq=False)
class FoundLandmarks:
    """What was read of one face.

    points: (83, 3) float32 in pixels of the picture, in the axes of `landmark_layout`: x from the picture's
    left edge, y up from its top, so that it is seen at (x, −y), z towards the viewer.
    angles: (3,) float32, degrees of pitch, yaw and roll (`mesh_map.head_angles`).
    score: the network's, 0…1. disagreement: of the readings in and out of the mirror, in distances between
    the eyes. reason: one of `REASONS`, or empty where the face is believed.
    """

    points: Floats
    angles: Floats
    score: float
    disagreement: float
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class PictureFace:
    """A face, where it was found, and what is known of it.

    face: its box in the picture. label: index into `EMOTIONS` or `UNLABELLED`. split: one of `SPLITS`.
    """

    name: str
    face: Face
    found: FoundLandmarks
    person: str
    label: int = UNLABELLED
    split: str = SPLITS[0]


class Landmarker:
    """Reads landmarks off pictures.

    mesh: None takes the network that `mien fetch facemesh` brought.
    Raises: ModelError when it is not there.
    """

    def __init__(self, mesh: Mesh | None = None) -> None:
        self._mesh = Mesh() if mesh is None else mesh

    def read(self, image: UInt8, square: Square | None = None) -> FoundLandmarks:
        """The landmarks of the one face in a square of a picture, the mean in and out of the mirror.

        image, square: see `Mesh.read`. Where the upright look is not believed the tilted ones are tried; of
        all the believed ones the first is taken, else the one that agrees best with its mirror image.
        Raises: ImageError when the picture has another shape or type.
        """
        square = centre_square(image.shape[1], image.shape[0]) if square is None else square
        tried = []
        for tilt in TILTS:
            found = self._once(image, square, tilt)
            if not found.reason:
                return found
            tried.append(found)
        return min(tried, key=lambda found: (found.reason == NO_FACE, found.disagreement))

    def _once(self, image: UInt8, square: Square, tilt: float) -> FoundLandmarks:
        reading = self._mesh.read(image, square, tilt)
        points = mesh_map.landmarks_of(reading.points)
        mirrored = mesh_map.mirrored_landmarks_of(reading.mirrored)
        apart = float(mesh_map.disagreement(points, mirrored))
        mean = ((points + mirrored) / 2).astype(np.float32)
        angles = mesh_map.head_angles(mean[None])[0]
        height, width = image.shape[:2]
        asked = {
            NO_FACE: reading.score < AT_LEAST,
            UNSURE: apart > AT_MOST,
            OUTSIDE: mesh_map.share_within(mean, width, height) < WITHIN,
            TOO_CLOSE: float(mesh_map.eye_distance(mean)) < SMALLEST * square[2],
            TOO_TURNED: abs(float(angles[1])) > TURNED,
        }
        reason = next((why for why in REASONS if asked.get(why)), "")
        found = FoundLandmarks(mean, angles, reading.score, apart, reason)
        if not reason and faults(batch_of([PictureFace("it", Face((0, 0, width, height), 1), found, "it")])):
            return FoundLandmarks(mean, angles, reading.score, apart, FAULTY)
        return found


def faces_in_dataset(landmarker: Landmarker, batch: FaceBatch) -> Iterator[PictureFace]:
    """Every face of a dataset of pictures each of which is a face, in its order, believed or not.

    Names are `picture_names`; a face is its own person where the dataset names none.
    """
    names = picture_names(batch)
    height, width = batch.images.shape[1:]
    for at, image in enumerate(batch.images):
        name = str(names[at])
        yield PictureFace(
            name=name,
            face=Face((0, 0, width, height), 1.0),
            found=landmarker.read(image),
            person=name if batch.subjects is None else str(batch.subjects[at]),
            label=int(batch.labels[at]),
            split=SPLITS[batch.splits[at]],
        )


def faces_in_picture(
    landmarker: Landmarker, image: UInt8, name: str, detector: Detector | None
) -> Iterator[PictureFace]:
    """The faces of an RGB picture (H, W, 3), largest first, believed or not: NAME#0, NAME#1 and so on.

    detector: None where the picture is one face.
    """
    height, width = image.shape[:2]
    if detector is None:
        name = f"{name}#0"
        yield PictureFace(name, Face((0, 0, width, height), 1.0), landmarker.read(image), name)
        return
    for number, detection in enumerate(detector.detect(image)):
        found = landmarker.read(image, square_of(detection.box, detector.framing))
        called = f"{name}#{number}"
        yield PictureFace(called, detection.face(width, height), found, called)


def counts_of(faces: Iterable[PictureFace]) -> dict[str, Counter[str]]:
    """For each split that has faces: how many are believed, under "", and are not, by reason."""
    counts: dict[str, Counter[str]] = {}
    for each in faces:
        counts.setdefault(each.split, Counter())[each.found.reason] += 1
    return counts


def batch_of(faces: Sequence[PictureFace], source: str = "the picture") -> LandmarkBatch:
    """The believed faces as landmarks, those left out told in `left_out`.

    A face whose person is not known is a recording of one frame, so that `prepared` turns it straight by its
    angles, and has no neutral face. One whose person the dataset names counts as posed, among whom the face
    labelled neutral is found; `prepared` turns no posed face, so it is turned straight here, its angles 0.
    Raises: DataError when two faces share a name.
    """
    kept = [each for each in faces if not each.found.reason]
    n = len(kept)
    names = np.array([each.name for each in kept], np.str_).reshape(n)
    people = np.array([each.person for each in kept], np.str_).reshape(n)
    points = np.array([each.found.points for each in kept], np.float32).reshape(n, COUNT, 3)
    angles = np.array([each.found.angles for each in kept], np.float32).reshape(n, 3)
    posed = people != names
    points[posed] = points[posed] @ rotations(angles[posed])
    angles[posed] = 0
    lines = [
        f"{counted[reason]:,} of {sum(counted.values()):,} {split} faces: {reason}"
        for split, counted in counts_of(faces).items()
        for reason in REASONS
        if counted[reason]
    ]
    return LandmarkBatch(
        points=points,
        names=names,
        subjects=people,
        labels=np.array([each.label for each in kept], np.int64),
        degrees=np.zeros(n, np.int8),
        units=np.full((n, len(ACTION_UNITS)), UNKNOWN_UNIT, np.int8),
        splits=np.array([LANDMARK_SPLITS.index(each.split) for each in kept], np.int8),
        sequences=np.where(posed, "", names),
        angles=angles,
        source=source,
        left_out=tuple(lines),
    )
