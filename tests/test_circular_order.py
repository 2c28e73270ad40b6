"""Circular orders against brute force: every arrangement of the names, every exchange, nothing clever."""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import DataError
from mien.evaluation.maps.circular_order import (
    EXPECTED,
    all_orders,
    angles,
    canonical,
    chance_within,
    consistent,
    exchanges,
    neighbours,
    order,
    upright,
)
from mien.labels import EMOTIONS, SIX

NAMES = (*EMOTIONS, "contempt")


def _same_circle(names: tuple[str, ...]) -> set[tuple[str, ...]]:
    """The 2C arrangements in a row that are one circle."""
    turned = [names[k:] + names[:k] for k in range(len(names))]
    return {way for row in turned for way in (row, row[::-1])}


@lru_cache
def _naive_exchanges(start: tuple[str, ...]) -> dict[tuple[str, ...], int]:
    """Exchanges from one arrangement in a row to every other, the ends being neighbours too."""
    found, layer, steps = {start: 0}, [start], 0
    while layer:
        steps += 1
        following = []
        for row in layer:
            for i in range(len(row)):
                j = (i + 1) % len(row)
                swapped = list(row)
                swapped[i], swapped[j] = swapped[j], swapped[i]
                if tuple(swapped) not in found:
                    found[tuple(swapped)] = steps
                    following.append(tuple(swapped))
        layer = following
    return found


@pytest.mark.parametrize("count", range(3, 8))
def test_every_order_stands_for_its_rotations_and_directions(count: int) -> None:
    names = NAMES[:count]
    times = Counter(canonical(row) for row in permutations(names))
    assert set(times.values()) == {2 * count}
    assert len(times) == math.factorial(count - 1) // 2
    assert all_orders(names) == sorted(times)
    assert all(row in _same_circle(row) and canonical(row) == row for row in times)
    assert chance_within(0, count) == 1 / len(times)


def test_an_order_of_six_has_one_chance_in_sixty() -> None:
    target = _same_circle(EXPECTED)
    assert sum(row in target for row in permutations(SIX)) / 720 == chance_within(0, 6) == 1 / 60


def test_the_canonical_form_starts_at_happy_and_passes_surprise_early() -> None:
    assert canonical(("disgust", "angry", "sad", "fear", "surprise", "happy")) == EXPECTED
    assert canonical(("sad", "fear", "angry")) == ("angry", "fear", "sad")
    # Surprise opposite happy: the alphabet decides.
    assert canonical(("happy", "sad", "surprise", "fear")) == ("happy", "fear", "surprise", "sad")


@pytest.mark.parametrize("count", [3, 4, 5, 6])
def test_exchanges_are_the_fewest_of_brute_force(count: int) -> None:
    start = tuple(reversed(NAMES[:count]))
    naive = _naive_exchanges(start)
    nearest = {one: min(naive[row] for row in _same_circle(one)) for one in all_orders(start)}
    assert {one: exchanges(one, start) for one in nearest} == nearest
    for most in range(max(nearest.values()) + 1):
        assert chance_within(most, count) == sum(n <= most for n in nearest.values()) / len(nearest)
    assert chance_within(max(nearest.values()), count) == 1


def test_six_orders_of_six_emotions_are_one_exchange_away() -> None:
    swapped = []
    for i in range(6):
        row = list(EXPECTED)
        row[i], row[(i + 1) % 6] = row[(i + 1) % 6], row[i]
        swapped.append(canonical(row))
    assert len(set(swapped)) == 6
    assert {one for one in all_orders(SIX) if exchanges(one, EXPECTED) == 1} == set(swapped)
    assert chance_within(1, 6) == 7 / 60
    assert exchanges(("happy", "surprise", "fear", "sad", "disgust", "angry"), EXPECTED) == 1


@settings(max_examples=60, deadline=None)
@given(st.permutations(EMOTIONS), st.permutations(EMOTIONS), st.integers(0, 6), st.booleans())
def test_exchanges_ignore_rotation_and_direction_and_are_symmetric(
    one: list[str], other: list[str], turn: int, back: bool
) -> None:
    again = one[turn:] + one[:turn]
    again = again[::-1] if back else again
    assert canonical(again) == canonical(one)
    assert exchanges(again, other) == exchanges(one, other) == exchanges(other, one)
    assert (exchanges(one, other) == 0) == (canonical(one) == canonical(other))


