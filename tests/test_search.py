"""`mien search` as people run it: several workers, killed workers, and going on later."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mien import data
from mien.errors import RecipeError, TrainingDiverged
from mien.experiments import search as searching
from mien.experiments.search import Search, search
from mien.training.recipe import load
from synthetic import face_batch

pytestmark = pytest.mark.slow

RECIPE = """
inherits = "c/final"
summary = "A search that takes seconds."

[model]
filters = [4, 8]
hidden = 16

[train]
epochs = 1
batch_size = 47

[search."train.lr"]
low = 1e-4
high = 1e-1
log = true

[search."train.optimiser.name"]
choices = ["adam", "rmsprop", "adagrad"]

[search."model.hidden"]
low = 4
high = 64
whole = true
"""


@pytest.fixture
def asked(tmp_path: Path) -> Search:
    """A search of three trials."""
    data.write(face_batch(140), tmp_path / "faces.parquet", "parquet")
    (tmp_path / "tiny.toml").write_text(RECIPE)
    return Search(str(tmp_path / "tiny.toml"), tmp_path / "faces.parquet", tmp_path / "search", 3)


def command(asked: Search, *extra: str, folder: Path | None = None) -> list[str]:
    return [
        sys.executable, "-m", "mien", "search", asked.recipe, "--data", str(asked.data),
        "--out", str(folder or asked.folder), "--json", *extra,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def run(asked: Search, *extra: str, folder: Path | None = None) -> list[dict[str, Any]]:
    done = subprocess.run(
        command(asked, *extra, folder=folder), capture_output=True, text=True, check=False, env=environment()
    )
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def settings_by_number(found: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    numbers = [each["trial"] for each in found]
    assert len(set(numbers)) == len(numbers)
    return {each["trial"]: each["settings"] for each in found}


def test_workers_change_no_settings_and_a_search_goes_on(asked: Search, tmp_path: Path) -> None:
    alone = run(asked, "--trials", "2")
    assert len(alone) == 2
    values = [each["value"] for each in alone]
    assert values == sorted(values, reverse=True)
    more = run(asked, "--trials", "4")
    assert sorted(settings_by_number(more)) == [0, 1, 2, 3]
    assert settings_by_number(alone).items() <= settings_by_number(more).items()
    for number, settings in settings_by_number(more).items():
        recipe = (asked.folder / f"trial-{number:04d}" / "recipe.toml").read_text()
        assert f'name = "{settings["train.optimiser.name"]}"' in recipe
        assert f"hidden = {settings['model.hidden']}" in recipe
    assert run(asked, "--trials", "3") == more

    together = tmp_path / "together"
    workers = [
        subprocess.Popen(
            command(asked, "--trials", "4", folder=together),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        )
        for _ in range(2)
    ]  # fmt: skip
    answers = [worker.communicate() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], answers
    last = max((json.loads(out) for out, _ in answers), key=len)
    # A worker that is in a trial when the last one wanted completes brings its own to an end.
    assert 4 <= len(last) <= 5
    both = settings_by_number(last)
    expected = settings_by_number(more)
    assert {number: both[number] for number in expected if number in both} == {
        number: settings for number, settings in expected.items() if number in both
    }
    assert len(set(both) & set(expected)) >= 3


def open_study(asked: Search, together: Any, answers: Any) -> None:
    together.wait()
    try:
        searching._study(asked, load(asked.recipe))
        answers.put("")
    except Exception as error:
        answers.put(repr(error))


def test_workers_that_start_together_on_a_new_storage(asked: Search) -> None:
    # Spawned as the command's workers are: a fork would inherit locks that threads of earlier tests hold.
    context = multiprocessing.get_context("spawn")
    together, answers = context.Barrier(4), context.Queue()
    workers = [context.Process(target=open_study, args=(asked, together, answers)) for _ in range(4)]
    for worker in workers:
        worker.start()
    assert [answers.get(timeout=300) for _ in workers] == [""] * 4
    for worker in workers:
        worker.join()


def test_a_killed_workers_trial_is_taken_up(asked: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    long = ("train.epochs=200", "train.checkpoint_s=0.05")
    sets = [part for override in long for part in ("--set", override)]
    worker = subprocess.Popen(
        command(asked, "--trials", "1", *sets),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(),
    )  # fmt: skip
    checkpoint = asked.folder / "trial-0000" / "checkpoints" / "last.safetensors"
    while not checkpoint.exists() and worker.poll() is None:
        time.sleep(0.01)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert worker.returncode == -signal.SIGKILL
    # As if the grace period had passed since the dead worker's last sign of life.
    with sqlite3.connect(asked.folder / "search.db") as database:
        database.execute("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'")
    notes: list[str] = []
    found = search(
        Search(asked.recipe, asked.data, asked.folder, trials=1, overrides=long), note=notes.append
    )
    assert [trial.number for trial in found] == [0]
    assert any(line.startswith("resumed in epoch") for line in notes)
    assert sorted(path.name for path in asked.folder.glob("trial-*")) == ["trial-0000"]


def test_an_interrupted_trial_is_taken_up(asked: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    fit, tries = searching.fit, []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        tries.append(arguments[0])
        if len(tries) == 2:
            raise KeyboardInterrupt
        return fit(*arguments, **options)

    monkeypatch.setattr(searching, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(asked)
    found = search(asked)
    # Optuna's number 2 is the second try of 1.
    assert sorted(trial.number for trial in found) == [0, 1, 3]
    assert tries[1].run == tries[2].run
    assert tries[1].recipe == tries[2].recipe


def test_a_search_that_cannot_train_ends(asked: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverged(*arguments: Any, **options: Any) -> Any:
        raise TrainingDiverged("the loss became nan")

    monkeypatch.setattr(searching, "fit", diverged)
    with pytest.raises(TrainingDiverged, match="all failed"):
        search(asked)


def test_other_settings_do_not_mix(asked: Search) -> None:
    one = Search(asked.recipe, asked.data, asked.folder, trials=1)
    search(one)
    with pytest.raises(RecipeError, match="holds a search of tiny with other settings"):
        search(Search(asked.recipe, asked.data, asked.folder, trials=1, overrides=("train.epochs=2",)))


def test_tpe_proposes_within_the_ranges(asked: Search) -> None:
    found = search(Search(asked.recipe, asked.data, asked.folder, trials=2, sampler="tpe"))
    for trial in found:
        assert 1e-4 <= trial.settings["train.lr"] <= 1e-1
        assert 4 <= trial.settings["model.hidden"] <= 64


REFUSED: dict[str, tuple[tuple[str, ...], str, int]] = {
    "sampler": (("--sampler", "grid"), "unknown sampler 'grid': expected one of random, tpe", 2),
    "URL": (("--storage", "nonsense"), "cannot use the search's storage nonsense", 1),
    "unreachable": (("--storage", "sqlite:////proc/none/x.db"), "cannot use the search's storage", 1),
    "driver": (("--storage", "oracle://somewhere/x"), "needs a database driver", 2),
    "dataset": (("--data", "absent.csv"), "no such file or folder: absent.csv", 2),
    "setting": (("--set", "train.optimiser.momentumm=1"), "momentumm", 2),
    "trials": (("--trials", "0"), "--trials", 2),
}


@pytest.mark.parametrize("what", REFUSED)
def test_wrong_orders_cost_one_line_and_no_trial(what: str, asked: Search) -> None:
    extra, message, code = REFUSED[what]
    done = subprocess.run(
        command(asked, *extra), capture_output=True, text=True, check=False, env=environment()
    )
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not list(asked.folder.glob("trial-*"))


def test_a_recipe_without_a_search_section(asked: Search) -> None:
    with pytest.raises(RecipeError, match=r"c/final has no \[search\] section"):
        search(Search("c/final", asked.data, asked.folder, trials=1))


def test_a_wrong_key_in_the_search_section(asked: Search, tmp_path: Path) -> None:
    text = RECIPE.replace('"train.lr"', '"train.lrr"')
    (tmp_path / "wrong.toml").write_text(text)
    with pytest.raises(RecipeError, match="did you mean 'lr'"):
        search(Search(str(tmp_path / "wrong.toml"), asked.data, asked.folder, trials=1))
    assert not asked.folder.exists()
