"""The circumplex against naive loops over faces, relabellings and resamples, and scipy and scikit-learn."""

from __future__ import annotations

import json
from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import scipy.spatial
from scipy.spatial.distance import pdist, squareform
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from mien.errors import DataError
from mien.evaluation.maps import circular_order, responses
from mien.evaluation.maps.agreement import mantel, procrustes
from mien.evaluation.maps.circumplex import analyse, emotion_map
from mien.evaluation.maps.dissimilarities import MEASURES, applicable, dissimilarities, euclidean
from mien.evaluation.maps.resampling import bootstrap, resampled_rows
from mien.evaluation.maps.responses import Confusion, Embeddings, Responses
from mien.evaluation.maps.scaling import mds
from mien.evaluation.maps.separability import FOLDS, SEPARABLE, separability
from mien.faces import FaceBatch
from mien.labels import EMOTIONS, SIX, ferplus_columns

RING = ("happy", "surprise", "fear", "sad", "angry", "disgust")


def _answers(faces: int = 120, seed: int = 0, emotions: tuple[str, ...] = SIX) -> Responses:
    """Answers that are confused with the neighbours on the expected circle, more with the next one."""
    rng = np.random.default_rng(seed)
    c = len(emotions)
    ring = [emotion for emotion in (*RING, "neutral", "contempt") if emotion in emotions]
    labels = np.arange(faces) % c
    weights = np.full((c, c), 0.3)
    for place, emotion in enumerate(ring):
        i = emotions.index(emotion)
        weights[i, i] = 6
        weights[i, emotions.index(ring[(place + 1) % c])] += 2.0
        weights[i, emotions.index(ring[place - 1])] += 1.5
    answers = np.array([rng.dirichlet(weights[label]) for label in labels])
    return Responses(emotions, answers, labels.astype(np.int64), "probabilities", "made up")


def _rows(seed: int, c: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(c), size=c)


def _voted() -> FaceBatch:
    """Seven faces an emotion; people agree with the label but for the last, whom nobody saw in it."""
    labels = np.repeat(np.arange(7), 7)
    votes = np.zeros((49, 10), np.uint8)
    columns = ferplus_columns()
    for face, label in enumerate(labels):
        votes[face, columns[label]] = 8
        votes[face, columns[(label + 1) % 6]] += 2
    votes[6] = 0  # no votes
    votes[13] = [0, 0, 0, 0, 0, 4, 0, 0, 6, 0]  # fewer than half for an emotion
    return FaceBatch(
        images=np.zeros((49, 4, 4), np.uint8),
        labels=labels.astype(np.int64),
        splits=np.zeros(49, np.int8),
        rows=np.arange(49, dtype=np.int64),
        votes=votes,
        source="voted",
    )


# What a map is made of


def test_votes_are_grouped_by_the_datasets_label() -> None:
    found = responses.votes(_voted())
    assert (found.emotions, found.kind, found.source) == (SIX, "votes", "voted")
    assert np.bincount(found.labels).tolist() == [6, 6, 7, 7, 7, 7]
    expected = 0.8 * np.eye(6) + 0.2 * np.roll(np.eye(6), 1, axis=1)
    np.testing.assert_allclose(found.rows, expected, atol=1e-12)


def test_probabilities_are_taken_among_the_emotions() -> None:
    names = ("neutral", *reversed(SIX))
    p = np.random.default_rng(0).dirichlet(np.ones(7), size=70)
    labels = np.arange(70) % 7
    found = responses.probabilities(p, labels, names)
    kept = [i for i in range(70) if labels[i] != 6]
    assert found.labels.tolist() == [labels[i] for i in kept]
    for row, i in zip(found.answers, kept, strict=True):
        by_name = dict(zip(names, p[i], strict=True))
        six = np.array([by_name[emotion] for emotion in SIX])
        np.testing.assert_allclose(row, six / six.sum())


def test_embeddings_leave_other_emotions_out() -> None:
    points = np.random.default_rng(0).normal(size=(14, 3))
    found = responses.embeddings(points, np.arange(14) % 7, ("happy", "sad"))
    np.testing.assert_array_equal(found.points, points[[3, 4, 10, 11]])
    assert found.labels.tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(found.rows[0], (points[3] + points[10]) / 2)


