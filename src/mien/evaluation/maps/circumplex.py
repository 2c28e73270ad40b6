"""The circumplex: the map of emotions by multidimensional scaling, their circular order, and its odds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.evaluation.maps import scaling
from mien.evaluation.maps.agreement import mantel, procrustes
from mien.evaluation.maps.circular_order import (
    EXPECTED,
    LEAST,
    MOST,
    Order,
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
from mien.evaluation.maps.dissimilarities import DEFAULT, applicable, dissimilarities, function
from mien.evaluation.maps.resampling import Bootstrap, bootstrap
from mien.evaluation.maps.responses import Confusion, Embeddings, Source
from mien.evaluation.maps.separability import SEPARABLE, criterion, separability

RESAMPLES = 1000


@dataclass(frozen=True, slots=True, eq=False)
class EmotionMap:
    """A configuration of the emotions in the plane.

    points: (C, 2), centred; happy (else the first emotion) straight up, `order` runs clockwise from it.
    stress: Kruskal's stress-1. angles: (C,) degrees in 0…360 around the centroid, counter-clockwise from
    the right. order: the emotions round the circle, in `circular_order.canonical` form.
    """

    emotions: tuple[str, ...]
    points: NDArray[np.float64]
    stress: float
    angles: NDArray[np.float64]
    order: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "stress": self.stress,
            "points": dict(zip(self.emotions, self.points.tolist(), strict=True)),
            "angles": dict(zip(self.emotions, self.angles.tolist(), strict=True)),
            "order": list(self.order),
        }


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Which neighbouring emotions cannot be told apart, and the odds of the order once they may swap.

    pairs: (emotion, emotion, separability, joined) of every pair. joined: the pairs that are,
    neighbours in the found order or once others have changed places.
    orders: how many orders the found one stands for. chance: their share of all orders.
    """

    pairs: tuple[tuple[str, str, float, bool], ...]
    joined: tuple[tuple[str, str], ...]
    orders: int
    chance: float
    criterion: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "criterion": self.criterion,
            "pairs": [
                {"emotions": [one, other], "separability": value, "joined": joined}
                for one, other, value, joined in self.pairs
            ],
            "joined": [list(pair) for pair in self.joined],
            "orders": self.orders,
            "chance": self.chance,
        }


