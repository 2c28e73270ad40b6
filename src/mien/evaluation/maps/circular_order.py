"""The order of emotions round a map, and how likely an order is by chance.

An order is a circle: where it starts and which way it is read make no difference, so C emotions have
(C − 1)!/2 orders, 60 for six. `canonical` names each by one tuple.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import permutations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError

Points = NDArray[np.float64]
Order = tuple[str, ...]
T = TypeVar("T")

EXPECTED: Order = ("happy", "surprise", "fear", "sad", "angry", "disgust")
"""Dailey et al. 2002, people and their model alike; as the siamese paper prints it."""

LEAST, MOST = 3, 8
"""How many emotions have orders that can all be listed."""

_START, _EARLY = "happy", "surprise"


def canonical(order: Sequence[str]) -> Order:
    """The tuple that stands for a circular order.

    It starts at happy, else at the name that is first in the alphabet, and is read so that surprise comes
    early; where that leaves both directions, the alphabet decides.
    """
    start = order.index(_anchor(order))
    forward = (*order[start:], *order[:start])
    backward = (forward[0], *reversed(forward[1:]))
    return min(forward, backward, key=lambda names: (_EARLY in names and names.index(_EARLY), names))


def all_orders(emotions: Sequence[str]) -> list[Order]:
    """Every circular order of the emotions, canonical: (C − 1)!/2 of them.

    Raises: DataError unless there are 3 to 8 different emotions.
    """
    _check(emotions)
    first, *others = emotions
    found = {canonical((first, *rest)) for rest in permutations(others)}
    return sorted(found)


def angles(points: Points) -> NDArray[np.float64]:
    """Degrees around the centroid, 0…360, counter-clockwise from the right: (C, 2) → (C,)."""
    x, y = (points - points.mean(axis=0)).T
    # Twice, because a tiny negative angle rounds to 360 itself.
    degrees: NDArray[np.float64] = np.degrees(np.arctan2(y, x)) % 360 % 360
    return degrees


def order(points: Points, emotions: Sequence[str]) -> Order:
    """The circular order of points (C, 2) around their centroid, canonical."""
    return canonical([emotions[i] for i in np.argsort(angles(points), kind="stable")])


def upright(points: Points, emotions: Sequence[str]) -> Points:
    """The same map, centred, the first emotion of its order straight up, the order running clockwise."""
    centred = points - points.mean(axis=0)
    turn = np.radians(90 - angles(centred)[list(emotions).index(_anchor(emotions))])
    turned: Points = centred @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    clockwise = [emotions[i] for i in np.argsort(-angles(centred), kind="stable")]
    start = clockwise.index(_anchor(emotions))
    runs_clockwise = (*clockwise[start:], *clockwise[:start]) == order(centred, emotions)
    return turned if runs_clockwise else turned * [-1.0, 1.0]


def exchanges(one: Sequence[str], other: Sequence[str]) -> int:
    """The fewest exchanges of neighbours on the circle that turn one order into the other.

    Raises: DataError unless both order the same 3 to 8 emotions.
    """
    _check(one)
    if sorted(one) != sorted(other):
        raise DataError(f"orders of {', '.join(one)} and of {', '.join(other)}: expected the same emotions")
    places = [list(other).index(emotion) for emotion in one]
    return _exchanges(len(one))[_circle(places)]


def chance_within(most: int, count: int) -> float:
    """The exact share of all orders of `count` emotions at most so many exchanges from a given one.

    Raises: DataError unless count is 3 to 8.
    """
    _check([str(i) for i in range(count)])
    needed = _exchanges(count).values()
    return sum(n <= most for n in needed) / len(needed)


def consistent(order: Sequence[str], inseparable: Iterable[tuple[str, str]]) -> set[Order]:
    """The orders that a found one stands for when some emotions cannot be told apart, canonical.

    They are reached from it by exchanging neighbours that are an inseparable pair, one exchange after
    another: one pair of neighbours gives 2 orders, as in the paper. Of sad, fear, surprise, where fear
    alone is inseparable from both, fear may stand anywhere, but sad never changes places with surprise.
    """
    pairs = {frozenset(pair) for pair in inseparable}
    found = {canonical(order)}
    reached = list(found)
    for circle in reached:
        for place in range(len(circle)):
            if frozenset((circle[place], circle[(place + 1) % len(circle)])) in pairs:
                exchanged = canonical(_exchanged(circle, place))
                if exchanged not in found:
                    found.add(exchanged)
                    reached.append(exchanged)
    return found


def neighbours(order: Sequence[str]) -> set[frozenset[str]]:
    """The C pairs of emotions that stand side by side on the circle."""
    return {frozenset(pair) for pair in zip(order, (*order[1:], order[0]), strict=True)}


def _exchanged(circle: Sequence[T], place: int) -> list[T]:
    """With the one at a place and the next on the circle exchanged."""
    names, after = list(circle), (place + 1) % len(circle)
    names[place], names[after] = names[after], names[place]
    return names


def _anchor(emotions: Sequence[str]) -> str:
    return _START if _START in emotions else min(emotions)


def _check(emotions: Sequence[str]) -> None:
    if not LEAST <= len(emotions) <= MOST:
        raise DataError(f"{len(emotions)} emotions: a circular order needs {LEAST} to {MOST}")
    for emotion in emotions:
        if list(emotions).count(emotion) > 1:
            raise DataError(f"the order names {emotion!r} twice: expected each emotion once")


def _circle(places: Sequence[int]) -> tuple[int, ...]:
    """A circle of 0…C−1 from 0, in the direction whose second number is smaller."""
    start = list(places).index(0)
    forward = (*places[start:], *places[:start])
    return min(forward, (0, *reversed(forward[1:])))


@lru_cache
def _exchanges(count: int) -> dict[tuple[int, ...], int]:
    """Exchanges from 0, 1, …, C−1 to every circle of them, found breadth first."""
    found = {tuple(range(count)): 0}
    reached = list(found)
    for circle in reached:
        for place in range(count):
            exchanged = _circle(_exchanged(circle, place))
            if exchanged not in found:
                found[exchanged] = found[circle] + 1
                reached.append(exchanged)
    return found