@pytest.mark.parametrize(
    ("table", "counted"),
    [
        ([[8, 2], [1, 9]], True),
        ([[100, 20], [3, 70]], True),
        ([[0.8, 0.2], [0.1, 0.9]], False),
        ([[1, 0], [0, 1]], False),
        ([[80, 20], [11, 90]], False),
        ([[8.5, 2], [1, 9]], False),
    ],
)
def test_whole_numbers_are_counts_unless_they_are_percentages(
    table: list[list[float]], counted: bool
) -> None:
    assert responses.confusion(table, ("happy", "sad")).counted is counted
    assert responses.confusion(table, ("happy", "sad"), counted=True).counted is True


# Dissimilarities


def test_measures_are_scipys() -> None:
    rows = np.random.default_rng(1).normal(size=(6, 9))
    for name in ("euclidean", "cosine", "correlation"):
        np.testing.assert_allclose(MEASURES[name].function(rows), squareform(pdist(rows, name)), atol=1e-12)


def test_measures_of_answers_are_their_formulas() -> None:
    p = _rows(2)
    hellinger, confusion = MEASURES["hellinger"].function(p), MEASURES["confusion"].function(p)
    for i in range(6):
        for j in range(6):
            overlap = sum(np.sqrt(p[i, k] * p[j, k]) for k in range(6))
            assert hellinger[i, j] == pytest.approx(np.sqrt(max(1 - overlap, 0)), abs=1e-7)
            mutual = (p[i, j] + p[j, i]) / 2 / np.sqrt(p[i, i] * p[j, j])
            assert confusion[i, j] == pytest.approx(0 if i == j else max(1 - mutual, 0), abs=1e-12)


@pytest.mark.parametrize("name", MEASURES)
def test_measures_are_symmetric_and_finite_even_where_rows_are_odd(name: str) -> None:
    for rows in (_rows(0), np.eye(6), np.full((6, 6), 1 / 6), np.roll(np.eye(6), 1, axis=1)):
        with np.errstate(all="raise"):
            values = MEASURES[name].function(rows)
        np.testing.assert_array_equal(values, values.T)
        assert (np.diag(values) == 0).all()
        assert np.isfinite(values).all()
        assert (values >= 0).all()


def test_what_fits_a_source() -> None:
    faces = np.arange(12) % 6
    plane = Embeddings(SIX, np.random.default_rng(0).normal(size=(12, 2)), faces)
    space = Embeddings(SIX, np.random.default_rng(0).normal(size=(12, 3)), faces)
    assert applicable(plane) == ("euclidean", "cosine")
    assert applicable(space) == ("euclidean", "correlation", "cosine")
    assert applicable(_answers()) == tuple(MEASURES)
    assert "votes" in dissimilarities(responses.votes(_voted())).how


# Separability


def test_separability_of_answers_counts_faces_and_halves_ties() -> None:
    source = responses.votes(_voted())
    found = separability(source)
    for i in range(6):
        for j in range(6):
            shares = []
            for own, other in ((i, j), (j, i)):
                rows = source.answers[source.labels == own]
                shares.append(np.mean([(r[own] > r[other]) + 0.5 * (r[own] == r[other]) for r in rows]))
            assert found[i, j] == pytest.approx(1 if i == j else np.mean(shares))
    tied = Responses(("happy", "sad"), np.full((2, 2), 0.5), np.array([0, 1]), "votes")
    assert separability(tied)[0, 1] == 0.5


def test_separability_of_a_table_is_that_of_its_two_columns() -> None:
    table = responses.confusion([[6, 2, 2], [1, 3, 6], [0, 0, 10]], ("happy", "sad", "fear"), counted=True)
    found = separability(table)
    assert found[0, 1] == pytest.approx((6 / 8 + 3 / 4) / 2)
    assert found[1, 2] == pytest.approx((3 / 9 + 1) / 2)
    never = Confusion(("happy", "sad", "fear"), np.array([[0.0, 0, 1], [0, 0, 1], [0, 0, 1]]))
    assert separability(never)[0, 1] == 0.5


