"""Several processes that train one network, on one machine or more, as `torchrun` starts them.

Without `torchrun` everything here is that of a single process.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from inspect import signature

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from mien.errors import ProcessLost, RecipeError

TIMEOUT = timedelta(hours=2)
"""How long a process waits for the others: the first may have a teacher to ask, or much to validate."""

_SEND_BUFFERS = next(
    name
    for name in ("forward_sync_buffers", "broadcast_buffers")
    if name in signature(DistributedDataParallel).parameters
)
"""Torch's name for the sending of buffers before each step; the first from 2.13 on."""


def count() -> int:
    """The number of processes that train together."""
    return int(os.environ["WORLD_SIZE"]) if dist.is_torchelastic_launched() else 1


def rank() -> int:
    """The number of this process among them, from 0."""
    return int(os.environ["RANK"]) if dist.is_torchelastic_launched() else 0


def is_first() -> bool:
    """Whether this process is the one that writes, validates and speaks."""
    return rank() == 0


@contextmanager
def joined() -> Iterator[None]:
    """Joins this process with the others while the block runs; of an error in any of them, one is raised.

    The others leave with the same exit code and say nothing: `torchrun` ends them all when one has failed.
    Raises: RecipeError when this machine has fewer accelerators than processes, or the machines have unlike
    numbers of processes; ProcessLost when one was killed or cut off.
    """
    if count() == 1:
        yield
        return
    store = next(dist.rendezvous("env://", timeout=TIMEOUT))[0]
    try:
        _join(store)
        yield
    except BaseException as error:
        if _speaks_first(store):
            if _is_of_the_line(error):
                raise ProcessLost(
                    "another process has gone, killed or cut off from this one: look at what torchrun says "
                    "of it, and go on with --resume"
                ) from error
            raise
        raise SystemExit(getattr(error, "exit_code", 1)) from None
    dist.destroy_process_group()


def _join(store: dist.Store) -> None:
    if count() % _local_count():
        raise RecipeError(
            f"{_local_count()} of {count()} processes on this machine: expected as many on each machine"
        )
    here = int(os.environ["LOCAL_RANK"])
    if not torch.cuda.is_available():
        dist.init_process_group("gloo", store=store, rank=rank(), world_size=count(), timeout=TIMEOUT)
        return
    if _local_count() > torch.cuda.device_count():
        raise RecipeError(
            f"{_local_count()} processes on a machine with {torch.cuda.device_count()} accelerators: "
            "start as many as there are, or hide them with CUDA_VISIBLE_DEVICES= to train on processors"
        )
    torch.cuda.set_device(here)
    device = torch.device("cuda", here)
    dist.init_process_group(
        "nccl", store=store, rank=rank(), world_size=count(), timeout=TIMEOUT, device_id=device
    )


def _local_count() -> int:
    return int(os.environ["LOCAL_WORLD_SIZE"])


def _speaks_first(store: dist.Store) -> bool:
    try:
        # The store outlives a round of processes that torchrun starts anew.
        return store.add(f"mien/failed/{os.environ['TORCHELASTIC_RESTART_COUNT']}", 1) == 1
    except RuntimeError:
        # The machine that keeps the store is gone, and whoever failed there has spoken.
        return False


def _is_of_the_line(error: BaseException) -> bool:
    """Whether an exchange with the others failed: NCCL's errors have a class, gloo's have their source."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def fabric(precision: str) -> Fabric:
    """Fabric for the device that this process trains on, joined with the others.

    Raises: RecipeError when the device has no arithmetic of that precision.
    """
    # It announces the precision, which the recipe says already, among the lines of a progress bar.
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
    if count() == 1:
        made = Fabric(accelerator="auto", devices=1, precision=precision)  # type: ignore[arg-type]
    else:
        made = Fabric(
            accelerator="cuda" if torch.cuda.is_available() else "cpu",
            devices=_local_count(),
            num_nodes=count() // _local_count(),
            # Running statistics serve nobody before the first process validates with its own: to send them
            # before every step would only cost time, and hang where one process validates alone.
            strategy=DDPStrategy(**{_SEND_BUFFERS: False}, timeout=TIMEOUT),  # type: ignore[arg-type]
            precision=precision,  # type: ignore[arg-type]
        )
        made.launch()
    if precision == "bf16-mixed" and not _has_bfloat16(made.device):
        raise RecipeError(
            f"train.precision {precision!r}: this {made.device.type} device has no bfloat16 arithmetic; "
            "use 32-true"
        )
    return made


def _has_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return False


def summed(totals: Mapping[str, float], device: torch.device) -> dict[str, float]:
    """Each total's sum over all processes, which give the same names in the same order."""
    if count() == 1:
        return dict(totals)
    values = torch.tensor(list(totals.values()), dtype=torch.float64, device=device)
    dist.all_reduce(values)
    return dict(zip(totals, values.tolist(), strict=True))


@contextmanager
def first_before_the_others() -> Iterator[None]:
    """The first process runs the block alone, then the others do, and find what it wrote."""
    if not is_first():
        dist.barrier()
    yield
    if is_first() and count() > 1:
        dist.barrier()


@dataclass(frozen=True)
class Part:
    """Some rows (B,) of a batch, and which of its parts they are."""

    number: int
    rows: Tensor


def parts(rows: Tensor, count: int, rank: int, accumulate: int) -> list[Part]:
    """The parts of a batch, (B,) rows, that process `rank` of `count` computes one after another.

    A batch has `count`·`accumulate` parts, whose sizes differ by at most 1. One with fewer rows than that is
    computed whole by every process, as its only part.
    """
    if len(rows) < count * accumulate:
        return [Part(0, rows)]
    split = rows.tensor_split(count * accumulate)
    return [Part(number, split[number]) for number in range(rank * accumulate, (rank + 1) * accumulate)]
