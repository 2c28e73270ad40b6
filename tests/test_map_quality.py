"""The figures of a map against scikit-learn, exact values of normal distributions, and counts by hand."""

from __future__ import annotations

import json
from itertools import combinations
from math import erf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn import metrics as sk
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from mien.errors import DataError
from mien.evaluation.maps import pixels, scaling
from mien.evaluation.maps.quality import NEIGHBOURS, MapQuality, Rate, balanced, nearest_emotions, quality
from mien.evaluation.maps.responses import Embeddings
from mien.evaluation.maps.separability import separability
from mien.evaluation.metrics import wilson
from mien.labels import SIX

THREE = ("fear", "happy", "surprise")


def clusters(
    counts: tuple[int, ...] = (40, 90, 60), spread: float = 1.0, seed: int = 0, dimensions: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Normal clusters round random centres."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    centres = np.random.default_rng(7).normal(scale=2, size=(len(counts), dimensions))
    return centres[labels] + rng.normal(scale=spread, size=(len(labels), dimensions)), labels


def phi(x: float) -> float:
    return 0.5 * (1 + erf(x / sqrt(2)))


def naive_vote(distances: np.ndarray, labels: np.ndarray, k: int) -> int:
    near = labels[np.argsort(distances, kind="stable")[:k]].tolist()
    most = max(near.count(label) for label in near)
    return next(label for label in near if near.count(label) == most)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12), st.booleans())
def test_neighbours_vote_as_in_a_plain_loop(seed: int, k: int, leave_one_out: bool) -> None:
    rng = np.random.default_rng(seed)
    known, labels = rng.normal(size=(30, 2)), rng.integers(0, 4, 30)
    points = known if leave_one_out else rng.normal(size=(20, 2))
    distances = np.linalg.norm(points[:, None] - known[None], axis=2)
    if leave_one_out:
        np.fill_diagonal(distances, np.inf)
    expected = [naive_vote(row, labels, k) for row in distances]
    assert nearest_emotions(points, known, labels, k, leave_one_out=leave_one_out).tolist() == expected


def test_neighbours_are_those_of_scikit_learn_where_no_vote_is_tied() -> None:
    """Two emotions and an odd k know no ties."""
    points, labels = clusters((80, 50), 2.0)
    held, truth = clusters((30, 40), 2.0, seed=1)
    theirs = KNeighborsClassifier(NEIGHBOURS).fit(points, labels).predict(held)
    found = quality(held, truth, THREE[:2], reference=(points, labels)).reference
    assert found is not None
    assert (found.k, found.among) == (NEIGHBOURS, 130)
    assert found.accuracy == sk.accuracy_score(truth, theirs)
    assert found.balanced.value == pytest.approx(sk.balanced_accuracy_score(truth, theirs))
    assert found.ci95 == wilson(int((theirs == truth).sum()), 70)
    recalls = sk.recall_score(truth, theirs, average=None)
    assert list(found.recall.values()) == pytest.approx(recalls)
    assert found.most_common == 40 / 70


def test_without_a_reference_a_face_is_no_neighbour_of_its_own() -> None:
    """Of pairs of points far from all others, each face's nearest other has the other emotion."""
    rng = np.random.default_rng(0)
    centres = np.repeat(rng.normal(scale=1000, size=(20, 2)), 2, axis=0)
    points = centres + rng.normal(scale=0.01, size=(40, 2))
    labels = np.tile([0, 1], 20)
    assert (nearest_emotions(points, points, labels, 1, leave_one_out=True) == 1 - labels).all()
    found = quality(points, labels, THREE[:2])
    assert found.reference is None
    assert found.leave_one_out.among == 39


def test_k_is_no_larger_than_the_other_faces() -> None:
    points, labels = clusters((5, 6), 0.1)
    found = quality(points, labels, THREE[:2], reference=(points[:8], labels[:8]))
    assert found.leave_one_out.k == 10
    assert found.reference is not None
    assert found.reference.k == 8


def test_silhouettes_are_those_of_scikit_learn() -> None:
    points, labels = clusters(dimensions=3)
    found = quality(points, labels, THREE)
    assert found.dimensions == 3
    assert found.silhouette == pytest.approx(sk.silhouette_score(points, labels))
    each = sk.silhouette_samples(points, labels)
    for number, emotion in enumerate(THREE):
        assert found.silhouettes[emotion] == pytest.approx(each[labels == number].mean())


