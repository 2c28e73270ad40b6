"""The circumplex: the map of emotions by multidimensional scaling, their circular order, and its odds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

EXPECTED = ("happy", "surprise", "fear", "sad", "angry", "disgust")
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

    pairs: (emotion, emotion, separability, joined) of every pair. joined: the pairs that are.
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


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How often each order comes when faces are drawn again, with replacement, within each emotion.

    share: of the found order. expected_share, within_one_share: of the expected order, and of orders at
    most one exchange from it; None where no order is expected. orders: (order, share), most frequent first.
    """

    resamples: int
    seed: int
    share: float
    expected_share: float | None
    within_one_share: float | None
    orders: tuple[tuple[tuple[str, ...], float], ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "resamples": self.resamples,
            "seed": self.seed,
            "share": self.share,
            "expected_share": self.expected_share,
            "within_one_share": self.within_one_share,
            "orders": [{"order": list(order), "share": share} for order, share in self.orders],
        }


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """A second source of the same emotions against the first.

    emotions: those that both have. mantel_r, mantel_p: `map_agreement.mantel`. disparity, procrustes_p,
    ours, theirs (C, 2): `map_agreement.procrustes` of the metric maps. exchanges, chance: between the
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
