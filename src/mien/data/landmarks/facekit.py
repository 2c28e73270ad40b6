"""Faces of a linear model, mean + Σ identity modes + Σ expression shapes, and the files of ICT-FaceKit.

ICT-FaceKit Light (USC Institute for Creative Technologies, 2020, MIT licence; Li et al., CVPR 2020) is read
from one `.npz` file or from a clone of its repository: `generic_neutral_mesh.obj`, `identity000.obj` … and
one file for each expression shape, whole heads of which the first 9,409 vertices are the full-face area.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.landmark_layout import COUNT, MIRROR

FACE_AREA = 9409
"""The vertices of FaceKit's full-face area: the first of its mesh."""

LANDMARKS: tuple[int, ...] = (
    1507, 1542, 1990, 1537, 1528, 1518, 1515, 1511,
    3721, 3756, 4190, 3751, 3742, 3732, 3729, 3725,
    268, 493, 1914, 2043, 1432, 2007, 2025, 2039, 1916, 495,
    2509, 2734, 4114, 4239, 3646, 4207, 4222, 4235, 4116, 2736,
    1316, 953, 4565,
    3533, 3193, 5030,
    1140, 2087, 1145, 3365, 4281, 3360,
    5708, 5695, 2081, 0, 4275, 6200, 6213, 6346, 6461, 5518, 5957, 5841,
    5702, 5711, 5533, 6216, 6207, 6470, 5517, 5966,
    1278, 1272, 12, 1834, 243, 1673, 801, 966, 3042, 3880, 2484, 4036, 2253, 3490, 3496,
)  # fmt: skip
"""The vertex of each landmark of `landmark_layout`, a region to a line.

Where FaceKit names a Multi-PIE landmark for it, that one: the lips, the eyes but for the middle of each lid,
the outer ends of the nostrils, three of a brow's upper line, the chin. The others were found on the mesh: the
middle of a lid along its edge; a brow's lower line two rows of vertices below the upper; the nose's sides on
its flank; the jaw evenly along FaceKit's jaw line. The left side is the mesh's mirror image of the right.
"""

_ASYMMETRY_CM = 0.01
"""How far mirrored landmarks of the mean may lie apart: far less than on a mesh numbered otherwise."""

_HEAD = "generic_neutral_mesh.obj"
_IDENTITY = re.compile(r"identity\d+")