def test_separability_of_points_is_scikit_learns_discriminant() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), (40, 60, 50))
    points = rng.normal(size=(150, 2)) @ [[1, 0.8], [0, 0.5]] + np.array([[0, 0], [1.5, 0], [0, 1.5]])[labels]
    found = separability(Embeddings(("happy", "sad", "fear"), points, labels), seed=3)

    # The same parts, by the same draws.
    drawn = np.random.default_rng(np.random.SeedSequence([3, 0x5E9A]))
    part = np.concatenate([drawn.permutation(n) % FOLDS for n in (40, 60, 50)])
    for i, j in ((0, 1), (0, 2), (1, 2)):
        right = np.zeros(150, bool)
        both = (labels == i) | (labels == j)
        for fold in range(FOLDS):
            learned, held = both & (part != fold), both & (part == fold)
            model = LinearDiscriminantAnalysis(solver="lsqr", priors=[0.5, 0.5])
            model.fit(points[learned], labels[learned])
            right[held] = model.predict(points[held]) == labels[held]
        balanced = np.mean([right[labels == k].mean() for k in (i, j)])
        assert found[i, j] == found[j, i] == pytest.approx(balanced, abs=1e-12)


def test_points_that_fell_together_are_separable_and_mixed_ones_are_not() -> None:
    labels = np.repeat(np.arange(3), 20)
    fallen = Embeddings(("happy", "sad", "fear"), np.eye(3)[labels], labels)
    assert (separability(fallen) == 1).all()
    mixed = np.random.default_rng(0).normal(size=(600, 2))
    values = separability(Embeddings(("happy", "sad", "fear"), mixed, np.repeat(np.arange(3), 200)))
    assert (values[np.triu_indices(3, 1)] < SEPARABLE).all()
    assert abs(values[0, 1] - 0.5) < 0.1


# Agreement of two maps


@pytest.mark.parametrize("count", [3, 4, 5, 6])
def test_mantel_is_a_loop_over_every_relabelling(count: int) -> None:
    for seed in range(2):
        a, b = (squareform(pdist(np.random.default_rng(seed + k).normal(size=(count, 3)))) for k in (0, 90))
        upper = np.triu_indices(count, 1)
        every = [
            np.corrcoef(a[upper], b[np.ix_(way, way)][upper])[0, 1] for way in permutations(range(count))
        ]
        found = mantel(a, b)
        assert found.r == pytest.approx(every[0], abs=1e-12)
        assert found.p == pytest.approx(np.mean([r >= every[0] - 1e-9 for r in every]), abs=1e-12)
        assert found.relabellings == len(every)


@pytest.mark.parametrize("count", [3, 4, 5, 6])
def test_procrustes_is_a_loop_over_every_relabelling(count: int) -> None:
    rng = np.random.default_rng(count)
    a, b = rng.normal(size=(count, 2)), rng.normal(size=(count, 2)) + 5
    every = [scipy.spatial.procrustes(a, b[list(way)])[2] for way in permutations(range(count))]
    found = procrustes(a, b)
    assert found.disparity == pytest.approx(every[0], abs=1e-12)
    assert found.p == pytest.approx(np.mean([d <= every[0] + 1e-9 for d in every]), abs=1e-12)
    assert ((found.ours - found.theirs) ** 2).sum() == pytest.approx(found.disparity, abs=1e-12)


def test_a_turned_and_mirrored_map_is_the_same_map() -> None:
    a = np.random.default_rng(0).normal(size=(6, 2))
    turned = 3 * a @ [[0.6, 0.8], [0.8, -0.6]] + 7
    found = procrustes(a, turned)
    assert found.disparity < 1e-12
    assert found.p == 1 / 720
    assert mantel(squareform(pdist(a)), squareform(pdist(turned))).p == 1 / 720


# Bootstrap


