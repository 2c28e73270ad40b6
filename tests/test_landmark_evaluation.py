"""How landmarks' representations are judged: against loops written out, scikit-learn and what must hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import DataError
from mien.evaluation.landmarks import action_units as units_module
from mien.evaluation.landmarks.action_units import (
    action_units,
    auc,
    auc_interval,
    f1,
    f1_interval,
    learnable,
)
from mien.evaluation.landmarks.baselines import BASELINES, representation
from mien.evaluation.landmarks.dimensions import active_dimensions, divergence
from mien.evaluation.landmarks.evaluate import evaluate
from mien.evaluation.landmarks.people import (
    RESAMPLES,
    difference_interval,
    drawn,
    percentiles,
    share_interval,
    tally,
)
from mien.evaluation.landmarks.probes import COSTS, Scaling, svm_accuracy
from mien.evaluation.landmarks.satisfied import satisfied, triplet_figures
from mien.labels import EMOTIONS, LANDMARK_SPLITS
from mien.landmarks import UNLABELLED, LandmarkBatch, Triplets

pytest.importorskip("sklearn")

PEOPLE = {"training": 6, "public": 3, "private": 3, "unseen": 4}


@pytest.fixture(scope="module")
def batch() -> LandmarkBatch:
    """Sixteen people, a neutral face and two of each emotion each, drawn."""
    rng = np.random.default_rng(3)
    mean, moves = rng.normal(size=(83, 3)), rng.normal(size=(len(EMOTIONS), 83, 3))
    moves[EMOTIONS.index("neutral")] = 0
    subjects = [f"p{i:02d}" for i in range(sum(PEOPLE.values())) for _ in range(2 * len(EMOTIONS))]
    labels = np.tile(np.repeat(np.arange(len(EMOTIONS)), 2), sum(PEOPLE.values()))
    own = np.repeat(mean + rng.normal(size=(sum(PEOPLE.values()), 83, 3)), 2 * len(EMOTIONS), axis=0)
    points = own + 0.25 * moves[labels] * rng.lognormal(0, 0.5, (len(labels), 1, 1))
    points += rng.normal(0, 0.1, points.shape)
    units = np.full((len(labels), 12), 9, np.int8)
    units[:, :3] = rng.random((len(labels), 3)) < 0.3
    units[:, 0] = labels < 2
    units[rng.random(len(labels)) < 0.1, 1] = 9
    splits = np.repeat(np.arange(4), [n * 2 * len(EMOTIONS) for n in PEOPLE.values()])
    return LandmarkBatch(
        points=points.astype(np.float32),
        names=np.array([f"f{i:04d}" for i in range(len(labels))]),
        subjects=np.array(subjects),
        labels=labels.astype(np.int64),
        degrees=np.zeros(len(labels), np.int8),
        units=units,
        splits=splits.astype(np.int8),
        sequences=np.full(len(labels), "", "U1"),
        angles=np.zeros((len(labels), 3), np.float32),
        neutral=own.astype(np.float32),
        source="drawn faces",
        synthetic=True,
    )


@pytest.fixture(scope="module")
def faces(batch: LandmarkBatch) -> dict[str, LandmarkBatch]:
    return {name: batch.split(name) for name in LANDMARK_SPLITS}


@pytest.fixture(scope="module")
def triplets(faces: dict[str, LandmarkBatch]) -> dict[str, Triplets]:
    rng = np.random.default_rng(5)
    votes = np.array([[5, 0], [4, 1], [3, 2]], np.int16)
    return {
        name: Triplets(
            part.names[np.stack([rng.permutation(len(part)) for _ in range(3)], axis=1)],
            votes[rng.integers(3, size=len(part))],
        )
        for name, part in faces.items()
    }


# --- People ----------------------------------------------------------------------------------------------


def test_people_are_drawn_with_replacement_and_alike_for_the_same_seed() -> None:
    times = drawn(10, 500, seed=4)
    assert times.shape == (500, 10)
    assert (times.sum(axis=1) == 10).all()
    assert np.array_equal(times, drawn(10, 500, seed=4))
    assert not np.array_equal(times, drawn(10, 500, seed=5))
    assert (times == 0).any()
    assert times.max() > 2


def test_tally_counts_every_person() -> None:
    subjects = np.array(["b", "a", "b", "b", "c"])
    holds = np.array([True, False, False, True, True])
    assert tally(subjects, holds) == {"a": [0, 1], "b": [2, 3], "c": [1, 1]}


def test_share_interval_is_that_of_a_loop() -> None:
    rng = np.random.default_rng(0)
    subjects, holds = np.array([f"p{i}" for i in rng.integers(8, size=60)]), rng.random(60) < 0.6
    counts, shares = tally(subjects, holds), []
    for times in drawn(len(counts), RESAMPLES, seed=2):
        right = total = 0
        for person, n in zip(sorted(counts), times, strict=True):
            for _ in range(int(n)):
                right += sum(holds[subjects == person])
                total += (subjects == person).sum()
        shares.append(right / total)
    expected = np.percentile(shares, [2.5, 97.5])
    assert share_interval(counts, seed=2) == pytest.approx(tuple(expected), abs=1e-12)


def test_intervals_cover_the_truth_where_faces_alone_would_not() -> None:
    rng, inside, narrow = np.random.default_rng(1), 0, 0
    for trial in range(200):
        # People differ: 25 faces of one person are far from 25 draws.
        rates = rng.beta(4, 2, size=30)
        counts = {f"p{i}": [int(rng.binomial(25, rate)), 25] for i, rate in enumerate(rates)}
        low, high = share_interval(counts, resamples=300, seed=trial) or (1.0, 0.0)
        inside += low <= 4 / 6 <= high
        p = sum(k for k, _ in counts.values()) / 750
        narrow += abs(p - 4 / 6) <= 1.96 * np.sqrt(p * (1 - p) / 750)
    assert 0.88 <= inside / 200 <= 0.98
    assert narrow / 200 < 0.75


def test_one_person_has_no_interval() -> None:
    assert share_interval({"p": [3, 4]}) is None
    assert difference_interval([{"p": [3, 4]}], [{"p": [1, 4]}]).to_dict() == {
        "value": 0.5,
        "ci95": None,
        "people": 1,
        "runs": [1, 1],
    }


def test_undefined_resamples_are_left_out() -> None:
    assert percentiles(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)
    assert percentiles(np.array([np.nan])) is None


def test_differences_are_paired_by_person() -> None:
    rng = np.random.default_rng(6)
    theirs = {f"p{i}": [int(rng.integers(21)), 25] for i in range(40)}
    ours = {name: [k + 3, n] for name, (k, n) in theirs.items()}
    found = difference_interval([ours], [theirs])
    # The same gain of everyone: no doubt is left, however unlike the people are.
    assert found.value == pytest.approx(3 / 25)
    assert found.ci95 == pytest.approx((3 / 25, 3 / 25))
    assert found.people == 40
    low, high = share_interval(ours) or (0.0, 0.0)
    assert high - low > 0.05
    assert difference_interval([ours], [ours, ours]).ci95 == pytest.approx((0.0, 0.0), abs=1e-15)


def test_differences_draw_people_and_runs() -> None:
    rng = np.random.default_rng(7)
    # People with unlike numbers of faces; the second side has fewer runs.
    total = rng.integers(4, 40, size=9)
    held = [
        np.stack([rng.binomial(total, rate) for rate in rates]) for rates in ([0.8, 0.7, 0.4], [0.3, 0.5])
    ]
    ours, theirs = (
        [{f"p{i}": [int(k), int(n)] for i, (k, n) in enumerate(zip(run, total, strict=True))} for run in side]
        for side in held
    )
    found = difference_interval(ours, theirs, resamples=5000, seed=3)
    whole = [side.sum() / (len(side) * total.sum()) for side in held]
    assert found.value == pytest.approx(whole[0] - whole[1])
    values = []
    for _ in range(5000):
        people = rng.integers(9, size=9)
        shares = []
        for side in held:
            runs = rng.integers(len(side), size=len(side))
            shares.append(side[runs][:, people].sum() / (len(runs) * total[people].sum()))
        values.append(shares[0] - shares[1])
    assert found.ci95 == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])), abs=0.015)
    assert (found.people, found.runs) == (9, (3, 2))
    assert found == difference_interval(ours, theirs, resamples=5000, seed=3)


def test_differences_need_the_same_people() -> None:
    with pytest.raises(DataError, match="'q' is in one run"):
        difference_interval([{"p": [1, 2]}], [{"p": [1, 2], "q": [1, 2]}])
    with pytest.raises(DataError, match="no run on one side"):
        difference_interval([], [{"p": [1, 2]}])


# --- Triplets --------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_satisfied_is_the_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.integers(-2, 3, (7, 2)).astype(np.float64)
    rows = np.stack([rng.permutation(7)[:3] for _ in range(25)])
    expected = [np.sqrt(sum((points[i] - points[j]) ** 2)) <= np.sqrt(sum((points[i] - points[k]) ** 2))
                for i, j, k in rows]  # fmt: skip
    assert satisfied(points, rows).tolist() == expected


def test_turning_moving_and_scaling_change_no_triplet() -> None:
    rng = np.random.default_rng(8)
    points, rows = rng.normal(size=(40, 6)), np.stack([rng.permutation(40)[:3] for _ in range(200)])
    turn, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    assert np.array_equal(satisfied(points, rows), satisfied(7.0 * points @ turn + 3.0, rows))
    assert np.array_equal(satisfied(points, rows), ~satisfied(points, rows[:, [0, 2, 1]]))


def test_triplets_by_agreement(batch: LandmarkBatch) -> None:
    part = batch.select(np.arange(40))
    points = np.random.default_rng(9).normal(size=(40, 4))
    rows = np.array([[0, 1, 2], [3, 4, 5], [20, 21, 22], [30, 1, 2], [39, 38, 1]])
    judged = Triplets(part.names[rows], np.array([[5, 0], [5, 0], [4, 1], [3, 2], [3, 2]], np.int16))
    figures = triplet_figures(points, part, judged)
    holds = satisfied(points, rows)
    assert list(figures) == ["all", "5", "3", "1"]
    assert figures["all"]["share"] == holds.mean()
    assert [figures[level]["share"] for level in "531"] == [holds[:2].mean(), holds[2], holds[3:].mean()]
    assert [figures[level]["n"] for level in ("all", *"531")] == [5, 2, 1, 2]
    # The reference face's person counts.
    expected = tally(part.subjects[rows[:, 0]], holds)
    assert figures["all"]["satisfied"] == expected
    ends = share_interval(expected)
    assert ends is not None
    assert figures["all"]["ci95"] == list(ends)
    assert figures["3"]["ci95"] is None
    assert "satisfied" not in triplet_figures(points, part, judged, by_person=False)["all"]
    # Rules judge with one vote each: there is one level, which is all.
    assert list(triplet_figures(points, part, judged.select(np.arange(2)))) == ["all"]


def test_a_collapsed_representation_shows_as_tied(batch: LandmarkBatch) -> None:
    part = batch.select(np.arange(10))
    judged = Triplets(part.names[[[0, 1, 2], [3, 4, 5]]], np.array([[1, 0], [1, 0]], np.int16))
    figures = triplet_figures(np.zeros((10, 3)), part, judged)["all"]
    assert (figures["share"], figures["tied"]) == (1.0, 2)
    with pytest.raises(DataError, match="no triplets"):
        triplet_figures(np.zeros((10, 3)), part, judged.select(np.array([], np.int64)))


# --- Emotions --------------------------------------------------------------------------------------------


def clusters(seed: int, n: int = 120, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(3, size=n)
    return np.eye(3, 5)[labels] * 2 + rng.normal(0, spread, (n, 5)), labels


def test_svm_accuracy_is_scikit_learns_at_the_best_cost() -> None:
    from sklearn.svm import LinearSVC

    (train, y), (validation, vy), (test, ty) = (clusters(seed) for seed in range(3))
    probe = svm_accuracy(train, y, validation, vy, {"private": (test, ty)})
    centre = train.mean(axis=0)
    factor = 1 / np.sqrt(((train - centre) ** 2).sum() / len(train))
    tried = []
    for cost in COSTS:
        # One common factor of the data is as good as its square of C.
        machine = LinearSVC(C=cost * factor**2, dual=False, max_iter=10_000, intercept_scaling=1 / factor)
        machine.fit(train - centre, y)
        tried.append((cost, machine.score(validation - centre, vy), machine.predict(test - centre)))
    assert [v for _, v in probe.tried] == pytest.approx([v for _, v, _ in tried], abs=1.5 / len(vy))
    best = max(v for _, v in probe.tried)
    assert probe.cost == min(c for c, v in probe.tried if v == best)
    predicted = next(p for c, _, p in tried if c == probe.cost)
    assert (probe.predictions["private"] == predicted).mean() > 0.98
    assert probe.accuracies["private"] == (probe.predictions["private"] == ty).mean()
    assert set(probe.accuracies) == {"training", "public", "private"}
    assert probe.accuracies["public"] == best


def test_svm_accuracy_does_not_depend_on_unit_place_or_direction() -> None:
    (train, y), (validation, vy), (test, ty) = (clusters(seed) for seed in range(3))
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))
    plain = svm_accuracy(train, y, validation, vy, {"private": (test, ty)})
    moved = svm_accuracy(
        *(1e-3 * train @ turn + 5, y),
        *(1e-3 * validation @ turn + 5, vy),
        {"private": (1e-3 * test @ turn + 5, ty)},
    )
    assert moved.cost == plain.cost
    assert (moved.predictions["private"] == plain.predictions["private"]).mean() > 0.98


def test_what_can_be_told_apart_is_and_noise_is_not() -> None:
    parts = [clusters(seed, spread=0.05) for seed in range(3)]
    sure = svm_accuracy(*parts[0], *parts[1], {"private": parts[2]})
    assert sure.accuracies["private"] == 1.0
    noise = [(np.random.default_rng(seed).normal(size=x.shape), y) for seed, (x, y) in enumerate(parts)]
    assert svm_accuracy(*noise[0], *noise[1], {"private": noise[2]}).accuracies["private"] < 0.6
    flat = [(np.ones_like(x), y) for x, y in parts]
    most = np.bincount(parts[0][1]).argmax()
    collapsed = svm_accuracy(*flat[0], *flat[1], {"private": flat[2]})
    assert collapsed.accuracies["private"] == (parts[2][1] == most).mean()


def test_the_smallest_of_equally_good_costs_is_taken() -> None:
    (train, y), (validation, vy) = (clusters(seed, spread=0.05) for seed in range(2))
    probe = svm_accuracy(train, y, validation, vy, {})
    perfect = [cost for cost, accuracy in probe.tried if accuracy == 1.0]
    assert len(perfect) > 1
    assert probe.cost == perfect[0]


def test_svm_accuracy_refuses() -> None:
    x, y = clusters(0)
    none = (np.zeros((0, 5)), np.zeros(0, np.int64))
    with pytest.raises(DataError, match="one emotion"):
        svm_accuracy(x, np.zeros_like(y), x, y, {})
    with pytest.raises(DataError, match="no labelled faces in the public split"):
        svm_accuracy(x, y, *none, {})
    with pytest.raises(DataError, match=r"private representation is \(120, 4\)"):
        svm_accuracy(x, y, x, y, {"private": (x[:, :4], y)})
    with pytest.raises(DataError, match="unseen representation has numbers that are not finite"):
        svm_accuracy(x, y, x, y, {"unseen": (x * np.nan, y)})


def test_scaling_gives_a_mean_squared_length_of_one() -> None:
    x = np.random.default_rng(0).normal(3, 5, (50, 4))
    shown = Scaling.of(x)(x)
    assert np.allclose(shown.mean(axis=0), 0)
    assert (shown**2).sum(axis=1).mean() == pytest.approx(1.0)
    assert (Scaling.of(np.ones((4, 2)))(np.ones((4, 2))) == 0).all()


# --- Action units ----------------------------------------------------------------------------------------


def answers(seed: int, n: int = 80, width: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Units, of which some were not coded, scores with ties, and people."""
    rng = np.random.default_rng(seed)
    units = (rng.random((n, width)) < [0.2, 0.5, 0.05, 0.7][:width]).astype(np.int8)
    scores = np.round(units + rng.normal(-0.5, 1, units.shape), 1)
    units[rng.random(units.shape) < 0.1] = 9
    return units, scores, np.array([f"p{i}" for i in rng.integers(6, size=n)])