@dataclass(frozen=True, slots=True, eq=False)
class FaceBasis:
    """A linear model of faces: mean + Σ aᵢ·identityᵢ + Σ bⱼ·expressionⱼ, a ~ N(0, 1), b in [0, 1].

    mean: (V, 3) float32, centimetres; x to the person's left, y up, z forward.
    triangles: (F, 3) int32, vertex numbers, none for a basis of landmarks alone.
    identity: (I, V, 3) float32 and expression: (E, V, 3) float32, offsets from the mean.
    names: what the expression shapes are called, by ARKit with _L and _R.
    landmarks: (83,) int64, the vertex of each landmark of `landmark_layout`.
    source: where it came from, for messages. model: what to call it where its faces are shown.
    Raises: DataError when shapes do not agree, numbers are not finite, or a vertex number has no vertex.
    """

    mean: NDArray[np.float32]
    triangles: NDArray[np.int32]
    identity: NDArray[np.float32]
    expression: NDArray[np.float32]
    names: tuple[str, ...]
    landmarks: NDArray[np.int64]
    source: str
    model: str

    def __post_init__(self) -> None:
        v = len(self.mean)
        shapes = {
            "mean": (v, 3),
            "triangles": (len(self.triangles), 3),
            "identity": (len(self.identity), v, 3),
            "expression": (len(self.names), v, 3),
            "landmarks": (COUNT,),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array.shape != shape:
                raise DataError(f"{self.source}: {name} is {array.shape}, expected {shape}")
            if not np.isfinite(array).all():
                raise DataError(f"{self.source}: {name} holds numbers that are not finite: expected none")
        for name in ("triangles", "landmarks"):
            numbers = getattr(self, name)
            if len(numbers) and not (numbers.min() >= 0 and numbers.max() < v):
                raise DataError(f"{self.source}: one of {name} names a vertex outside 0…{v - 1}")

    def face(self, identity: NDArray[np.floating], expression: NDArray[np.floating]) -> NDArray[np.float32]:
        """The vertices (V, 3) float32, in centimetres, of coefficients (I,) and (E,)."""
        return self.faces(identity[None], expression[None])[0]

    def faces(self, identity: NDArray[np.floating], expression: NDArray[np.floating]) -> NDArray[np.float32]:
        """The vertices (N, V, 3) float32, in centimetres, of coefficients (N, I) and (N, E)."""
        moved = self.offsets("identity", identity) + self.offsets("expression", expression)
        return np.asarray(self.mean + moved, np.float32)

    def offsets(self, of: str, coefficients: NDArray[np.floating]) -> NDArray[np.float64]:
        """How far `identity` or `expression` coefficients (N, K) move each vertex: (N, V, 3) float64."""
        shapes = getattr(self, of)
        moved = coefficients.astype(np.float64) @ shapes.reshape(len(shapes), -1).astype(np.float64)
        return np.asarray(moved.reshape(len(coefficients), -1, 3))

    @property
    def at_landmarks(self) -> FaceBasis:
        """The basis of the 83 landmarks alone: a hundredth of the work where only they are wanted."""
        return replace(
            self,
            mean=self.mean[self.landmarks],
            triangles=np.zeros((0, 3), np.int32),
            identity=self.identity[:, self.landmarks],
            expression=self.expression[:, self.landmarks],
            landmarks=np.arange(COUNT),
        )

    def shape(self, name: str) -> int:
        """The number of an expression shape.

        Raises: DataError when there is none of that name.
        """
        if name not in self.names:
            raise DataError(f"{self.source} has no expression shape {name!r}: expected FaceKit's shapes")
        return self.names.index(name)


def read_basis(path: Path) -> FaceBasis:
    """FaceKit's basis from the `.npz` file, or from a clone of its repository or its folder of `.obj` files.

    The arrays of the `.npz`: `mean` (9409, 3), `faces` (F, 4), `identity` (I, 9409, 3), `expression`
    (E, 9409, 3), `expression_names` (E,). Offsets are rounded to float16, as that file has them, from either.
    Raises: DataError when there is no such file, it is malformed, or its vertices are numbered otherwise.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist: expected FaceKit's .npz file or a clone of its repository")
    basis = _read_folder(path) if path.is_dir() else _read_npz(path)
    marks = basis.mean[basis.landmarks]
    if np.abs(marks[MIRROR] * (-1, 1, 1) - marks).max() > _ASYMMETRY_CM:
        raise DataError(
            f"{path} numbers its vertices otherwise than FaceKit's present release: left and right landmarks "
            "do not mirror each other; expected a current clone"
        )
    return basis


def _basis(
    source: Path,
    mean: NDArray[np.floating],
    polygons: Sequence[Sequence[int]] | NDArray[np.integer],
    identity: NDArray[np.floating],
    expression: NDArray[np.floating],
    names: Sequence[str],
) -> FaceBasis:
    if len(mean) != FACE_AREA:
        raise DataError(f"{source}: the mean has {len(mean)} vertices, expected FaceKit's {FACE_AREA}")
    fans = [(face[0], face[i], face[i + 1]) for face in polygons for i in range(1, len(face) - 1)]
    return FaceBasis(
        mean=mean.astype(np.float32),
        triangles=np.array(fans, np.int32).reshape(-1, 3),
        identity=identity.astype(np.float16).astype(np.float32),
        expression=expression.astype(np.float16).astype(np.float32),
        names=tuple(map(str, names)),
        landmarks=np.array(LANDMARKS, np.int64),
        source=str(source),
        model="ICT-FaceKit",
    )


def _read_npz(path: Path) -> FaceBasis:
    wanted = {"mean": "f2", "faces": "i2", "identity": "f3", "expression": "f3", "expression_names": "U1"}
    try:
        with np.load(path, allow_pickle=False) as held:
            arrays = {name: held[name] for name in wanted if name in held}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise DataError(f"{path} is no .npz file: expected FaceKit's arrays {', '.join(wanted)}") from error
    if missing := [name for name in wanted if name not in arrays]:
        raise DataError(f"{path} has no {', '.join(missing)}: expected the arrays {', '.join(wanted)}")
    for name, kind in wanted.items():
        found = arrays[name]
        if f"{found.dtype.kind}{found.ndim}" != kind:
            raise DataError(f"{path}: {name} is {found.dtype} {found.shape}, expected FaceKit's array")
    return _basis(path, *(arrays[name] for name in wanted))


def _read_folder(path: Path) -> FaceBasis:
    folder = path if (path / _HEAD).is_file() else path / "FaceXModel"
    if not (folder / _HEAD).is_file():
        raise DataError(f"{path} holds no {_HEAD}: expected a clone of ICT-FaceKit or its folder FaceXModel")
    files = {file.stem: file for file in sorted(folder.glob("*.obj")) if file.name != _HEAD}
    people = [file for name, file in files.items() if _IDENTITY.fullmatch(name)]
    shapes = {name: file for name, file in files.items() if not _IDENTITY.fullmatch(name)}
    if not people or not shapes:
        raise DataError(f"{folder} holds {_HEAD} alone: expected identity000.obj … and the expression shapes")
    mean = _vertices(folder / _HEAD)
    return _basis(
        path,
        mean,
        _polygons(folder / _HEAD),
        np.stack([_vertices(file) - mean for file in people]),
        np.stack([_vertices(file) - mean for file in shapes.values()]),
        tuple(shapes),
    )


def _vertices(path: Path) -> NDArray[np.float64]:
    """The face area's vertices (9409, 3) of a Wavefront file."""
    with path.open(encoding="utf-8", errors="replace") as lines:
        rows = list(islice((line for line in lines if line.startswith("v ")), FACE_AREA))
    if len(rows) < FACE_AREA:
        raise DataError(f"{path} has {len(rows)} vertices: expected {FACE_AREA} or more")
    try:
        vertices = np.loadtxt(rows, usecols=(1, 2, 3))
    except ValueError as error:
        raise DataError(f"{path} holds a vertex that is not three numbers: expected 'v x y z'") from error
    return vertices


def _polygons(path: Path) -> list[list[int]]:
    """The polygons whose vertices all lie in the face area, numbered from 0."""
    faces = []
    with path.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if not line.startswith("f "):
                continue
            try:
                face = [int(corner.split("/")[0]) - 1 for corner in line.split()[1:]]
            except ValueError as error:
                raise DataError(f"{path}, line {number}: {line.strip()!r} is no polygon") from error
            if all(0 <= corner < FACE_AREA for corner in face):
                faces.append(face)
    return faces
