"""BP4D-Spontaneous (Zhang et al. 2014): 41 people in 8 tasks, 83 points a frame, action units, head pose.

What is read, below the folder that is named, in folders of any name but those given here; `docs/landmarks.md`
says what of this was established and what is our reading:

- landmarks: a file a frame, `F001/T1/0001.bndplus` or `F001_T1_0001.bndplus` (`.bnd` too), or
  `3DFeatures/F001_T1.mat`, one array or cell of 83×3 points a frame, frames counted from 1;
- action units: `AU_OCC/F001_T1.csv` (or right in `AUCoding`): the first row their numbers, the first column
  the frame, 1 present, 0 absent, 9 not coded. Frames and recordings that it leaves out are not coded;
- head pose: `HeadPose/F001_T1.csv` with the columns frame, pitch, yaw, roll, in degrees, a row a frame.

The regions of a face come in BU-3DFE's order or with the brows before the eyes: which, is seen by the brows
lying above the eyes. Its people are in no splits; they are drawn 25, 8 and 8 (Table 5.2).
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.data.formats import BadRows
from mien.data.landmarks.bnd import read_points
from mien.data.landmarks.formats import LandmarkFormat
from mien.data.landmarks.matlab import read_frames
from mien.data.landmarks.splits import split_by_person
from mien.errors import DataError
from mien.landmark_layout import ACTION_UNITS, COUNT, REGIONS, UNKNOWN_UNIT
from mien.landmarks import UNLABELLED, LandmarkBatch

_RECORDING = r"(?P<subject>[FM]\d{3})[_/](?P<task>T\d{1,2})"
_FRAME = re.compile(rf"(?:.*/)?{_RECORDING}[_/](?P<frame>\d+)\.bnd(?:plus)?")
_EXPECTED = "F001/T1/0001.bndplus or F001_T1_0001.bndplus"
_WHOLE = re.compile(rf"(?:.*/)?{_RECORDING}\.(?:mat|csv)")
_MAT_FOLDER = "3DFeatures"
_UNIT_FOLDERS = ("AU_OCC", "AUCoding")
_POSE_FOLDER = "HeadPose"
_POSE_COLUMNS = ("frame", "pitch", "yaw", "roll")
_BELOW = (".", "3DFeatures", "3DFeatures/BND", "BND")


def recognises(path: Path) -> bool:
    """A folder with a frame's landmarks, or `3DFeatures` with a recording's."""
    if not path.is_dir():
        return False
    frames = (
        file
        for below in _BELOW
        for pattern in ("[FM]???_T*_*.bnd*", "[FM]???/T*/*.bnd*")
        for file in (path / below).glob(pattern)
    )
    whole = (file for folder in (path, path / _MAT_FOLDER) for file in folder.glob("[FM]???_T*.mat"))
    return any(_FRAME.fullmatch(file.as_posix()) for file in frames) or any(
        file.parent.name == _MAT_FOLDER and _WHOLE.fullmatch(file.as_posix()) for file in whole
    )


def read(path: Path, bad: BadRows, split_seed: int) -> LandmarkBatch:
    """All frames, by recording and by number, as read, with splits drawn by person.

    Raises: DataError at the first file that is wrong, unless skipped, and for fewer than two people;
    MissingDependency where a .mat file is read without scipy.
    """
    recordings = _landmarks(path, bad)
    units = _tables(path, _UNIT_FOLDERS)
    poses = _tables(path, (_POSE_FOLDER,))
    parts = []
    for name in sorted(recordings):
        frames = dict(sorted(recordings[name].items()))
        try:
            angles = _angles(poses.get(name), list(frames), path, name)
        except DataError as error:
            bad.add(name, str(error))
            continue
        parts.append(_part(name, frames, angles, _units(units.get(name), list(frames), bad), str(path)))
    if not parts:
        return _part("", {}, np.zeros((0, 3)), np.zeros((0, len(ACTION_UNITS)), np.int8), str(path))
    batch = _in_order(LandmarkBatch.concatenate(parts, str(path)))
    unused = len(set(units) - set(recordings))
    if unused:
        batch = replace(batch, left_out=(f"{unused} recordings with action units and no landmarks",))
    return split_by_person(batch, seed=split_seed)


def _part(
    name: str,
    frames: dict[int, NDArray[np.float64]],
    angles: NDArray[np.float64],
    units: NDArray[np.int8],
    source: str,
) -> LandmarkBatch:
    """The frames of one recording."""
    n = len(frames)
    return LandmarkBatch(
        points=np.array(list(frames.values()), np.float32).reshape(n, COUNT, 3),
        names=np.array([f"{name}_{frame:04d}" for frame in frames], np.str_),
        subjects=np.array([name.partition("_")[0]] * n, np.str_),
        labels=np.full(n, UNLABELLED, np.int64),
        degrees=np.zeros(n, np.int8),
        units=units,
        splits=np.zeros(n, np.int8),
        sequences=np.array([name] * n, np.str_),
        angles=angles.astype(np.float32),
        source=source,
    )


def _landmarks(path: Path, bad: BadRows) -> dict[str, dict[int, NDArray[np.float64]]]:
    """The points (83, 3) of every frame, by the recording's name and the frame's number."""
    recordings: dict[str, dict[int, NDArray[np.float64]]] = defaultdict(dict)
    for file in sorted([*path.rglob("*.bnd"), *path.rglob("*.bndplus")]):
        told = _FRAME.fullmatch(file.as_posix())
        try:
            if told is None:
                raise DataError(f"its name does not parse: expected {_EXPECTED}")
            frames = recordings[f"{told['subject']}_{told['task']}"]
            if int(told["frame"]) in frames:
                raise DataError(f"frame {told['frame']} comes twice: expected each frame once")
            frames[int(told["frame"])] = read_points(file)
        except DataError as error:
            bad.add(str(file), str(error))
    for file in sorted(path.rglob("*.mat")):
        told = _WHOLE.fullmatch(file.as_posix())
        if told is None or file.parent.name != _MAT_FOLDER:
            continue
        try:
            points = read_frames(file)
            frames = recordings[f"{told['subject']}_{told['task']}"]
            if frames:
                raise DataError("its frames lie there as single files too: expected one of the two")
            frames.update(enumerate(points, start=1))
        except DataError as error:
            bad.add(str(file), str(error))
    return {name: frames for name, frames in recordings.items() if frames}


def _tables(path: Path, folders: tuple[str, ...]) -> dict[str, Path]:
    """The CSV files in folders of given names, by the recording's name."""
    found = {}
    for file in sorted(path.rglob("*.csv")):
        told = _WHOLE.fullmatch(file.as_posix())
        if told is not None and file.parent.name in folders:
            found[f"{told['subject']}_{told['task']}"] = file
    return found


