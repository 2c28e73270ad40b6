"""BU-3DFE (Yin et al. 2006): 100 posed people, neutral and six emotions in four degrees, 83 points each.

`F0001/F0001_AN01WH_F3D.bnd`: the person's sex and number; the expression AN DI FE HA SA SU or NE; its degree,
01 to 04, 00 where neutral; two letters for the person's ancestry (AE AM BL IN LA WH, which is not kept). Its
people are in no splits; they are drawn 80, 10 and 10 (Table 5.1).
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.formats import BadRows
from mien.data.landmarks.bnd import read_points
from mien.data.landmarks.formats import LandmarkFormat
from mien.data.landmarks.splits import split_by_person
from mien.errors import DataError
from mien.labels import EMOTIONS
from mien.landmark_layout import ACTION_UNITS, COUNT, UNKNOWN_UNIT
from mien.landmarks import LandmarkBatch

_NAME = re.compile(
    r"(?P<subject>[FM]\d{4})_(?P<expression>AN|DI|FE|HA|SA|SU|NE)(?P<degree>\d\d)[A-Z]{2}_F3D", re.IGNORECASE
)
_EXPECTED = "as in F0001_AN01WH_F3D.bnd (AN DI FE HA SA SU 01 to 04, or NE 00)"
_FOLDER = re.compile(r"[FM]\d{4}", re.IGNORECASE)

CODES: dict[str, str] = {
    "AN": "angry", "DI": "disgust", "FE": "fear", "HA": "happy", "NE": "neutral", "SA": "sad",
    "SU": "surprise",
}  # fmt: skip
"""What the names call each of `EMOTIONS`."""

DEGREES = 4
"""How strongly each emotion is posed, at most."""


def recognises(path: Path) -> bool:
    """A folder with such files, in it or in its people's folders."""
    found = (*path.glob("[FM]????_*_F3D.bnd"), *path.glob("[FM]????/*_F3D.bnd")) if path.is_dir() else ()
    return any(_NAME.fullmatch(file.stem) for file in found)


def read(path: Path, bad: BadRows, split_seed: int) -> LandmarkBatch:
    """All faces in the order of their names, as read, with splits drawn by person.

    Raises: DataError at the first file that is wrong, unless skipped, and for fewer than two people.
    """
    files = sorted(path.rglob("*.bnd"), key=lambda file: file.name)
    names: list[str] = []
    labels: list[int] = []
    degrees: list[int] = []
    points: list[NDArray[np.float64]] = []
    for file in files:
        try:
            label, degree = _told(file)
            if file.stem in names[-1:]:
                raise DataError(f"{file.stem} comes twice: expected each face once")
            points.append(read_points(file))
        except DataError as error:
            bad.add(str(file), str(error))
            continue
        names.append(file.stem)
        labels.append(label)
        degrees.append(degree)
    n = len(names)
    batch = LandmarkBatch(
        points=np.array(points, np.float32).reshape(n, COUNT, 3),
        names=np.array(names, np.str_),
        subjects=np.array([name.partition("_")[0].upper() for name in names], np.str_),
        labels=np.array(labels, np.int64),
        degrees=np.array(degrees, np.int8),
        units=np.full((n, len(ACTION_UNITS)), UNKNOWN_UNIT, np.int8),
        splits=np.zeros(n, np.int8),
        sequences=np.zeros(n, np.str_),
        angles=np.zeros((n, 3), np.float32),
        source=str(path),
    )
    return split_by_person(batch, seed=split_seed) if n else batch


def _told(file: Path) -> tuple[int, int]:
    """The emotion's index and its degree, by a file's name.

    Raises: DataError when the name does not parse, or its folder is another person's.
    """
    told = _NAME.fullmatch(file.stem)
    if told is None:
        raise DataError(f"its name does not parse: expected {_EXPECTED}")
    folder = file.parent.name
    if _FOLDER.fullmatch(folder) and folder.upper() != told["subject"].upper():
        raise DataError(f"a face of {told['subject']} in the folder of {folder}: expected the same person")
    emotion, degree = CODES[told["expression"].upper()], int(told["degree"])
    if not (degree == 0 if emotion == "neutral" else 1 <= degree <= DEGREES):
        raise DataError(f"{emotion} of degree {degree}: expected {_EXPECTED}")
    return EMOTIONS.index(emotion), degree


BU3DFE = LandmarkFormat(
    name="bu3dfe",
    description="BU-3DFE's folders, F0001/F0001_AN01WH_F3D.bnd",
    recognises=recognises,
    read=read,
)