def slow_f1(units: np.ndarray, scores: np.ndarray) -> float:
    precisions, recalls, weights = [], [], []
    for unit in range(units.shape[1]):
        hit = false = missed = 0
        for truth, score in zip(units[:, unit], scores[:, unit], strict=True):
            hit += truth == 1 and score > 0
            false += truth == 0 and score > 0
            missed += truth == 1 and score <= 0
        precisions.append(hit / (hit + false) if hit + false else 0.0)
        recalls.append(hit / (hit + missed) if hit + missed else 0.0)
        weights.append(hit + missed)
    p, r = np.average(precisions, weights=weights), np.average(recalls, weights=weights)
    return 2 * p * r / (p + r) if p + r else 0.0


def slow_auc(units: np.ndarray, scores: np.ndarray) -> float:
    total = area = 0.0
    for unit in range(units.shape[1]):
        high, low = (scores[units[:, unit] == value, unit] for value in (1, 0))
        if len(high) and len(low):
            area += sum((a > b) + 0.5 * (a == b) for a in high for b in low) / len(low)
            total += len(high)
    return area / total


@pytest.mark.parametrize("seed", range(5))
def test_f1_and_auc_are_the_loops(seed: int) -> None:
    units, scores, _ = answers(seed)
    assert f1(units, scores) == pytest.approx(slow_f1(units, scores), abs=1e-12)
    assert auc(units, scores) == pytest.approx(slow_auc(units, scores), abs=1e-12)


