"""The face mesh and its map to the 83 landmarks: where it looks, what it takes, what is not believed."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from mien import fetching
from mien.data.landmarks.neutral import with_neutrals
from mien.data.landmarks.picture_names import picture_names
from mien.data.landmarks.preprocessing import prepared, rotations
from mien.errors import FetchError, ImageError, ModelError
from mien.faces import Face, FaceBatch
from mien.inference.landmarker import Landmarker, PictureFace, batch_of, faces_in_dataset, faces_in_picture
from mien.inference.mesh import INPUT, POINTS, Mesh, MeshReading, aligned
from mien.inference.mesh_map import (
    MESH_POINTS,
    RIGID,
    STRAIGHT,
    disagreement,
    head_angles,
    landmarks_of,
    mirrored_landmarks_of,
)  # fmt: skip
from mien.labels import EMOTIONS
from mien.landmark_layout import COUNT, LOWER_LIDS, MIRROR, REGIONS, UPPER_LIDS

# MediaPipe's lines of the mesh (face_landmarks_connections), of the right side and of the left in one order.
RIGHT_LEFT = {
    "eye": (
        (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
        (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
    ),
    "brow": (
        (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
        (300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
    ),
}
OUTER_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
JAW = (
    127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152,
    377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356,
)  # fmt: skip
LINES = {
    "right_eye": RIGHT_LEFT["eye"][0], "left_eye": RIGHT_LEFT["eye"][1], "right_brow": RIGHT_LEFT["brow"][0],
    "left_brow": RIGHT_LEFT["brow"][1], "outer_lips": OUTER_LIPS, "inner_lips": INNER_LIPS, "jaw": JAW,
}  # fmt: skip
NOSE_PAIRS = ((193, 417), (198, 420), (129, 358), (64, 294), (98, 327), (97, 326))


def mirrored_point() -> dict[int, int]:
    """The mesh's point on the other side, of all on the lines above: they are listed symmetrically."""
    pairs = [pair for right, left in RIGHT_LEFT.values() for pair in zip(right, left, strict=True)]
    for line in (OUTER_LIPS, INNER_LIPS):
        # Corner, upper lip, corner, lower lip: the corners change places.
        half = len(line) // 2
        pairs += zip(line, np.roll(line[::-1], half + 1).tolist(), strict=True)
    pairs += zip(JAW, JAW[::-1], strict=True)
    pairs += NOSE_PAIRS
    return dict(pairs) | {left: right for right, left in pairs}


@pytest.mark.parametrize("name", list(LINES))
def test_a_region_follows_its_line_of_the_mesh(name: str) -> None:
    (region,) = (each for each in REGIONS if each.name == name)
    taken = MESH_POINTS[region.start : region.stop].tolist()
    places = [LINES[name].index(point) for point in taken]
    assert places == sorted(places)
    assert places[0] == (0 if name != "jaw" else 1)


def test_left_and_right_are_mirror_pairs_of_the_mesh() -> None:
    assert len(set(MESH_POINTS.tolist())) == COUNT
    mirror = mirrored_point()
    assert [mirror[point] for point in MESH_POINTS.tolist()] == MESH_POINTS[MIRROR].tolist()
    assert sorted(MIRROR[RIGID].tolist()) == sorted(RIGID.tolist())


