"""Posed photographs in their owners' own layouts: who shows what is told by names alone, of any size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from mien.data import FORMATS, detect, format_of_name, read, write
from mien.data.pictures import decode_grey
from mien.data.posed import SIDE
from mien.errors import DataError, ImageError, RecipeError
from mien.experiments.splits import read_splits
from mien.faces import FaceBatch
from mien.labels import EMOTIONS
from mien.training.recipe import load

NIMSTIM_CODES = ("AN", "CA", "DI", "FE", "HA", "NE", "SA", "SP")
KDEF_CODES = ("AF", "AN", "DI", "HA", "NE", "SA", "SU")


def picture(path: Path, size: tuple[int, int] = (50, 65), seed: int = 0) -> Path:
    """A small photograph of noise in colour, written as its name ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def nimstim(root: Path, subjects: tuple[str, ...] = ("01F", "02F", "20M", "21M", "22M")) -> Path:
    """Each expression with its mouth closed, surprise open, and one exuberant happy face."""
    for i, subject in enumerate(subjects):
        for code in NIMSTIM_CODES:
            mouth = "O" if code == "SP" else "C"
            picture(root / f"{subject}_{code}_{mouth}.BMP", (50 + i, 65 - i), seed=i)
        picture(root / f"{subject}_HA_X.bmp", seed=9)
    return root


def kdef(root: Path, subjects: tuple[str, ...] = ("F01", "F02", "M01", "M02")) -> Path:
    """Both sessions, five views of each expression, in a folder a session and subject."""
    for subject in subjects:
        for session in "AB":
            for code in KDEF_CODES:
                for view in ("FL", "HL", "S", "HR", "FR"):
                    picture(root / "KDEF" / f"{session}{subject}" / f"{session}{subject}{code}{view}.JPG")
    return root


def by_subject(root: Path, subjects: tuple[str, ...] = ("s01", "s02", "Ann B.", "s10")) -> Path:
    for subject in subjects:
        for emotion in ("happy", "Sadness", "fear"):
            picture(root / subject / emotion / "1.jpg", (90, 40))
            picture(root / subject / emotion / "2.jpeg", (31, 33), seed=2)
    return root


def of_subject(batch: FaceBatch) -> dict[str, set[int]]:
    """The splits of each subject."""
    assert batch.subjects is not None
    found: dict[str, set[int]] = {}
    for subject, split in zip(batch.subjects.tolist(), batch.splits.tolist(), strict=True):
        found.setdefault(subject, set()).add(split)
    return found


