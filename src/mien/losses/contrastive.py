"""The contrastive loss on pairs, over given distances or over all pairs of a batch at once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def contrast(distance: Tensor, differs: Tensor, *, margin: float = 1.0) -> Tensor:
    """(1−Y)·½·D² + Y·½·max(0, m−D)² of each pair, D ≥ 0 its distance, Y whether it differs. Any shape, kept.

    Source: Hadsell, Chopra & LeCun 2006; system D, eq. 1, which prints the second ½ inside the square.
    """
    return 0.5 * torch.where(differs, (margin - distance).clamp_min(0), distance).square()


def contrastive(distance: Tensor, differs: Tensor, *, margin: float = 1.0) -> Tensor:
    """Mean over pairs of `contrast`: pulls like pairs together, pushes unlike ones beyond the margin.

    Shape: distance (P,) float ≥ 0 in units of the map; differs (P,) bool; returns ().
    Raises: ValueError when the shapes differ, P is 0 or the margin is not positive.
    """
    if distance.shape != differs.shape or distance.ndim != 1 or not len(distance):
        raise ValueError(
            f"distance {tuple(distance.shape)} and differs {tuple(differs.shape)}: expected both (P,), P ≥ 1"
        )
    if margin <= 0:
        raise ValueError(f"margin {margin}: expected a positive number")
    return contrast(distance, differs, margin=margin).mean()


def all_pairs(
    embedding: Tensor, labels: Tensor, *, margin: float = 1.0, kept: Tensor | None = None
) -> Tensor:
    """`contrastive` over all N(N−1)/2 pairs of a batch, from one embedding a face.

    Value and gradient are those of the loss pair by pair. Two faces at the same place pull in no direction.
    Shape: embedding (N, D) float; labels (N,) int; kept (P,) bool, the pairs that count, in the order of
    `pairs_of`, None for all; returns ().
    Raises: ValueError when N < 2, or no pair is kept.
    """
    if len(embedding) < 2:
        raise ValueError(f"{len(embedding)} faces: expected at least two for a pair")
    first, second = pairs_of(len(embedding), embedding.device)
    distance = functional.pdist(embedding)
    differs = labels[first] != labels[second]
    if kept is not None:
        distance, differs = distance[kept], differs[kept]
    return contrastive(distance, differs, margin=margin)


def pairs_of(n: int, device: torch.device | str = "cpu") -> Tensor:
    """The pairs of n faces as two rows of positions: (2, n(n−1)/2) int64, (0, 1), (0, 2), … (n−2, n−1)."""
    return torch.triu_indices(n, n, 1, device=device)
