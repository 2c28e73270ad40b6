"""A run that maps faces, whole: what it leaves, and what it may be resumed with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mien import data, ledger
from mien.experiments import run as runs
from mien.experiments.run import Order, train
from mien.experiments.splits import read_splits
from mien.labels import SIX, SPLITS
from mien.models import architecture
from mien.training.recipe import load
from synthetic import face_batch

SMALL = (
    "model.filters=[8,16]", "model.hidden=[32,16]", "train.epochs=2", "train.batch_size=40",
    "train.precision=32-true", "train.lr=0.02", "data.test=private", "task.snapshots=[0,1]",
)  # fmt: skip


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Faces of three splits, of the same six emotions each."""
    faces = face_batch(420)
    splits = (np.arange(len(faces)) // 7 % 3).astype(np.int8)
    path = tmp_path / "faces.parquet"
    data.write(replace(faces, splits=splits), path, "parquet")
    return path


@pytest.mark.slow
def test_a_test_split_is_mapped_and_judged_by(dataset: Path, tmp_path: Path) -> None:
    recipe = load("d/fer2013", overrides=SMALL)
    entry = train(Order(recipe, dataset, tmp_path / "run"))
    assert list(entry["maps"]) == ["public", "private"]
    split, found = ledger.map_of(entry)
    assert split == "private"
    held = read_splits(recipe, dataset).test
    assert held is not None
    assert found["n"] == len(held) == 120
    assert found["quality"]["faces"] == dict.fromkeys(SIX, 20)
    assert json.loads((tmp_path / "run" / "model.json").read_text())["map"]["split"] == "public"
    assert "private" in (tmp_path / "run" / "report.html").read_text()


def test_a_test_split_that_is_not_there_is_none(dataset: Path) -> None:
    faces = data.read(dataset)
    data.write(faces.select(faces.splits != SPLITS.index("private")), dataset, "parquet")
    assert read_splits(load("d/fer2013", overrides=SMALL), dataset).test is None


@pytest.mark.parametrize(("stage", "equal"), [((), True), (("frozen.epochs=1",), False)])
def test_a_frozen_trunk_must_be_the_same_when_resumed(
    stage: tuple[str, ...], equal: bool, dataset: Path, tmp_path: Path
) -> None:
    recipe = load("d/fer2013", overrides=(*SMALL, *stage))
    order = Order(recipe, dataset, tmp_path / "run", start="weights.onnx")
    faces = read_splits(recipe, dataset)
    prints = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = architecture("siamese_conv").build(recipe.model.options, SIX)
        prints.append(runs._fingerprint(order, faces, network))
    assert (prints[0] == prints[1]) is equal