@dataclass(frozen=True, slots=True)
class Expectation:
    """How far the found order lies from the expected one.

    order: the expected one, of the emotions at hand. exchanges: of neighbours on the circle, the fewest
    that turn one into the other. chance: the exact share of all orders at most as far. consistent: whether
    the two are equal once joined emotions may swap.
    """

    order: tuple[str, ...]
    exchanges: int
    chance: float
    consistent: bool

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "order": list(self.order),
            "exchanges": self.exchanges,
            "chance": self.chance,
            "consistent": self.consistent,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """A second source of the same emotions against the first.

    emotions: those that both have. mantel_r, mantel_p: `agreement.mantel`. disparity, procrustes_p,
    ours, theirs (C, 2): `agreement.procrustes` of the metric maps. exchanges, chance: between the
    orders, and the exact share of all orders at most as far.
    """

    name: str
    emotions: tuple[str, ...]
    mantel_r: float
    mantel_p: float
    disparity: float
    procrustes_p: float
    relabellings: int
    ours: NDArray[np.float64]
    theirs: NDArray[np.float64]
    exchanges: int
    chance: float

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        overlay = zip(self.emotions, self.ours.tolist(), self.theirs.tolist(), strict=True)
        return {
            "name": self.name,
            "emotions": list(self.emotions),
            "mantel": {"r": self.mantel_r, "p": self.mantel_p, "relabellings": self.relabellings},
            "procrustes": {
                "disparity": self.disparity,
                "p": self.procrustes_p,
                "points": {emotion: {"ours": one, "theirs": other} for emotion, one, other in overlay},
            },
            "exchanges": self.exchanges,
            "chance": self.chance,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Circumplex:
    """Everything said about one source; `to_dict` is what the command prints as JSON.

    kind, name, faces, per_emotion: the source; faces are None for a table of rates.
    dissimilarities: (C, C), by `measure`, which `how` says in a sentence. responses: (C, C) mean answers,
    None for embeddings. chance: of one order among all. measures: (order, stress) of the metric map by
    each measure that fits the source.
    """

    kind: str
    name: str
    faces: int | None
    per_emotion: dict[str, int] | None
    emotions: tuple[str, ...]
    measure: str
    how: str
    dissimilarities: NDArray[np.float64]
    responses: NDArray[np.float64] | None
    metric: EmotionMap
    nonmetric: EmotionMap
    chance: float
    overlaps: Overlaps
    expected: Expectation | None
    bootstrap: Bootstrap | None
    measures: dict[str, tuple[tuple[str, ...], float]]
    against: Agreement | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "source": {
                "kind": self.kind,
                "name": self.name,
                "faces": self.faces,
                "per_emotion": self.per_emotion,
            },
            "emotions": list(self.emotions),
            "dissimilarity": {
                "measure": self.measure,
                "how": self.how,
                "matrix": self.dissimilarities.tolist(),
            },
            "responses": None if self.responses is None else self.responses.tolist(),
            "metric": self.metric.to_dict(),
            "nonmetric": self.nonmetric.to_dict(),
            "order": list(self.metric.order),
            "chance": self.chance,
            "overlaps": self.overlaps.to_dict(),
            "expected": None if self.expected is None else self.expected.to_dict(),
            "bootstrap": None if self.bootstrap is None else self.bootstrap.to_dict(),
            "measures": {
                name: {"order": list(order), "stress": stress}
                for name, (order, stress) in self.measures.items()
            },
            "against": None if self.against is None else self.against.to_dict(),
        }


def analyse(
    source: Source,
    *,
    measure: str = DEFAULT,
    expected: Sequence[str] = EXPECTED,
    resamples: int = RESAMPLES,
    seed: int = 0,
    against: Source | None = None,
) -> Circumplex:
    """The circumplex of a source, and how far to trust it.

    measure: one of `dissimilarities.MEASURES`. expected: the order to compare with; emotions that the
    source lacks are left out of it, and there is none where the source has one that it lacks. resamples: of
    the bootstrap, 0 for none. seed: of the bootstrap, the random starts and the parts of a
    cross-validation. against: a second source, compared on the emotions that both have.
    Raises: DataError when there are not 3 to 8 emotions, the measure is unknown or does not fit, the
    expected order names an emotion twice, or the sources share fewer than 3 emotions.
    """
    emotions = source.emotions
    _check(emotions, expected, resamples, seed)
    unlike = dissimilarities(source, measure)
    metric = emotion_map(unlike.values, emotions, seed=seed)
    overlaps = _overlaps(source, metric.order, seed)
    expectation = _expectation(metric.order, expected, overlaps.joined)
    faces = _faces(source)
    return Circumplex(
        kind=source.kind,
        name=source.source,
        faces=None if faces is None else sum(faces.values()),
        per_emotion=faces,
        emotions=emotions,
        measure=measure,
        how=unlike.how,
        dissimilarities=unlike.values,
        responses=None if isinstance(source, Embeddings) else source.rows,
        metric=metric,
        nonmetric=emotion_map(unlike.values, emotions, metric=False, seed=seed),
        chance=chance_within(0, len(emotions)),
        overlaps=overlaps,
        expected=expectation,
        bootstrap=bootstrap(
            source,
            measure,
            metric.points,
            expected=expectation.order if expectation else None,
            resamples=resamples,
            seed=seed,
        ),
        measures=_by_every_measure(source, seed),
        against=None if against is None else _agreement(source, against, measure, seed),
    )