def test_a_resample_is_faces_drawn_within_each_emotion() -> None:
    source = _answers(faces=60)
    rows = resampled_rows(source, 150, seed=4)
    assert rows is not None
    for label in range(6):
        faces = source.answers[source.labels == label]
        drawn = np.random.default_rng(np.random.SeedSequence([4, 0xB007, label]))
        for resample, indices in zip(rows[:100, label], drawn.integers(10, size=(100, 10)), strict=True):
            np.testing.assert_allclose(resample, np.mean([faces[i] for i in indices], axis=0))


def test_a_table_of_counts_is_resampled_and_one_of_rates_is_not() -> None:
    counts = np.array([[60, 20, 20], [10, 80, 10], [0, 0, 40]])
    table = responses.confusion(counts, ("happy", "sad", "fear"), counted=True)
    rows = resampled_rows(table, 2000, seed=0)
    assert rows is not None
    np.testing.assert_allclose(rows.sum(axis=2), 1)
    np.testing.assert_allclose(rows.mean(axis=0), table.rows, atol=0.01)
    np.testing.assert_allclose(rows[:, 0, 0].std(), np.sqrt(0.6 * 0.4 / 100), rtol=0.1)
    rates = responses.confusion(table.rows, ("happy", "sad", "fear"))
    assert resampled_rows(rates, 10, seed=0) is None
    assert analyse(rates).to_dict()["bootstrap"] is None
    assert analyse(rates).to_dict()["source"]["faces"] is None


def test_bootstrap_shares_are_those_of_full_scaling_where_the_plane_does_not_fit() -> None:
    rng = np.random.default_rng(5)
    centre = rng.dirichlet(np.full(6, 0.7), size=6)
    labels = np.repeat(np.arange(6), 25)
    answers = np.stack([rng.dirichlet(centre[label] * 4 + 0.05) for label in labels])
    source = Responses(SIX, answers, labels, "votes")
    whole = emotion_map(euclidean(source.rows), SIX)
    assert whole.stress > 0.1
    told = bootstrap(source, "euclidean", whole.points, expected=None, resamples=60, seed=0)
    rows = resampled_rows(source, 60, 0)
    assert told is not None
    assert rows is not None
    alone = Counter(circular_order.order(mds(euclidean(row)).points, SIX) for row in rows)
    assert abs(told.share - alone[whole.order] / 60) <= 0.05


def test_bootstrap_shares_are_those_of_each_resample_mapped_alone() -> None:
    source = _answers(faces=30, seed=1)
    found = analyse(source, resamples=12, seed=2)
    rows = resampled_rows(source, 12, seed=2)
    assert found.bootstrap is not None
    assert rows is not None
    alone = [emotion_map(MEASURES["euclidean"].function(r), SIX).order for r in rows]
    assert dict(found.bootstrap.orders) == {one: alone.count(one) / 12 for one in set(alone)}
    assert found.bootstrap.share == alone.count(found.metric.order) / 12
    assert found.bootstrap.expected_share == alone.count(RING) / 12
    near = [circular_order.exchanges(one, RING) <= 1 for one in alone]
    assert found.bootstrap.within_one_share == np.mean(near)


# The whole


def test_the_same_seed_gives_the_same_answer() -> None:
    source = _answers(faces=30, seed=1)
    one, again = (json.dumps(analyse(source, resamples=40, seed=7).to_dict()) for _ in range(2))
    assert one == again
    assert analyse(source, resamples=0).to_dict()["bootstrap"] is None


def test_a_circumplex_is_found_and_told() -> None:
    found = analyse(_answers(faces=600), resamples=30).to_dict()
    assert found["order"] == found["metric"]["order"] == list(RING)
    assert found["chance"] == 1 / 60
    assert found["expected"] == {"order": list(RING), "exchanges": 0, "chance": 1 / 60, "consistent": True}
    assert found["source"]["faces"] == 600
    assert found["source"]["per_emotion"] == dict.fromkeys(SIX, 100)
    assert found["metric"]["angles"]["happy"] == pytest.approx(90)
    assert sum(one["share"] for one in found["bootstrap"]["orders"]) == pytest.approx(1)
    assert list(found["measures"]) == list(MEASURES)
    assert found["measures"]["euclidean"]["stress"] == found["metric"]["stress"]
    assert found["against"] is None
    assert len(found["overlaps"]["pairs"]) == 15
    joined = [pair["emotions"] for pair in found["overlaps"]["pairs"] if pair["joined"]]
    assert found["overlaps"]["joined"] == joined