def test_f1_and_auc_beside_scikit_learns() -> None:
    from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

    units, scores, _ = answers(11)
    units[units == 9] = 0
    found = scores > 0
    p, r = (
        score(units, found, average="weighted", zero_division=0) for score in (precision_score, recall_score)
    )
    assert f1(units, scores) == pytest.approx(2 * p * r / (p + r), abs=1e-12)
    assert f1(units, scores) != pytest.approx(f1_score(units, found, average="weighted"), abs=1e-3)
    assert auc(units, scores) == pytest.approx(roc_auc_score(units, scores, average="weighted"), abs=1e-12)


def test_f1_and_auc_at_their_ends() -> None:
    units = np.array([[1, 0], [0, 0], [1, 0]], np.int8)
    sure = np.where(units == 1, 1.0, -1.0)
    assert (f1(units, sure), auc(units, sure)) == (1.0, 1.0)
    assert (f1(units, -sure), auc(units, -sure)) == (0.0, 0.0)
    assert auc(units, np.zeros((3, 2))) == 0.5
    assert np.isnan(f1(units * 0, sure))
    assert np.isnan(auc(units * 0, sure))


@pytest.mark.parametrize(("interval", "slow"), [(f1_interval, slow_f1), (auc_interval, slow_auc)])
def test_their_intervals_are_those_of_faces_copied_out(
    interval: Callable[..., tuple[float, float]], slow: Callable[[np.ndarray, np.ndarray], float]
) -> None:
    units, scores, subjects = answers(12, n=40, width=2)
    people = np.unique(subjects)
    values = []
    for times in drawn(len(people), 60, seed=3):
        rows = [i for person, n in zip(people, times, strict=True)
                for _ in range(int(n)) for i in np.flatnonzero(subjects == person)]  # fmt: skip
        values.append(slow(units[rows], scores[rows]))
    expected = np.percentile(values, [2.5, 97.5])
    assert interval(units, scores, subjects, resamples=60, seed=3) == pytest.approx(
        tuple(expected), abs=1e-12
    )
    assert interval(units, scores, np.full(40, "p"), resamples=60) is None