def straight_face() -> NDArray[np.float64]:
    """(83, 3): a schematic face in the layout's axes, the eyes 1 apart; the nose sticks out."""
    points = np.zeros((COUNT, 3))
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    for name, x, y, wide, high in (("eye", 0.5, 0.0, 0.22, 0.08), ("brow", 0.5, 0.35, 0.3, 0.06)):
        (right,) = (each for each in REGIONS if each.name == f"right_{name}")
        turn = np.linspace(0, 2 * np.pi, right.stop - right.start, endpoint=False)
        loop = np.c_[-x - wide * np.cos(turn), y + high * np.sin(turn), np.zeros(len(turn))]
        points[right.indices] = loop
        points[MIRROR[right.indices]] = loop * [-1, 1, 1]
    for name, high in (("outer_lips", 0.2), ("inner_lips", 0.05)):
        (lips,) = (each for each in REGIONS if each.name == name)
        turn = np.linspace(0, 2 * np.pi, lips.stop - lips.start, endpoint=False)
        points[lips.indices] = np.c_[-0.4 * np.cos(turn), -1.1 + high * np.sin(turn), 0 * turn]
    (jaw,) = (each for each in REGIONS if each.name == "jaw")
    turn = np.linspace(0, np.pi, jaw.stop - jaw.start)
    points[jaw.indices] = np.c_[-1.1 * np.cos(turn), -0.1 - 1.5 * np.sin(turn), -0.5 + 0 * turn]
    points[RIGID] = STRAIGHT
    return points


def mesh_of(points: NDArray[np.float64]) -> NDArray[np.float32]:
    """(468, 3) in the mesh's axes of landmarks (83, 3); points that are no landmark lie in their middle."""
    mesh = np.tile(points.mean(axis=0), (POINTS, 1))
    mesh[MESH_POINTS] = points
    return (mesh * [1, -1, -1]).astype(np.float32)


def test_landmarks_have_the_axes_of_the_layout() -> None:
    rng = np.random.default_rng(0)
    mesh = rng.normal(size=(2, POINTS, 3))
    found = landmarks_of(mesh)
    for face in range(2):
        for number, point in enumerate(MESH_POINTS):
            x, y, z = mesh[face, point]
            np.testing.assert_allclose(found[face, number], (x, -y, -z), rtol=1e-6)
    np.testing.assert_array_equal(mirrored_landmarks_of(mesh)[:, MIRROR], found)
    assert found.dtype == np.float32


def test_the_turn_of_a_head_is_what_preparation_takes_back() -> None:
    rng = np.random.default_rng(1)
    angles = rng.uniform(-60, 60, (50, 3)).astype(np.float32)
    straight = straight_face()
    turned = straight @ rotations(angles).transpose(0, 2, 1)
    turned = turned * rng.uniform(5, 500, (50, 1, 1)) + rng.normal(0, 300, (50, 1, 3))
    np.testing.assert_allclose(head_angles(turned), angles, atol=1e-3)
    # In a mirror the head turns and leans to the other side, and nods alike.
    reflected = (turned * [-1, 1, 1])[:, MIRROR]
    np.testing.assert_allclose(head_angles(reflected), angles * [1, -1, -1], atol=1e-3)


def test_disagreement_is_in_distances_between_the_eyes() -> None:
    face = straight_face()
    right, left = (face[list(corners)].mean(axis=0) for corners in ((0, 4), (8, 12)))
    eyes = math.dist(right, left)
    assert disagreement(face, face + np.array([0.03, -0.04, 7.0])) == pytest.approx(0.05 / eyes)
    assert disagreement(face * 80, face * 80) == 0


def test_a_look_is_upright_with_the_face_in_its_middle() -> None:
    face = straight_face() @ rotations(np.array([[0, 0, -30.0]], np.float32))[0].T * 40
    mesh = mesh_of(face) + np.array([300, 200, 0], np.float32)
    view = aligned(mesh)
    seen = mesh[:, :2] @ view[:, :2].T + view[:, 2]
    low, high = seen.min(axis=0), seen.max(axis=0)
    np.testing.assert_allclose((low + high) / 2, (INPUT - 1) / 2, atol=1e-3)
    assert (high - low).max() == pytest.approx(INPUT / 1.5)
    right, left = (seen[list(corners)].mean(axis=0) for corners in ((33, 133), (362, 263)))
    assert left[1] == pytest.approx(right[1], abs=1e-3)
    assert left[0] > right[0]