def test_nimstims_own_names(tmp_path: Path) -> None:
    root = nimstim(tmp_path / "NimStim")
    picture(root / "03f_an_o.jpg")
    (root / "Thumbs.db").write_bytes(b"no picture")
    (root / "ReadMe.txt").write_text("about these faces")
    assert detect(root) == (FORMATS["nimstim"], root)
    batch = read(root)
    assert len(batch) == 5 * 8 + 1
    assert batch.images.shape[1:] == (SIDE, SIDE) == (48, 48)
    assert set(batch.subjects.tolist()) == {"01F", "02F", "03F", "20M", "21M", "22M"}
    assert batch.left_out == ("5 pictures left out: expression CA, which is none of our emotions",)
    counts = dict(zip(EMOTIONS, np.bincount(batch.labels, minlength=7).tolist(), strict=True))
    assert counts == {
        "angry": 6, "disgust": 5, "fear": 5, "happy": 10, "sad": 5, "surprise": 5, "neutral": 5,
    }  # fmt: skip
    one = batch.select(batch.subjects == "01F")
    # In the order of the names: AN, (CA), DI, FE, HA closed, HA exuberant, NE, SA, SP.
    assert [EMOTIONS[label] for label in one.labels] == [
        "angry", "disgust", "fear", "happy", "happy", "neutral", "sad", "surprise",
    ]  # fmt: skip
    assert one.rows.tolist() == [0, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("above", ["angry", "Crop-White Background/Colour", "Happy/open mouth"])
def test_nimstim_in_folders_of_any_name(above: str, tmp_path: Path) -> None:
    nimstim(tmp_path / above, ("01F", "20M"))
    nimstim(tmp_path / "fear", ("02F",))
    assert detect(tmp_path)[0].name == "nimstim"
    assert set(read(tmp_path).subjects.tolist()) == {"01F", "20M", "02F"}


def test_kdefs_own_names(tmp_path: Path) -> None:
    kdef(tmp_path)
    assert detect(tmp_path)[0].name == "kdef"
    batch = read(tmp_path)
    assert len(batch) == 4 * 2 * 7
    # Both sessions show the same people.
    assert set(batch.subjects.tolist()) == {"F01", "F02", "M01", "M02"}
    assert all(len(splits) == 1 for splits in of_subject(batch).values())
    assert batch.left_out == (f"{4 * 2 * 7 * 4} pictures left out: view other than S (straight)",)
    assert np.bincount(batch.labels, minlength=7).tolist() == [8] * 7
    session = batch.select(batch.rows < 35)
    assert [EMOTIONS[label] for label in session.labels] == [
        "fear", "angry", "disgust", "happy", "neutral", "sad", "surprise",
    ]  # fmt: skip


def test_folders_by_subject(tmp_path: Path) -> None:
    by_subject(tmp_path)
    assert detect(tmp_path)[0].name == "subjects"
    batch = read(tmp_path)
    assert len(batch) == 4 * 6
    assert set(batch.subjects.tolist()) == {"s01", "s02", "Ann B.", "s10"}
    assert np.bincount(batch.labels, minlength=7).tolist() == [0, 0, 8, 8, 8, 0, 0]
    assert all(len(splits) == 1 for splits in of_subject(batch).values())


def test_folders_of_splits_above_subjects(tmp_path: Path) -> None:
    by_subject(tmp_path / "Train", ("a", "b"))
    by_subject(tmp_path / "val", ("c",))
    by_subject(tmp_path / "test", ("d",))
    assert detect(tmp_path)[0].name == "subjects"
    assert of_subject(read(tmp_path)) == {"a": {0}, "b": {0}, "c": {1}, "d": {2}}


def test_a_subject_in_two_splits(tmp_path: Path) -> None:
    by_subject(tmp_path / "train", ("a", "b"))
    by_subject(tmp_path / "test", ("b", "c"))
    with pytest.raises(DataError, match=r"subject 'b' of .* has faces in training and private") as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)
    by_subject(tmp_path / "validation", ("a", "b"))
    with pytest.raises(DataError, match=r"'a' of .* training and public, as have 1 more"):
        read(tmp_path)


def test_some_pictures_outside_the_splits(tmp_path: Path) -> None:
    by_subject(tmp_path / "train", ("a", "b"))
    picture(tmp_path / "c" / "happy" / "1.png")
    with pytest.raises(DataError, match=r"1 pictures in .* lie outside its folders of splits"):
        read(tmp_path)
    assert of_subject(read(tmp_path, assume_split="public")) == {"a": {0}, "b": {0}, "c": {1}}


def test_splits_told_by_the_reader(tmp_path: Path) -> None:
    by_subject(tmp_path)
    assert set(read(tmp_path, assume_split="private").splits.tolist()) == {2}


def test_splits_follow_the_seed_and_nothing_else(tmp_path: Path) -> None:
    subjects = tuple(f"{i:02}{'F' if i < 19 else 'M'}" for i in range(1, 31))
    flat, nested = tmp_path / "flat", tmp_path / "nested"
    for subject in subjects:
        for code in ("AN", "HA"):
            picture(flat / f"{subject}_{code}_C.BMP", (8, 8))
            picture(nested / f"{code}{subject[::-1]}" / f"{subject}_{code}_C.BMP", (8, 8))
    drawn = [of_subject(read(flat, split_seed=seed)) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] == of_subject(read(nested))
    assert drawn[0] != drawn[2]
    assert sorted(split for (split,) in drawn[0].values()) == [0] * 24 + [1] * 3 + [2] * 3