def test_resamples_without_a_positive_are_left_out() -> None:
    units, scores = np.array([[1], [0], [0]], np.int8), np.array([[1.0], [0.0], [2.0]])
    low, high = auc_interval(units, scores, np.array(["a", "b", "c"]), resamples=200) or (-1.0, -1.0)
    assert 0 <= low <= 0.5 <= high <= 1


def test_action_units_are_scikit_learns_balanced_machines() -> None:
    from sklearn.svm import LinearSVC

    rng = np.random.default_rng(13)
    x = rng.normal(size=(360, 6))
    units = np.full((360, 12), 9, np.int8)
    # Coded one way only, both ways, both ways but for some faces.
    units[:, 0], units[:, 3], units[:, 7] = 0, x[:, 0] + rng.normal(size=360) > 1, x[:, 1] > 0.5
    units[::7, 7] = 9
    parts = [slice(0, 200), slice(200, 280), slice(280, 360)]
    assert learnable(units[parts[0]]) == (3, 7)
    probe = action_units(x[parts[0]], units[parts[0]], x[parts[1]], units[parts[1]], {"private": x[parts[2]]})
    assert probe.columns == (3, 7)
    shown = Scaling.of(x[parts[0]])
    for place, column in enumerate(probe.columns):
        coded = units[parts[0], column] != 9
        machine = LinearSVC(C=probe.cost, dual=False, class_weight="balanced", max_iter=10_000)
        machine.fit(shown(x[parts[0]])[coded], units[parts[0], column][coded])
        expected = machine.decision_function(shown(x[parts[2]]))
        assert np.allclose(probe.scores["private"][:, place], expected, atol=1e-9)
    best = max(score for _, score in probe.tried)
    assert probe.cost == min(cost for cost, score in probe.tried if score == best)
    assert best == f1(units[parts[1]][:, [3, 7]], probe.scores["public"])
    # Balanced: the rarer class is found about as often as the other.
    assert slow_f1(units[parts[2]][:, [7]], probe.scores["private"][:, [1]]) > 0.9


