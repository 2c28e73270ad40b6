"""The training loop: against a loop of three lines, and what happens at its edges."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mien.errors import CheckpointError, RecipeError, TrainingDiverged
from mien.training import checkpoint, processes
from mien.training.loop import Loop
from mien.training.optimisers import L2_ON, optimiser
from mien.training.recipe import NamedSection, TrainSection
from mien.training.task import Task
from mien.transforms import permutation
from synthetic import face_batch


class Line(Task):
    """Least squares on points of a line: a task with no faces in it, which the loop must serve as well."""

    figures = ("loss",)

    def __init__(self, figures: list[float] | None = None, poison: int | None = None) -> None:
        self.figures_given = figures
        torch.manual_seed(0)
        self.network: nn.Module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(20, 3, generator=generator)
        self.y = self.x.sum(1, keepdim=True)
        self.poison = poison
        self.steps = 0

    @property
    def size(self) -> int:
        return len(self.x)

    def to(self, device: torch.device) -> None:
        self.x, self.y = self.x.to(device), self.y.to(device)

    def loss(self, network: nn.Module, rows: Tensor, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        self.steps += 1
        error = (network(self.x[rows]) - self.y[rows]).square().mean()
        return (error * math.nan if self.steps == self.poison else error), {
            "seen_twice": 2 * torch.ones(len(rows)).sum()
        }

    def validate(self, network: nn.Module) -> dict[str, float]:
        with torch.no_grad():
            loss = float((network(self.x) - self.y).square().mean())
        return {"loss": loss if self.figures_given is None else self.figures_given.pop(0)}


def settings(**changes: object) -> TrainSection:
    values: dict[str, object] = {
        "epochs": 3, "batch_size": 8, "lr": 0.05, "channels_last": False,
        "select": "validation_loss", "select_mode": "min", **changes,
    }  # fmt: skip
    return TrainSection.model_validate(values)


def test_against_three_lines(tmp_path: Path) -> None:
    task = Line()
    chosen = settings(optimiser=NamedSection.model_validate({"name": "sgd", "momentum": 0.9}), l2=0.01)
    loop = Loop(task, chosen, tmp_path, "x")
    loop.fit()

    plain = Line()
    decayed = [p for p in plain.network.parameters() if p.ndim > 1]
    free = [p for p in plain.network.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": free}]
    sgd = torch.optim.SGD(groups, lr=0.05, momentum=0.9)
    for epoch in range(3):
        for rows in permutation(0, epoch, 20).split(8):
            sgd.zero_grad()
            plain.loss(plain.network, rows, epoch)[0].backward()
            sgd.step()
    tensors, state = checkpoint.load(loop.last)
    for key, value in plain.network.state_dict().items():
        assert torch.equal(tensors[f"network.{key}"], value), key
    assert state["epoch"] == 3
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert [line["step"] for line in lines] == [3, 6, 9]
    assert all(line["train_seen_twice"] == 2 for line in lines)


def test_a_figure_that_is_not_finite_stops(tmp_path: Path) -> None:
    task = Line()
    task.validate = lambda network: {"loss": math.inf}  # type: ignore[method-assign]
    with pytest.raises(TrainingDiverged, match="validation_loss became inf in epoch 1, at its end"):
        Loop(task, settings(), tmp_path, "x").fit()


def test_best_epoch_is_kept_and_patience_ends(tmp_path: Path) -> None:
    task = Line(figures=[5.0, 1.0, 3.0, 2.0, 0.5])
    state = Loop(task, settings(epochs=5, patience=2), tmp_path, "x").fit()
    assert (state.best_epoch, state.best, state.epoch) == (1, 1.0, 4)
    tensors, _ = checkpoint.load(tmp_path / "best.safetensors")
    for key, value in task.network.state_dict().items():
        assert torch.equal(tensors[f"network.{key}"], value), key


def test_a_loss_that_is_not_finite_stops(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingDiverged, match=r"epoch 2, step 1: the last good checkpoint is .*last\.safetensors"
    ):
        Loop(Line(poison=4), settings(), tmp_path, "x").fit()
    _, state = checkpoint.load(tmp_path / "checkpoints" / "last.safetensors")
    assert state["epoch"] == 1
    with pytest.raises(TrainingDiverged, match="no checkpoint yet"):
        Loop(Line(poison=1), settings(), tmp_path / "other", "x").fit()


def plain_weights(accumulate: int, task: Line, folder: Path) -> dict[str, Tensor]:
    section = NamedSection.model_validate({"name": "sgd", "momentum": 0.9})
    loop = Loop(task, settings(accumulate=accumulate, optimiser=section), folder, "x")
    loop.fit()
    return checkpoint.load(loop.last)[0]


@pytest.mark.parametrize("accumulate", [2, 3, 7, 20])
@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_micro_batches_add_up_to_the_batch(
    accumulate: int, dtype: torch.dtype, rounding: float, tmp_path: Path
) -> None:
    whole, parted = Line(), Line()
    for task in (whole, parted):
        task.network.to(dtype)
        task.x, task.y = task.x.to(dtype), task.y.to(dtype)
    expected = plain_weights(1, whole, tmp_path / "whole")
    found = plain_weights(accumulate, parted, tmp_path / "parted")
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=rounding, atol=rounding, msg=key)
    # 20 examples in batches of 8: the last has 4, fewer than some numbers of parts.
    assert parted.steps == 3 * sum(accumulate if size >= accumulate else 1 for size in (8, 8, 4))


def test_dropout_is_keyed_by_step_and_part(tmp_path: Path) -> None:
    def fitted(name: str, start: int) -> dict[str, Tensor]:
        task = Line()
        task.network.insert(2, nn.Dropout(0.5))  # type: ignore[operator]
        torch.manual_seed(start)
        return plain_weights(2, task, tmp_path / name)

    one, two = fitted("one", 5), fitted("two", 6)
    assert all(torch.equal(one[key], two[key]) for key in one)
    masks = []
    task = Line()
    task.network.register_forward_hook(lambda *_: masks.append(torch.rand(4)))
    Loop(task, settings(accumulate=2, epochs=1), tmp_path / "masks", "x").fit()
    assert len({tuple(mask.tolist()) for mask in masks[:6]}) == 6


def test_weights_are_kept_every_so_many_epochs(tmp_path: Path) -> None:
    loop = Loop(Line(), settings(epochs=5, keep_every=2), tmp_path, "x")
    loop.fit()
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["epoch-002.safetensors", "epoch-004.safetensors", "last.safetensors"]
    shorter = Loop(Line(), settings(epochs=4), tmp_path / "shorter", "x")
    shorter.fit()
    ended, _ = checkpoint.load(shorter.last)
    tensors, state = checkpoint.load(loop.kept(4))
    assert state["epoch"] == 4
    assert state["validation_loss"] == loop.state.history[3]["validation_loss"]
    assert all(torch.equal(value, ended[key]) for key, value in tensors.items())
    assert all(key.startswith("network.") for key in tensors)


def seen(task: Line, **changes: object) -> list[list[int]]:
    """The examples of each step of a training."""
    batches: list[list[int]] = []
    original = task.loss

    def loss(network: nn.Module, rows: Tensor, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        batches.append(rows.tolist())
        return original(network, rows, epoch)

    task.loss = loss  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        Loop(task, settings(**changes), Path(folder), "print").fit()
    return batches


def test_iterations_follow_one_order_after_another_in_whole_batches() -> None:
    batches = seen(Line(), iterations=9, validate_every=3)
    orders = torch.cat([permutation(0, epoch, 20) for epoch in range(4)])
    assert batches == [orders[8 * step : 8 * step + 8].tolist() for step in range(9)]


def test_how_often_it_is_validated_changes_no_step() -> None:
    every = seen(Line(), iterations=12, validate_every=12)
    assert seen(Line(), iterations=12, validate_every=2) == every


def test_a_run_of_iterations_is_validated_after_every_so_many(tmp_path: Path) -> None:
    loop = Loop(Line([0.5, 0.1, 0.3]), settings(iterations=6, validate_every=2), tmp_path, "print")
    state = loop.fit()
    assert [line["step"] for line in state.history] == [2, 4, 6]
    assert (state.epoch, state.best_epoch) == (3, 1)


@pytest.mark.parametrize(
    "changes", [{"iterations": 10}, {"validate_every": 5}, {"iterations": 10, "validate_every": 3}]
)
def test_iterations_that_do_not_fit(changes: dict[str, int]) -> None:
    with pytest.raises(
        ValueError, match=r"iterations and validate_every together|multiple of validate_every, 3"
    ):
        settings(**changes)


def test_bfloat16_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_has_bfloat16", lambda device: False)
    with pytest.raises(RecipeError, match=r"bf16-mixed': this \w+ device has no bfloat16 arithmetic; use"):
        Loop(Line(), settings(precision="bf16-mixed"), tmp_path, "x")


@pytest.mark.skipif(not processes._has_bfloat16(torch.device("cpu")), reason="no bfloat16 here")
def test_bfloat16_changes_the_arithmetic_and_not_the_weights(tmp_path: Path) -> None:
    exact, rough = (
        checkpoint.load(made.last)[0]
        for precision in ("32-true", "bf16-mixed")
        for made in [Loop(Line(), settings(precision=precision), tmp_path / precision, "x")]
        if made.fit()
    )
    for key, value in exact.items():
        assert rough[key].dtype == value.dtype
    assert not torch.equal(rough["network.0.weight"], exact["network.0.weight"])
    torch.testing.assert_close(rough["network.0.weight"], exact["network.0.weight"], rtol=0.05, atol=0.05)


@pytest.mark.parametrize(("batch", "accumulate", "examples"), [(19, 1, 1), (8, 4, 4), (8, 8, 8)])
def test_too_few_examples_to_normalise(batch: int, accumulate: int, examples: int, tmp_path: Path) -> None:
    task, chosen = Line(), settings(batch_size=batch, accumulate=accumulate)
    Loop(task, chosen, tmp_path, "x")
    task.network.insert(1, nn.BatchNorm1d(4))  # type: ignore[operator]
    with pytest.raises(RecipeError, match=f"batch_size {batch}: a batch of {examples} of the 20 examples"):
        Loop(task, chosen, tmp_path, "x")
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        task.network(task.x[:1])
    Loop(task, settings(batch_size=8, accumulate=2), tmp_path, "x")


def test_select_must_name_a_figure(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="validation_loss"):
        Loop(Line(), settings(select="validation_accuracy"), tmp_path, "x")
    assert not list(tmp_path.iterdir())


def test_corrupt_and_foreign_checkpoints(tmp_path: Path) -> None:
    loop = Loop(Line(), settings(), tmp_path, "x")
    assert not loop.resume()
    loop.fit()
    with pytest.raises(CheckpointError, match="other settings"):
        Loop(Line(), settings(), tmp_path, "y").resume()
    whole = loop.last.read_bytes()
    loop.last.write_bytes(whole[:-40])
    with pytest.raises(CheckpointError, match="corrupt"):
        Loop(Line(), settings(), tmp_path, "x").resume()
    changed = bytearray(whole)
    changed[-5] ^= 1
    loop.last.write_bytes(bytes(changed))
    with pytest.raises(CheckpointError, match="checksum"):
        Loop(Line(), settings(), tmp_path, "x").resume()


@pytest.mark.parametrize("name", ["sgd", "adagrad", "rmsprop", "adam", "adamw"])
def test_every_optimiser_resumes_to_the_same_weights(name: str, tmp_path: Path) -> None:
    options = {"momentum": 0.9, "nesterov": True} if name == "sgd" else {}
    section = NamedSection.model_validate({"name": name, **options})
    whole = Loop(Line(), settings(epochs=4, optimiser=section), tmp_path / "whole", "x")
    whole.fit()
    half = Loop(Line(figures=None), settings(epochs=2, optimiser=section), tmp_path / "half", "x")
    half.fit()
    rest = Loop(Line(), settings(epochs=4, optimiser=section), tmp_path / "half", "x")
    assert rest.resume()
    rest.fit()
    one, _ = checkpoint.load(whole.last)
    two, _ = checkpoint.load(rest.last)
    assert one.keys() == two.keys()
    for key in one:
        assert torch.equal(one[key], two[key]), key


@pytest.mark.parametrize(("where", "decayed"), [("all", 4), ("weights", 2), ("dense", 1)])
def test_l2_acts_where_it_is_told(where: str, decayed: int) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(2, 2))
    made = optimiser(network, "sgd", {}, lr=0.1, l2=0.5, l2_on=where)
    counts = {group["weight_decay"]: len(group["params"]) for group in made.param_groups}
    assert counts.get(0.5) == decayed
    assert sum(counts.values()) == 4
    assert set(L2_ON) == {"all", "weights", "dense"}


def test_synthetic_faces_are_what_they_say() -> None:
    batch = face_batch(140)
    assert len(batch.split("training")) + len(batch.split("public")) == 140
