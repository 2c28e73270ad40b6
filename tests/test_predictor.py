"""The predictor against the same network in numpy; networks that keep the contract and ones that do not."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mien
from mien.errors import ImageError, ModelError
from mien.faces import Prediction
from mien.inference import exported, lookup
from mien.inference.annotate import annotate, caption
from mien.inference.detectors import Detection, Framing
from mien.inference.exported import BATCH, ExportedNetwork
from mien.inference.predictor import Predictor
from mien.labels import EMOTIONS
from tiny_network import SIZE, reference, write_embedder, write_network


class Fixed:
    """A detector that finds given boxes."""

    name = "fixed"
    framing = Framing(1.0, 0.0)

    def __init__(self, *boxes: tuple[float, float, float, float]) -> None:
        self.boxes = boxes

    def detect(self, image: np.ndarray) -> list[Detection]:
        return [Detection(box, 0.75) for box in self.boxes]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("network") / "tiny.onnx")


@pytest.fixture
def faces() -> np.ndarray:
    return np.random.default_rng(6).integers(0, 256, (2 * BATCH + 5, SIZE, SIZE), np.uint8)


@pytest.mark.parametrize("n", [0, 1, BATCH, 2 * BATCH + 5])
def test_readings_agree_with_numpy(network: Path, faces: np.ndarray, n: int) -> None:
    readings = Predictor(network, threads=1).classify(faces[:n])
    probabilities, logits = reference(faces[:n])
    assert readings.probabilities.dtype == readings.logits.dtype == np.float32
    np.testing.assert_allclose(readings.probabilities, probabilities, atol=1e-5)
    np.testing.assert_allclose(readings.logits, logits, atol=1e-3)


def test_other_outputs_can_be_asked_for(network: Path, faces: np.ndarray) -> None:
    reader = Predictor(network)
    embedding, maps = reader.run(faces, ("embedding", "maps"))
    assert embedding.shape == (len(faces), 9)
    np.testing.assert_array_equal(maps.reshape(len(faces), 9), embedding)
    assert reader.run(faces[:0], ("maps",))[0].shape == (0, 1, 3, 3)


@pytest.mark.parametrize("shape", [(2, 47, 48), (48, 48), (1, 1, 48, 48)])
def test_faces_of_the_wrong_shape_are_refused(network: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match="expected uint8"):
        Predictor(network).classify(np.zeros(shape, np.uint8))


def test_floats_are_refused(network: Path) -> None:
    with pytest.raises(ImageError, match="float32"):
        Predictor(network).classify(np.zeros((1, 48, 48), np.float32))


def test_a_crop_of_the_networks_size_is_read_as_it_is(network: Path, faces: np.ndarray) -> None:
    (prediction,) = Predictor(network).predict(faces[0], crop=True)
    probabilities = reference(faces[:1])[0][0]
    assert prediction.box == (0, 0, 48, 48)
    assert prediction.detection == 1.0
    assert prediction.source == "image"
    assert list(prediction.emotions) == list(EMOTIONS)
    np.testing.assert_allclose(list(prediction.emotions.values()), probabilities, atol=1e-5)
    assert prediction.label == EMOTIONS[int(probabilities.argmax())]


def test_a_crop_that_is_not_square_is_read_in_its_middle(network: Path, faces: np.ndarray) -> None:
    wide = np.zeros((48, 100), np.uint8)
    wide[:, 26:74] = faces[0]
    (prediction,) = Predictor(network).predict(wide, crop=True)
    assert prediction.box == (0, 0, 100, 48)
    np.testing.assert_allclose(list(prediction.emotions.values()), reference(faces[:1])[0][0], atol=1e-5)


def test_faces_found_are_cut_read_and_numbered(network: Path, faces: np.ndarray, tmp_path: Path) -> None:
    picture = np.zeros((100, 200), np.uint8)
    picture[10:58, 20:68], picture[30:78, 120:168] = faces[0], faces[1]
    path = tmp_path / "two.png"
    Image.fromarray(picture).save(path)
    reader = Predictor(network, detector=Fixed((20.0, 10.0, 48.0, 48.0), (120.0, 30.0, 48.0, 48.0)))
    found = reader.predict(path)
    assert [each.face for each in found] == [0, 1]
    assert [each.box for each in found] == [(20, 10, 48, 48), (120, 30, 48, 48)]
    assert {each.source for each in found} == {str(path)}
    assert {each.detection for each in found} == {0.75}
    read = [list(each.emotions.values()) for each in found]
    np.testing.assert_allclose(read, reference(faces[:2])[0], atol=1e-5)
    assert reader.predict(path.read_bytes(), source="upload")[1].source == "upload"
    assert Predictor(network, detector=Fixed()).predict(path) == []


def test_unsure_is_below_the_networks_own_threshold(tmp_path: Path, faces: np.ndarray) -> None:
    highest = float(reference(faces[:1])[0].max())
    for threshold, unsure in ((highest - 0.01, False), (highest + 0.01, True)):
        path = write_network(tmp_path / "n.onnx", unsure_below=threshold)
        assert Predictor(path).predict(faces[0], crop=True)[0].unsure is unsure


def test_a_face_is_sure_where_exactly_one_emotion_reaches_the_threshold(
    tmp_path: Path, faces: np.ndarray
) -> None:
    p = reference(faces[:1])[0][0]
    ranked = [EMOTIONS[place] for place in np.argsort(-p)]
    ordered = np.sort(p)[::-1]
    between = (ordered[:-1] + ordered[1:]) / 2
    for threshold, held, unsure in (
        (between[0], 1, False),
        (between[1], 2, True),
        (between[2], 3, True),
        (0.0, 7, True),
        (ordered[0] + 0.01, 1, True),
    ):
        promise = {"coverage": 0.8, "threshold": threshold}
        path = write_network(tmp_path / "n.onnx", conformal=promise, unsure_below=1.0)
        (found,) = Predictor(path).predict(faces[0], crop=True)
        assert (found.could_be, found.unsure) == (tuple(ranked[:held]), unsure)
        assert found.could_be[0] == found.label


def test_nothing_is_sure_of_a_picture_that_is_not_familiar(tmp_path: Path, faces: np.ndarray) -> None:
    p, logits = (rows[0] for rows in reference(faces[:1]))
    energy = -float(np.log(np.exp(logits).sum()))
    promise = {"coverage": 0.8, "threshold": float(np.sort(p)[-2:].mean())}
    for limit, familiar in ((energy + 0.01, True), (energy - 0.01, False)):
        words = {"conformal": promise, "familiar": {"share": 0.9, "energy": limit}}
        (found,) = Predictor(write_network(tmp_path / "n.onnx", **words)).predict(faces[0], crop=True)
        assert (found.familiar, found.unsure) == (familiar, not familiar)
        assert found.to_dict()["familiar"] is familiar
        assert found.could_be == (found.label,)
        assert found.words == found.label + "?" * (not familiar)
    (found,) = Predictor(write_network(tmp_path / "n.onnx", conformal=promise)).predict(faces[0], crop=True)
    assert found.familiar is None
    assert (
        Predictor(tmp_path / "n.onnx").describe([], Predictor(tmp_path / "n.onnx").classify(faces[:0]), "")
        == []
    )


def test_what_is_said_of_a_face() -> None:
    def said(unsure: bool, could_be: tuple[str, ...] | None) -> tuple[str, str]:
        face = Prediction("a.png", 0, (0, 0, 9, 9), 1.0, {"sad": 0.5, "fear": 0.3, "angry": 0.2}, unsure)
        face = replace(face, could_be=could_be)
        return face.words, caption(face)

    assert said(False, None) == said(False, ("sad",)) == ("sad", "sad 50 %")
    assert said(True, None) == said(True, ("sad",)) == ("sad?", "sad? 50 %")
    assert said(True, ("sad", "fear")) == ("sad or fear", "sad or fear")
    assert said(True, ("sad", "fear", "angry"))[0] == "sad, fear or angry"


def test_a_name_a_path_and_a_run_folder(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faces: np.ndarray
) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    default = lookup.DEFAULT_MODEL
    (weights / f"{default}.onnx").write_bytes(network.read_bytes())
    (weights / f"{default}.json").write_text(json.dumps({"name": default}))
    run = tmp_path / "run"
    run.mkdir()
    (run / "model.onnx").write_bytes(network.read_bytes())
    monkeypatch.setattr(lookup.storage, "packaged", lambda folder: tmp_path / folder)
    expected = reference(faces[:1])[0][0].max()
    for model in (default, weights / f"{default}.onnx", run, str(run)):
        assert mien.load(model).predict(faces[0], crop=True)[0].confidence == pytest.approx(
            expected, abs=1e-5
        )
    assert mien.predict(faces[0], crop=True)[0].confidence == pytest.approx(expected, abs=1e-5)
    assert lookup.shipped() == [default]
    assert lookup.card_of(default) == {"name": default}
    with pytest.raises(ModelError, match=rf"'absent': expected {default}, a path"):
        mien.load("absent")
    with pytest.raises(ModelError, match=r"no model\.onnx"):
        mien.load(weights)
    with pytest.raises(ModelError, match="is no network"):
        mien.load(weights / f"{default}.json")


def test_predict_keeps_its_network_until_the_file_changes(tmp_path: Path, faces: np.ndarray) -> None:
    path = write_network(tmp_path / "n.onnx", unsure_below=0.0)
    assert not mien.predict(faces[0], path, crop=True)[0].unsure
    kept = exported._kept.cache_info().hits
    assert not mien.predict(faces[0], path, crop=True)[0].unsure
    assert exported._kept.cache_info().hits == kept + 1
    write_network(path, unsure_below=1.0)
    assert mien.predict(faces[0], path, crop=True)[0].unsure


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ("", "not a network that mien exported"),
        ("{", "damaged metadata"),
        ("[]", "damaged metadata"),
        ({"name": "x"}, "damaged metadata"),
        (
            {
                "name": "x",
                "architecture": "x",
                "labels": ["a", "b"],
                "input_size": 48,
                "unsure_below": 0.5,
                "temperature": 1.0,
            },
            "names 2 labels for 7 columns of its probabilities",
        ),
    ],
)
def test_networks_that_break_the_contract_are_refused(tmp_path: Path, metadata: object, words: str) -> None:
    path = write_network(tmp_path / "n.onnx", metadata)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=words) as caught:
        Predictor(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": ["angry"] * 7}, "names a label twice"),
        ({"kind": "embeding"}, "kind 'embeding': did you mean 'embedding'"),
        ({"kind": "embedding"}, "damaged metadata 'mien': KeyError.'dimensions'"),
        ({"kind": "classifier", "unsure_below": "often"}, "damaged metadata"),
        ({"conformal": {"coverage": 0.8}}, "damaged metadata 'mien': KeyError.'threshold'"),
        ({"familiar": {"share": 0.9, "energy": float("nan")}}, "expected a finite number"),
        ({"temperature": 0}, "expected more than 0"),
    ],
)
def test_cards_that_fit_no_network_are_refused(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        ExportedNetwork(write_network(tmp_path / "n.onnx", **changes))
    assert "\n" not in str(caught.value)


def test_a_file_that_names_no_kind_is_a_classifier(tmp_path: Path, faces: np.ndarray) -> None:
    first = Predictor(write_network(tmp_path / "first.onnx"))
    named = Predictor(write_network(tmp_path / "named.onnx", kind="classifier"))
    assert first.card == named.card
    assert first.card.kind == "classifier"
    assert ExportedNetwork(first.path).card == first.card
    np.testing.assert_array_equal(first.classify(faces[:3]).logits, named.classify(faces[:3]).logits)


def test_a_network_that_maps_faces_is_refused(tmp_path: Path) -> None:
    path = write_embedder(tmp_path / "map.onnx")
    for read in (lambda: Predictor(path), lambda: mien.predict(np.zeros((48, 48), np.uint8), path)):
        with pytest.raises(ModelError, match=r"gives faces places on a map: .*'mien embed' serves") as caught:
            read()
        assert "\n" not in str(caught.value)


def test_a_damaged_network_and_wrong_arguments_are_refused(tmp_path: Path, network: Path) -> None:
    path = tmp_path / "n.onnx"
    path.write_bytes(network.read_bytes()[:300])
    with pytest.raises(ModelError, match="ONNX Runtime can load"):
        Predictor(path)
    with pytest.raises(ModelError, match="0 threads"):
        Predictor(network, threads=0)
    with pytest.raises(ModelError, match="unknown detector"):
        Predictor(network, detector="nose")


def test_reading_imports_no_deep_learning_framework(network: Path) -> None:
    code = (
        "import sys, numpy, mien;"
        f"mien.predict(numpy.zeros((64, 64), 'uint8'), {str(network)!r});"
        "print([m for m in ('torch', 'scipy', 'matplotlib', 'pandas', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def reading(box: tuple[int, int, int, int], unsure: bool) -> Prediction:
    return Prediction("a.png", 0, box, 0.9, {"happy": 0.7, "sad": 0.3}, unsure)


@pytest.mark.parametrize("background", [0, 128, 255])
def test_annotation_shows_on_any_background_and_leaves_the_rest(background: int) -> None:
    picture = np.full((300, 400, 3), background, np.uint8)
    before = picture.copy()
    box = (100, 100, 90, 120)
    drawn = {unsure: np.asarray(annotate(picture, [reading(box, unsure)])) for unsure in (False, True)}
    np.testing.assert_array_equal(picture, before)
    assert (drawn[False] != drawn[True]).any()
    for image in drawn.values():
        assert image.shape == picture.shape
        edge = image[110:210, 100:110].mean(axis=2)
        assert edge.max() - edge.min() > 100
        np.testing.assert_array_equal(image[110:210, 110:180], picture[110:210, 110:180])
        np.testing.assert_array_equal(image[:, :90], picture[:, :90])
    assert caption(reading(box, True)) == "happy? 70 %"
    assert caption(reading(box, False)) == "happy 70 %"


@pytest.mark.parametrize(
    "box", [(0, 0, 20, 20), (0, 0, 1, 1), (19, 19, 1, 1), (0, 18, 20, 2), (0, 0, 3, 20), (10, 0, 4, 4)]
)
@pytest.mark.parametrize("unsure", [False, True])
def test_annotation_of_small_pictures_and_boxes(box: tuple[int, int, int, int], unsure: bool) -> None:
    assert annotate(np.zeros((20, 20, 3), np.uint8), [reading(box, unsure)]).size == (20, 20)