def test_fear_and_surprise_that_look_the_same_give_the_papers_two_in_sixty() -> None:
    turn = dict(zip(RING, np.radians(60 * np.arange(6)), strict=True))
    centres = np.array([[np.cos(turn[emotion]), np.sin(turn[emotion])] for emotion in SIX]) * 10
    fear, surprise = SIX.index("fear"), SIX.index("surprise")
    centres[fear] = centres[surprise] + 0.2 * (centres[fear] - centres[surprise])
    labels = np.arange(600) % 6
    points = centres[labels] + np.random.default_rng(0).normal(size=(600, 2)) * 2
    found = analyse(responses.embeddings(points, labels), resamples=20).to_dict()
    assert found["overlaps"]["joined"] == [["fear", "surprise"]]
    assert found["overlaps"]["orders"] == 2
    assert found["overlaps"]["chance"] == 2 / 60
    assert found["expected"]["consistent"] is True
    assert found["responses"] is None
    # Points in the plane are a map already: scaling gives their centroids back.
    assert found["metric"]["stress"] < 1e-6


@pytest.mark.parametrize("count", [3, 4, 5, 7, 8])
def test_three_to_eight_emotions(count: int) -> None:
    emotions = (*SIX, "neutral", "contempt")[:count]
    found = analyse(_answers(faces=10 * count, emotions=emotions), resamples=5).to_dict()
    assert sorted(found["order"]) == sorted(emotions)
    assert found["chance"] == circular_order.chance_within(0, count)
    if count > 6:
        assert found["expected"] is None
        assert found["bootstrap"]["expected_share"] is None
    else:
        assert set(found["expected"]["order"]) == set(emotions)


def test_a_source_beside_itself_and_beside_one_of_fewer_emotions() -> None:
    source = _answers(faces=120)
    itself = analyse(source, resamples=0, against=source).to_dict()["against"]
    assert itself["mantel"] == {"r": pytest.approx(1), "p": 1 / 720, "relabellings": 720}
    assert itself["procrustes"]["disparity"] < 1e-12
    assert (itself["exchanges"], itself["chance"]) == (0, 1 / 60)
    fewer = _answers(faces=100, seed=3, emotions=("sad", "happy", "fear", "angry"))
    beside = analyse(source, resamples=0, against=fewer).to_dict()["against"]
    assert beside["emotions"] == ["angry", "fear", "happy", "sad"]
    assert beside["mantel"]["relabellings"] == 24
    assert set(beside["procrustes"]["points"]) == set(beside["emotions"])
    assert beside["chance"] in (1 / 3, 1)


def test_people_put_the_six_emotions_of_fer2013_on_a_circle(fer2013: FaceBatch) -> None:
    people = responses.votes(fer2013.select(fer2013.splits == 0))
    found = analyse(people, resamples=100).to_dict()
    assert found["order"] == ["happy", "surprise", "fear", "sad", "disgust", "angry"]
    assert found["chance"] == 1 / 60
    assert found["expected"]["exchanges"] == 1
    assert found["expected"]["chance"] == 7 / 60
    assert found["bootstrap"]["share"] > 0.95
    assert {tuple(one["order"]) for one in found["measures"].values()} == {tuple(found["order"])}
    assert found["overlaps"]["orders"] == 3
    assert set(found["source"]["per_emotion"]) == set(EMOTIONS) - {"neutral"}


# Bad input

POINTS = np.random.default_rng(0).normal(size=(12, 2))
LABELS = np.arange(12) % 6
TABLE = np.eye(6) * 9 + 1


