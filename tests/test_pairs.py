"""Pairs are counted as if each had been written down, and as the paper printed them."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mien.data import write
from mien.data.pairs import pair_counts, pairs_by_split, pairs_of
from mien.errors import DataError
from mien.labels import EMOTIONS, SIX
from synthetic import face_batch

NIMSTIM = {"angry": 87, "disgust": 82, "fear": 80, "happy": 127, "sad": 84, "surprise": 44}

TABLE_1 = {
    "angry": {"angry": 3741, "disgust": 7134, "fear": 6960, "happy": 11049, "sad": 7308, "surprise": 3828},
    "disgust": {"disgust": 3321, "fear": 6560, "happy": 10414, "sad": 6888, "surprise": 3608},
    "fear": {"fear": 3160, "happy": 10160, "sad": 6720, "surprise": 3520},
    "happy": {"happy": 8001, "sad": 10668, "surprise": 5588},
    "sad": {"sad": 3486, "surprise": 3696},
    "surprise": {"surprise": 946},
}
"""As the paper prints it, upper triangle."""


def test_every_cell_of_the_papers_table() -> None:
    found = pair_counts(NIMSTIM)
    assert found.to_dict()["table"] == TABLE_1
    assert found.total == 504 * 503 // 2 == 126_756
    assert found.same == 3741 + 3321 + 3160 + 8001 + 3486 + 946
    assert found.same + found.different == found.total
    assert found.emotions == SIX


def test_as_many_as_there_are_when_written_down() -> None:
    labels = np.random.default_rng(4).integers(0, 6, 60).tolist()
    written = Counter(tuple(sorted(pair)) for pair in itertools.combinations(labels, 2))
    found = pair_counts({name: labels.count(i) for i, name in enumerate(SIX)})
    expected = [[written[row, column] if row <= column else 0 for column in range(6)] for row in range(6)]
    assert found.table.tolist() == expected
    assert found.same == sum(n for (a, b), n in written.items() if a == b)
    assert found.different == sum(n for (a, b), n in written.items() if a != b)


def test_no_face_is_no_pair() -> None:
    found = pair_counts({"angry": 1, "sad": 0})
    assert (found.same, found.different, found.total) == (0, 0, 0)
    with pytest.raises(DataError, match="-1 faces of sad: expected 0 or more"):
        pair_counts({"angry": 1, "sad": -1})


def test_pairs_of_a_batch_leave_neutral_out() -> None:
    batch = face_batch(70)
    assert batch.labels.max() == EMOTIONS.index("neutral")
    assert pairs_of(batch).faces.tolist() == [10] * 6
    splits = pairs_by_split(batch)
    assert list(splits) == ["training", "public"]
    for i, counts in enumerate(splits.values()):
        held = batch.labels[(batch.splits == i) & (batch.labels < 6)]
        assert counts.total == len(held) * (len(held) - 1) // 2


def test_one_emotion_makes_no_pairs_of_two() -> None:
    batch = face_batch(70)
    happy = batch.select(np.isin(batch.labels, [3, 6]))
    with pytest.raises(DataError, match="it holds happy, expected two or more"):
        pairs_of(happy)
    with pytest.raises(DataError, match="it holds none, expected two or more"):
        pairs_of(batch.select(batch.labels == 6))


def mien(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mien", "data", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "faces.h5"
    write(face_batch(70), path, "hdf5")
    return path


def test_show_pairs(faces: Path) -> None:
    result = json.loads(mien("show", faces, "--pairs", "--json").stdout)
    batch = face_batch(70)
    assert result["pairs"]["all"] == pairs_of(batch).to_dict()
    assert result["pairs"]["splits"] == {
        name: counts.to_dict() for name, counts in pairs_by_split(batch).items()
    }
    assert result["pairs"]["all"]["total"] == 60 * 59 // 2
    one = json.loads(mien("show", faces, "--pairs", "--split", "public", "--json").stdout)
    assert one["pairs"]["splits"] == {"public": result["pairs"]["splits"]["public"]}


def test_shown_pairs_fit_a_terminal(faces: Path) -> None:
    done = mien("show", faces, "--pairs")
    assert (done.returncode, done.stderr) == (0, "")
    # The line with the path is as long as the path.
    assert max(len(line) for line in done.stdout.splitlines() if str(faces) not in line) <= 80
    (title,) = (line for line in done.stdout.splitlines() if line.startswith("pairs in all splits"))
    assert title == "pairs in all splits: 1,770 in all, 270 of one emotion, 1,500 of two"
    assert "pairs in training: " in done.stdout
    rows = [line.split() for line in done.stdout.partition("pairs in public: ")[2].splitlines()]
    held = pairs_by_split(face_batch(70))["public"].table
    for i, name in enumerate(SIX):
        (row,) = (row for row in rows if row[:1] == [name] and row[1:2] != ["disgust"])
        assert [int(cell.replace(",", "")) for cell in row[1:]] == held[i, i:].tolist()


def test_pairs_of_one_emotion_are_one_line(tmp_path: Path) -> None:
    batch = face_batch(70)
    write(batch.select(batch.labels == 3), tmp_path / "happy.h5", "hdf5")
    done = mien("show", tmp_path / "happy.h5", "--pairs")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "no pairs of different emotions in" in done.stderr
