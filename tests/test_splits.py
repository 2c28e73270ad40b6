"""What a recipe's data section asks for is what a run is trained and selected on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien import data
from mien.data.hashes import pixel_hashes
from mien.errors import DataError
from mien.experiments.splits import Splits, read_splits
from mien.faces import FaceBatch
from mien.training.recipe import DataSection, load
from synthetic import face_batch


def with_copies() -> FaceBatch:
    """60 training faces (0…59) and 30 public ones (60…89), some of them copies."""
    batch = face_batch(90)
    images = batch.images.copy()
    labels = batch.labels.copy()
    images[7] = images[3]  # A repeat within training with another label.
    images[58] = images[3]
    images[60] = images[5]
    images[61] = images[58]
    images[64] = images[63]  # A repeat within validation, which stays.
    images[70] = images[6]  # A copy of a neutral face, which the six emotions leave out.
    assert (labels[6], labels[70]) == (6, 0)
    return replace(batch, images=images)


def found(path: Path, *overrides: str) -> tuple[Splits, list[str]]:
    lines: list[str] = []
    return read_splits(load("c/final", overrides=overrides), path, note=lines.append), lines


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    data.write(with_copies(), tmp_path / "faces.parquet", "parquet")
    return tmp_path / "faces.parquet"


def test_unasked_nothing_is_left_out(faces: Path) -> None:
    splits, lines = found(faces)
    assert (splits.train.rows.tolist(), splits.validation.rows.tolist()) == (
        list(range(60)),
        list(range(60, 90)),
    )
    assert lines == []


def test_copies_are_left_out(faces: Path) -> None:
    splits, lines = found(faces, "data.drop_copies=true")
    assert splits.train.rows.tolist() == [row for row in range(60) if row not in (7, 58)]
    assert splits.validation.rows.tolist() == [row for row in range(60, 90) if row not in (60, 61, 70)]
    assert lines == [
        "2 repeats in training left out",
        "3 copies of training faces left out of 30 others",
    ]
    assert not np.isin(pixel_hashes(splits.validation.images), pixel_hashes(splits.train.images)).any()


def test_copies_among_some_emotions(faces: Path) -> None:
    six = 'data.labels=["angry", "disgust", "fear", "happy", "sad", "surprise"]'
    splits, _ = found(faces, six, "data.drop_copies=true")
    batch = with_copies()
    training = [row for row in range(60) if batch.labels[row] < 6 and row not in (7, 58)]
    assert splits.train.rows.tolist() == training
    # Row 70 is a copy of a neutral training face: its label is in doubt.
    public = [row for row in range(60, 90) if batch.labels[row] < 6 and row not in (60, 61, 70)]
    assert splits.validation.rows.tolist() == public


def test_the_limit_is_of_what_is_left(faces: Path) -> None:
    splits, _ = found(faces, "data.drop_copies=true", "data.limit=27")
    assert (len(splits.train), len(splits.validation)) == (27, 27)
    assert not {7, 58} & set(splits.train.rows.tolist())


def test_a_validation_split_of_copies_alone(tmp_path: Path) -> None:
    batch = face_batch(9)
    images = batch.images.copy()
    images[batch.splits == 1] = images[0]
    data.write(replace(batch, images=images), tmp_path / "faces.h5", "hdf5")
    with pytest.raises(DataError, match="no 'public' face of angry"):
        found(tmp_path / "faces.h5", "data.drop_copies=true")


def test_faces_of_another_size_are_resized_where_asked(tmp_path: Path) -> None:
    batch = face_batch(21, size=64)
    data.write(batch, tmp_path / "faces.h5", "hdf5")
    splits, _ = found(tmp_path / "faces.h5", "data.resize=true")
    assert splits.train.images.shape == (14, 48, 48)
    # The brightest block stays where it was, so that nothing was shifted or turned.
    assert splits.validation.images.shape == (7, 48, 48)
    for image, label in zip(splits.train.images, splits.train.labels, strict=True):
        row, column = divmod(int(label), 3)
        block = image[row * 12 + 1 : row * 12 + 8, column * 12 + 1 : column * 12 + 8]
        assert block.mean() > image.mean() + 50
    unasked, _ = found(tmp_path / "faces.h5")
    assert unasked.train.images.shape == (14, 64, 64)


def test_a_face_of_the_right_size_is_not_touched(faces: Path) -> None:
    asked, _ = found(faces, "data.resize=true")
    np.testing.assert_array_equal(asked.train.images, with_copies().images[:60])


def test_recipes_of_before_are_what_they_were() -> None:
    assert DataSection().model_dump(exclude_defaults=True) == {}
    assert load("c/final").data == DataSection()
