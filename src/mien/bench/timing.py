"""How long work takes: medians of works that are run in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import torch

_SLOW = 5
"""A round that takes this many times the time for its measurement is not repeated for a steadier median."""


def median_time(work: Callable[[], object], seconds: float) -> float:
    """Median seconds of a work over about `seconds`."""
    return median_times([work], seconds)[0][0]


def median_times(works: Sequence[Callable[[], object]], seconds: float) -> tuple[list[float], int]:
    """Median seconds of each work and how often it was measured.

    The works are run in turn after a warm-up, so that a drifting machine is fair to all, for about `seconds`
    and at least three times; works that are slow beside that, once after a shorter warm-up.
    """
    start = time.perf_counter()
    for work in works:
        work()
    _wait()
    slow = time.perf_counter() - start > _SLOW * seconds
    if not slow:
        for work in works:
            work()
        _wait()
    times: list[list[float]] = [[] for _ in works]
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times[0]) < (1 if slow else 3):
        for work, spent in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            _wait()
            spent.append(time.perf_counter() - start)
    return [statistics.median(spent) for spent in times], len(times[0])


def _wait() -> None:
    """Until an accelerator, which is only handed its work, has done it."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
