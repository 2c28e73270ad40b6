"""How long exported files take to read faces: medians and spread, of files that are run in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

ROUNDS = 7
"""Each file is run in so many blocks, in turn with the others: a drifting machine is fair to all."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of one run. median, and the quartiles around it. runs: how many were timed."""

    median: float
    quartiles: tuple[float, float]
    runs: int

    def to_dict(self) -> dict[str, float | int | list[float]]:
        """As JSON."""
        return {"median_ms": self.median, "quartiles_ms": list(self.quartiles), "runs": self.runs}


def latencies(works: Sequence[Callable[[], object]], seconds: float) -> list[Latency]:
    """How long each work takes, for about `seconds` of each.

    The works are run in blocks, not one by one: a runtime's threads wait busily for a moment after each run,
    and would take that moment from the next work. The first run of each block is not timed.
    """
    times: list[list[float]] = [[] for _ in works]
    for _ in range(ROUNDS):
        for work, spent in zip(works, times, strict=True):
            work()
            until = time.perf_counter() + seconds / ROUNDS
            while True:
                start = time.perf_counter()
                work()
                end = time.perf_counter()
                spent.append(1000 * (end - start))
                if end > until:
                    break
    return [_latency(spent) for spent in times]


def _latency(spent: Sequence[float]) -> Latency:
    low, _, high = statistics.quantiles(spent, n=4, method="inclusive")
    return Latency(statistics.median(spent), (low, high), len(spent))
