"""Doubt: people's second choice, the network's beside it, and how scores part faces from what is none."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mien.errors import DataError
from mien.evaluation import conformal, doubt
from mien.evaluation.calibration import Scaling, softmax
from mien.evaluation.decision import Decision, cross_fitted_decision, energy
from mien.faces import no_face
from mien.labels import EMOTIONS, FERPLUS_CHOICES

ANGRY, DISGUST, FEAR, HAPPY, SAD, SURPRISE, NEUTRAL = range(7)


def _votes(**counts: int) -> list[int]:
    return [counts.get(choice.replace(" ", "_"), 0) for choice in FERPLUS_CHOICES]


def _ranked(*order: int) -> np.ndarray:
    """Probabilities whose ranking begins with these emotions."""
    p = np.full(7, 0.02)
    p[list(order)] = 0.5 / 2.0 ** np.arange(len(order))
    return p / p.sum()


def test_peoples_second_is_clear_an_emotion_and_more_than_a_slip() -> None:
    votes = np.array(
        [
            _votes(happiness=6, surprise=4),
            _votes(happiness=9, surprise=1),
            _votes(happiness=6, surprise=2, neutral=2),
            _votes(happiness=6, contempt=3, neutral=1),
            _votes(contempt=6, neutral=4),
            _votes(happiness=5, surprise=5),
            _votes(),
        ],
        np.uint8,
    )
    assert doubt.people_second(votes).tolist() == [SURPRISE, -1, -1, -1, -1, -1, -1]
    assert votes[0].sum() == 10, "the votes themselves stay as they are"


def test_second_choices_of_a_case_counted_by_hand() -> None:
    p = np.stack(
        [
            _ranked(HAPPY, SURPRISE),
            _ranked(HAPPY, NEUTRAL),
            _ranked(SAD, FEAR),
            _ranked(FEAR, SURPRISE),
            _ranked(SAD, FEAR),
        ]
    )
    votes = np.array(
        [
            _votes(happiness=6, surprise=4),
            _votes(happiness=6, surprise=4),
            _votes(neutral=7, fear=3),
            _votes(surprise=10),
            _votes(),
        ],
        np.uint8,
    )
    labels = np.array([HAPPY, HAPPY, FEAR, SURPRISE, NEUTRAL])
    found = doubt.second_choice(votes, labels, p)
    assert (found["people"]["n"], found["people"]["second"]) == (3, 2 / 3)
    # After happy the best constant names surprise twice, after sad fear once.
    assert found["people"]["constant"] == 1
    assert found["people"]["by_lot"] == pytest.approx(1 / 6)
    assert (found["people_first_right"]["n"], found["people_first_right"]["second"]) == (2, 0.5)
    assert (found["wrong"]["n"], found["wrong"]["second"]) == (3, 2 / 3)
    assert found["wrong"]["constant"] == pytest.approx(2 / 3)
    assert found["label_in_two"] == 0.8
    nobody = doubt.second_choice(votes[3:4], labels[3:4], p[3:4])
    assert (nobody["people"]["n"], nobody["people"]["second"], nobody["people"]["constant"]) == (
        0,
        None,
        None,
    )


def test_what_ferplus_calls_no_face() -> None:
    votes = np.array(
        [_votes(not_a_face=10), _votes(not_a_face=4, sadness=4), _votes(happiness=10), _votes()], np.uint8
    )
    assert no_face(votes).tolist() == [True, False, False, True]
    assert not no_face(votes[3:]).any(), "where no votes are known, nothing is said"


@pytest.mark.parametrize("seed", range(5))
def test_separation_is_the_area_that_scikit_learn_finds_and_delongs_variance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive = np.arange(60) < 15
    scores = rng.integers(0, 12, 60) + 3 * positive
    area, low, high = doubt.separation(scores, positive)
    assert area == pytest.approx(roc_auc_score(positive, scores))
    above, below = scores[positive], scores[~positive]
    wins = (above[:, None] > below) + 0.5 * (above[:, None] == below)
    variance = wins.mean(axis=1).var(ddof=1) / len(above) + wins.mean(axis=0).var(ddof=1) / len(below)
    assert low == pytest.approx(area - 1.959964 * variance**0.5)
    assert high == pytest.approx(min(1, area + 1.959964 * variance**0.5))


def test_separation_needs_two_of_both() -> None:
    with pytest.raises(DataError, match="1 against 3"):
        doubt.separation([1, 2, 3, 4], [True, False, False, False])
    assert doubt.separation([3, 4, 1, 2], [True, True, False, False]) == (1.0, 1.0, 1.0)


def test_every_score_is_greatest_where_nothing_is_known_and_follows_its_formula() -> None:
    logits = np.array([[5.0, 1, 0], [0.1, 0, 0], [3, 2.9, 0]])
    p = softmax(logits)
    found = {name: score(p, logits) for name, score in doubt.SCORES.items()}
    assert {int(values.argmin()) for values in found.values()} == {0}
    np.testing.assert_allclose(found["energy"], -np.log(np.exp(logits).sum(axis=1)))
    np.testing.assert_allclose(found["entropy"], [-sum(q * np.log(q) for q in row) for row in p])
    np.testing.assert_allclose(found["margin"], [p[0, 1] - p[0, 0], p[1, 1] - p[1, 0], p[2, 1] - p[2, 0]])
    np.testing.assert_allclose(found["max_probability"], 1 - p.max(axis=1))


def test_pictures_without_a_face_are_counted_by_the_sets() -> None:
    logits = np.array([[4.0, 0, 0], [4, 0, 0], [4, 0, 0], [0.1, 0, 0], [4, 0, 0]])
    p, absent = softmax(logits), np.array([0, 0, 0, 1, 1], bool)
    certain = conformal.sure(p >= 0.5)
    found = doubt.without_face(p, logits, certain, absent)
    assert found is not None
    assert (found["n"], found["unsure"], found["unsure_faces"]) == (2, 0.5, 0.0)
    assert found["auroc"]["energy"][0] == found["auroc"]["entropy"][0] == 0.75
    assert doubt.without_face(p, logits, certain, absent & (np.arange(5) == 3)) is None


def test_measuring_gives_each_part_over_the_kept_faces() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(400, 7)) * 2
    labels = (softmax(logits).cumsum(axis=1) > rng.random((400, 1))).argmax(axis=1)
    votes = np.array([rng.multinomial(10, rng.dirichlet(np.full(10, 0.3))) for _ in labels], np.uint8)
    keep = rng.random(400) > 0.2
    p = softmax(logits)
    own = Decision(Scaling((1.0,) * 7, (1e-9,) + (0.0,) * 6), 0.3, coverage=0.8, share=0.9, limit=-2.0)
    found = doubt.measure(p, logits, labels, votes, keep=keep, decision=own, seed=2)
    fitted = cross_fitted_decision(logits, labels, seed=2, keep=keep, scaling="vector", share=0.9)
    familiar = energy(logits[keep]) <= -2.0
    for name, q, reached, known, certain in (
        ("cross_fitted", fitted.probabilities, fitted.reached, fitted.familiar, fitted.sure),
        ("as_shipped", p[keep], p[keep] >= 0.3, familiar, conformal.sure(p[keep] >= 0.3) & familiar),
    ):
        figures = conformal.figures(q, reached, labels[keep], EMOTIONS, certain)
        assert found[name] == figures | conformal.rate("familiar", known)
    asked = doubt.second_choice(votes[keep], labels[keep], fitted.probabilities)
    assert found["second_choice"] == asked
    assert found["no_face"]["n"] == no_face(votes[keep]).sum() > 1
    without = doubt.measure(p, logits, labels, votes * 0, keep=keep)
    assert (without["as_shipped"], without["second_choice"], without["no_face"]) == (None, None, None)