@pytest.mark.parametrize(
    ("layout", "name", "said"),
    [
        (nimstim, "04M_XX_C.BMP", "expected NimStim's NNS_EE_M, as in 01F_AN_C.BMP"),
        (nimstim, "copy of 01F_AN_C.bmp", "expected NimStim's NNS_EE_M, as in 01F_AN_C.BMP"),
        (kdef, "KDEF/AF31/AF31AN.JPG", "expected KDEF's TSNNEEV, as in AF01ANS.JPG"),
        (by_subject, "s01/contempt/1.jpg", "expected subject/emotion/picture, as in s01/happy/1.jpg"),
        (by_subject, "stray.jpg", "expected subject/emotion/picture, as in s01/happy/1.jpg"),
    ],
)
def test_names_that_do_not_parse(layout, name: str, said: str, tmp_path: Path) -> None:
    layout(tmp_path)
    whole = read(tmp_path)
    stray = picture(tmp_path / name)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(f"{stray}: its name does not parse: {said}")
    assert str(caught.value).endswith("--skip-bad leaves such rows out")
    batch = read(tmp_path, skip_bad=True)
    assert len(batch) == len(whole)
    assert [line.partition(": ")[0] for line in batch.skipped] == [str(stray)]


def test_pictures_that_do_not_decode(tmp_path: Path) -> None:
    nimstim(tmp_path)
    cut = tmp_path / "02F_AN_C.BMP"
    cut.write_bytes(cut.read_bytes()[:500])
    with pytest.raises(DataError, match=r"02F_AN_C\.BMP: 500 bytes that do not decode"):
        read(tmp_path)
    assert len(read(tmp_path, skip_bad=True)) == 5 * 8 - 1


def test_too_few_to_split_or_compare(tmp_path: Path) -> None:
    nimstim(tmp_path / "one", ("01F",))
    with pytest.raises(DataError, match=r"holds faces of one subject \(01F\): expected two or more"):
        read(tmp_path / "one")
    for subject in ("01F", "02F"):
        picture(tmp_path / "happy" / f"{subject}_HA_C.BMP")
    with pytest.raises(DataError, match=r"holds faces of one emotion \(happy\): expected two or more"):
        read(tmp_path / "happy")
    picture(tmp_path / "calm" / "01F_CA_C.BMP")
    with pytest.raises(DataError, match=r"no face could be read from .*: 1 pictures left out: expression CA"):
        read(tmp_path / "calm")


@pytest.mark.parametrize("size", [227, 48, 20])
def test_pictures_are_squared_to_the_size(size: int, tmp_path: Path) -> None:
    nimstim(tmp_path, ("01F", "20M"))
    batch = read(tmp_path, size=size)
    with Image.open(tmp_path / "20M_AN_C.BMP") as picture_:
        width, height = picture_.size
        assert (width, height) == (51, 64)
        grey = picture_.convert("L")
        fitted = ImageOps.fit(grey, (size, size), Image.Resampling.BICUBIC)
        top = (height - width) / 2
        square = grey.resize((size, size), Image.Resampling.BICUBIC, box=(0, top, width, top + width))
    at = batch.subjects.tolist().index("20M")
    np.testing.assert_array_equal(batch.images[at], np.asarray(fitted))
    np.testing.assert_array_equal(batch.images[at], np.asarray(square))


def test_a_photograph_that_lies_on_its_side_is_turned(tmp_path: Path) -> None:
    by_subject(tmp_path)
    upright = np.zeros((40, 40), np.uint8)
    upright[:20] = 255
    tag = Image.Exif()
    tag[0x0112] = 6  # The camera was held on its side: turn by 90° to the right to see it upright.
    path = tmp_path / "s01" / "happy" / "3.jpg"
    Image.fromarray(np.rot90(upright)).save(path, exif=tag, quality=95)
    batch = read(tmp_path, size=40)
    (found,) = (image for image in batch.images if abs(image.astype(int) - upright).max() < 12)
    assert found[0, 0] > 240


def test_large_photographs_are_read_and_crops_still_are_not(tmp_path: Path) -> None:
    by_subject(tmp_path)
    picture(tmp_path / "s02" / "fear" / "3.jpg", (2600, 2100))
    assert len(read(tmp_path)) == 25
    with pytest.raises(ImageError, match="2600×2100: expected at most 2048 a side"):
        decode_grey((tmp_path / "s02" / "fear" / "3.jpg").read_bytes())