def test_angles_turn_counter_clockwise_around_the_centroid() -> None:
    square = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]]) * 3 + [10, -20]
    np.testing.assert_allclose(angles(square), [0, 90, 180, 270], atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    st.permutations(SIX), st.integers(0, 10_000), st.floats(0, 2 * math.pi), st.booleans(), st.floats(0.1, 9)
)
def test_order_and_upright_ignore_place_size_rotation_and_reflection(
    names: list[str], seed: int, turn: float, mirrored: bool, size: float
) -> None:
    rng = np.random.default_rng(seed)
    # Round the origin in steps of 60° with less than 20° of wobble each, and then centred by the code.
    wanted = np.radians(60 * np.arange(6) + rng.uniform(-10, 10, 6))
    points = np.c_[np.cos(wanted), np.sin(wanted)]
    rotation = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    moved = size * points @ rotation * ([-1, 1] if mirrored else [1, 1]) + rng.normal(size=2)
    assert order(points, names) == order(moved, names) == canonical(names)

    drawn = upright(moved, names)
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(drawn, size * upright(points, names), atol=1e-9)
    at = dict(zip(names, angles(drawn), strict=True))
    assert at["happy"] == pytest.approx(90, abs=1e-6)
    clockwise = [(90 - at[name] + 1e-6) % 360 for name in canonical(names)]
    assert clockwise == sorted(clockwise)


def _without_inversion(block: tuple[str, ...], allowed: set[frozenset[str]]) -> int:
    """Arrangements of a block in which only allowed pairs have changed sides."""
    total = 0
    for row in permutations(block):
        changed = {
            frozenset((one, other))
            for i, one in enumerate(block)
            for other in block[i + 1 :]
            if row.index(one) > row.index(other)
        }
        total += changed <= allowed
    return total


@pytest.mark.parametrize(
    ("pairs", "orders"),
    [
        ([], 1),
        ([("surprise", "fear")], 2),
        ([("disgust", "happy")], 2),
        ([("surprise", "sad")], 1),
        ([("surprise", "fear"), ("angry", "disgust")], 4),
        ([("surprise", "fear"), ("fear", "sad")], 3),
        ([("surprise", "fear"), ("fear", "sad"), ("sad", "surprise")], 6),
    ],
)
def test_inseparable_neighbours_may_change_places(pairs: list[tuple[str, str]], orders: int) -> None:
    found = consistent(EXPECTED, pairs)
    assert len(found) == orders
    assert canonical(EXPECTED) in found
    if "disgust" not in [name for pair in pairs for name in pair]:
        allowed = {frozenset(pair) for pair in pairs}
        assert orders == _without_inversion(EXPECTED[1:], allowed)


def test_the_papers_two_orders() -> None:
    assert consistent(EXPECTED, [("fear", "surprise")]) == {
        EXPECTED,
        canonical(("happy", "fear", "surprise", "sad", "angry", "disgust")),
    }


def test_where_nothing_is_separable_every_order_is_consistent() -> None:
    pairs = [(one, other) for one in SIX for other in SIX if one < other]
    assert consistent(EXPECTED, pairs) == set(all_orders(SIX))


def test_neighbours_close_the_circle() -> None:
    assert neighbours(("happy", "fear", "sad", "angry")) == {
        frozenset(pair) for pair in (("happy", "fear"), ("fear", "sad"), ("sad", "angry"), ("angry", "happy"))
    }


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: all_orders(("happy", "sad")), "2 emotions: a circular order needs 3 to 8"),
        (lambda: chance_within(0, 9), "9 emotions: a circular order needs 3 to 8"),
        (lambda: all_orders(("happy", "sad", "sad")), "names 'sad' twice"),
        (
            lambda: exchanges(("happy", "sad", "fear"), ("happy", "sad", "angry")),
            "expected the same emotions",
        ),
    ],
)
def test_what_is_no_circular_order_is_refused_in_one_line(call: object, says: str) -> None:
    with pytest.raises(DataError, match=says) as caught:
        call()  # type: ignore[operator]
    assert "\n" not in str(caught.value)
