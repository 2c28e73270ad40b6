"""How many dimensions a representation uses: those whose latent variable leaves its prior."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError

Matrix = NDArray[np.float64]

ACTIVE = 0.01
"""Nats. A dimension's mean divergence is at least half the variance of its means, so below this they vary by
less than 0.02 where the prior's variance is 1: what is drawn is noise. Burda et al. (2016, section 5.2) draw
the line at a variance of 0.01, within a factor of two."""


def divergence(mean: Matrix, log_variance: Matrix) -> Matrix:
    """The KL divergence from the standard normal prior of each dimension, a mean over faces: (K,) nats.

    Shape: mean, log_variance (N, K). ½·(μ² + σ² − 1 − ln σ²), Kingma & Welling 2014, appendix B.
    Raises: DataError when the shapes differ or there is no face.
    """
    if mean.shape != log_variance.shape or mean.ndim != 2 or not len(mean):
        raise DataError(
            f"means {mean.shape} and log variances {log_variance.shape}: expected both (N, K), N ≥ 1"
        )
    mean, log_variance = np.asarray(mean, np.float64), np.asarray(log_variance, np.float64)
    values: Matrix = 0.5 * (mean**2 + np.expm1(log_variance) - log_variance).mean(axis=0)
    return values


def active_dimensions(kl: Matrix, threshold: float = ACTIVE) -> int:
    """How many dimensions have a mean divergence above the threshold.

    Shape: kl (K,) nats, over the training faces.
    Raises: DataError when one is not finite.
    """
    if not np.isfinite(kl).all():
        raise DataError("a dimension's divergence is not finite: expected nats of at least 0")
    return int((np.asarray(kl) > threshold).sum())
