"""Every format reads back what every format wrote, and is told by its content."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.data import FORMATS, WRITABLE, detect, format_of_name, read, write
from mien.errors import DataError, StorageError
from mien.faces import FaceBatch
from mien.labels import EMOTIONS, SPLITS


def made(n: int = 23, seed: int = 0, side: int = 48) -> FaceBatch:
    """Noise with labels, splits in no order, and votes for two faces in three."""
    rng = np.random.default_rng(seed)
    votes = rng.integers(0, 11, (n, 10), dtype=np.uint8)
    votes[::3] = 0
    return FaceBatch(
        images=rng.integers(0, 256, (n, side, side), dtype=np.uint8),
        labels=rng.integers(0, len(EMOTIONS), n),
        splits=rng.integers(0, len(SPLITS), n).astype(np.int8),
        rows=np.arange(n),
        votes=votes,
    )


def place(folder: Path, name: str, stem: str = "faces") -> Path:
    return folder / f"{stem}{WRITABLE[name].suffixes[0]}"


def assert_same(found: FaceBatch, expected: FaceBatch, votes: bool) -> None:
    np.testing.assert_array_equal(found.images, expected.images)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.splits, expected.splits)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.votes, expected.votes if votes else np.zeros_like(expected.votes))
    assert found.skipped == ()


@pytest.mark.parametrize(("first", "second"), list(itertools.product(WRITABLE, WRITABLE)))
def test_any_format_to_any_other_and_back(first: str, second: str, tmp_path: Path) -> None:
    batch = made()
    one, two = place(tmp_path, first, "one"), place(tmp_path, second, "two")
    write(batch, one, first)
    write(read(one), two, second)
    keeps_votes = "votes" in WRITABLE[first].keeps & WRITABLE[second].keeps
    assert_same(read(two), batch, keeps_votes)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({one.name, two.name}), "leftovers"


@pytest.mark.parametrize("name", WRITABLE)
def test_the_content_tells_the_format(name: str, tmp_path: Path) -> None:
    path = place(tmp_path, name)
    write(made(3), path, name)
    assert detect(path) == (WRITABLE[name], path)
    renamed = path.rename(tmp_path / "misleading.bin")
    assert detect(renamed)[0].name == name
    assert len(read(renamed)) == 3


@pytest.mark.parametrize("name", WRITABLE)
def test_writing_again_replaces_the_old_faces(name: str, tmp_path: Path) -> None:
    path = place(tmp_path, name)
    write(made(9, seed=1), path, name)
    write(made(4, seed=2), path, name)
    assert_same(read(path), made(4, seed=2), "votes" in WRITABLE[name].keeps)


@pytest.mark.parametrize("name", sorted(WRITABLE.keys() - {"csv"}))
def test_other_sizes(name: str, tmp_path: Path) -> None:
    write(made(5, side=31), place(tmp_path, name), name)
    assert read(place(tmp_path, name)).images.shape == (5, 31, 31)


def test_csv_refuses_other_sizes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="31×31"):
        write(made(5, side=31), tmp_path / "faces.csv", "csv")
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", WRITABLE)
def test_a_split_alone(name: str, tmp_path: Path) -> None:
    only = made().split("public")
    write(only, place(tmp_path, name), name)
    batch = read(place(tmp_path, name))
    assert set(batch.splits.tolist()) == {SPLITS.index("public")}
    with pytest.raises(DataError, match="it holds public"):
        batch.split("training")


def test_a_folder_with_one_dataset_in_it(tmp_path: Path) -> None:
    write(made(4), tmp_path / "fer2013.csv", "csv")
    (tmp_path / "README").write_text("about these faces")
    assert detect(tmp_path)[1] == tmp_path / "fer2013.csv"
    write(made(4), tmp_path / "other.h5", "hdf5")
    with pytest.raises(DataError, match=r"several datasets \(fer2013.csv, other.h5\)"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"not,a,dataset\n1,2,3\n", "no known format"), (b"\x00" * 100, "no known format")],
)
def test_unknown_content_names_what_is_supported(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "faces.csv").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path / "faces.csv")
    assert all(name in str(caught.value) for name in FORMATS)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="no known format"):
        read(tmp_path)
    with pytest.raises(DataError):
        read(tmp_path / ("long" * 1000))


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown format 'xml'"):
        write(made(2), tmp_path / "x", "xml")
    with pytest.raises(DataError, match="ends as no format does"):
        format_of_name("faces.zip")
    write(made(2), tmp_path / "f.csv", "csv")
    with pytest.raises(DataError, match="unknown split 'test'"):
        read(tmp_path / "f.csv", assume_split="test")


@pytest.mark.parametrize("name", sorted(WRITABLE.keys() - {"folder"}))
def test_a_file_cut_anywhere_is_one_clear_line(name: str, tmp_path: Path) -> None:
    path = place(tmp_path, name)
    write(made(6), path, name)
    whole = path.read_bytes()
    for share in (0.2, 0.5, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DataError, match=path.name):
            read(path)


@pytest.mark.parametrize("name", WRITABLE)
def test_writing_where_one_cannot(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        write(made(2), tmp_path / "file" / "faces", name)


@pytest.mark.parametrize("name", WRITABLE)
def test_a_disk_that_fills_up_leaves_the_old_faces(name: str, tmp_path: Path) -> None:
    path = place(tmp_path, name)
    write(made(2), path, name)
    # In a process of its own, whose files may not grow: what a full disk does, the size limit does too.
    limit = 64 if name == "folder" else 4096
    program = (
        "import resource, signal, sys\n"
        "from mien.data import read, write\n"
        "batch = read(sys.argv[1])\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "write(batch, sys.argv[2], sys.argv[3])\n"
    )
    write(made(50), tmp_path / "many.bin", "hdf5")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "many.bin"), str(path), name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "StorageError: cannot write" in done.stderr
    assert_same(read(path), made(2), "votes" in WRITABLE[name].keeps)
    assert len(list(tmp_path.iterdir())) == 2


def test_folder_never_replaces_something_else(tmp_path: Path) -> None:
    precious = tmp_path / "home"
    precious.mkdir()
    (precious / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="something else"):
        write(made(2), precious, "folder")
    assert (precious / "letter.txt").read_text() == "dear"


class TestFolder:
    def picture(self, path: Path, side: int = 8, mode: str = "L") -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(side).integers(0, 256, (side, side), np.uint8)).convert(
            mode
        ).save(path)

    def test_kaggles_layout(self, tmp_path: Path) -> None:
        for name in (
            "train/angry/Training_3908.jpg",
            "train/happy/Training_50449107.jpg",
            "test/happy/PublicTest_77.jpg",
            "test/surprise/PrivateTest_88.jpg",
        ):
            self.picture(tmp_path / name)
        (tmp_path / "train/angry/Thumbs.db").write_bytes(b"not a picture")
        (tmp_path / "train/angry/.DS_Store").write_bytes(b"not a picture")
        batch = read(tmp_path)
        found = [
            (SPLITS[split], EMOTIONS[label]) for split, label in zip(batch.splits, batch.labels, strict=True)
        ]
        assert found == [
            ("public", "happy"),
            ("private", "surprise"),
            ("training", "angry"),
            ("training", "happy"),
        ]

    def test_folders_of_splits_need_no_prefixes_but_test_does(self, tmp_path: Path) -> None:
        self.picture(tmp_path / "train/happiness/a.png")
        self.picture(tmp_path / "validation/sad/b.png")
        assert sorted(read(tmp_path).splits.tolist()) == [0, 1]
        self.picture(tmp_path / "test/sad/c.png")
        with pytest.raises(DataError, match=r"c\.png.*'test'.*--assume-split"):
            read(tmp_path)
        assert sorted(read(tmp_path, assume_split="private").splits.tolist()) == [0, 1, 2]
        assert len(read(tmp_path, skip_bad=True).skipped) == 1

    def test_without_folders_of_splits(self, tmp_path: Path) -> None:
        self.picture(tmp_path / "fear/a.png")
        self.picture(tmp_path / "joy/b.png")
        with pytest.raises(DataError, match="--assume-split"):
            read(tmp_path)
        assert read(tmp_path, assume_split="public").labels.tolist() == [2, 3]

    def test_colour_becomes_grey(self, tmp_path: Path) -> None:
        for i, mode in enumerate(("RGB", "RGBA", "P", "LA", "1")):
            self.picture(tmp_path / f"train/sad/{i}.png", mode=mode)
        assert read(tmp_path).images.shape == (5, 8, 8)

    def test_bad_pictures_are_named(self, tmp_path: Path) -> None:
        for i in range(4):
            self.picture(tmp_path / f"train/sad/good{i}.png")
        self.picture(tmp_path / "train/sad/large.png", side=9)
        self.picture(tmp_path / "train/bored/x.png")
        (tmp_path / "train/sad/empty.png").write_bytes(b"")
        (tmp_path / "train/sad/text.png").write_text("no picture at all")
        whole = (tmp_path / "train/sad/good0.png").read_bytes()
        (tmp_path / "train/sad/cut.png").write_bytes(whole[: len(whole) // 2])
        Image.new("I;16", (8, 8)).save(tmp_path / "train/sad/deep.png")
        Image.new("L", (4000, 4000)).save(tmp_path / "train/sad/huge.png")
        batch = read(tmp_path, skip_bad=True)
        assert len(batch) == 4
        said = {Path(line.split(": ")[0]).name: line for line in batch.skipped}
        assert said.keys() == {
            "large.png",
            "x.png",
            "empty.png",
            "text.png",
            "cut.png",
            "deep.png",
            "huge.png",
        }
        assert "9×9: expected 8×8" in said["large.png"]
        assert "'bored': expected an emotion" in said["x.png"]
        assert "I;16" in said["deep.png"]
        assert "4000×4000" in said["huge.png"]
        for name in ("cut.png", "text.png"):
            assert "do not decode" in said[name]
        with pytest.raises(DataError, match="--skip-bad"):
            read(tmp_path)


class TestParquet:
    def table(self, path: Path, columns: dict[str, object], metadata: dict[str, str] | None = None) -> Path:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
        return path

    def pictures(self, n: int) -> list[dict[str, object]]:
        from mien.data.pictures import encode_png

        return [{"bytes": encode_png(image), "path": None} for image in made(n).images]

    def test_each_kind_of_bad_row(self, tmp_path: Path) -> None:
        pictures = self.pictures(8)
        pictures[1] = {"bytes": None, "path": None}
        pictures[2] = {"bytes": b"\x89PNG broken", "path": None}
        path = self.table(
            tmp_path / "bad.parquet",
            {
                "image": pictures,
                "label": [0, 1, 2, 7, -1, None, 6, 6],
                "usage": ["Training"] * 6 + ["Tuesday", "PublicTest"],
                "votes": [None, [1] * 10, [1] * 10, None, None, None, None, [1] * 9],
            },
        )
        batch = read(path, skip_bad=True)
        assert batch.rows.tolist() == [0]
        assert [line.split(": ")[0] for line in batch.skipped] == [f"{path} row {row}" for row in range(1, 8)]
        for row, what in (
            (3, "label 7"),
            (4, "label -1"),
            (5, "label None"),
            (6, "usage 'Tuesday'"),
            (7, "votes"),
        ):
            assert what in batch.skipped[row - 1]
        with pytest.raises(DataError, match=r"bad\.parquet row 1: .*--skip-bad"):
            read(path)

    @pytest.mark.parametrize("key", ["huggingface", "label_names"])
    def test_another_order_of_classes_is_understood(self, key: str, tmp_path: Path) -> None:
        names = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]
        value = ",".join(names)
        if key == "huggingface":
            value = json.dumps({"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}})
        path = self.table(
            tmp_path / "train-00000-of-00001.parquet",
            {"image": self.pictures(7), "label": list(range(7))},
            {key: value},
        )
        batch = read(path)
        assert [EMOTIONS[label] for label in batch.labels] == names
        assert set(batch.splits.tolist()) == {0}

    def test_labels_as_words_and_pictures_as_plain_bytes(self, tmp_path: Path) -> None:
        plain = [picture["bytes"] for picture in self.pictures(2)]
        path = self.table(tmp_path / "words.parquet", {"image": plain, "emotion": ["Happy", "anger"]})
        with pytest.raises(DataError, match="--assume-split"):
            read(path)
        assert read(path, assume_split="private").labels.tolist() == [3, 0]

    def test_rows_count_on_in_a_folder_with_training_first(self, tmp_path: Path) -> None:
        batch = made(40)
        write(batch.split("public"), tmp_path / "a.parquet", "parquet")
        write(batch.split("training"), tmp_path / "b.parquet", "parquet")
        joined = read(tmp_path)
        assert joined.rows.tolist() == list(range(len(joined)))
        assert joined.splits.tolist() == sorted(joined.splits.tolist())
        np.testing.assert_array_equal(joined.split("public").images, batch.split("public").images)

    def test_missing_columns(self, tmp_path: Path) -> None:
        path = self.table(tmp_path / "other.parquet", {"text": ["a"]})
        with pytest.raises(DataError, match="has the columns text: expected image and label"):
            read(path)


class TestHdf5:
    def test_bad_rows_and_layouts(self, tmp_path: Path) -> None:
        import h5py

        path = tmp_path / "faces.h5"
        write(made(5), path, "hdf5")
        with h5py.File(path, "r+") as file:
            file["labels"][2] = 300
            file["splits"][4] = 3
        with pytest.raises(DataError, match=r"faces\.h5 row 2: labels 300: expected 0…6"):
            read(path)
        batch = read(path, skip_bad=True)
        assert batch.rows.tolist() == [0, 1, 3]
        assert len(batch.skipped) == 2
        with h5py.File(path, "r+") as file:
            file.attrs["emotions"] = sorted(EMOTIONS)
            file.attrs["emotions"] = list(reversed(EMOTIONS))
        with pytest.raises(DataError, match="has the emotions neutral, surprise"):
            read(path)
        with h5py.File(path, "w") as file:
            file["Training_pixel"] = [1, 2]
        with pytest.raises(DataError, match=r"another layout \(it holds Training_pixel\)"):
            read(path)

    def test_damaged_content(self, tmp_path: Path) -> None:
        path = tmp_path / "faces.h5"
        write(made(50), path, "hdf5")
        content = bytearray(path.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 2000] = bytes(2000)
        path.write_bytes(content)
        with pytest.raises(DataError, match="does not read as HDF5"):
            read(path)


def test_all_rows_bad_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("emotion,pixels,Usage\n9,1 2 3,Training\n")
    with pytest.raises(DataError, match=r"no face could be read .* 1 bad rows, the first: .*emotion '9'"):
        read(tmp_path / "f.csv", skip_bad=True)
    (tmp_path / "f.csv").write_text("emotion,pixels,Usage\n")
    with pytest.raises(DataError, match="it has no rows"):
        read(tmp_path / "f.csv")


class TestRealFaces:
    def test_counts_and_first_pixels(self, fer2013: FaceBatch) -> None:
        training, public = fer2013.split("training"), fer2013.split("public")
        assert np.bincount(training.labels).tolist() == [3995, 436, 4097, 7215, 4830, 3171, 4965]
        assert np.bincount(public.labels).tolist() == [467, 56, 496, 895, 653, 415, 607]
        assert training.images[0, 0, :8].tolist() == [70, 80, 82, 72, 58, 58, 60, 63]
        assert fer2013.rows.tolist() == list(range(28709 + 3589))
        assert public.votes[0].tolist() == [4, 0, 0, 0, 1, 0, 0, 4, 1, 0]

    @pytest.mark.parametrize("name", WRITABLE)
    def test_a_part_through_every_format(self, fer2013: FaceBatch, name: str, tmp_path: Path) -> None:
        part = fer2013.select(np.arange(28609, 28809))
        write(part, place(tmp_path, name), name)
        found = read(place(tmp_path, name))
        np.testing.assert_array_equal(found.images, part.images)
        np.testing.assert_array_equal(found.labels, part.labels)
        np.testing.assert_array_equal(found.splits, part.splits)
