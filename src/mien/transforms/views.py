"""Many crops of each face, for test protocols that average over them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mien.transforms.affine import warp


def views(
    faces: Tensor,
    *,
    side: int,
    sizes: Sequence[int],
    angles: Sequence[float],
    places: Sequence[tuple[int, int]],
    mirrored: bool,
) -> Tensor:
    """Crops of side × side pixels of every face at every size, angle and place, then the mirrors of them all.

    A face is rescaled to size × size and turned about its centre in one bilinear sampling, 0 where there is
    no face; each crop is a plain cut of that. At its own size and no angle but 0 nothing is interpolated.
    sizes: pixels, at least `side`. angles: degrees, anticlockwise. places: (row, column) of a crop, each 0
    the first, 1 the middle (rounded down), 2 the last that fits.
    Shape: faces (N, C, S, S), normalised; returns (N, V, C, side, side), V = sizes · angles · places and
    twice that with mirrors, places changing fastest.
    """
    cuts = []
    for size in sizes:
        canvases = _canvases(faces, size, angles)
        room = size - side
        for_size = [
            canvases[..., top : top + side, left : left + side]
            for top, left in ((row * room // 2, column * room // 2) for row, column in places)
        ]
        # places stand behind angles: places change fastest
        cuts.append(torch.stack(for_size, dim=2).flatten(1, 2))
    upright = torch.cat(cuts, dim=1)
    return torch.cat([upright, upright.flip(-1)], dim=1) if mirrored else upright


def _canvases(faces: Tensor, size: int, angles: Sequence[float]) -> Tensor:
    """Every face at one size and all angles. Shape: (N, C, S, S) → (N, angles, C, size, size)."""
    n, side = len(faces), faces.shape[-1]
    if size == side and not any(angles):
        return faces[:, None].expand(-1, len(angles), -1, -1, -1)
    repeated = faces.repeat_interleave(len(angles), dim=0)
    turns = torch.tensor(angles, dtype=faces.dtype, device=faces.device).repeat(n)
    return warp(repeated, size=size, angle=turns, zoom=size / side).unflatten(0, (n, len(angles)))