class Blob(Mesh):
    """In place of the network: a face whose middle is where the picture is bright, 90 pixels wide."""

    def __init__(self) -> None:
        self.inputs: list[NDArray[np.float32]] = []

    def _forward(self, pixels: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
        assert pixels.shape == (1, 3, INPUT, INPUT)
        assert pixels.dtype == np.float32
        self.inputs.append(pixels)
        bright = pixels[0].mean(axis=0).astype(np.float64).clip(0) ** 2
        y, x = np.mgrid[:INPUT, :INPUT]
        middle = np.array([(bright * x).sum(), (bright * y).sum()]) / bright.sum()
        points = np.zeros((POINTS, 3))
        points[:, 0] = np.linspace(-45, 45, POINTS)
        points[[33, 133], 0], points[[362, 263], 0] = -20, 20
        points[:, :2] += middle
        return points, 0.9


@pytest.mark.parametrize("tilt", [0.0, 25.0])
@pytest.mark.parametrize(("side", "colour"), [(48, False), (48, True), (1000, True), (801, False)])
def test_points_come_back_to_the_pixels_of_the_picture(side: int, colour: bool, tilt: float) -> None:
    at = (0.55 * side, 0.45 * side)
    y, x = np.mgrid[:side, :side]
    spot = 255 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * (side / 20) ** 2))
    image = np.rint(spot).astype(np.uint8)
    reading = Blob().read(np.repeat(image[:, :, None], 3, axis=2) if colour else image, tilt=tilt)
    for points in (reading.points, reading.mirrored):
        assert points.shape == (POINTS, 3)
        assert points.dtype == np.float32
        middle = (points[0, :2] + points[-1, :2]) / 2
        np.testing.assert_allclose(middle, at, atol=0.004 * side)
    assert reading.score == 0.9


def test_only_the_square_of_a_large_picture_is_looked_at() -> None:
    image = np.zeros((600, 900), np.uint8)
    image[100:110, 700:710] = 255
    image[500:600, 0:100] = 255
    points = Blob().read(image, (655.0, 55.0, 100.0)).points
    np.testing.assert_allclose((points[0, :2] + points[-1, :2]) / 2, (704.5, 104.5), atol=0.5)
    with pytest.raises(ImageError, match="lies outside the picture of 900×600"):
        Blob().read(image, (5000.0, 5000.0, 100.0))


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8)]
)
def test_what_is_no_picture_is_refused(image: NDArray[np.uint8]) -> None:
    with pytest.raises(ImageError, match="expected uint8"):
        Blob().read(image)


class Told(Mesh):
    """In place of the network: for each tilt what it is told, in the mesh's axes."""

    def __init__(self, readings: dict[float, MeshReading]) -> None:
        self.readings = readings
        self.asked: list[float] = []

    def read(self, image: object, square: object = None, tilt: float = 0.0) -> MeshReading:
        self.asked.append(tilt)
        return self.readings.get(tilt, self.readings[0.0])


def reading(
    points: NDArray[np.float64], apart: float = 0.0, score: float = 0.99, eyes: float = 60.0
) -> MeshReading:
    """A face of eyes so many pixels apart in the middle of 200 × 200 pixels; `apart`: of the mirrored one."""
    face = points * eyes + [100, -85, 0]
    mirrored = (face + np.array([apart * eyes, 0, 0]))[MIRROR]
    return MeshReading(mesh_of(face), mesh_of(mirrored), score)


PICTURE = np.zeros((200, 200), np.uint8)
FRAME = Face((0, 0, 200, 200), 1.0)


def test_a_believed_face_is_the_mean_in_and_out_of_the_mirror() -> None:
    mesh = Told({0.0: reading(straight_face(), apart=0.02)})
    found = Landmarker(mesh).read(PICTURE)
    assert (found.reason, mesh.asked) == ("", [0.0])
    np.testing.assert_allclose(found.points, straight_face() * 60 + [100.6, -85, 0], atol=1e-3)
    np.testing.assert_allclose(found.angles, 0, atol=1e-2)
    eyes = math.dist(*(straight_face()[list(c)].mean(axis=0) for c in ((0, 4), (8, 12))))
    assert found.disagreement == pytest.approx(0.02 / eyes, rel=1e-3)