def test_many_training_faces_are_sampled_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units_module, "COSTS", (1.0,))
    rng = np.random.default_rng(14)
    x = rng.normal(size=(300, 3))
    units = np.full((300, 12), 9, np.int8)
    units[:, 2] = x[:, 0] + rng.normal(size=300) > 0
    same = [action_units(x, units, x, units, {}, most=50, seed=seed).scores["public"] for seed in (0, 0, 1)]
    assert np.array_equal(same[0], same[1])
    assert not np.array_equal(same[0], same[2])


def test_action_units_refuse() -> None:
    x, units = np.random.default_rng(0).normal(size=(20, 3)), np.zeros((20, 12), np.int8)
    with pytest.raises(DataError, match="coded both present and absent in the training"):
        action_units(x, units, x, units, {})
    both = units.copy()
    both[::2, 4] = 1
    with pytest.raises(DataError, match="no action unit is present in the public split"):
        action_units(x, both, x, units, {})


# --- Baselines and dimensions ----------------------------------------------------------------------------


def test_baselines_are_those_of_the_thesis_and_of_differences() -> None:
    plain = ["raw", "pca-50", "pca-40", "pca-30", "pca-20"]
    ours = ["difference", *(f"difference-{name}" for name in plain[1:])]
    assert list(BASELINES) == [*plain, *ours]


