"""Triplets: the file, the rules against a slow checker, the selection, the votes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.data.landmarks import triplets as files
from mien.data.landmarks.triplet_rules import by_rules
from mien.data.landmarks.triplet_selection import KINDS, Selection, select_triplets
from mien.data.landmarks.triplet_votes import (
    ALL,
    LEAST,
    MIXED,
    PANELS,
    SALIENCE,
    UNANIMOUS,
    agreement,
    from_votes,
    simulated,
)
from mien.errors import DataError
from mien.labels import EMOTIONS, FERPLUS_CHOICES, LANDMARK_SPLITS
from mien.landmark_layout import ACTION_UNITS
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
        (f"{JUDGED}\na,b,c,1,0\na,b,c,1\n", "row 1: 4 fields: expected 5"),
        (f"{JUDGED}\na,,c,1,0\n", "row 0: a name is empty"),
        (f"{JUDGED}\na,b,a,1,0\n", "row 0: 'a' comes twice"),
        (f"{JUDGED}\na,b,c,1.5,0\n", "row 0: '1.5' votes: expected a whole number"),
        (f"{JUDGED}\na,b,c,1,-1\n", "'-1' votes"),
        (f"{JUDGED}\na,b,c,40000,0\n", "'40000' votes"),
        (f"# note\n{JUDGED}\n\na,b,c,2,3\n", "row 0: 2 voted for the nearer face and 3 for the farther"),
        (f"{ASKED}\na,b,c,2,2\n", "row 0: 2 votes for the first face and as many"),
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


def crowd(*sizes: int, split: int = 0) -> LandmarkBatch:
    """As many images of each person, without an emotion."""
    faces = [(f"{split}-{person:02}", "", 0) for person, n in enumerate(sizes) for _ in range(n)]
    batch = batch_of(faces, [split] * len(faces), seed=split)
    return replace(batch, names=np.array([f"{split}/{name}" for name in batch.names]))


def times(batch: LandmarkBatch, found: Selection, one_person: bool) -> list[int]:
    return np.bincount(found.rows[found.one_person == one_person].ravel(), minlength=len(batch)).tolist()


def check_questions(batch: LandmarkBatch, found: Selection) -> None:
    people = [len(set(row)) for row in batch.subjects[found.rows].tolist()]
    assert people == np.where(found.one_person, 1, 3).tolist()
    assert (batch.splits[found.rows] == batch.splits[found.rows][:, :1]).all()
    asked = [(row[0], frozenset(row[1:])) for row in found.rows.tolist()]
    assert len(set(asked)) == len(asked)
    assert all(len({*row}) == 3 for row in found.rows.tolist())


@pytest.mark.parametrize(
    "sizes",
    [
        (5,) * 6,
        (3, 3, 3),
        (4,) * 9,
        (3,) * 20,
        (30, 30, 30),
        (12, 6, 7, 11),
        (10, 3, 8, 9),
        tuple(range(3, 28)),
    ],
)
def test_each_image_is_in_three_triplets_of_each_kind(sizes: Sequence[int]) -> None:
    batch = crowd(*sizes)
    for seed in range(3):
        found = select_triplets(batch, np.arange(len(batch)), seed)
        check_questions(batch, found)
        assert times(batch, found, True) == times(batch, found, False) == [3] * len(batch)
        assert found.notes == ()


def test_the_thesis_numbers_of_people_and_images() -> None:
    rng = np.random.default_rng(0)
    parts = [
        crowd(*rng.multinomial(images, rng.dirichlet([20] * people)), split=split)
        for split, (people, images) in enumerate(((25, 3500), (8, 992), (8, 1110)))
    ]
    batch = LandmarkBatch.concatenate(parts, "made for tests")
    found = select_triplets(batch, np.arange(len(batch)))
    check_questions(batch, found)
    assert len(found) == 11_204
    # Three faces never come twice where there is room.
    assert len({frozenset(row) for row in found.rows.tolist()}) == len(found)


@pytest.mark.parametrize(
    ("sizes", "alone", "different", "notes"),
    [
        ((2, 2, 2), 0, 6, ["6 of 6 images are in fewer than 3 triplets of one person"]),
        ((4,), 4, 0, ["4 of 4 images are in fewer than 3 triplets of different persons"]),
        ((6, 3, 3), 12, 9, ["6 of 12 images are in fewer than 3 triplets of different"]),
        ((10, 2, 1), 10, 3, ["3 of 13 images are in fewer than 3 triplets of one", "12 of 13 images"]),
        ((4, 1, 1, 1), 4, 4, ["3 of 7 images", "4 of 7 images"]),
    ],
)
def test_where_three_times_cannot_be(
    sizes: Sequence[int], alone: int, different: int, notes: list[str]
) -> None:
    batch = crowd(*sizes)
    found = select_triplets(batch, np.arange(len(batch)))
    check_questions(batch, found)
    assert (int(found.one_person.sum()), int((~found.one_person).sum())) == (alone, different)
    assert max(times(batch, found, True) + times(batch, found, False)) == 3
    assert len(found.notes) == len(notes)
    assert all(said in note for said, note in zip(notes, found.notes, strict=True))


def test_selection_is_of_the_seed_and_of_the_split() -> None:
    parts = crowd(9, 8, 7, 6), crowd(5, 4, 6, split=1)
    batch = LandmarkBatch.concatenate(parts, "made for tests")
    every = np.arange(len(batch))
    found = select_triplets(batch, every, 4)
    assert found.rows.tolist() == select_triplets(batch, every, 4).rows.tolist()
    assert found.rows.tolist() != select_triplets(batch, every, 5).rows.tolist()
    first = select_triplets(batch, every[:30], 4)
    assert found.rows[: len(first)].tolist() == first.rows.tolist()
    some_of_them = select_triplets(batch, every[::2], 4)
    assert set(some_of_them.rows.ravel().tolist()) <= set(every[::2].tolist())


def test_nothing_to_select_from() -> None:
    with pytest.raises(DataError, match="no triplets among 3 images"):
        select_triplets(crowd(2, 1), np.arange(3))
    with pytest.raises(DataError, match="no triplets among 0 images"):
        select_triplets(crowd(2, 1), np.zeros(0, np.int64))


def test_agreement_counts_by_split_kind_and_difference() -> None:
    batch = LandmarkBatch.concatenate([crowd(3, 2, 1), crowd(3, split=1)], "made for tests")
    rows = np.array([[0, 1, 2], [2, 1, 0], [0, 3, 5], [0, 1, 3], [6, 7, 8]])
    votes = np.array([[5, 0], [3, 2], [4, 1], [5, 0], [4, 1]], np.int16)
    found = agreement(batch, Triplets(batch.names[rows], votes))
    assert found.differences == (5, 3, 1)
    training = {KINDS[0]: (1, 0, 1), KINDS[1]: (0, 1, 0), MIXED: (1, 0, 0)}
    public = {KINDS[0]: (0, 1, 0), KINDS[1]: (0, 0, 0), MIXED: (0, 0, 0)}
    assert found.counts == {
        "training": training,
        "public": public,
        ALL: {KINDS[0]: (1, 1, 1), KINDS[1]: (0, 1, 0), MIXED: (1, 0, 0)},
    }
    assert found.total("training") == (2, 1, 1)
    assert found.to_dict()["public"] == {
        **{kind: dict(zip("531", counts, strict=True)) for kind, counts in public.items()},
        "all": {"5": 0, "3": 1, "1": 0},
    }
    with pytest.raises(DataError, match="no triplets"):
        agreement(batch, Triplets(batch.names[rows[:0]], votes[:0]))


def expressive(people: int = 25, images: int = 60) -> LandmarkBatch:
    """Images whose action units come together, as they do in faces."""
    batch, rng = crowd(*[images] * people), np.random.default_rng(1)
    together = rng.random((6, 12)) < 0.35
    shown = rng.random((len(batch), 6)) < 0.3
    units = (shown.astype(int) @ together > 0) ^ (rng.random((len(batch), 12)) < 0.05)
    return replace(batch, units=units.astype(np.int8))


def test_simulated_raters_agree_as_in_the_thesis() -> None:
    batch = expressive()
    asked = select_triplets(batch, np.arange(len(batch)))
    found = simulated(batch, asked.rows)
    counts = agreement(batch, found).counts["training"]
    for kind in KINDS:
        five, three, one = np.array(counts[kind]) / sum(counts[kind])
        assert abs(five - UNANIMOUS[kind]) < 0.03
        assert 0.24 < three < 0.42
        assert 0.24 < one < 0.42
    assert "synthetic" in found.source
    assert (found.votes.sum(axis=1) == 5).all()
    assert sorted(map(set, found.faces.tolist()), key=sorted) == sorted(
        map(set, batch.names[asked.rows].tolist()), key=sorted
    )


def test_simulated_raters_go_by_the_action_units() -> None:
    batch = expressive()
    asked = select_triplets(batch, np.arange(len(batch))).rows
    found = simulated(batch, asked, raters=101, seed=2)
    weights = np.array([SALIENCE[unit] for unit in ACTION_UNITS])
    rows = found.rows(batch)

    def unlike(a: int, b: int) -> float:
        return float(
            sum(w for w, x, y in zip(weights, batch.units[a], batch.units[b], strict=True) if x != y)
        )

    sure = [
        unlike(reference, nearer) < unlike(reference, farther)
        for (reference, nearer, farther), margin in zip(rows.tolist(), found.agreement, strict=True)
        if margin > 50
    ]
    assert len(sure) > 500
    assert np.mean(sure) > 0.98
    # Where the points lie plays no part.
    moved = replace(batch, points=batch.points[::-1].copy())
    assert simulated(moved, asked, raters=101, seed=2).votes.tolist() == found.votes.tolist()


def test_simulated_raters_are_of_the_seed() -> None:
    batch = expressive(6, 12)
    rows = select_triplets(batch, np.arange(len(batch))).rows
    first, again, other = (simulated(batch, rows, seed=seed).votes.tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_faces_that_look_alike_are_judged_by_chance() -> None:
    batch = crowd(40, 40, 40)
    batch = replace(batch, units=np.zeros_like(batch.units))
    found = simulated(batch, select_triplets(batch, np.arange(120)).rows)
    assert 0.02 < (found.agreement == 5).mean() < 0.13


def test_what_simulated_raters_cannot_judge() -> None:
    batch = crowd(3, 3, 3)
    rows = select_triplets(batch, np.arange(9)).rows
    with pytest.raises(DataError, match="4 raters: expected an odd number"):
        simulated(batch, rows, raters=4)
    units = batch.units.copy()
    units[4, 2] = 9
    with pytest.raises(DataError, match=f"'{batch.names[4]}'.*not coded"):
        simulated(replace(batch, units=units), rows)


def voted(n: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Names, FER+ votes and splits of faces that mix two of the ten choices."""
    rng = np.random.default_rng(seed)
    shares = np.stack([rng.dirichlet(np.full(10, 0.15)) for _ in range(n)])
    votes = np.stack([rng.multinomial(10, share) for share in shares]).astype(np.uint8)
    return np.array([f"face-{i}" for i in range(n)]), votes, (np.arange(n) % 3 // 2).astype(np.int8)


def test_votes_give_the_nearer_face_by_a_slow_check() -> None:
    names, votes, splits = voted()
    found = from_votes(names, votes, splits, seed=1)
    place = {name: i for i, name in enumerate(names.tolist())}
    columns = [FERPLUS_CHOICES.index(name) for name in FERPLUS_CHOICES[:7]]
    agrees, asked = 0, set()
    for (reference, nearer, farther), (for_it, against) in zip(
        found.faces.tolist(), found.votes.tolist(), strict=True
    ):
        r, a, b = place[reference], place[nearer], place[farther]
        assert splits[r] == splits[a] == splits[b]
        assert for_it - against >= LEAST
        assert for_it + against <= PANELS
        p, q, s = (votes[i, columns] / votes[i, columns].sum() for i in (r, a, b))
        assert all(2 * votes[i, columns].sum() >= votes[i].sum() for i in (r, a, b))
        agrees += np.linalg.norm(p - q) < np.linalg.norm(p - s)
        asked.add((r, frozenset((a, b))))
    # The voters drawn anew agree with those that there were, but for the closest of calls.
    assert agrees / len(found) > 0.99
    assert len(asked) == len(found)
    assert np.unique(found.faces[:, 0], return_counts=True)[1].max() <= 4
    assert np.array_equal(found.votes, from_votes(names, votes, splits, seed=1).votes)
    assert not np.array_equal(found.faces, from_votes(names, votes, splits, seed=2).faces)


def test_clear_votes_are_unanimous_and_unclear_ones_left_out() -> None:
    votes = np.zeros((6, 10), np.uint8)
    votes[:3, 1] = 10
    votes[3:, 4] = 10
    names, splits = np.array(list("abcdef")), np.zeros(6, np.int8)
    found = from_votes(names, votes, splits)
    assert (found.votes == [PANELS, 0]).all()
    happy = np.isin(found.faces, ["a", "b", "c"])
    assert (happy[:, 0] == happy[:, 1]).all()
    assert (happy[:, 0] != happy[:, 2]).all()
    with pytest.raises(DataError, match="no triplets from the votes of 3 training"):
        from_votes(names[:3], votes[:3], splits[:3])
    with pytest.raises(DataError, match=r"expected 1 or more, and 1…10"):
        from_votes(names, votes, splits, least=11)
