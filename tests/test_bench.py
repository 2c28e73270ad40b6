"""`mien bench`: what it counts is exact, and both ways through the pairs learn the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import mien.bench
from mien.bench import Subject, measure, multiply_adds, pairs, speed, subject, timing
from mien.bench.pairs import TwoPasses, pair_by_pair, pair_speed
from mien.cli import app as application
from mien.losses import all_pairs, pairs_of
from mien.models import architecture
from mien.training.tasks.contrastive import Contrastive

TINY = {"filters": (2, 3), "convolutions": 1, "hidden": (4,), "dropout": 0.0}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Subject:
    """A small network that maps faces, and measurements as small."""
    monkeypatch.setattr(pairs, "FACES", 14)
    monkeypatch.setattr(pairs, "PAIRS_A_STEP", 8)
    monkeypatch.setattr(speed, "_MATRIX", 32)
    return replace(subject("siamese_conv", batch_size=4), options=TINY)


def test_both_ways_have_one_loss_and_one_gradient() -> None:
    """In float64, over all pairs of 20 faces in mini-batches of 16 pairs."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(9, 5), nn.ReLU(), nn.Linear(5, 2)).double()
    faces, labels = torch.randn(20, 1, 3, 3, dtype=torch.float64), torch.randint(0, 4, (20,))
    at_once = all_pairs(network(faces), labels)
    expected = torch.autograd.grad(at_once, list(network.parameters()))
    total = torch.zeros((), dtype=torch.float64)
    for first, second in zip(*(each.split(16) for each in pairs_of(20)), strict=True):
        differs = labels[first] != labels[second]
        total = total + pair_by_pair(network, faces[first], faces[second], differs, 1.0) * len(first)
    loss = total / 190
    assert loss.item() == pytest.approx(at_once.item(), abs=1e-12)
    found = torch.autograd.grad(loss, list(network.parameters()))
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)
    assert any(part.abs().max() > 1e-3 for part in expected)


def test_the_loop_over_pairs_sees_what_the_step_on_all_pairs_sees(small: Subject, tmp_path: Path) -> None:
    """The same pairs, faces, augmentation and loss; not the statistics of a batch."""
    task = small.build_task(small.network(), pairs.FACES, tmp_path)
    assert isinstance(task, Contrastive)
    apart = TwoPasses(task)
    assert (apart.size, apart.network) == (91, task.network)
    task.network.eval()
    with torch.no_grad():
        at_once, _ = task.loss(task.network, torch.arange(14), 3)
        order = apart.order(0, 3)
        assert sorted(order.tolist()) == list(range(91))
        parts = [(apart.loss(task.network, rows, 3)[0], len(rows)) for rows in order.split(8)]
    assert sum(float(loss) * n for loss, n in parts) / 91 == pytest.approx(float(at_once), rel=1e-5)
    assert float(at_once) > 0


def test_the_ratio_is_scaled_to_all_pairs(
    small: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seven_turns(works: list[Callable[[], object]], seconds: float) -> tuple[list[float], int]:
        for work in works:
            work()
        return [2.0, 16.0], 7

    monkeypatch.setattr(pairs, "median_times", seven_turns)
    found = pair_speed(small, small.network(), tmp_path, 1.0)
    # A turn is four mini-batches of 8: 16 s for 32 of the 91 pairs.
    assert (found.images, found.pairs, found.pairs_a_step, found.measured_pairs) == (14, 91, 8, 7 * 32)
    assert (found.all_pairs_s, found.two_passes_s, found.ratio) == (2.0, 45.5, 22.75)


def test_504_faces_have_the_papers_pairs() -> None:
    assert pairs.FACES * (pairs.FACES - 1) // 2 == 126_756


def test_a_recipe_of_fewer_pairs_is_measured_on_all(small: Subject, tmp_path: Path) -> None:
    task = small.task.model_copy(update={"pairs": "balanced", "snapshots": [0, 1]})
    found = pair_speed(replace(small, task=task), small.network(), tmp_path, 0.001)
    assert found.pairs == 91
    assert not list(tmp_path.rglob("*.json"))


def test_multiply_adds_of_alexnets_trunk_by_hand() -> None:
    """227 → 55 → 27 → 13 pixels; the second convolution in two groups of 48 maps."""
    network = architecture("siamese_alexnet").build({"hidden": (16, 8)})
    trunk = 55**2 * 11**2 * 3 * 96 + 27**2 * 5**2 * 48 * 256 + 13**2 * 3**2 * 256 * 384
    assert multiply_adds(network) == trunk + 384 * 13**2 * 16 + 16 * 8 + 8 * 2


@pytest.mark.parametrize(
    ("name", "task"),
    [("siamese_conv", "contrastive"), ("d/fer2013", "contrastive"), ("conv_net", "classification")],
)
def test_each_network_is_measured_at_its_own_task(name: str, task: str) -> None:
    assert subject(name).task.name == task


def test_networks_that_map_faces_are_measured(small: Subject) -> None:
    found = json.loads(json.dumps(measure([small], seconds=0.01)))["networks"][0]
    assert (found["subject"], found["batch_size"], found["eval2_faces_min"]) == ("siamese_conv", 4, None)
    assert set(found["inference_images_s"]) == {"1", "64"}
    assert all(rate > 0 for rate in [*found["inference_images_s"].values(), found["train_images_s"]])
    saved = found["pairs"]
    assert set(saved) == {
        "images", "pairs", "pairs_a_step", "all_pairs_s", "two_passes_s", "measured_pairs", "ratio"
    }  # fmt: skip
    assert saved["ratio"] == pytest.approx(saved["two_passes_s"] / saved["all_pairs_s"])
    assert saved["measured_pairs"] % 32 == 0


def test_classifiers_have_no_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "_MATRIX", 32)
    found = measure([subject("conv_net", batch_size=2)], seconds=0.001)["networks"][0]
    assert found["pairs"] is None


def test_the_command_says_what_all_pairs_save(small: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mien.bench, "subject", lambda name, **_: small)
    done = CliRunner().invoke(
        application.app, ["bench", "siamese_conv", "--seconds", "0.1"], env={"COLUMNS": "300"}
    )
    assert done.exit_code == 0, done.output
    line = next(line for line in done.output.splitlines() if line.startswith("siamese_conv pairs: "))
    assert "times the two-passes-a-pair loop: 14 faces with all 91 pairs in " in line
    assert "pairs measured in mini-batches of 8" in line


class Clock:
    """Time that passes only where work says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def work(self, *seconds: float) -> Callable[[], None]:
        """Work whose runs take these seconds in turn, and then always the last."""
        left = list(seconds)

        def run() -> None:
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: found.now)
    return found


def test_medians_are_of_runs_after_the_warm_up(clock: Clock) -> None:
    medians, times = timing.median_times([clock.work(1.5, 1.5, 1, 3, 2, 5, 4), clock.work(0.5)], 17)
    # Five rounds fill 17 s: 1, 3, 2, 5 and 4 s, each beside half a second.
    assert (medians, times) == ([3.0, 0.5], 5)


def test_quick_measurements_are_made_three_times(clock: Clock) -> None:
    assert timing.median_times([clock.work(2.0)], 1) == ([2.0], 3)


def test_slow_work_is_measured_once_after_one_warm_up(clock: Clock) -> None:
    assert timing.median_times([clock.work(100.0, 60.0, 0.0)], 3) == ([60.0], 1)
    assert clock.now == 160