@pytest.mark.parametrize("difference", [False, True])
def test_pca_is_the_singular_value_decomposition(faces: dict[str, LandmarkBatch], difference: bool) -> None:
    def coordinates(batch: LandmarkBatch) -> np.ndarray:
        points = batch.points.astype(np.float64)
        assert batch.neutral is not None
        return (points - batch.neutral if difference else points).reshape(len(batch), 249)

    train, test = coordinates(faces["training"]), coordinates(faces["private"])
    _, _, axes = np.linalg.svd(train - train.mean(axis=0), full_matrices=False)
    expected = (test - train.mean(axis=0)) @ axes[:20].T
    found = representation("difference-pca-20" if difference else "pca-20", faces)["private"]
    assert found.dtype == np.float64
    assert np.allclose(found * np.sign((found * expected).sum(axis=0)), expected, atol=1e-6)
    whole = representation("difference" if difference else "raw", faces)
    assert np.allclose(whole["private"], test - train.mean(axis=0))
    assert np.allclose(whole["training"].mean(axis=0), 0, atol=1e-9)


def test_baselines_refuse(faces: dict[str, LandmarkBatch]) -> None:
    with pytest.raises(DataError, match="unknown baseline 'pca-7': expected one of raw, pca-50"):
        representation("pca-7", faces)
    with pytest.raises(DataError, match="no training faces"):
        representation("raw", {"private": faces["private"]})
    few = {"training": faces["training"].select(np.arange(20))}
    with pytest.raises(DataError, match="20 training faces in drawn faces: pca-20 needs more than 20"):
        representation("pca-20", few)
    with pytest.raises(DataError, match="no neutral faces in drawn faces: difference needs"):
        representation("difference", {"training": replace(faces["training"], neutral=None)})