def test_tightness_by_hand() -> None:
    """Squares of sides 2 and 4 round (0, 0) and (10, 0), each with its centre as a fifth face."""
    corners = np.array([(1, 1), (1, -1), (-1, 1), (-1, -1), (0, 0)], float)
    points = np.concatenate([corners, 2 * corners + (10, 0)])
    # Mean squared distances to the centroids: 4·2/5 and 4·8/5; to the centre (5, 0) these and 25 more.
    whole = sqrt((8 / 5 + 32 / 5) / 2 + 25)
    found = quality(points, np.repeat([0, 1], 5), ("happy", "sad"))
    assert found.tightness == pytest.approx({"happy": sqrt(8 / 5) / whole, "sad": sqrt(32 / 5) / whole})
    assert found.tightest == "happy"


@pytest.mark.parametrize("distance", [0.5, 1.5, 4.0])
def test_a_line_parts_two_normal_clusters_as_well_as_bayes(distance: float) -> None:
    """Equal covariances: the best any rule can do is Φ of half the Mahalanobis distance, by a line."""
    rng = np.random.default_rng(3)
    shape = np.array([[2.0, 0.5], [0.5, 0.4]])
    step = np.array([1.0, 1.0])
    step *= distance / sqrt(step @ np.linalg.solve(shape @ shape.T, step))
    labels = np.repeat([0, 1], (1200, 800))
    points = rng.normal(size=(2000, 2)) @ shape.T + labels[:, None] * step
    rate = quality(points, labels, THREE[:2]).pair("fear", "happy")
    best = phi(distance / 2)
    assert rate.value == pytest.approx(best, abs=0.025)
    assert rate.ci95[0] < rate.value < rate.ci95[1]
    assert rate.ci95[1] - rate.ci95[0] < 0.05


def test_lines_part_as_scikit_learns_discriminant_does() -> None:
    points, labels = clusters((300, 300, 300), 1.5)
    found = quality(points, labels, THREE)
    discriminant = LinearDiscriminantAnalysis(priors=[0.5, 0.5])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for number, emotion in enumerate(THREE):
        alone = (labels == number).astype(int)
        theirs = sk.balanced_accuracy_score(alone, cross_val_predict(discriminant, points, alone, cv=folds))
        assert found.against_others[emotion].value == pytest.approx(theirs, abs=0.02)
    for one, other in combinations(range(3), 2):
        two = (labels == one) | (labels == other)
        said = cross_val_predict(discriminant, points[two], labels[two], cv=folds)
        theirs = sk.balanced_accuracy_score(labels[two], said)
        assert found.pair(THREE[one], THREE[other]).value == pytest.approx(theirs, abs=0.02)


def test_pairs_are_the_separability_of_the_circumplex() -> None:
    points, labels = clusters((30, 50, 70), 1.5)
    matrix = separability(Embeddings(THREE, points, labels), seed=4)
    found = quality(points, labels, THREE, seed=4)
    assert list(found.pairs) == ["fear|happy", "fear|surprise", "happy|surprise"]
    for one, other in combinations(range(3), 2):
        assert found.pair(THREE[other], THREE[one]).value == pytest.approx(matrix[one, other], abs=1e-12)


def test_a_ring_is_parted_at_its_edge_and_not_in_its_middle() -> None:
    rng = np.random.default_rng(0)
    places = np.array([(0, 0), (8, 0), (-4, 7), (-4, -7)], float)
    labels = np.repeat(np.arange(4), 100)
    found = quality(places[labels] + rng.normal(scale=0.5, size=(400, 2)), labels, SIX[:4])
    assert found.against_others[SIX[0]].verdict == "not separable"
    assert [found.against_others[name].verdict for name in SIX[1:4]] == ["separable"] * 3
    assert all(rate.verdict == "separable" for rate in found.pairs.values())


def test_emotions_fallen_together_in_points_are_told_apart() -> None:
    found = quality(np.repeat([[0.0, 0], [1, 2]], 5, axis=0), np.repeat([0, 1], 5), THREE[:2])
    assert found.pair("fear", "happy").value == 1
    assert (found.tightness, found.silhouette) == ({"fear": 0, "happy": 0}, 1)


@pytest.mark.parametrize(
    ("value", "word"),
    [(0.95, "separable"), (0.949, "barely"), (0.75, "barely"), (0.749, "not separable")],
)
def test_verdicts_begin_at_their_thresholds(value: float, word: str) -> None:
    assert Rate(value, (0, 1)).verdict == word