def _with(value: float, row: int = 2) -> np.ndarray:
    table = TABLE.copy()
    table[row, 1] = value
    return table


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: responses.votes(_voted().select(np.array([6]))), "no face of voted has votes"),
        (lambda: responses.votes(_voted().select(np.arange(7, 49))), "no face of angry of voted"),
        (lambda: responses.votes(_voted(), ("happy", "sat")), "'sat': did you mean 'sad'"),
        (lambda: responses.votes(_voted(), ("happy",)), "only happy of voted: expected at least 2 emotions"),
        (lambda: responses.probabilities(np.ones((12, 5)) / 5, LABELS, SIX[:5]), "no column of surprise"),
        (lambda: responses.probabilities(np.ones((12, 5)) / 5, LABELS, SIX), "6 names: expected"),
        (lambda: responses.probabilities(np.eye(7)[[6] * 12], LABELS, EMOTIONS), "face 0 has no probability"),
        (lambda: responses.probabilities(np.full((12, 6), np.nan), LABELS, SIX), "face 0 is not finite"),
        (lambda: Responses(SIX, np.full((12, 6), 0.2), LABELS, "votes", "x"), "face 0 of x sum to 1.2"),
        (lambda: Responses(SIX, np.eye(6)[LABELS][:, :5], LABELS, "votes"), "5 answers a face"),
        (lambda: Responses(SIX, 2 * np.eye(6)[LABELS] - 1 / 6, LABELS, "votes"), "hold -0.16"),
        (lambda: responses.embeddings(POINTS * 0 + 3, LABELS), "all 12 embeddings are equal"),
        (lambda: responses.embeddings(POINTS, LABELS % 5), "no face of surprise"),
        (lambda: responses.embeddings(POINTS, LABELS + 2), "outside 0…6"),
        (lambda: responses.embeddings(POINTS[0], LABELS), "expected \\(N, D\\)"),
        (lambda: responses.embeddings(np.where(POINTS > 1, np.inf, POINTS), LABELS), "is not finite"),
        (lambda: responses.confusion(TABLE[:5]), "5 × 6: expected a square"),
        (lambda: responses.confusion(TABLE[:5, :5], source="a.csv"), "5 rows of a.csv: expected 6"),
        (lambda: responses.confusion(_with(-1)), "the row of fear holds -1"),
        (lambda: responses.confusion(_with(np.nan)), "the row of fear is not finite"),
        (lambda: responses.confusion(np.diag([1, 1, 0, 1, 1, 1])), "the row of fear is empty"),
        (lambda: responses.confusion(np.eye(3), ("sad", "happy", "sad")), "'sad' is named twice"),
        (lambda: responses.confusion([1, 2, 3]), "expected a square"),
        (lambda: analyse(_answers(), measure="euclidian"), "did you mean 'euclidean'"),
        (lambda: analyse(responses.embeddings(POINTS, LABELS), measure="hellinger"), "euclidean, cosine"),
        (lambda: analyse(responses.embeddings(POINTS, LABELS), measure="correlation"), "at least 3 numbers"),
        (lambda: analyse(responses.confusion(np.ones((6, 6)))), "are alike"),
        (lambda: analyse(responses.confusion(np.eye(2), ("happy", "sad"))), "2 emotions .happy, sad."),
        (lambda: analyse(_answers(), expected=("happy", "sad", "sad")), "names 'sad' twice"),
        (lambda: analyse(_answers(), resamples=-1), "-1 resamples"),
        (lambda: analyse(responses.embeddings(POINTS[:6], LABELS[:6])), "one face of angry"),
        (
            lambda: analyse(_answers(), against=responses.confusion(TABLE[:2, :2], ("happy", "sad"))),
            "share 2 emotions",
        ),
        (lambda: mantel(1 - np.eye(4), 1 - np.eye(4)), "equally unlike"),
        (lambda: mantel(np.eye(4), np.eye(5)), "4 and 5 emotions"),
        (lambda: procrustes(np.zeros((4, 2)), POINTS[:4]), "on one point"),
        (lambda: procrustes(POINTS[:2], POINTS[:2]), "2 emotions: relabelling needs 3 to 8"),
    ],
)
def test_bad_input_is_one_clear_line(call: object, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        call()  # type: ignore[operator]
    assert "\n" not in str(caught.value)