def _table(file: Path) -> tuple[list[str], NDArray[np.float64]]:
    """The first row of a CSV file, and the others as numbers (rows, columns)."""
    try:
        lines = [line for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        cells = [[cell.strip() for cell in line.split(",")] for line in lines]
        rows = np.array(cells[1:], np.float64).reshape(len(cells) - 1, len(cells[0]))
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, IndexError) as error:
        raise DataError(f"{file} is no table of numbers ({error}): expected a row a frame") from error
    frames = rows[:, 0]
    if not np.array_equal(frames, frames.astype(np.int64)) or len(np.unique(frames)) < len(frames):
        raise DataError(f"{file}: expected whole numbers of frames in the first column, each once")
    return cells[0], rows


def _units(file: Path | None, frames: list[int], bad: BadRows) -> NDArray[np.int8]:
    """(frames, 12): the action units of a recording's frames; 9 where no file or no row tells them."""
    units = np.full((len(frames), len(ACTION_UNITS)), UNKNOWN_UNIT, np.int8)
    if file is None:
        return units
    try:
        head, rows = _table(file)
        columns = {int(cell): at for at, cell in enumerate(head) if at and cell.isdecimal()}
        absent = [f"AU{unit}" for unit in ACTION_UNITS if unit not in columns]
        if absent:
            raise DataError(f"{file} has no column of {', '.join(absent)}: expected all 12 units")
        values = rows[:, [columns[unit] for unit in ACTION_UNITS]]
        wrong = ~np.isin(values, (0, 1, UNKNOWN_UNIT))
        if wrong.any():
            raise DataError(
                f"{file}: an action unit is {values[wrong][0]:g}: expected 0, 1 or {UNKNOWN_UNIT}"
            )
    except DataError as error:
        bad.add(file.stem, str(error))
        return units
    place = {frame: at for at, frame in enumerate(frames)}
    known = np.array([int(frame) in place for frame in rows[:, 0]], np.bool_)
    if not known.all():
        first = f"{(~known).sum()} frames of {file} have no landmarks, the first {rows[~known, 0][0]:.0f}"
        bad.add(file.stem, f"{first}: expected as many frames in both")
    units[[place[int(frame)] for frame in rows[known, 0]]] = values[known].astype(np.int8)
    return units


def _angles(file: Path | None, frames: list[int], path: Path, name: str) -> NDArray[np.float64]:
    """(frames, 3): pitch, yaw and roll of a recording's frames.

    Raises: DataError when there is no file, or a frame is not in it.
    """
    if file is None:
        raise DataError(
            f"no head pose: expected {path / _POSE_FOLDER / name}.csv with the columns "
            f"{', '.join(_POSE_COLUMNS)}, as docs/landmarks.md says"
        )
    head, rows = _table(file)
    if tuple(cell.lower() for cell in head) != _POSE_COLUMNS:
        raise DataError(f"{file} has the columns {', '.join(head)}: expected {', '.join(_POSE_COLUMNS)}")
    place = {int(frame): at for at, frame in enumerate(rows[:, 0])}
    absent = [frame for frame in frames if frame not in place]
    if absent:
        raise DataError(
            f"{len(absent)} of {len(frames)} frames have no head pose in {file}, the first {absent[0]}: "
            "expected as many frames in both"
        )
    return rows[[place[frame] for frame in frames], 1:]


def _in_order(batch: LandmarkBatch) -> LandmarkBatch:
    """The faces with their regions in the order of `REGIONS`.

    Brows lie above eyes. Read in the wrong one of the two orders, most of what is taken for brows are eyes.
    """
    regions = {region.name: region for region in REGIONS}
    eyes = [*regions["right_eye"].indices, *regions["left_eye"].indices]
    brows = [*regions["right_brow"].indices, *regions["left_brow"].indices]
    height = batch.points[:, :, 1].mean(axis=0, dtype=np.float64)
    # NaN, in a face that is wrong, is left to the check of the faces.
    if not height[brows].mean() < height[eyes].mean():
        return batch
    order = np.arange(COUNT)
    order[[*eyes, *brows]] = [*range(len(brows), len(brows) + len(eyes)), *range(len(brows))]
    return replace(batch, points=batch.points[:, order])


BP4D = LandmarkFormat(
    name="bp4d",
    description="BP4D's frames, 3DFeatures/F001/T1/0001.bndplus, with AU_OCC and HeadPose",
    recognises=recognises,
    read=read,
)