def test_the_interval_of_one_rate_is_wilsons() -> None:
    rate = balanced([7], [9])
    assert (rate.value, rate.ci95) == (7 / 9, pytest.approx(wilson(7, 9)))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 50), st.floats(0, 1)), min_size=1, max_size=6))
def test_intervals_hold_their_rate_and_stay_rates(parts: list[tuple[int, float]]) -> None:
    of = [n for n, _ in parts]
    rate = balanced([round(n * share) for n, share in parts], of)
    assert -1e-12 <= rate.ci95[0] <= rate.value + 1e-12
    assert rate.value - 1e-12 <= rate.ci95[1] <= 1 + 1e-12
    assert rate.ci95[1] > rate.ci95[0]


@pytest.mark.parametrize("rates", [(0.5, 0.5), (0.9, 0.6), (0.97, 0.93)])
def test_the_interval_covers_the_balanced_accuracy_95_times_in_100(rates: tuple[float, float]) -> None:
    """Exactly, over every outcome of 56 and 40 faces."""
    of = (56, 40)
    covered = 0.0
    for one in range(of[0] + 1):
        for other in range(of[1] + 1):
            low, high = balanced((one, other), of).ci95
            if low <= sum(rates) / 2 <= high:
                covered += binom.pmf(one, of[0], rates[0]) * binom.pmf(other, of[1], rates[1])
    assert 0.935 < covered < 0.97


@settings(max_examples=6, deadline=None)
@given(st.floats(0, 6.3), st.floats(0.01, 100), st.booleans(), st.floats(-50, 50))
def test_no_figure_depends_on_where_the_map_lies(turn: float, scale: float, flip: bool, shift: float) -> None:
    points, labels = clusters((12, 20, 9), 1.5)
    turned = points @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = scale * turned * ((-1, 1) if flip else (1, 1)) + shift
    ours, theirs = (flat(quality(each, labels, THREE).to_dict()) for each in (points, moved))
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        assert theirs[key] == (pytest.approx(value, abs=1e-6) if isinstance(value, float) else value), key


def flat(tree: object, name: str = "") -> dict[str, object]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else None
    if items is None:
        return {name: tree}
    return {key: leaf for part, value in items for key, leaf in flat(value, f"{name}.{part}").items()}


@pytest.mark.parametrize("referred", [True, False])
def test_json_gives_it_back(referred: bool) -> None:
    points, labels = clusters()
    found = quality(points, labels, THREE, reference=clusters(seed=1) if referred else None, seed=2)
    stored = json.loads(json.dumps(found.to_dict()))
    assert MapQuality.from_dict(stored) == found
    assert stored["faces"] == {"fear": 40, "happy": 90, "surprise": 60}
    assert (
        stored["separability"]["pairs"]["fear|surprise"]["balanced_accuracy"]
        == found.pair("surprise", "fear").value
    )


POINTS, LABELS = clusters((6, 6, 6))


def test_few_faces_are_judged_in_fewer_parts() -> None:
    found = quality(POINTS[3:], LABELS[3:], THREE)
    assert found.to_dict()["separability"]["folds"] == 3


