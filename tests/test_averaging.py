"""Averaged weights are what a float64 loop gives, what is validated and selected, and survive a kill."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from mien.models import architecture
from mien.training import checkpoint
from mien.training.averaging import WeightAverage
from mien.training.loop import Loop
from test_loop import Line, settings


def test_against_a_loop() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    average = WeightAverage(network, decay=0.5)
    expected = {name: value.double().clone() for name, value in network.state_dict().items()}
    for step in range(1, 30):
        network(torch.randn(4, 2))
        with torch.no_grad():
            network[0].weight.add_(torch.randn(3, 2))
        average.update(step)
        kept = min(0.5, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            expected[name] = (
                expected[name] * kept + value * (1 - kept) if value.is_floating_point() else value.clone()
            )
    own = {name: value.clone() for name, value in network.state_dict().items()}
    with average.shown():
        for name, value in network.state_dict().items():
            torch.testing.assert_close(value.double(), expected[name].double(), rtol=1e-5, atol=1e-6)
    for name, value in network.state_dict().items():
        assert torch.equal(value, own[name]), name


class Seen(Line):
    """Notes what `validate` was shown, and stops as a kill would at a given step."""

    shown: list[torch.Tensor]
    stop: int | None = None

    def validate(self, network: nn.Module) -> dict[str, float]:
        weight = next(network.parameters()).detach().clone()
        self.shown = [*getattr(self, "shown", []), weight]
        return super().validate(network)

    def loss(self, network: nn.Module, rows: torch.Tensor, epoch: int):  # type: ignore[no-untyped-def]
        if self.steps == self.stop:
            raise KeyboardInterrupt
        return super().loss(network, rows, epoch)


def test_what_is_validated_is_what_is_kept(tmp_path: Path) -> None:
    task = Seen()
    loop = Loop(task, settings(average=0.9), tmp_path, "f")
    loop.fit()
    best, state = checkpoint.load(loop.best)
    assert torch.equal(best["network.0.weight"], task.shown[state["epoch"] - 1])
    last, _ = checkpoint.load(loop.last)
    assert not torch.equal(last["network.0.weight"], task.shown[-1])
    assert torch.equal(last["average.0.weight"], task.shown[-1])


def test_the_average_begins_with_what_a_first_stage_left(tmp_path: Path) -> None:
    task = Seen()
    loop = Loop(task, settings(average=0.9, epochs=1, batch_size=20), tmp_path, "f")
    with torch.no_grad():
        task.network[0].weight.add_(3)
    begun = task.network[0].weight.detach().clone()
    loop.fit()
    last, _ = checkpoint.load(loop.last)
    # One step: the average keeps 2/11 of what it began with.
    torch.testing.assert_close(task.shown[-1], begun * 2 / 11 + last["network.0.weight"] * 9 / 11)


def test_a_killed_run_ends_with_the_same_average(tmp_path: Path) -> None:
    whole = Loop(Seen(), settings(average=0.9), tmp_path / "whole", "f")
    whole.fit()
    killed = Seen()
    killed.stop = 5
    with pytest.raises(KeyboardInterrupt):
        Loop(killed, settings(average=0.9, checkpoint_s=1e-9), tmp_path / "killed", "f").fit()
    resumed = Loop(Seen(), settings(average=0.9), tmp_path / "killed", "f")
    assert resumed.resume()
    resumed.fit()
    for path in ("best.safetensors", "checkpoints/last.safetensors"):
        first, _ = checkpoint.load(tmp_path / "whole" / path)
        second, _ = checkpoint.load(tmp_path / "killed" / path)
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first), path


def test_averages_of_a_run_that_was_begun_by_an_earlier_release_are_put_back() -> None:
    """Its checkpoints hold a temperature, which was never anything but 1 while a network learned."""
    network = architecture("conv_net").build({"filters": [2, 3], "hidden": 4})
    average = WeightAverage(network, decay=0.9)
    kept = {name: value + 1 for name, value in average.tensors().items()}
    own = {name: value.clone() for name, value in network.state_dict().items()}
    average.restore(kept | {"average.temperature": torch.ones(()), "network.temperature": torch.ones(())})
    for name, value in average.tensors().items():
        assert torch.equal(value, kept[name]), name
    for name, value in network.state_dict().items():
        assert torch.equal(value, own[name]), name
