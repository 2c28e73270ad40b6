"""Agreement with people, against loops that expand the vote counts into raters."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.evaluation import humans
from mien.labels import EMOTIONS, FERPLUS_CHOICES, SIX, ferplus_columns

NAMES = {column: emotion for emotion, column in zip(EMOTIONS, ferplus_columns(), strict=True)}


def _votes(**counts: int) -> np.ndarray:
    row = np.zeros(len(FERPLUS_CHOICES), np.uint8)
    for choice, count in counts.items():
        row[FERPLUS_CHOICES.index(choice.replace("_", " "))] = count
    return row[None]


def _raters(row: np.ndarray) -> list[str]:
    """One string a rater: an emotion in our names, or what else they chose."""
    return [NAMES.get(c, FERPLUS_CHOICES[c]) for c in range(len(row)) for _ in range(int(row[c]))]


def _tops(answers: list[str]) -> list[str]:
    most = max(answers.count(answer) for answer in answers)
    return sorted({answer for answer in answers if answers.count(answer) == most})


def _naive_seats(votes: np.ndarray, emotions: tuple[str, ...]) -> list[tuple[int, str, str, Fraction]]:
    """(face, the others' majority, the rater's answer, weight) for every rater, ties in equal parts."""
    tasks = []
    for face, row in enumerate(votes):
        raters = _raters(row)
        for seat, answer in enumerate(raters):
            others = raters[:seat] + raters[seat + 1 :]
            if others:
                tops = _tops(others)
                tasks += [(face, top, answer, Fraction(1, len(tops))) for top in tops if top in emotions]
    return tasks


faces = st.lists(
    st.lists(st.integers(0, 9), min_size=10, max_size=10).map(lambda c: np.bincount(c, minlength=10)),
    min_size=1,
    max_size=6,
).map(lambda rows: np.array(rows, np.uint8))
# A few kinds of answers only, so that ties and near ties are common.
close = st.lists(
    st.lists(st.sampled_from([0, 1, 8]), min_size=1, max_size=10).map(lambda c: np.bincount(c, minlength=10)),
    min_size=1,
    max_size=6,
).map(lambda rows: np.array(rows, np.uint8))


@settings(max_examples=80, deadline=None)
@given(st.one_of(faces, close), st.sampled_from([EMOTIONS, SIX]), st.integers(0, 1000))
def test_ceiling_and_seat_are_the_expectation_over_every_rater(
    votes: np.ndarray, emotions: tuple[str, ...], seed: int
) -> None:
    predicted = np.random.default_rng(seed).integers(0, len(emotions), len(votes))
    seated = humans.seats(votes, emotions)
    ceiling = humans.rater_ceiling(seated, emotions)
    seat = humans.in_a_raters_seat(seated, predicted, emotions)
    tasks = _naive_seats(votes, emotions)
    answered = [task for task in tasks if task[2] in emotions]

    def rate(tasks: list[tuple[int, str, str, Fraction]], right: list[bool]) -> float | None:
        of = sum(task[3] for task in tasks)
        return float(sum(t[3] for t, r in zip(tasks, right, strict=True) if r) / of) if of else None

    def same(ours: float | None, naive: float | None) -> bool:
        return ours == naive if naive is None or ours is None else math.isclose(ours, naive, abs_tol=1e-12)

    assert same(ceiling["accuracy"], rate(answered, [top == answer for _, top, answer, _ in answered]))
    assert same(ceiling["accuracy_all_answers"], rate(tasks, [top == answer for _, top, answer, _ in tasks]))
    assert same(
        seat["accuracy"], rate(answered, [emotions[predicted[f]] == top for f, top, _, _ in answered])
    )
    for emotion in emotions:
        part = [task for task in answered if task[1] == emotion]
        assert same(
            ceiling["per_class"][emotion], rate(part, [answer == emotion for _, _, answer, _ in part])
        )
        assert same(
            seat["per_class"][emotion], rate(part, [emotions[predicted[f]] == emotion for f, *_ in part])
        )


@settings(max_examples=80, deadline=None)
@given(st.one_of(faces, close))
def test_majority_is_the_only_top_choice_of_all_ten(votes: np.ndarray) -> None:
    for row, found in zip(votes, humans.majority(votes), strict=True):
        tops = _tops(_raters(row))
        clear = len(tops) == 1 and tops[0] in EMOTIONS
        assert found == (EMOTIONS.index(tops[0]) if clear else -1)


def test_majority_by_hand() -> None:
    assert humans.majority(_votes(happiness=6, neutral=4)) == EMOTIONS.index("happy")
    assert humans.majority(_votes(happiness=5, neutral=5)) == -1
    assert humans.majority(_votes(happiness=4, unknown=6)) == -1
    assert humans.majority(_votes(anger=4, contempt=3, fear=3)) == EMOTIONS.index("angry")
    assert humans.majority(_votes()) == -1
    assert humans.majority(_votes(neutral=9, sadness=1), SIX) == -1


def test_ceiling_by_hand() -> None:
    # 8 against 2: the eight agree with the other nine, the two do not.
    assert humans.rater_ceiling(humans.seats(_votes(happiness=8, neutral=2)))["accuracy"] == 0.8
    # 5 against 5: whoever leaves, the other side has the majority.
    assert humans.rater_ceiling(humans.seats(_votes(happiness=5, neutral=5)))["accuracy"] == 0
    # 5, 4 and one 'unknown': a happy rater faces 4 to 4 and is right by lot; a neutral one is wrong.
    table = humans.rater_ceiling(humans.seats(_votes(happiness=5, neutral=4, unknown=1)))
    assert table["accuracy"] == pytest.approx(5 * 0.5 / 9)
    assert table["accuracy_all_answers"] == pytest.approx(5 * 0.5 / 10)
    assert humans.rater_ceiling(humans.seats(_votes()))["accuracy"] is None


def test_shares_leave_out_other_answers_and_faces_that_are_mostly_other() -> None:
    spread = humans.shares(
        np.concatenate([_votes(happiness=3, neutral=2, unknown=5), _votes(fear=4, contempt=6)])
    )
    assert spread[0, EMOTIONS.index("happy")] == pytest.approx(0.6)
    assert spread[0, EMOTIONS.index("neutral")] == pytest.approx(0.4)
    assert np.isnan(spread[1]).all()


@settings(max_examples=50, deadline=None)
@given(faces, st.integers(0, 1000))
def test_kl_against_a_naive_loop(votes: np.ndarray, seed: int) -> None:
    q = np.random.default_rng(seed).dirichlet(np.full(7, 0.3), len(votes))
    spread = humans.shares(votes)
    for i, found in enumerate(humans.kl(spread, q)):
        if np.isnan(spread[i]).any():
            assert np.isnan(found)
            continue
        smooth = [(q[i, c] + 1e-6) / (1 + 7e-6) for c in range(7)]
        naive = sum(p * math.log(p / s) for p, s in zip(spread[i].tolist(), smooth, strict=True) if p > 0)
        assert found == pytest.approx(naive, abs=1e-9)
        assert found >= 0


def test_kl_stays_finite_where_a_network_excludes_what_people_saw() -> None:
    spread = humans.shares(_votes(happiness=10))
    assert humans.kl(spread, np.eye(7)[[0]])[0] == pytest.approx(math.log((1 + 7e-6) / 1e-6))
    assert humans.kl(spread, spread)[0] == pytest.approx(0, abs=1e-5)


def test_agreement_leaves_out_faces_without_votes_and_without_a_clear_majority() -> None:
    votes = np.concatenate(
        [
            _votes(happiness=10),
            _votes(sadness=7, neutral=3),
            _votes(fear=5, surprise=5),
            _votes(),
            _votes(anger=9),
        ]
    )
    happy, sad, angry, fear = (EMOTIONS.index(name) for name in ("happy", "sad", "angry", "fear"))
    found = humans.agreement(
        votes, [happy, angry, fear, fear, angry], np.eye(7)[[happy, sad, fear, fear, sad]]
    )
    assert found is not None
    assert found["n"] == 4
    assert found["clear"] == 3
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["label_agreement"] == pytest.approx(2 / 3)
    assert found["balanced_accuracy"] == pytest.approx(2 / 3)
    assert found["kl_n"] == 4
    assert humans.agreement(_votes(), [0], np.eye(7)[[0]]) is None


def test_without_any_clear_majority_the_rates_are_absent() -> None:
    found = humans.agreement(_votes(fear=5, surprise=5), [2], np.eye(7)[[2]])
    assert found is not None
    assert found["clear"] == 0
    assert found["accuracy"] is None
    assert found["kl"] is not None
