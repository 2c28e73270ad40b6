"""Several processes train what one does: real ones, started by torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import several
from mien import data
from mien.training import checkpoint, processes
from synthetic import face_batch

slow = pytest.mark.slow

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)


@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 4))
def test_every_row_is_in_one_part(size: int, count: int, accumulate: int) -> None:
    rows = torch.randperm(size)
    found = [processes.parts(rows, count, rank, accumulate) for rank in range(count)]
    if size < count * accumulate:
        assert all([part.number for part in own] == [0] for own in found)
        assert all(torch.equal(own[0].rows, rows) for own in found)
        return
    flat = [part for own in found for part in own]
    assert [part.number for part in flat] == list(range(count * accumulate))
    assert torch.equal(torch.cat([part.rows for part in flat]), rows)
    sizes = {len(part.rows) for part in flat}
    assert max(sizes) - min(sizes) <= 1


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every scenario by two processes; `begun` was begun by one and ended by two."""
    folder = tmp_path_factory.mktemp("two")
    several.loop("half", folder / "begun").fit()
    done = run(*TORCHRUN, several.__file__, "train", str(folder))
    assert done.returncode == 0, done.stderr
    return folder


def same(found: Path, expected: Path) -> None:
    """Both checkpoints hold the same to rounding in float64, and so do the figures of every epoch."""
    for name in ("checkpoints/last.safetensors", "best.safetensors"):
        ours, theirs = checkpoint.load(found / name)[0], checkpoint.load(expected / name)[0]
        assert ours.keys() == theirs.keys()
        for key in ours:
            torch.testing.assert_close(ours[key], theirs[key], rtol=1e-11, atol=1e-13, msg=key)
    lines = [(folder / "metrics.jsonl").read_text().splitlines() for folder in (found, expected)]
    assert len(lines[0]) == len(lines[1])
    for ours, theirs in zip(*lines, strict=True):
        record, other = json.loads(ours), json.loads(theirs)
        for key in ("train_loss", "train_three", "validation_loss", "lr"):
            assert record[key] == pytest.approx(other[key], rel=1e-11), key


@slow
@pytest.mark.parametrize(
    ("name", "alone"),
    [
        ("uneven", {}),
        ("micro_batches", {"accumulate": 1}),
        ("a_last_batch_of_one", {}),
        ("synchronised", {}),
        # Dropout draws by part: two processes draw what one does in two micro-batches.
        ("dropout", {"accumulate": 2}),
    ],
)
def test_two_processes_end_as_one(name: str, alone: dict[str, object], two: Path, tmp_path: Path) -> None:
    several.loop(name, tmp_path, **alone).fit()
    same(two / name, tmp_path / name)


@slow
def test_resumed_under_another_number_of_processes(two: Path, tmp_path: Path) -> None:
    whole = several.loop("half", tmp_path, epochs=4)
    whole.fit()
    rest = several.loop("half", two, epochs=4)
    assert rest.resume()
    rest.fit()
    same(two / "half", whole.run)
    same(two / "begun" / "half", whole.run)


@slow
def test_a_loss_that_is_not_finite_in_one_process_stops_all(two: Path) -> None:
    said = [(two / f"diverged-{rank}").read_text() for rank in range(2)]
    assert said[0] == said[1]
    assert "the loss became nan in epoch 1" in said[0]


@slow
@pytest.mark.parametrize(
    ("how", "said"), [("empty", "no data on this machine\n"), ("killed", "another process has gone, killed")]
)
def test_an_error_in_one_process_is_said_once(how: str, said: str) -> None:
    done = run(*TORCHRUN, several.__file__, how)
    assert done.returncode == 1
    # Where one is killed, torchrun may end the other before that has noticed.
    silent = how == "killed" and "said: " not in done.stderr
    assert silent or (done.stderr.count("said: "), done.stderr.count(f"said: {said}")) == (1, 1)
    assert 'several.py", line' not in done.stderr
    assert "Connection closed" not in done.stderr


@slow
def test_the_command_says_an_error_once(tmp_path: Path) -> None:
    done = run(
        *TORCHRUN, "-m", "mien", "train", "c/fnal", "--data", str(tmp_path), "--out", str(tmp_path / "run")
    )
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("mien: ")] == [
        "mien: unknown recipe 'c/fnal': did you mean 'c/final'?"
    ]
    assert not (tmp_path / "run").exists()


SMALL = (
    "model.filters=[4,6]", "model.hidden=8", "train.batch_size=16", "train.epochs=2",
    # Adam makes whole steps of what is rounding alone: the gradient of a bias before a normalisation.
    "train.optimiser.name=sgd", "train.lr=0.05",
)  # fmt: skip


@slow
@pytest.mark.parametrize("more", [("model.batch_norm=false",), ("train.sync_batch_norm=true",)])
def test_the_command_in_two_processes(more: tuple[str, ...], tmp_path: Path) -> None:
    data.write(face_batch(141), tmp_path / "faces.parquet", "parquet")
    sets = [part for override in (*SMALL, *more) for part in ("--set", override)]
    mien = ("-m", "mien", "train", "c/final", "--data", str(tmp_path / "faces.parquet"), *sets)
    one = run(sys.executable, *mien, "--out", str(tmp_path / "one"))
    two = run(*TORCHRUN, *mien, "--out", str(tmp_path / "two"))
    assert (one.returncode, two.returncode) == (0, 0), two.stderr
    assert two.stdout.count("accuracy on public") == 1
    assert two.stdout.replace("/two/", "/one/") == one.stdout
    assert two.stderr.splitlines() == one.stderr.splitlines()
    weights = [checkpoint.load(tmp_path / name / "best.safetensors")[0] for name in ("one", "two")]
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=1e-4, atol=1e-6, msg=key)
    graphs = [onnx.load(tmp_path / name / "model.onnx").graph for name in ("one", "two")]
    assert [node.op_type for node in graphs[0].node] == [node.op_type for node in graphs[1].node]
    assert {tensor.name for tensor in graphs[0].initializer} == {t.name for t in graphs[1].initializer}
    assert {path.name for path in (tmp_path / "two").iterdir()} == {
        path.name for path in (tmp_path / "one").iterdir()
    }