def crossed() -> NDArray[np.float64]:
    face = straight_face()
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        face[[*upper, *lower]] = face[[*lower, *upper]]
    return face


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (reading(straight_face(), score=0.4), "no face seen"),
        (reading(straight_face(), apart=0.2), "read otherwise in the mirror"),
        (reading(straight_face() + np.array([0, 1.6, 0])), "eyes, nose or lips outside the picture"),
        (reading(straight_face(), eyes=15), "eyes too close together"),
        (
            reading(straight_face() @ rotations(np.array([[0, 55, 0]], np.float32))[0].T),
            "turned by more than 50°",
        ),
        (reading(crossed()), "lids crossed"),
    ],
)
def test_what_is_not_believed_says_why(told: MeshReading, reason: str) -> None:
    mesh = Told({0.0: told})
    assert Landmarker(mesh).read(PICTURE).reason == reason
    assert mesh.asked == [0.0, -25.0, 25.0]


def test_a_leaning_face_is_found_from_another_tilt() -> None:
    mesh = Told({0.0: reading(straight_face(), apart=0.2), 25.0: reading(straight_face(), apart=0.01)})
    found = Landmarker(mesh).read(PICTURE)
    assert found.reason == ""
    assert found.disagreement < 0.02


def dataset(n: int = 4) -> FaceBatch:
    return FaceBatch(
        images=np.zeros((n, 200, 200), np.uint8),
        labels=np.arange(n, dtype=np.int64),
        splits=np.array([0, 0, 1, 1][:n], np.int8),
        rows=np.array([0, 12, 28709, 28710][:n], np.int64),
        votes=np.zeros((n, 10), np.uint8),
        source="some faces",
    )


def test_a_dataset_keeps_labels_splits_and_rows() -> None:
    readings = iter([reading(straight_face())] * 2 + [reading(straight_face(), score=0.1)] * 3)

    class Next(Told):
        def read(self, image: object, square: object = None, tilt: float = 0.0) -> MeshReading:
            return next(readings, reading(straight_face()))

    faces = list(faces_in_dataset(Landmarker(Next({})), dataset()))
    batch = batch_of(faces, "some faces")
    assert batch.names.tolist() == ["training-00000", "training-00012", "public-28710"]
    assert batch.labels.tolist() == [0, 1, 3]
    assert batch.splits.tolist() == [0, 0, 1]
    assert batch.subjects.tolist() == batch.names.tolist()
    assert batch.left_out == ("1 of 2 public faces: no face seen",)
    assert (batch.source, batch.synthetic, batch.neutral) == ("some faces", False, None)
    named = picture_names(dataset())
    assert set(batch.names.tolist()) < set(named.tolist())
    straight = prepared(batch)
    np.testing.assert_allclose(straight.points[0], straight.points[2], atol=1e-5)


def test_a_turned_face_is_prepared_as_a_straight_one() -> None:
    turned = straight_face() @ rotations(np.array([[10, -20, 15]], np.float32))[0].T
    faces = [
        PictureFace(name, FRAME, Landmarker(Told({0.0: told})).read(PICTURE), name)
        for name, told in (("straight", reading(straight_face())), ("turned", reading(turned)))
    ]
    points = prepared(batch_of(faces)).points
    np.testing.assert_allclose(points[1], points[0], atol=2e-3)


