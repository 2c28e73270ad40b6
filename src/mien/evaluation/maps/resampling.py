"""The bootstrap: how often each circular order comes when faces are drawn again within each emotion."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.maps import scaling
from mien.evaluation.maps.circular_order import Order, exchanges, order
from mien.evaluation.maps.dissimilarities import function
from mien.evaluation.maps.responses import Confusion, Embeddings, Source

Matrix = NDArray[np.float64]

_AT_ONCE = 100


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
    orders: tuple[tuple[Order, float], ...]

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


def bootstrap(
    source: Source,
    measure: str,
    found: Matrix,
    *,
    expected: Order | None,
    resamples: int,
    seed: int,
) -> Bootstrap | None:
    """The orders of the metric maps of resampled faces; None without resamples or faces.

    found: (C, 2), the metric map of all faces. Each resample is scaled as the whole is, from several starts,
    one of which is that map.
    """
    rows = resampled_rows(source, resamples, seed) if resamples else None
    if rows is None:
        return None
    compare = function(source, measure)
    values = np.stack([compare(resample) for resample in rows])
    best = scaling.scaled_from_several(values, np.broadcast_to(found, (resamples, *found.shape)), seed)
    counts = Counter(order(points, source.emotions) for points in best)
    near = None if expected is None else sum(n for one, n in counts.items() if exchanges(one, expected) <= 1)
    return Bootstrap(
        resamples=resamples,
        seed=seed,
        share=counts[order(found, source.emotions)] / resamples,
        expected_share=None if expected is None else counts[expected] / resamples,
        within_one_share=None if near is None else near / resamples,
        orders=tuple(
            (one, times / resamples) for one, times in sorted(counts.items(), key=lambda c: (-c[1], c[0]))
        ),
    )


def resampled_rows(source: Source, resamples: int, seed: int) -> Matrix | None:
    """Mean answers, or centroids, of faces drawn with replacement within each emotion: (R, C, K).

    Each emotion keeps its number of faces, so none can go missing. A table of counts is drawn anew within
    each row (the same thing: its faces are the counted answers); a table of rates has no faces: None.
    """
    if isinstance(source, Confusion):
        return _of_counts(source, resamples, seed) if source.counted else None
    values = source.points if isinstance(source, Embeddings) else source.answers
    return np.stack(
        [
            _means(values[source.labels == label], resamples, _rng(seed, label))
            for label in range(len(source.emotions))
        ],
        axis=1,
    )


def _rng(seed: int, label: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, 0xB007, label]))


def _of_counts(source: Confusion, resamples: int, seed: int) -> Matrix:
    drawn = [
        _rng(seed, label).multinomial(round(row.sum()), row / row.sum(), size=resamples) / row.sum()
        for label, row in enumerate(source.counts)
    ]
    return np.stack(drawn, axis=1)


def _means(values: Matrix, resamples: int, rng: np.random.Generator) -> Matrix:
    """Means of rows (n, K) drawn with replacement: (R, K)."""
    n = len(values)
    means = np.empty((resamples, values.shape[1]))
    for first in range(0, resamples, _AT_ONCE):
        several = min(_AT_ONCE, resamples - first)
        drawn = rng.integers(n, size=(several, n))
        times = np.stack([np.bincount(faces, minlength=n) for faces in drawn])
        means[first : first + several] = times @ values / n
    return means