def test_divergence_is_that_of_two_normals() -> None:
    rng = np.random.default_rng(15)
    mean, log_variance = rng.normal(size=(9, 4)), rng.normal(size=(9, 4))
    kl = divergence(mean, log_variance)
    grid, step = np.linspace(-30, 30, 60_001, retstep=True)
    for k in range(4):
        total = 0.0
        for m, v in zip(mean[:, k], np.exp(log_variance[:, k]), strict=True):
            q = np.exp(-((grid - m) ** 2) / (2 * v)) / np.sqrt(2 * np.pi * v)
            log_ratio = -((grid - m) ** 2) / (2 * v) - np.log(v) / 2 + grid**2 / 2
            total += (q * log_ratio).sum() * step
        assert kl[k] == pytest.approx(total / 9, abs=1e-6)
    assert (divergence(np.zeros((3, 2)), np.zeros((3, 2))) == 0).all()
    # What the threshold rests on.
    assert (kl >= (mean**2).mean(axis=0) / 2).all()


def test_active_dimensions_are_those_that_leave_the_prior() -> None:
    rng = np.random.default_rng(16)
    z = rng.normal(size=(500, 6))
    z[:, 3:] *= 0.01
    log_variance = np.log(np.where(np.arange(6) < 3, 0.1, 0.999)) * np.ones((500, 1))
    assert active_dimensions(divergence(z, log_variance)) == 3
    assert active_dimensions(np.zeros(4)) == 0
    assert active_dimensions(np.array([0.5, 0.4, 0.1]), threshold=0.4) == 1
    with pytest.raises(DataError, match="not finite"):
        active_dimensions(np.array([0.1, np.nan]))
    with pytest.raises(DataError, match=r"means \(0, 4\)"):
        divergence(np.zeros((0, 4)), np.zeros((0, 4)))


# --- All of it -------------------------------------------------------------------------------------------


def test_evaluate_gives_every_figure(faces: dict[str, LandmarkBatch], triplets: dict[str, Triplets]) -> None:
    points = representation("difference-pca-20", faces)
    found = evaluate(points, faces, triplets, resamples=200, seed=1)
    assert json.loads(json.dumps(found)) == found
    assert found == evaluate(points, faces, triplets, resamples=200, seed=1)
    assert list(found["splits"]) == list(LANDMARK_SPLITS)
    assert found["dimensions"] == 20
    assert found["units"]["numbers"] == [1, 2, 4]
    for name, part in found["splits"].items():
        batch = faces[name]
        assert (part["n"], part["people"]) == (len(batch), PEOPLE[name])
        for figure in ("accuracy", "f1", "auc"):
            low, high = part[f"{figure}_ci95"]
            assert 0 <= low <= part[figure] <= high <= 1
        assert part["accuracy"] > 0.5
        assert list(part["triplets"]) == ["all", "5", "3", "1"]
        rows = triplets[name].rows(batch)
        assert part["triplets"]["all"]["share"] == satisfied(points[name], rows).mean()
        kept = name != "training"
        assert ("right" in part) == ("satisfied" in part["triplets"]["all"]) == kept
        if kept:
            assert sum(k for k, _ in part["right"].values()) / len(batch) == part["accuracy"]
            assert {n for _, n in part["right"].values()} == {2 * len(EMOTIONS)}
            assert sum(n for _, n in part["triplets"]["all"]["satisfied"].values()) == len(triplets[name])


def test_differences_between_two_evaluations(
    faces: dict[str, LandmarkBatch], triplets: dict[str, Triplets]
) -> None:
    ours, theirs = (
        evaluate(representation(name, faces), faces, triplets, resamples=50)["splits"]["unseen"]
        for name in ("difference-pca-20", "pca-20")
    )
    stored = json.loads(json.dumps([ours["right"], theirs["right"]]))
    found = difference_interval([stored[0]], [stored[1]])
    assert found.value == pytest.approx(ours["accuracy"] - theirs["accuracy"])
    assert found.ci95 is not None
    assert found.ci95[0] > 0


