"""Faces on a map: the mapper against the same network in numpy, and its reference faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import ImageError, ModelError
from mien.inference.exported import BATCH, ExportedNetwork
from mien.inference.mapper import Mapper
from mien.labels import EMOTIONS, SIX
from tiny_network import SIZE, reference_places, write_embedder, write_network


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_embedder(tmp_path_factory.mktemp("map") / "tiny.onnx")


@pytest.fixture
def faces() -> np.ndarray:
    return np.random.default_rng(6).integers(0, 256, (BATCH + 5, SIZE, SIZE), np.uint8)


@pytest.mark.parametrize("n", [0, 1, BATCH, BATCH + 5])
def test_places_agree_with_numpy(network: Path, faces: np.ndarray, n: int) -> None:
    mapper = Mapper(network, threads=1)
    places = mapper.places(faces[:n])
    assert places.dtype == np.float32
    assert places.shape == (n, 2)
    np.testing.assert_allclose(places, reference_places(faces[:n]), atol=1e-4)
    assert (mapper.card.kind, mapper.card.dimensions, mapper.labels) == ("embedding", 2, SIX)
    assert ExportedNetwork(network).card == mapper.card


def test_faces_of_the_wrong_shape_are_refused(network: Path) -> None:
    with pytest.raises(ImageError, match="expected uint8"):
        Mapper(network).places(np.zeros((1, 47, 48), np.uint8))


def test_a_classifier_is_refused(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx")
    with pytest.raises(ModelError, match=r"names expressions: .*'mien predict' serves") as caught:
        Mapper(path)
    assert "\n" not in str(caught.value)


def test_an_embedder_of_other_dimensions_than_it_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="names 3 dimensions for 2 columns of its embedding"):
        Mapper(write_embedder(tmp_path / "n.onnx", dimensions=3))


def write_map(network: Path, **changes: Any) -> dict[str, Any]:
    """Writes a card beside the network, with a map of four faces."""
    points = [[0.0, 1.0], [0.5, -2.0], [3.0, 0.25], [1.0, 1.0]]
    card = {"map": {"split": "public", "labels": ["happy", "sad", "fear", "happy"], "points": points}}
    card["map"] |= changes
    network.with_suffix(".json").write_text(json.dumps(card))
    return card["map"]


def test_reference_faces_are_read_from_the_card(tmp_path: Path) -> None:
    network = write_embedder(tmp_path / "n.onnx")
    assert Mapper(network).reference is None
    network.with_suffix(".json").write_text("{}")
    assert Mapper(network).reference is None
    given = write_map(network)
    found = Mapper(network).reference
    assert found is not None
    assert found.split == "public"
    assert [EMOTIONS[label] for label in found.labels] == given["labels"]
    np.testing.assert_array_equal(found.points, given["points"])


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ["happy", "sad", "fear"]},
        {"labels": ["happy", "sad", "fear", "bored"]},
        {"points": [[0.0], [1.0], [2.0], [3.0]]},
        {"points": [[0.0, 1.0], [2.0], [3.0, 1.0], [0.0, 0.0]]},
        {"points": [[0.0, 1.0], [2.0, float("nan")], [3.0, 1.0], [0.0, 0.0]]},
        {"points": None},
    ],
)
def test_a_damaged_map_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    network = write_embedder(tmp_path / "n.onnx")
    write_map(network, **changes)
    with pytest.raises(ModelError, match="cannot read the map in") as caught:
        _ = Mapper(network).reference
    assert "\n" not in str(caught.value)
