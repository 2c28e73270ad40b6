"""Rotation, scaling and cropping in one bilinear sampling of a whole batch."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Fill = Literal["zero", "nearest"]
"""What lies outside a picture: zeros, or the nearest pixel of its edge."""

_PADDING: dict[str, str] = {"zero": "zeros", "nearest": "border"}


def warp(
    faces: Tensor,
    *,
    size: int,
    angle: Tensor | float = 0.0,
    zoom: Tensor | float = 1.0,
    shift: Tensor | float = 0.0,
    fill: Fill = "zero",
) -> Tensor:
    """Faces rotated about their centre, magnified, then cut to size × size around the centre plus `shift`.

    angle: degrees, anticlockwise. zoom: 2 shows a face twice as large. shift: from the magnified picture's
    centre to the middle of what is cut, in its pixels. Pixels are squares: a side of S has its
    centre at S/2.
    Shape: faces (N, C, H, W); angle (N,); zoom and shift (N, 2), vertical and horizontal; numbers stand for
    all. Returns (N, C, size, size).
    """
    n, channels, height, width = faces.shape
    turn = torch.as_tensor(angle, dtype=faces.dtype, device=faces.device).expand(n) * (math.pi / 180)
    zooms = torch.as_tensor(zoom, dtype=faces.dtype, device=faces.device).expand(n, 2)
    shifts = torch.as_tensor(shift, dtype=faces.dtype, device=faces.device).expand(n, 2)
    cosine, sine = turn.cos(), turn.sin()
    # Where a sample lies in the face: (x, y) from the cut's middle, un-shifted, un-magnified, turned back.
    to_x = torch.stack([cosine / zooms[:, 1], -sine / zooms[:, 0]], dim=1)
    to_y = torch.stack([sine / zooms[:, 1], cosine / zooms[:, 0]], dim=1)
    matrix = torch.stack([to_x, to_y], dim=1)
    offset = matrix @ shifts.flip(1)[:, :, None]
    # torch counts both pictures from −1 to 1.
    half = torch.tensor([width / 2, height / 2], dtype=faces.dtype, device=faces.device)[None, :, None]
    theta = torch.cat([matrix * (size / 2), offset], dim=2) / half
    grid = functional.affine_grid(theta, [n, channels, size, size], align_corners=False)
    return functional.grid_sample(
        faces, grid, mode="bilinear", padding_mode=_PADDING[fill], align_corners=False
    )


def centre(faces: Tensor, size: int) -> Tensor:
    """The middle of each face. Shape: (N, C, H, W) → (N, C, size, size), size at most H and W."""
    top, left = (faces.shape[-2] - size) // 2, (faces.shape[-1] - size) // 2
    return faces[..., top : top + size, left : left + size]