BAD = {
    "one emotion": ((POINTS[:6], LABELS[:6], ("fear",)), {}, "expected at least 2"),
    "no face of one": ((POINTS[:12], LABELS[:12], THREE), {}, "no face of surprise"),
    "one face": ((POINTS[5:], LABELS[5:], THREE), {}, "1 faces of fear on the map: expected at least 2"),
    "all equal": ((np.ones((18, 2)), LABELS, THREE), {}, "all 18 embeddings of the map are equal"),
    "not finite": ((np.where(POINTS > 0, np.nan, POINTS), LABELS, THREE), {}, "not finite"),
    "label outside": ((POINTS, LABELS + 1, THREE), {}, "outside 0…2"),
    "labels of another kind": ((POINTS, LABELS / 2, THREE), {}, "labels of float64"),
    "lengths": ((POINTS[1:], LABELS, THREE), {}, "expected (N, K) and (N,)"),
    "other space": ((POINTS, LABELS, THREE), {"reference": (POINTS[:, :1], LABELS)}, "1 dimensions"),
    "reference not finite": (
        (POINTS, LABELS, THREE), {"reference": (POINTS * np.inf, LABELS)}, "face 0 of the reference"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_maps_cost_one_line(what: str) -> None:
    arguments, options, message = BAD[what]
    with pytest.raises(DataError) as caught:
        quality(*arguments, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def faces(counts: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of a bright bar that stands elsewhere for each emotion, under noise."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    images = rng.integers(0, 60, (len(labels), 9, 9))
    images[np.arange(len(labels)), 3 * labels] += 150
    return images.astype(np.uint8), labels


def test_pixel_maps_are_principal_components_and_metric_scaling() -> None:
    images, labels = faces((14, 20, 16), 0)
    train, train_labels = faces((40, 50, 30), 1)
    maps = pixels.pixel_maps(images, labels, train, train_labels, THREE, seed=3)
    assert list(maps) == ["pca", "mds"]

    flat_train, flat_held = (each.reshape(len(each), -1).astype(float) for each in (train, images))
    mean = flat_train.mean(axis=0)
    _, sizes, axes = np.linalg.svd(flat_train - mean, full_matrices=False)
    expected = (flat_held - mean) @ axes[:2].T
    pca = maps["pca"]
    np.testing.assert_allclose(np.abs(pca.points), np.abs(expected), atol=0.02)
    assert pca.fit["explained_variance"] == pytest.approx((sizes[:2] ** 2).sum() / (sizes**2).sum(), rel=1e-4)
    known = (flat_train - mean) @ axes[:2].T
    assert (
        pca.quality.reference == quality(expected, labels, THREE, reference=(known, train_labels)).reference
    )
    assert pca.quality.faces == {"fear": 14, "happy": 20, "surprise": 16}

    mds = maps["mds"]
    distances = np.linalg.norm(flat_held[:, None] - flat_held[None], axis=2)
    assert mds.rows.tolist() == list(range(50))
    assert mds.fit["stress"] == pytest.approx(scaling.stress(mds.points, distances))
    # Fits distances better than any two components can.
    own = np.linalg.svd(flat_held - flat_held.mean(axis=0), full_matrices=False)
    assert mds.fit["stress"] < scaling.stress(own[0][:, :2] * own[1][:2], distances)
    assert mds.quality.reference is None
    assert mds.quality == quality(mds.points, labels, THREE, seed=3)
    assert json.loads(json.dumps(mds.to_dict()))["quality"] == mds.quality.to_dict()


def test_scaling_takes_a_sample_of_many_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "SCALED_FACES", 30)
    images, labels = faces((14, 60, 26), 0)
    maps = [pixels.pixel_maps(images, labels, images, labels, THREE)["mds"] for _ in range(2)]
    assert np.bincount(maps[0].labels).tolist() == [5, 18, 8]
    assert maps[0].quality.faces == {"fear": 5, "happy": 18, "surprise": 8}
    assert (maps[0].rows == maps[1].rows).all()
    assert (maps[0].labels == labels[maps[0].rows]).all()
    assert "31 held-out faces" in maps[0].how


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 200), min_size=2, max_size=6), st.integers(1, 150), st.integers(0, 5))
def test_samples_keep_proportions(counts: list[int], size: int, seed: int) -> None:
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    rows = pixels.stratified_sample(labels, size, least=2, seed=seed)
    assert (np.diff(rows) > 0).all()
    drawn = np.bincount(labels[rows], minlength=len(counts))
    if sum(counts) <= size:
        assert drawn.tolist() == counts
        return
    assert size <= len(rows) <= size + 2 * len(counts)
    for count, found in zip(counts, drawn.tolist(), strict=True):
        ideal = count * size / sum(counts)
        assert min(2, count) <= found <= max(ideal + 1, min(2, count))
        assert found > ideal - 1


IMAGES, IMAGE_LABELS = faces((6, 6, 6), 0)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES.astype(float), IMAGE_LABELS, "held-out faces of float64"),
        (IMAGES[0], IMAGE_LABELS, "(9, 9)"),
        (IMAGES, IMAGE_LABELS[1:], "labels (17,)"),
        (IMAGES[:, 1:], IMAGE_LABELS, "held-out faces of (8, 9), training faces of (9, 9)"),
        (np.zeros_like(IMAGES), IMAGE_LABELS, "the 18 held-out faces are one picture"),
        (IMAGES[:0], IMAGE_LABELS[:0], "the 0 held-out faces"),
        (IMAGES[5:], IMAGE_LABELS[5:], "1 faces of fear"),
    ],
)
def test_bad_pictures_cost_one_line(images: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(DataError) as caught:
        pixels.pixel_maps(images, labels, IMAGES, IMAGE_LABELS, THREE)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
