"""Batch normalisation whose statistics are those of all processes' batches together.

Torch's own does this on CUDA devices alone; this one on any.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes; every process's gradient flows back to each."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total


class _Synchronised(_BatchNorm):
    """In training, mean and variance over all processes; else what it replaces.

    Source: Ioffe & Szegedy 2015, algorithm 1, with the batch of every process. The variance is taken about
    the common mean in a second pass, because a difference of squares loses digits.
    Shape: (N, C) or (N, C, …), kept; N may differ between processes.
    """

    def forward(self, faces: Tensor) -> Tensor:
        if not self.training:
            return super().forward(faces)
        others = [axis for axis in range(faces.dim()) if axis != 1]
        shape = [1, -1] + [1] * (faces.dim() - 2)
        self._check_input_dim(faces)
        x = faces.float() if faces.dtype in (torch.bfloat16, torch.float16) else faces
        n = x.new_tensor([x.numel() / x.shape[1]])
        sums = _Sum.apply(torch.cat([x.sum(others), n]))
        n = sums[-1].detach()
        mean = sums[:-1] / n
        centred = x - mean.view(shape)
        variance = _Sum.apply(centred.square().sum(others)) / n
        self._remember(mean.detach(), variance.detach() * n / (n - 1))
        normal = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(faces.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Moves the running statistics towards the batch's, with an unbiased variance as everywhere."""
        if self.num_batches_tracked is None or self.running_mean is None or self.running_var is None:
            return
        self.num_batches_tracked.add_(1)
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), weight)
        self.running_var.lerp_(variance.to(self.running_var.dtype), weight)


class _Synchronised1d(_Synchronised, nn.BatchNorm1d):
    pass


class _Synchronised2d(_Synchronised, nn.BatchNorm2d):
    pass


_SYNCHRONISED: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: _Synchronised1d,
    nn.BatchNorm2d: _Synchronised2d,
}


@contextmanager
def synchronised(network: nn.Module) -> Iterator[None]:
    """Every batch normalisation of the network shares its statistics with the other processes in the block.

    The modules keep their parameters, buffers and names, and are afterwards what they were.
    """
    changed = [module for module in network.modules() if type(module) in _SYNCHRONISED]
    was = [type(module) for module in changed]
    for module in changed:
        module.__class__ = _SYNCHRONISED[type(module)]
    try:
        yield
    finally:
        for module, kind in zip(changed, was, strict=True):
            module.__class__ = kind
