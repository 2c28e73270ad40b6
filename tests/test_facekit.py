"""A linear model of faces: its files, its landmarks, and the small face of our own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.data.landmarks.facekit import FACE_AREA, LANDMARKS, FaceBasis, read_basis
from mien.data.landmarks.posing import UNIT_SHAPES, posed_faces
from mien.data.landmarks.procedural import procedural
from mien.errors import DataError
from mien.landmark_layout import (
    COUNT,
    EYE_CORNERS,
    LOWER_LIDS,
    MIRROR,
    REGIONS,
    UPPER_LIDS,
)


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


def arrays() -> dict[str, np.ndarray[Any, Any]]:
    """What FaceKit's npz holds, its face area's size and few shapes."""
    rng = np.random.default_rng(0)
    mean = rng.normal(size=(FACE_AREA, 3)).astype(np.float32)
    mean[list(LANDMARKS)] = procedural().at_landmarks.mean
    return {
        "mean": mean,
        "faces": np.array([[0, 1, 2, 3], [3, 2, 5, 4], [9, 8, 7, 6]], np.int32),
        "identity": rng.normal(size=(3, FACE_AREA, 3)).astype(np.float16),
        "expression": rng.normal(size=(2, FACE_AREA, 3)).astype(np.float16),
        "expression_names": np.array(["browDown_L", "jawOpen"]),
    }


def npz(folder: Path, **changed: np.ndarray[Any, Any] | None) -> Path:
    held = {name: array for name, array in (arrays() | changed).items() if array is not None}
    np.savez(folder / "basis.npz", **held)  # type: ignore[arg-type]
    return folder / "basis.npz"


def clone(folder: Path, vertices: int = FACE_AREA + 3) -> Path:
    """The same as the repository has it: whole heads, of which the face area comes first."""
    held = arrays()
    inside = folder / "FaceXModel"
    inside.mkdir()
    mean = held["mean"].astype(np.float64)
    shapes = {"generic_neutral_mesh": 0 * mean}
    shapes |= {f"identity{i:03d}": offsets for i, offsets in enumerate(held["identity"])}
    shapes |= dict(zip(held["expression_names"], held["expression"], strict=True))
    beyond = f"v 1 2 3\nf 1 2 {FACE_AREA + 1}\n"
    for name, offsets in shapes.items():
        body = "".join(f"v {x!r} {y!r} {z!r}\n" for x, y, z in (mean + offsets)[:vertices].tolist())
        faces = "".join(f"f {' '.join(f'{corner + 1}/1/1' for corner in face)}\n" for face in held["faces"])
        (inside / f"{name}.obj").write_text(f"mtllib a.mtl\n{body}vt 0 0\n{faces}{beyond}")
    return folder


# --- the basis -------------------------------------------------------------------------------------------


def test_the_clone_and_the_npz_are_one_basis(tmp_path: Path) -> None:
    first, second = read_basis(npz(tmp_path)), read_basis(clone(tmp_path))
    for name in ("mean", "triangles", "identity", "expression", "landmarks"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.names == second.names == ("browDown_L", "jawOpen")
    assert first.triangles.tolist()[:2] == [[0, 1, 2], [0, 2, 3]]
    assert len(first.triangles) == 6
    np.testing.assert_array_equal(read_basis(tmp_path / "FaceXModel").mean, first.mean)


def edited(file: Path, change: Callable[[str], str]) -> None:
    file.write_text(change(file.read_text()))


def text_file(folder: Path) -> Path:
    (folder / "a.npz").write_text("text")
    return folder / "a.npz"


def without_shapes(folder: Path) -> Path:
    for file in clone(folder).glob("*/*.obj"):
        if file.name != "generic_neutral_mesh.obj":
            file.unlink()
    return folder


def with_bad_vertex(folder: Path) -> Path:
    edited(clone(folder) / "FaceXModel/identity001.obj", lambda text: text.replace("v ", "v x ", 1))
    return folder


def with_bad_polygon(folder: Path) -> Path:
    edited(clone(folder) / "FaceXModel/generic_neutral_mesh.obj", lambda text: text.replace("f 1/", "f one/"))
    return folder


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "absent": (lambda folder: folder / "nothing.npz", "does not exist"),
    "empty folder": (lambda folder: folder, "no generic_neutral_mesh.obj"),
    "no npz": (text_file, "is no .npz file"),
    "lacking": (lambda folder: npz(folder, identity=None), "has no identity"),
    "pickled": (lambda folder: npz(folder, identity=np.array([{}], object)), "is no .npz file"),
    "small": (lambda folder: npz(folder, mean=np.zeros((9, 3), np.float32)), "9 vertices, expected"),
    "misshapen": (lambda folder: npz(folder, expression=np.zeros((1, FACE_AREA, 3))), "expression is"),
    "not finite": (lambda folder: npz(folder, identity=np.full((1, FACE_AREA, 3), np.nan)), "not finite"),
    "beyond": (lambda folder: npz(folder, faces=np.array([[0, 1, 2, FACE_AREA]])), "outside 0…9408"),
    "flat": (lambda folder: npz(folder, faces=np.arange(4)), "faces is int64"),
    "other numbers": (lambda folder: npz(folder, mean=arrays()["mean"][::-1]), "numbers its vertices"),
    "no numbers": (lambda folder: npz(folder, mean=np.full((FACE_AREA, 3), "a")), "mean is <U1"),
    "short mesh": (lambda folder: clone(folder, 99), "has 100 vertices"),
    "no shapes": (without_shapes, "alone"),
    "vertex": (with_bad_vertex, "identity001.obj holds a vertex that is not three numbers"),
    "polygon": (with_bad_polygon, "is no polygon"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_basis_costs_one_line(what: str, tmp_path: Path) -> None:
    made, message = BAD[what]
    path = made(tmp_path)
    with pytest.raises(DataError, match=message) as caught:
        read_basis(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_face_is_the_mean_and_its_offsets(basis: FaceBasis) -> None:
    rng = np.random.default_rng(0)
    identity, expression = rng.normal(size=len(basis.identity)), rng.random(len(basis.names))
    vertices = [0, 17, int(basis.landmarks[51]), len(basis.mean) - 1]
    expected = basis.mean[vertices].astype(np.float64)
    for weight, shape in [
        *zip(identity, basis.identity, strict=True),
        *zip(expression, basis.expression, strict=True),
    ]:
        expected = expected + weight * shape[vertices].astype(np.float64)
    found = basis.face(identity, expression)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[vertices], expected, atol=1e-5)
    alone = basis.at_landmarks.faces(identity[None], expression[None])[0]
    np.testing.assert_allclose(alone, found[basis.landmarks], atol=1e-5)


def test_a_shape_that_is_not_there_is_named(own: FaceBasis) -> None:
    lacking = replace(own, names=tuple(name.replace("jawOpen", "jawShut") for name in own.names))
    with pytest.raises(DataError, match="'jawOpen'"):
        posed_faces(lacking, people=1, unseen=0)


# --- the landmarks ---------------------------------------------------------------------------------------


def test_landmarks_are_distinct_and_mirror_each_other(basis: FaceBasis) -> None:
    assert len(set(basis.landmarks.tolist())) == COUNT
    points = basis.mean[basis.landmarks]
    np.testing.assert_allclose(points[MIRROR] * (-1, 1, 1), points, atol=2e-3)
    for region in REGIONS:
        if region.name.startswith("right"):
            assert (points[region.indices, 0] < 0).all()


def test_landmarks_lie_where_the_layout_says(basis: FaceBasis) -> None:
    points = basis.mean[basis.landmarks]
    where = {region.name: points[region.indices] for region in REGIONS}
    eye, brow, lips, inner = (where[name] for name in ("right_eye", "right_brow", "outer_lips", "inner_lips"))
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        assert (points[upper, 1] > points[lower[::-1], 1]).all()
    for outer, inside in EYE_CORNERS:
        assert abs(points[outer, 0]) > abs(points[inside, 0])
    # Over the upper side from the outer corner to the inner one, and back below.
    for line, far in ((eye, 4), (brow, 5), (lips, 6), (inner, 4)):
        assert (np.diff(line[: far + 1, 0]) > 0).all()
        assert (np.diff(line[far:, 0]) < 0).all()
        back = np.vstack([line[far:], line[:1]])[::-1]
        assert (line[1:far, 1] > np.interp(line[1:far, 0], back[:, 0], back[:, 1])).all()
    for name in ("nostrils", "jaw"):
        assert (np.diff(where[name][:, 0]) > 0).all()
    assert (np.diff(where["right_nose"][:, 1]) < 0).all()
    heights = [
        where[name][:, 1].mean()
        for name in ("right_brow", "right_eye", "right_nose", "nostrils", "outer_lips")
    ]
    assert heights == sorted(heights, reverse=True)
    assert where["jaw"][7, 1] == points[:, 1].min()
    assert lips[:, 1].max() > inner[:, 1].max() > inner[:, 1].min() > lips[:, 1].min()


def test_landmarks_are_facekits_own_where_it_has_them(request: pytest.FixtureRequest) -> None:
    basis = facekit(request)
    with np.load(basis.source) as held:
        multipie = held["multipie68"]
    ours = basis.landmarks
    np.testing.assert_array_equal(ours[48:68], multipie[48:68])
    shared = {
        0: 36,
        1: 37,
        3: 38,
        4: 39,
        5: 40,
        7: 41,
        12: 42,
        8: 45,
        16: 17,
        17: 18,
        18: 19,
        42: 31,
        47: 35,
        75: 8,
    }
    for landmark, anchor in shared.items():
        assert ours[landmark] == multipie[anchor]


def test_the_procedural_sheet_faces_forward(own: FaceBasis) -> None:
    a, b, c = np.moveaxis(own.mean[own.triangles], 1, 0)
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()
    assert np.isin(np.arange(len(own.mean)), own.triangles).all()


@pytest.mark.parametrize(
    ("unit", "region", "axis", "sign"),
    [("1", "right_brow", 1, 1), ("4", "right_brow", 1, -1), ("26", "jaw", 1, -1), ("12", "outer_lips", 1, 1)],
)
def test_units_move_what_they_are_named_for(
    basis: FaceBasis, unit: str, region: str, axis: int, sign: int
) -> None:
    weights = np.zeros((1, len(basis.names)))
    for name in UNIT_SHAPES[unit]:
        weights[0, [basis.shape(n) for n in basis.names if n in (name, f"{name}_L", f"{name}_R")]] = 1
    moved = basis.at_landmarks.offsets("expression", weights)[0]
    chosen = next(each for each in REGIONS if each.name == region)
    assert sign * moved[chosen.indices, axis].mean() > 0.05
