"""Triplets: the file, the rules against a slow checker, the selection, the votes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.data.landmarks import triplets as files
from mien.data.landmarks.triplet_rules import by_rules
from mien.errors import DataError
from mien.labels import EMOTIONS, LANDMARK_SPLITS
from mien.landmarks import LandmarkBatch, Triplets

NEUTRAL = EMOTIONS.index("neutral")


def batch_of(
    faces: Iterable[tuple[str, str, int]], splits: Iterable[int] | None = None, seed: int = 0
) -> LandmarkBatch:
    """Faces by person, emotion and degree; points and action units are drawn."""
    faces = list(faces)
    n, rng = len(faces), np.random.default_rng(seed)
    people, emotions, degrees = zip(*faces, strict=True) if faces else ((), (), ())
    return LandmarkBatch(
        points=rng.normal(size=(n, 83, 3)).astype(np.float32),
        names=np.array([f"{i:04}, {name}" for i, name in enumerate(people)], np.str_),
        subjects=np.array(people, np.str_),
        labels=np.array([EMOTIONS.index(name) if name else -1 for name in emotions], np.int64),
        degrees=np.array(degrees, np.int8),
        units=rng.integers(0, 2, (n, 12)).astype(np.int8),
        splits=np.array([0] * n if splits is None else list(splits), np.int8),
        sequences=np.full(n, "", np.str_),
        angles=np.zeros((n, 3), np.float32),
        source="made for tests",
        synthetic=True,
    )


def posed(people: int, split: int = 0) -> LandmarkBatch:
    """Each person neutral and with six emotions of four degrees, as BU-3DFE."""
    faces = [
        (f"{LANDMARK_SPLITS[split]} {person}", *what)
        for person in range(people)
        for what in [("neutral", 0), *((name, d) for name in EMOTIONS[:6] for d in (1, 2, 3, 4))]
    ]
    batch = batch_of(faces, [split] * len(faces))
    return replace(batch, names=np.array([f"{split}/{name}" for name in batch.names]))


def some(n: int = 40, seed: int = 0) -> Triplets:
    rng = np.random.default_rng(seed)
    names = np.array([f'face "{i}", ä' for i in range(9)])
    faces = names[np.array([rng.permutation(9)[:3] for _ in range(n)], np.int64).reshape(n, 3)]
    farther = rng.integers(0, 3, n)
    votes = np.c_[farther + rng.integers(1, 4, n), farther].astype(np.int16)
    return Triplets(faces, votes)


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path, given = tmp_path / "some folder" / "triplets.csv", some()
    files.write_triplets(given, path, "of no one,\nof two lines")
    read = files.read_triplets(path)
    assert (read.faces.tolist(), read.votes.tolist()) == (given.faces.tolist(), given.votes.tolist())
    assert read.source == str(path)
    assert path.read_text("utf-8").startswith("# of no one,\n# of two lines\nreference,nearer,farther,")
    assert [each.name for each in path.parent.iterdir()] == ["triplets.csv"]


def test_a_name_may_start_as_a_note_does(tmp_path: Path) -> None:
    given = Triplets(np.array([["#1", "#2", " 3\n"]]), np.array([[3, 2]], np.int16))
    files.write_triplets(given, tmp_path / "t.csv")
    assert files.read_triplets(tmp_path / "t.csv").faces.tolist() == [["#1", "#2", " 3\n"]]


def test_no_triplets_are_a_file_too(tmp_path: Path) -> None:
    files.write_triplets(some(0), tmp_path / "t.csv")
    assert len(files.read_triplets(tmp_path / "t.csv")) == 0


def test_raw_answers_are_turned_by_the_majority(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("reference,first,second,votes_first,votes_second\na,b,c,4,1\na,b,c,1,4\nc,a,b,0,1\n")
    read = files.read_triplets(path)
    assert read.faces.tolist() == [["a", "b", "c"], ["a", "c", "b"], ["c", "b", "a"]]
    assert read.votes.tolist() == [[4, 1], [4, 1], [1, 0]]
    assert read.agreement.tolist() == [3, 3, 1]


def test_questions_are_read_as_written(tmp_path: Path) -> None:
    files.write_questions(some().faces, tmp_path / "q.csv", "ask five people")
    assert files.read_questions(tmp_path / "q.csv").tolist() == some().faces.tolist()
    with pytest.raises(DataError, match="question without votes"):
        files.read_triplets(tmp_path / "q.csv")


JUDGED = "reference,nearer,farther,votes_nearer,votes_farther"
ASKED = "reference,first,second,votes_first,votes_second"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "starts with ''"),
        ("a,b,c\n", "expected the columns reference,nearer"),
        (f"{JUDGED}\na,b,c,1,0\na,b,c,1\n", "row 2: 4 fields: expected 5"),
        (f"{JUDGED}\na,,c,1,0\n", "row 1: a name is empty"),
        (f"{JUDGED}\na,b,a,1,0\n", "row 1: 'a' comes twice"),
        (f"{JUDGED}\na,b,c,1.5,0\n", "row 1: '1.5' votes: expected a whole number"),
        (f"{JUDGED}\na,b,c,1,-1\n", "'-1' votes"),
        (f"{JUDGED}\na,b,c,40000,0\n", "'40000' votes"),
        (f"# note\n{JUDGED}\n\na,b,c,2,3\n", "row 1: 2 voted for the nearer face and 3 for the farther"),
        (f"{ASKED}\na,b,c,2,2\n", "row 1: 2 votes for the first face and as many"),
        (f'{ASKED}\n"a,b,c,2,2\n', "does not read as CSV"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        files.read_triplets(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_no_file_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        files.read_triplets(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="does not read as CSV in UTF-8"):
        files.read_triplets(tmp_path / "t.csv")
    files.write_triplets(some(), tmp_path / "t.csv")
    with pytest.raises(DataError, match="votes, where questions alone"):
        files.read_questions(tmp_path / "t.csv")


def test_a_tie_is_not_written(tmp_path: Path) -> None:
    tie = Triplets(np.array([["a", "b", "c"]]), np.array([[2, 2]], np.int16))
    with pytest.raises(DataError, match="as many votes either way"):
        files.write_triplets(tie, tmp_path / "t.csv")


def test_a_triplet_across_splits_is_refused() -> None:
    batch = batch_of([("a", "happy", 1), ("a", "sad", 1), ("b", "happy", 1)], [0, 0, 1])
    good = Triplets(batch.names[np.array([[0, 1, 2]])], np.array([[1, 0]], np.int16))
    with pytest.raises(DataError, match="faces of two splits"):
        files.check_splits(good, batch)
    assert files.check_splits(good, replace(batch, splits=np.zeros(3, np.int8))).tolist() == [[0, 1, 2]]


def follows(label: list[int], degree: list[int], reference: int, nearer: int, farther: int) -> bool:
    """The thesis's rules, one after the other, for one triplet: False where none speaks, or two differ."""

    def says(a: int, b: int) -> bool:
        by_class = label[a] == label[reference] and label[b] != label[reference]
        by_neutral = label[a] == NEUTRAL and label[b] not in (NEUTRAL, label[reference])
        known = label[reference] != NEUTRAL and 0 not in (degree[reference], degree[a], degree[b])
        by_degree = (
            label[a] == label[b] == label[reference]
            and known
            and abs(degree[a] - degree[reference]) < abs(degree[b] - degree[reference])
        )
        return by_class or by_neutral or by_degree

    return says(nearer, farther) and not says(farther, nearer)


