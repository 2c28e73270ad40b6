"""The terms of system E's losses: reconstruction, divergence from the prior, and the triplets' prior."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus


def log_likelihood(faces: Tensor, decoded: Tensor, *, variance: float) -> Tensor:
    """log N(x; f(z), σ²I), averaged over the samples of z, constant included.

    Source: system E, eq. 3.15.
    Shape: faces (N, D) and decoded (L, N, D) in the same unit; variance σ² in its square; returns (N,) nats.
    """
    squared = (decoded - faces).square().sum(dim=2).mean(dim=0)
    return -squared / (2 * variance) - faces.shape[1] / 2 * math.log(2 * math.pi * variance)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ, diag σ²) ‖ N(0, I)) by dimension.

    Source: system E, eq. 3.14.
    Shape: mean and log_variance (N, K); returns (N, K) nats, each at least 0.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def triplet_penalty(reference: Tensor, nearer: Tensor, farther: Tensor, weights: Tensor) -> Tensor:
    """w · ln(1 + exp(d(reference, nearer) − d(reference, farther))), d Euclidean, averaged over the samples.

    Source: system E, eq. 4.9; divided by γ and summed over all triplets it is −log of their prior (eq. 4.10).
    Shape: places (M, V, K); weights (V,); returns (V,).
    """
    difference = _distance(reference, nearer) - _distance(reference, farther)
    return weights * softplus(difference).mean(dim=0)


def _distance(first: Tensor, second: Tensor) -> Tensor:
    return torch.linalg.vector_norm(first - second, dim=-1)
