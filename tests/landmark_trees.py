"""Random faces as 83 landmarks, and folders of them as BU-3DFE and BP4D are distributed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.labels import EMOTIONS
from mien.landmark_layout import ACTION_UNITS, COUNT, REGIONS, UNKNOWN_UNIT
from mien.landmarks import UNLABELLED, LandmarkBatch

ANCESTRY = ("WH", "AE", "BL", "LA", "IN", "AM")
CODES = {"angry": "AN", "disgust": "DI", "fear": "FE", "happy": "HA", "neutral": "NE", "sad": "SA",
         "surprise": "SU"}  # fmt: skip
BROWS_FIRST = np.array([*range(16, 36), *range(16), *range(36, COUNT)])


def a_face() -> np.ndarray:
    """(83, 3) float64: a plain face in millimetres, every region a line or ring where it belongs."""
    eye = np.array([[np.cos(a), 0.4 * np.sin(a)] for a in np.pi - np.arange(8) * np.pi / 4]) * 15
    brow = np.array([[np.cos(a), 0.2 * np.sin(a)] for a in np.pi - np.arange(10) * np.pi / 5]) * 20
    lips = [np.array([[-np.cos(a), np.sin(a)] for a in np.arange(n) * 2 * np.pi / n]) for n in (12, 8)]
    jaw = np.array([[np.cos(a), np.sin(a)] for a in np.pi + np.arange(15) * np.pi / 14])
    places = {
        "right_eye": eye + np.array([-32, 40]), "right_brow": brow + np.array([-32, 62]),
        "right_nose": np.array([[-6, 30], [-9, 15], [-14, 5]]),
        "nostrils": np.column_stack([np.linspace(-12, 12, 6), [0, -3, -5, -5, -3, 0]]),
        "outer_lips": lips[0] * [25, 10] - [0, 30], "inner_lips": lips[1] * [18, 4] - [0, 30],
        "jaw": jaw * [70, 80],
    }  # fmt: skip
    for name in ("eye", "brow", "nose"):
        places[f"left_{name}"] = places[f"right_{name}"] * [-1, 1]
    flat = np.concatenate([places[region.name] for region in REGIONS])
    return np.column_stack([flat, 60 - 0.008 * (flat**2).sum(axis=1)])


def posed(people: int = 4, degrees: int = 4, seed: int = 0, noise: float = 1.0) -> LandmarkBatch:
    """People with a neutral face and six emotions in degrees: each emotion moves the points its own way."""
    rng = np.random.default_rng(seed)
    moves = rng.normal(0, noise, (6, COUNT, 3))
    points, names, labels, strengths = [], [], [], []
    for person in range(people):
        own = a_face() * rng.uniform(0.9, 1.1) + rng.normal(0, noise / 2, (COUNT, 3)) + rng.normal(0, 20, 3)
        code = f"{'FM'[person % 2]}{person // 2 + 1:04d}"
        for label, emotion in enumerate(EMOTIONS):
            for degree in range(1, degrees + 1) if emotion != "neutral" else (0,):
                move = moves[label] * degree / degrees if degree else 0
                points.append(own + move + rng.normal(0, 0.1, (COUNT, 3)))
                names.append(f"{code}_{CODES[emotion]}{degree:02d}{ANCESTRY[person % 6]}_F3D")
                labels.append(label)
                strengths.append(degree)
    n = len(points)
    return LandmarkBatch(
        points=np.array(points).round(4).astype(np.float32),
        names=np.array(names),
        subjects=np.array([name[:5] for name in names]),
        labels=np.array(labels, np.int64),
        degrees=np.array(strengths, np.int8),
        units=np.full((n, len(ACTION_UNITS)), UNKNOWN_UNIT, np.int8),
        splits=np.zeros(n, np.int8),
        sequences=np.zeros(n, np.str_),
        angles=np.zeros((n, 3), np.float32),
        source="random",
        synthetic=True,
    )


def spontaneous(people: int = 3, tasks: int = 2, frames: int = 12, seed: int = 0) -> LandmarkBatch:
    """Recordings: points that wander, turned by the angles of each frame; of the last frames no units are
    coded, and of the first two all are absent."""
    from mien.data.landmarks.preprocessing import rotations

    rng = np.random.default_rng(seed)
    n = people * tasks * frames
    subjects = np.array([f"{'FM'[person % 2]}{person + 1:03d}" for person in range(people)])
    recordings = [f"{subject}_T{task + 1}" for subject in subjects for task in range(tasks)]
    straight = a_face() + rng.normal(0, 0.5, (n, COUNT, 3))
    angles = rng.uniform(-15, 15, (n, 3)).round(3).astype(np.float32)
    points = np.einsum("nij,nvj->nvi", rotations(angles), straight) + rng.normal(0, 30, (n, 1, 3))
    units = rng.integers(0, 2, (n, len(ACTION_UNITS))).astype(np.int8)
    frame = np.tile(np.arange(frames), people * tasks)
    units[frame < 2] = 0
    units[frame >= frames - 2] = UNKNOWN_UNIT
    return LandmarkBatch(
        points=points.round(4).astype(np.float32),
        names=np.array([f"{recordings[i // frames]}_{frame[i] + 1:04d}" for i in range(n)]),
        subjects=np.repeat(subjects, tasks * frames),
        labels=np.full(n, UNLABELLED, np.int64),
        degrees=np.zeros(n, np.int8),
        units=units,
        splits=np.zeros(n, np.int8),
        sequences=np.repeat(np.array(recordings), frames),
        angles=angles,
        source="random",
        synthetic=True,
    )


def bnd_text(points: np.ndarray, numbers: range | list[int] = range(COUNT)) -> str:
    """One file: number, two tabs, x y z, as BU-3DFE writes it."""
    return "".join(
        f"{number}\t\t{x:.9g} {y:.9g} {z:.9g}\n" for number, (x, y, z) in zip(numbers, points, strict=True)
    )


def write_bu3dfe(folder: Path, batch: LandmarkBatch) -> None:
    """Posed faces named as in BU-3DFE; the lines' numbers are vertices of a scan, in no order."""
    numbers = [(7919 * at) % 8000 for at in range(1, COUNT + 1)]
    for name, subject, points in zip(batch.names, batch.subjects, batch.points, strict=True):
        file = folder / str(subject) / f"{name}.bnd"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(bnd_text(points, numbers))