def test_named_people_are_posed_and_have_neutral_faces() -> None:
    turned = straight_face() @ rotations(np.array([[10, -20, 15]], np.float32))[0].T
    mesh = Told({0.0: reading(turned)})
    labels = np.array([EMOTIONS.index(name) for name in ("happy", "neutral", "neutral", "sad")])
    people = np.array(["Ann", "Ann", "Ben", "Ben"])
    named = replace(dataset(), labels=labels, subjects=people)
    batch = batch_of(list(faces_in_dataset(Landmarker(mesh), named)))
    assert batch.subjects.tolist() == people.tolist()
    assert not batch.angles.any()
    faces = with_neutrals(prepared(batch))
    expected = prepared(batch_of([PictureFace("it", FRAME, Landmarker(mesh).read(PICTURE), "it")])).points
    np.testing.assert_allclose(faces.points, np.repeat(expected, 4, axis=0), atol=1e-5)
    assert faces.neutral is not None
    np.testing.assert_array_equal(faces.neutral, faces.points[[1, 1, 2, 2]])


def test_no_face_makes_an_empty_batch() -> None:
    assert len(batch_of([])) == 0


def test_without_the_file_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="run 'mien fetch facemesh'"):
        Mesh()
    wrong = tmp_path / "wrong.tflite"
    wrong.write_bytes(b"no network")
    with pytest.raises(ModelError, match=r"wrong\.tflite is not the face mesh"):
        Mesh(wrong)


@pytest.fixture(scope="module")
def facemesh() -> Mesh:
    if os.environ.get("PIP_NO_INDEX") and not fetching.is_present("facemesh"):
        pytest.skip("the network was not fetched")
    try:
        fetching.fetch("facemesh")
    except FetchError as error:
        pytest.skip(f"the network cannot be fetched: {error}")
    return Mesh()


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    data = pytest.importorskip("skimage.data", reason="the photograph comes with scikit-image")
    return np.asarray(data.astronaut())


FACE = (160.0, 55.0, 132.0)
"""The square of the astronaut's face."""


def test_the_astronaut(facemesh: Mesh, astronaut: NDArray[np.uint8]) -> None:
    found = Landmarker(facemesh).read(astronaut, FACE)
    assert found.reason == ""
    assert found.score > 0.99
    assert found.disagreement < 0.03
    seen = found.points[:, :2] * [1, -1]
    # Read off the photograph by eye, in pixels: eyes' corners, lips' corners, chin.
    expected = {
        0: (194, 101), 4: (213, 103), 12: (237, 104), 8: (256, 104), 48: (199, 139), 54: (247, 142),
        75: (222, 175),
    }  # fmt: skip
    for number, place in expected.items():
        assert math.dist(seen[number], place) < 3
    assert np.abs(found.angles).max() < 10
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        assert found.points[upper, 1].min() > found.points[lower, 1].max() - 1
    # The nose is nearer to the viewer than the ears.
    assert found.points[44, 2] > found.points[[68, 82], 2].max() + 10


def test_size_and_mirror_change_little(facemesh: Mesh, astronaut: NDArray[np.uint8]) -> None:
    reader = Landmarker(facemesh)
    found = reader.read(astronaut, FACE)
    x, y, side = (round(value) for value in FACE)
    crop = Image.fromarray(astronaut[y : y + side, x : x + side])
    for size in (48, 600):
        other = reader.read(np.asarray(crop.convert("L").resize((size, size), Image.Resampling.BOX)))
        assert other.reason == ""
        points = other.points * (side / size) + np.array([x, -y, 0], np.float32)
        assert disagreement(found.points, points) < 0.04
    mirrored = reader.read(np.ascontiguousarray(astronaut[:, ::-1]), (512 - FACE[0] - FACE[2], *FACE[1:]))
    back = (mirrored.points * [-1, 1, 1] + [511, 0, 0])[MIRROR]
    assert disagreement(found.points, back) < 0.01


def test_what_is_no_face_is_not_believed(facemesh: Mesh) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    (face,) = faces_in_picture(Landmarker(facemesh), np.repeat(noise[:, :, None], 3, axis=2), "noise", None)
    assert face.name == "noise#0"
    assert face.found.reason