def check_rules(batch: LandmarkBatch, found: Triplets, per_face: int) -> None:
    rows = files.check_splits(found, batch)
    labels, degrees = batch.labels.tolist(), batch.degrees.tolist()
    assert all(follows(labels, degrees, *row) for row in rows.tolist())
    assert np.unique(rows).tolist() == list(range(len(batch)))
    assert all(len(set(row)) == 3 for row in rows.tolist())
    assert len({tuple(row) for row in rows.tolist()}) == len(rows)
    for split in np.unique(batch.splits):
        here = batch.splits == split
        assert here[rows[:, 0]].sum() == per_face * here.sum()
    assert (found.votes == [1, 0]).all()


@pytest.mark.parametrize("per_face", [1, 4, 7])
def test_rules_hold_in_every_triplet(per_face: int) -> None:
    batch = LandmarkBatch.concatenate([posed(3), posed(2, 1), posed(1, 2), posed(4, 3)], "made for tests")
    check_rules(batch, by_rules(batch, per_face=per_face, seed=3), per_face)


def test_rules_give_the_numbers_of_the_thesis() -> None:
    batch = LandmarkBatch.concatenate([posed(80), posed(10, 1), posed(10, 2)], "made for tests")
    found = by_rules(batch)
    splits = batch.splits[found.rows(batch)[:, 0]]
    assert np.bincount(splits).tolist() == [8000, 1000, 1000]
    # Every rule decides about a third: the class, the degree, the neutral face.
    labels = batch.labels[found.rows(batch)]
    expressive = labels[:, 0] != NEUTRAL
    degree = (labels == labels[:, :1]).all(axis=1)[expressive].mean()
    neutral = (labels[expressive, 1] == NEUTRAL).mean()
    assert abs(degree - 1 / 3) < 0.02
    assert abs(neutral - 1 / 3) < 0.02


def test_rules_are_of_the_seed() -> None:
    batch = posed(4)
    first, again, other = (by_rules(batch, seed=seed).faces.tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_a_split_does_not_depend_on_the_others() -> None:
    both = LandmarkBatch.concatenate([posed(3), posed(2, 1)], "made for tests")
    alone = by_rules(both.split("public"), seed=5).faces.tolist()
    assert by_rules(both, seed=5).faces.tolist()[-len(alone) :] == alone


def test_rules_on_ten_thousand_faces() -> None:
    batch = posed(400)
    check_rules(batch, by_rules(batch), 4)


def test_unknown_degrees_are_not_compared() -> None:
    faces = [(f"p{i}", ("happy", "sad", "neutral")[i % 3], (i * 7 % 4) * (i % 3 != 2)) for i in range(60)]
    batch = batch_of(faces)
    check_rules(batch, by_rules(batch), 4)


@pytest.mark.parametrize(
    ("faces", "said"),
    [
        ([("a", "", 0), ("b", "happy", 1), ("b", "sad", 2)], "has no emotion"),
        ([("a", "happy", 1), ("b", "happy", 1), ("c", "happy", 1)], "no rule says anything"),
        ([("a", "happy", 1), ("b", "happy", 1), ("c", "sad", 1)], "fewer than 12 different triplets"),
    ],
)
def test_rules_that_cannot_be_followed(faces: list[tuple[str, str, int]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        by_rules(batch_of(faces))


def test_a_face_that_is_no_reference_is_in_a_triplet() -> None:
    # Alone in its class, a neutral face can only be one of the two to choose from.
    faces = [("a", "neutral", 0), *((f"p{i}", name, 0) for i in range(40) for name in ("happy", "sad"))]
    batch = batch_of(faces)
    found = by_rules(batch, seed=1).rows(batch)
    assert not (found[:, 0] == 0).any()
    assert (found[:, 1:] == 0).any()
    assert len(found) == 4 * len(batch)


def test_no_fewer_than_one_per_face() -> None:
    with pytest.raises(DataError, match="1 or more"):
        by_rules(posed(2), per_face=0)