def test_evaluate_leaves_out_what_the_data_do_not_have(faces: dict[str, LandmarkBatch]) -> None:
    bare = {
        name: replace(
            part, labels=np.full(len(part), UNLABELLED, np.int64), units=np.full_like(part.units, 9)
        )
        for name, part in faces.items()
    }
    points = {name: np.zeros((len(part), 2)) for name, part in bare.items()}
    found = evaluate(points, bare, {}, resamples=10)
    assert "emotions" not in found
    assert "units" not in found
    assert found["splits"]["public"] == {"n": len(bare["public"]), "people": 3}


def test_evaluate_leaves_out_what_cannot_be_tuned(faces: dict[str, LandmarkBatch]) -> None:
    """A training that took hours does not end in an error for want of labels in the public split."""
    public = faces["public"]
    unlabelled = replace(
        public,
        labels=np.full(len(public), UNLABELLED, np.int64),
        units=np.where(public.units == 1, 0, public.units).astype(np.int8),
    )
    found = evaluate(representation("pca-20", faces), {**faces, "public": unlabelled}, {}, resamples=10)
    assert {"emotions", "units"}.isdisjoint(found)
    assert "accuracy" not in found["splits"]["private"]


def test_unlabelled_faces_are_passed_over(faces: dict[str, LandmarkBatch]) -> None:
    labels = faces["private"].labels.copy()
    labels[:10] = UNLABELLED
    unit_free = {name: replace(part, units=np.full_like(part.units, 9)) for name, part in faces.items()}
    some = unit_free | {
        "private": replace(unit_free["private"], labels=labels),
        "unseen": replace(unit_free["unseen"], labels=np.full(len(faces["unseen"]), UNLABELLED, np.int64)),
    }
    points = representation("difference-pca-20", faces)
    whole, part = (evaluate(points, each, {}, resamples=10)["splits"] for each in (unit_free, some))
    assert part["private"]["labelled"] == len(labels) - 10
    assert "accuracy" not in part["unseen"]
    person = str(faces["private"].subjects[-1])
    assert part["private"]["right"][person] == whole["private"]["right"][person]


def test_splits_without_positives_or_negatives(faces: dict[str, LandmarkBatch]) -> None:
    bare = {name: replace(p, labels=np.full(len(p), UNLABELLED, np.int64)) for name, p in faces.items()}
    absent, present = np.zeros_like(faces["private"].units), np.ones_like(faces["unseen"].units)
    some = bare | {
        "private": replace(bare["private"], units=absent),
        "unseen": replace(bare["unseen"], units=present),
    }
    splits = evaluate(representation("pca-20", faces), some, {}, resamples=20)["splits"]
    assert "f1" not in splits["private"]
    assert splits["unseen"]["auc"] is splits["unseen"]["auc_ci95"] is None
    assert 0 < splits["unseen"]["f1"] <= 1
    assert splits["unseen"]["coded"] == len(present)


def test_evaluate_refuses(faces: dict[str, LandmarkBatch], triplets: dict[str, Triplets]) -> None:
    points = representation("pca-20", faces)
    without = {name: part for name, part in faces.items() if name != "public"}
    cases = [
        ((points, without, {}), "no public faces: the classifiers' C is tuned on them"),
        ((points, {"public": faces["public"]}, {}), "no training faces"),
        (({"training": points["training"]}, faces, {}), "no representation of the public faces"),
        ((points | {"unseen": points["unseen"][:-1]}, faces, {}), r"unseen representation is \(55, 20\)"),
        ((points | {"unseen": points["unseen"] * np.inf}, faces, {}), "numbers that are not finite"),
        ((points, without, {"public": triplets["public"]}), "no public faces"),
    ]
    for arguments, message in cases:
        with pytest.raises(DataError, match=message):
            evaluate(*arguments)
    none = {
        name: replace(p, labels=np.full(len(p), UNLABELLED, np.int64), units=np.full_like(p.units, 9))
        for name, p in faces.items()
    }
    swapped = {"private": triplets["unseen"]}
    with pytest.raises(DataError, match="names the face"):
        evaluate(points, none, swapped)
    with pytest.raises(DataError, match="triplets of the unseen split, which has no faces"):
        evaluate(points, {k: v for k, v in none.items() if k != "unseen"}, {"unseen": triplets["unseen"]})
