"""Accuracy by group of faces: against naive loops, and on pictures whose quality is known."""

from __future__ import annotations

import numpy as np
import pytest

from mien.errors import DataError
from mien.evaluation import fairness
from mien.evaluation.metrics import wilson


def pictures(n: int = 4, size: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, size, size), dtype=np.uint8)


def test_sharpness_is_the_laplacian_s_variance() -> None:
    images = pictures()
    for image, found in zip(images.astype(np.float64), fairness.sharpness(images), strict=True):
        values = [
            image[r - 1, c] + image[r + 1, c] + image[r, c - 1] + image[r, c + 1] - 4 * image[r, c]
            for r in range(1, 15)
            for c in range(1, 15)
        ]
        assert found == pytest.approx(np.var(values), rel=1e-5)


def test_contrast_and_blocks_of_known_pictures() -> None:
    flat = np.full((1, 48, 48), 90, np.uint8)
    assert fairness.contrast(flat)[0] == 0
    assert fairness.blockiness(flat)[0] == pytest.approx(1)
    ramp = np.broadcast_to(np.arange(48, dtype=np.uint8), (1, 48, 48))
    assert fairness.blockiness(ramp)[0] == pytest.approx(1)
    tiles = np.add.outer(np.arange(48) // 8 * 20, np.arange(48) // 8 * 20).astype(np.uint8)[None]
    assert fairness.blockiness(tiles)[0] > 1e6
    assert fairness.blockiness(np.roll(tiles, 4, axis=(1, 2)))[0] < 1


def test_quartiles_are_of_equal_size_and_bins_leave_out_what_is_outside() -> None:
    groups, names = fairness.quartiles(np.random.default_rng(0).permutation(400))
    assert np.bincount(groups).tolist() == [100] * 4
    assert len(names) == 4
    groups, names = fairness.bins([0.0, 9.9, 10.0, 20.0, 20.1, -1.0, np.nan], (0.0, 10.0, 20.0), "°")
    assert groups.tolist() == [0, 0, 1, 1, -1, -1, -1]
    assert names == ["0° to 10°", "10° to 20°"]


def test_groups_against_counting() -> None:
    rng = np.random.default_rng(1)
    right, labels, groups = rng.random(300) < 0.6, rng.integers(0, 4, 300), rng.integers(-1, 3, 300)
    found = fairness.by_group(right, labels, groups, ["a", "b", "c"], reference=1)
    assert (found["reference"], found["left_out"]) == ("b", int((groups == -1).sum()))
    for number, row in enumerate(found["groups"]):
        hits = [r for r, g in zip(right, groups, strict=True) if g == number]
        assert (row["n"], row["accuracy"]) == (len(hits), pytest.approx(np.mean(hits)))
        assert row["accuracy_ci95"] == list(wilson(sum(hits), len(hits)))
    above = below = 0.0
    for each in range(4):
        one, other = right[(groups == 0) & (labels == each)], right[(groups == 1) & (labels == each)]
        weight = len(one) * len(other) / (len(one) + len(other))
        above += weight * (one.mean() - other.mean())
        below += weight
    first = found["groups"][0]["given_emotion"]
    assert first["difference"] == pytest.approx(above / below)
    assert np.mean(first["ci95"]) == pytest.approx(first["difference"])
    assert found["groups"][1]["given_emotion"] is None


def test_emotions_alone_make_no_difference_given_the_emotion() -> None:
    """One group is mostly of the emotion that is read well: unlike as they are, alike given the emotion."""
    labels = np.array([0] * 90 + [1] * 10 + [0] * 10 + [1] * 90)
    groups = np.repeat([0, 1], 100)
    rng = np.arange(200)
    right = np.where(labels == 0, rng % 10 != 0, rng % 10 < 4)
    found = fairness.by_group(right, labels, groups, ["a", "b"], reference=1)["groups"]
    assert found[0]["accuracy"] > found[1]["accuracy"] + 0.3
    assert found[0]["given_emotion"]["difference"] == pytest.approx(0, abs=1e-9)


def test_what_does_not_fit_is_refused_and_what_shares_nothing_has_no_difference() -> None:
    with pytest.raises(DataError, match="expected as many of each"):
        fairness.by_group([True], [0, 1], [0], ["a"], 0)
    found = fairness.by_group([True, False], [0, 1], [0, 1], ["a", "b"], 0)
    assert found["groups"][1]["given_emotion"] is None


def test_raters() -> None:
    votes = np.array([[10] + [0] * 9, [4, 3, 3] + [0] * 7, [0] * 10], np.uint8)
    np.testing.assert_array_equal(fairness.rater_agreement(votes), [1.0, 0.4, np.nan])
