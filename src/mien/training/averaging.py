"""An exponential moving average of a network's weights: what is validated, selected and exported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

PREFIX = "average."
"""How the averages are named in a checkpoint, before the name in the network's state dictionary."""


class WeightAverage:
    """The moving average of everything in a network's state dictionary that is a real number.

    After step t, from 1 on, the average keeps min(decay, (1 + t) / (10 + t)) of itself: the first weights,
    which are random, are soon forgotten. Statistics of batch normalisation are averaged likewise, counts are
    taken over.
    Source: Polyak & Juditsky 1992; Tarvainen & Valpola 2017 for the exponential form.
    decay: in 0…1.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = network
        self.decay = decay
        self.restart()

    def restart(self) -> None:
        """Begins with the network's weights as they stand, on its device."""
        self._state = {name: value.detach().clone() for name, value in self.network.state_dict().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes in the weights after step `step`, counted from 1."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        state = self.network.state_dict()
        real = [name for name, value in state.items() if value.is_floating_point()]
        torch._foreach_lerp_([self._state[name] for name in real], [state[name] for name in real], share)
        for name in state.keys() - set(real):
            self._state[name].copy_(state[name])

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The network has the averages while the block runs, and its own weights again after it."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, value in self.network.state_dict().items():
            own = value.clone()
            value.copy_(self._state[name])
            self._state[name].copy_(own)

    def tensors(self) -> dict[str, Tensor]:
        """The averages as a checkpoint holds them."""
        return {f"{PREFIX}{name}": value for name, value in self._state.items()}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back what `tensors` gave; the checkpoint is known to be of the same run."""
        found = {
            name.removeprefix(PREFIX): value for name, value in tensors.items() if name.startswith(PREFIX)
        }
        # By the network's own door, which also knows the tensors of earlier releases.
        with self.shown():
            self.network.load_state_dict(found)
