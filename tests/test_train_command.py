"""`mien train` when a person or the machine stops it: one line, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mien import data
from synthetic import face_batch

pytestmark = pytest.mark.slow

SMALL = ("model.filters=[4]", "model.hidden=8", "train.batch_size=16", "train.checkpoint_s=0.05")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    data.write(face_batch(140), tmp_path / "faces.parquet", "parquet")
    return tmp_path / "faces.parquet"


@pytest.fixture(autouse=True)
def hears_interrupts() -> Iterator[None]:
    """A shell starts what it runs in the background deaf to Ctrl-C, and these tests' processes with it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def start(dataset: Path, run: Path, *extra: str, under: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    sets = [part for override in SMALL for part in ("--set", override)]
    mien = [sys.executable, "-m", "mien"]
    command = [*under, *mien, "train", "c/final", "--data", str(dataset), "--out", str(run)]
    return subprocess.Popen(
        [*command, *sets, *extra],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_interrupted_and_resumed(dataset: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(dataset, run, "--set", "train.epochs=60")
    while not (run / "checkpoints" / "last.safetensors").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out, err) == (130, "", "mien: interrupted\n")
    assert not (run / "result.json").exists()
    resumed = start(dataset, run, "--set", "train.epochs=60", "--resume")
    out, err = resumed.communicate(timeout=600)
    assert resumed.returncode == 0, err
    assert "resumed in epoch" in err
    assert "of 60; report:" in out


FULL_DISK = ("bash", "-c", 'ulimit -f 8; exec "$@"', "bash")
"""No file may grow beyond 8 KiB: writes fail as on a full disk."""


def test_a_full_disk_costs_one_line(dataset: Path, tmp_path: Path) -> None:
    process = start(dataset, tmp_path / "run", "--set", "train.epochs=1", under=FULL_DISK)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, ""), err
    assert err.count("\n") == 1
    assert err.startswith(f"mien: cannot write {tmp_path / 'run'}")
    assert not list((tmp_path / "run").rglob("*.partial*"))


def test_a_folder_that_cannot_be_written(dataset: Path) -> None:
    process = start(dataset, Path("/proc/mien/run"))
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, ""), err
    assert err.count("\n") == 1
    assert err.startswith("mien: cannot write /proc/mien/run")


def test_a_run_folder_that_is_a_file(dataset: Path) -> None:
    process = start(dataset, dataset)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "")
    assert err == f"mien: {dataset} is a file: expected a folder for the run\n"