@pytest.mark.parametrize("name", ["parquet", "hdf5", "csv", "folder"])
def test_any_format_is_read_at_any_size(name: str, tmp_path: Path) -> None:
    nimstim(tmp_path / "in", ("01F", "20M"))
    batch = read(tmp_path / "in")
    path = tmp_path / ("out" if name == "folder" else f"out{FORMATS[name].suffixes[0]}")
    write(batch, path, name)
    larger = read(path, size=60)
    for image, small in zip(larger.images, read(path).images, strict=True):
        expected = ImageOps.fit(Image.fromarray(small), (60, 60), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(image, np.asarray(expected))
    with pytest.raises(DataError, match="size 0: expected a side of at least 1 pixel"):
        read(path, size=0)


@pytest.mark.parametrize("name", ["parquet", "hdf5"])
def test_subjects_are_kept(name: str, tmp_path: Path) -> None:
    batch = read(by_subject(tmp_path / "in"))
    path = tmp_path / f"out{FORMATS[name].suffixes[0]}"
    write(batch, path, name)
    found = read(path)
    assert found.subjects.tolist() == batch.subjects.tolist()
    np.testing.assert_array_equal(found.splits, batch.splits)


@pytest.mark.parametrize("name", ["nimstim", "kdef", "subjects"])
def test_their_layouts_are_only_read(name: str, tmp_path: Path) -> None:
    batch = read(nimstim(tmp_path / "in", ("01F", "20M")))
    with pytest.raises(DataError, match=rf"only read '{name}': expected one of parquet, hdf5, folder, csv"):
        write(batch, tmp_path / "out", name)
    assert format_of_name(tmp_path / "out") == "folder"


def test_kaggles_folders_are_still_kaggles(tmp_path: Path) -> None:
    picture(tmp_path / "train" / "angry" / "Training_1.png", (48, 48))
    picture(tmp_path / "test" / "happy" / "PublicTest_2.png", (48, 48))
    assert detect(tmp_path)[0].name == "folder"
    assert read(tmp_path).subjects is None


def test_folders_of_nothing_known(tmp_path: Path) -> None:
    picture(tmp_path / "holiday" / "beach.jpg")
    with pytest.raises(DataError, match="no known format") as caught:
        read(tmp_path)
    assert all(said in str(caught.value) for said in ("01F_AN_C.BMP", "AF01ANS.JPG", "s01/happy/1.jpg"))


def test_a_recipe_reads_them_at_its_networks_size(tmp_path: Path) -> None:
    nimstim(tmp_path)
    lines: list[str] = []
    splits = read_splits(load("c/final"), tmp_path, note=lines.append)
    assert splits.train.images.shape[1:] == splits.validation.images.shape[1:] == (48, 48)
    assert lines == ["5 pictures left out: expression CA, which is none of our emotions"]
    assert not set(splits.train.subjects.tolist()) & set(splits.validation.subjects.tolist())
    drawn = {
        tuple(read_splits(load("c/final", overrides=[f"data.split_seed={seed}"]), tmp_path).train.rows)
        for seed in range(4)
    }
    assert len(drawn) > 1
    with pytest.raises(RecipeError, match="split_seed"):
        load("c/final", overrides=["data.split_seed=-1"])


def mien(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mien", "data", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_line(tmp_path: Path) -> None:
    nimstim(tmp_path / "in")
    done = mien("show", tmp_path / "in", "--size", 60, "--json")
    assert done.stderr == "mien: 5 pictures left out: expression CA, which is none of our emotions\n"
    result = json.loads(done.stdout)
    assert (result["format"], result["size"], result["n"]) == ("nimstim", [60, 60], 40)
    assert {name: part["n"] for name, part in result["splits"].items()} == {
        "training": 24,
        "public": 8,
        "private": 8,
    }
    done = mien("convert", tmp_path / "in", tmp_path / "out.csv", "--split-seed", 3)
    assert "subjects are not kept by csv: parquet and hdf5 keep them" in done.stdout
    np.testing.assert_array_equal(
        read(tmp_path / "out.csv").splits, read(tmp_path / "in", split_seed=3).splits
    )
    picture(tmp_path / "in" / "oops.bmp")
    done = mien("show", tmp_path / "in")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "oops.bmp: its name does not parse" in done.stderr