def write_bp4d(folder: Path, batch: LandmarkBatch, *, brows_first: bool = True) -> None:
    """Frames as in BP4D: a file of points a frame, a table of action units and one of head pose a recording.

    Frames whose units are not coded are left out of the tables of units, as there.
    """
    other = [unit for unit in range(1, 28) if unit not in ACTION_UNITS]
    for recording in np.unique(batch.sequences):
        part = batch.select(batch.sequences == recording)
        subject, task = str(recording).split("_")
        units = [",".join(map(str, (0, *ACTION_UNITS, *other)))]
        poses = ["frame,pitch,yaw,roll"]
        for at, name in enumerate(part.names):
            frame = str(name).rpartition("_")[2]
            points = part.points[at][BROWS_FIRST] if brows_first else part.points[at]
            file = folder / "3DFeatures" / subject / task / f"{frame}.bndplus"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(bnd_text(points))
            if (part.units[at] != UNKNOWN_UNIT).all():
                values = [*part.units[at].tolist(), *[UNKNOWN_UNIT] * len(other)]
                units.append(",".join(map(str, (int(frame), *values))))
            poses.append(",".join([str(int(frame)), *(f"{angle:.9g}" for angle in part.angles[at])]))
        for name, lines in (("AUCoding/AU_OCC", units), ("HeadPose", poses)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / f"{recording}.csv").write_text("\n".join(lines) + "\n")