def emotion_map(
    values: NDArray[np.float64], emotions: tuple[str, ...], *, metric: bool = True, seed: int = 0
) -> EmotionMap:
    """Dissimilarities (C, C) scaled into the plane, the map turned upright."""
    found = scaling.mds(values, metric=metric, seed=seed)
    points = upright(found.points, emotions)
    return EmotionMap(emotions, points, found.stress, angles(points), order(found.points, emotions))


def _check(emotions: Sequence[str], expected: Sequence[str], resamples: int, seed: int) -> None:
    if not LEAST <= len(emotions) <= MOST:
        raise DataError(f"{len(emotions)} emotions ({', '.join(emotions)}): an order needs {LEAST} to {MOST}")
    for emotion in expected:
        if list(expected).count(emotion) > 1:
            raise DataError(f"the expected order names {emotion!r} twice: expected each emotion once")
    if resamples < 0 or seed < 0:
        raise DataError(f"{resamples} resamples with seed {seed}: expected neither below 0")


def _faces(source: Source) -> dict[str, int] | None:
    if not isinstance(source, Confusion):
        counts = np.bincount(source.labels, minlength=len(source.emotions)).tolist()
    elif source.counted:
        counts = [round(total) for total in source.counts.sum(axis=1)]
    else:
        return None
    return dict(zip(source.emotions, counts, strict=True))


def _overlaps(source: Source, found: Order, seed: int) -> Overlaps:
    values = separability(source, seed)
    every = [(i, j) for i, j in combinations(range(len(found)), 2)]
    names = {(i, j): (source.emotions[i], source.emotions[j]) for i, j in every}
    inseparable = [names[pair] for pair in every if values[pair] < SEPARABLE]
    orders = consistent(found, inseparable)
    # Also those that become neighbours once others have changed places.
    beside = set().union(*(neighbours(one) for one in orders))
    joined = tuple(pair for pair in inseparable if frozenset(pair) in beside)
    return Overlaps(
        pairs=tuple((*names[pair], float(values[pair]), names[pair] in joined) for pair in every),
        joined=joined,
        orders=len(orders),
        chance=len(orders) / len(all_orders(found)),
        criterion=criterion(source.kind),
    )


def _expectation(
    found: Order, expected: Sequence[str], joined: Sequence[tuple[str, str]]
) -> Expectation | None:
    here = [emotion for emotion in expected if emotion in found]
    if len(here) < len(found):
        return None
    wanted = canonical(here)
    apart = exchanges(found, wanted)
    return Expectation(wanted, apart, chance_within(apart, len(found)), wanted in consistent(found, joined))


def _by_every_measure(source: Source, seed: int) -> dict[str, tuple[Order, float]]:
    found = {}
    for measure in applicable(source):
        values = function(source, measure)(source.rows)
        if values.any():
            one = emotion_map(values, source.emotions, seed=seed)
            found[measure] = (one.order, one.stress)
    return found


def _agreement(source: Source, against: Source, measure: str, seed: int) -> Agreement:
    common = tuple(emotion for emotion in source.emotions if emotion in against.emotions)
    if len(common) < LEAST:
        raise DataError(
            f"{source.source or 'the source'} and {against.source or 'the other'} share {len(common)} "
            f"emotions: expected at least {LEAST} to compare"
        )
    places = [[one.emotions.index(emotion) for emotion in common] for one in (source, against)]
    values = [
        dissimilarities(one, measure).values[np.ix_(place, place)]
        for one, place in zip((source, against), places, strict=True)
    ]
    maps = [emotion_map(one, common, seed=seed) for one in values]
    by_pairs, by_maps = mantel(*values), procrustes(maps[0].points, maps[1].points)
    apart = exchanges(maps[0].order, maps[1].order)
    return Agreement(
        name=against.source,
        emotions=common,
        mantel_r=by_pairs.r,
        mantel_p=by_pairs.p,
        disparity=by_maps.disparity,
        procrustes_p=by_maps.p,
        relabellings=by_pairs.relabellings,
        ours=by_maps.ours,
        theirs=by_maps.theirs,
        exchanges=apart,
        chance=chance_within(apart, len(common)),
    )
