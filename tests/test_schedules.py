"""Learning-rate schedules, against slow replays of the run so far."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from mien.errors import RecipeError
from mien.training import checkpoint
from mien.training.loop import Loop
from mien.training.optimisers import ENDED, Progress, schedule
from mien.training.recipe import NamedSection
from test_loop import Line, settings


def at(epoch: int, history: list[float] | None = None, figure: str = "train_loss") -> Progress:
    return Progress(epoch, epoch * 10, 100, 1000, [{figure: value} for value in history or []])


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("constant", {}, [1, 1, 1, 1]),
        ("exponential", {"decay": 0.5}, [1, 0.5, 0.25, 0.125]),
        ("step", {"milestones": [1, 3], "factor": 0.1}, [1, 0.1, 0.1, 0.01]),
        ("cosine", {}, [1, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5]),
        ("time", {"decay": 0.1}, [1, 1 / 2, 1 / 3, 1 / 4]),
        ("time", {"decay": 1.0, "per": "epoch"}, [1, 1 / 2, 1 / 3, 1 / 4]),
    ],
)
def test_schedules(name: str, options: dict[str, object], expected: list[float]) -> None:
    factor = schedule(name, options)
    found = [factor(Progress(epoch, epoch * 10, 4, 40)) for epoch in range(4)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def curve(seed: int, epochs: int = 120) -> list[float]:
    """A training loss that falls, then rests, with noise: several plateaus at each patience tried."""
    random = np.random.default_rng(seed)
    return list(0.5 + np.exp(-np.arange(epochs) / 8) + 0.01 * random.normal(size=epochs))


@pytest.mark.parametrize(("patience", "threshold"), [(1, 0.0), (3, 1e-4), (5, 1e-2)])
def test_plateau_as_torch_keeps_it(patience: int, threshold: float) -> None:
    # Torch lowers the rate once more than `patience` epochs were bad; ours once `patience` were.
    weight = torch.nn.Parameter(torch.zeros(1))
    replay = torch.optim.lr_scheduler.ReduceLROnPlateau(
        torch.optim.SGD([weight], lr=1.0),
        factor=0.5, patience=patience - 1, threshold=threshold, eps=0, min_lr=0,
    )  # fmt: skip
    factor = schedule(
        "plateau", {"patience": patience, "threshold": threshold, "factor": 0.5, "drops": 10_000}
    )
    seen: list[float] = []
    found = [factor(at(0))]
    expected = [1.0]
    for value in curve(patience):
        seen.append(value)
        replay.step(value)
        expected.append(replay.get_last_lr()[0])
        found.append(factor(at(len(seen), seen)))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert len(set(expected)) > 5


def test_plateau_ends_after_its_last_drop() -> None:
    factor = schedule("plateau", {"patience": 2, "drops": 2, "factor": 0.1})
    flat = [1.0] * 10
    found = [factor(at(n, flat[:n])) for n in range(8)]
    np.testing.assert_allclose(found, [1, 1, 1, 0.1, 0.1, 0.01, 0.01, ENDED], rtol=1e-12)


def test_plateau_follows_the_figure_it_names() -> None:
    factor = schedule("plateau", {"figure": "validation_loss", "patience": 1})
    assert factor(at(2, [1.0, 1.0], "validation_loss")) == pytest.approx(0.1)
    assert factor(at(2, [1.0, 0.5], "validation_loss")) == 1


def plateaus(epochs: int) -> dict[str, object]:
    section = {"name": "plateau", "patience": 1, "drops": 2, "threshold": 0.9, "factor": 0.5}
    return {"epochs": epochs, "schedule": NamedSection.model_validate(section)}


def test_a_run_on_plateaus_resumes_to_the_same_weights_and_ends(tmp_path: Path) -> None:
    whole = Loop(Line(), settings(**plateaus(9)), tmp_path / "whole", "x")
    state = whole.fit()
    assert [record["lr"] for record in state.history] == [0.05, 0.05, 0.025, 0.0125]
    Loop(Line(), settings(**plateaus(3)), tmp_path / "half", "x").fit()
    rest = Loop(Line(), settings(**plateaus(9)), tmp_path / "half", "x")
    assert rest.resume()
    assert rest.fit().epoch == 4
    one, two = checkpoint.load(whole.last)[0], checkpoint.load(rest.last)[0]
    assert all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "time"}, "train.schedule time .*its options are decay, per"),
        ({"name": "time", "decay": -1}, "train.schedule.decay -1: expected 0 or more"),
        ({"name": "time", "decay": 1, "per": "week"}, "per 'week': expected one of update, epoch"),
        ({"name": "plateau", "patience": 0}, "train.schedule.patience 0: expected 1 or more"),
        ({"name": "plateau", "factor": 2}, "train.schedule.factor 2: expected a number between 0 and 1"),
        ({"name": "plateau", "threshold": 1}, "train.schedule.threshold 1"),
        ({"name": "plateau", "drops": -1}, "train.schedule.drops -1"),
        ({"name": "plateau", "figure": "loss"}, "train.schedule.figure 'loss': expected one of train_loss"),
    ],
)
def test_wrong_options_cost_one_line(options: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=said) as caught:
        Loop(Line(), settings(schedule=NamedSection.model_validate(options)), tmp_path, "x")
    assert "\n" not in str(caught.value)


def test_warmup_rises_in_a_straight_line_under_the_schedule() -> None:
    factor = schedule("step", {"milestones": [3], "factor": 0.1}, warmup=1.5)
    found = [factor(Progress(step // 4, step, 5, 20)) for step in range(20)]
    rise = [min(1.0, (step + 1) / 6) for step in range(20)]
    assert found == pytest.approx([share * (0.1 if step >= 12 else 1) for step, share in enumerate(rise)])


def test_cosine_against_its_formula() -> None:
    factor = schedule("cosine", {"floor": 0.2})
    for step in range(21):
        expected = 0.2 + 0.8 * (math.cos(step / 20 * math.pi) + 1) / 2
        assert factor(Progress(step // 4, step, 5, 20)) == pytest.approx(expected)
