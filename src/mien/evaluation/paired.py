"""Two networks on the same faces: how far apart they are, once the faces that both read alike drop out.

A run's entry keeps for each face of its split whether the network was right, and nothing else of the faces:
so two runs can be compared where the data are not.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError

RESAMPLES = 10_000

_ENDS = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class Paired:
    """The second network's accuracy minus the first's on n faces.

    ci95: of the bootstrap over faces, which leaves the two answers to a face together. gained, lost: faces
    that the second reads right and the first does not, and the other way round; of several seeds their mean.
    p: McNemar's exact two-sided test; None of several seeds, whose answers to a face are no single trial.
    """

    n: int
    difference: float
    ci95: tuple[float, float]
    gained: float
    lost: float
    p: float | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "ci95": list(self.ci95)}


def packed(right: ArrayLike) -> dict[str, Any]:
    """Which of N faces were read right, as JSON: how many there are, and a bit a face in hexadecimal."""
    bits = np.asarray(right, bool)
    return {"n": len(bits), "right": np.packbits(bits).tobytes().hex()}


def unpacked(stored: dict[str, Any]) -> NDArray[np.bool_]:
    """What `packed` gave: (N,) bool.

    Raises: DataError when the bits are not as many as it says.
    """
    n = int(stored["n"])
    try:
        bits = np.frombuffer(bytes.fromhex(stored["right"]), np.uint8)
    except ValueError as error:
        raise DataError(f"right answers that do not parse ({error}): restore the entry") from error
    if len(bits) != (n + 7) // 8:
        raise DataError(f"{len(bits)} bytes of right answers to {n} faces: restore the entry")
    return np.unpackbits(bits, count=n).astype(bool)


def paired_difference(first: ArrayLike, second: ArrayLike, seed: int = 0) -> Paired:
    """How much more often the second network is right than the first on the same faces.

    Shape: first, second (N,) bool, or (S, N) of S seeds each, whose mean a face counts with: the interval is
    of the faces, and says nothing of other seeds.
    Raises: DataError when the faces are not as many, or there is none.
    """
    before, after = (np.atleast_2d(np.asarray(each, np.float64)) for each in (first, second))
    if before.shape[1] != after.shape[1] or not before.shape[1]:
        raise DataError(
            f"answers to {before.shape[1]} and {after.shape[1]} faces: expected the same faces, at least one"
        )
    apart = after.mean(axis=0) - before.mean(axis=0)
    gained, lost = float(apart[apart > 0].sum()), float(-apart[apart < 0].sum())
    single = len(before) == len(after) == 1
    return Paired(
        n=len(apart),
        difference=float(apart.mean()),
        ci95=_bootstrap(apart, seed),
        gained=gained,
        lost=lost,
        p=_mcnemar(round(gained), round(lost)) if single else None,
    )


def _bootstrap(values: NDArray[np.float64], seed: int) -> tuple[float, float]:
    """95 % percentile interval of a mean. Values are few: it is enough to draw how often each comes."""
    different, counts = np.unique(values, return_counts=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(values), counts / len(values), RESAMPLES) @ different / len(values)
    low, high = np.quantile(drawn, _ENDS)
    return float(low), float(high)


def _mcnemar(gained: int, lost: int) -> float:
    """The exact test: of the faces on which the two differ, each is gained or lost with probability ½."""
    from scipy.stats import binomtest

    return float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
