"""A run that is killed and resumed ends with the very weights of one that was not: in real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from landmark_trees import posed, write_bu3dfe
from mien import data
from mien.training import checkpoint
from synthetic import face_batch

pytestmark = pytest.mark.slow

CASES = {
    "pictures": (
        "c/final",
        ("train.epochs=3", "train.batch_size=8", "train.checkpoint_s=0.05", "model.dropout=0.3"),
    ),
    "landmarks": (
        "e/model-3",
        ("train.iterations=600", "train.validate_every=200", "train.batch_size=20",
         "train.checkpoint_s=0.05"),
    ),
}  # fmt: skip
"""By what the networks see: a recipe, and settings that make it short."""


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    pictures = tmp_path_factory.mktemp("data") / "faces.parquet"
    data.write(face_batch(600), pictures, "parquet")
    landmarks = tmp_path_factory.mktemp("data") / "bu3dfe"
    write_bu3dfe(landmarks, posed(people=10))
    return {"pictures": pictures, "landmarks": landmarks}


def command(case: str, datasets: dict[str, Path], run: Path, *extra: str) -> list[str]:
    recipe, overrides = CASES[case]
    sets = [part for override in overrides for part in ("--set", override)]
    return [
        sys.executable, "-m", "mien", "train", recipe,
        "--data", str(datasets[case]), "--out", str(run), *sets, *extra,
    ]  # fmt: skip


def weights(run: Path) -> dict[str, bytes]:
    found = {}
    for path in (*run.glob("*.safetensors"), run / "checkpoints" / "last.safetensors"):
        tensors, _ = checkpoint.load(path)
        found |= {f"{path.name}:{name}": tensor.numpy().tobytes() for name, tensor in tensors.items()}
    return found


def comparable(run: Path) -> list[dict[str, float]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    times = ("seconds", "images_per_s")
    return [{k: v for k, v in json.loads(line).items() if k not in times} for line in lines]


def kill_after(run: Path, process: subprocess.Popen[bytes], writes: int) -> None:
    """Sends -9 once the checkpoint has been replaced `writes` times."""
    last = run / "checkpoints" / "last.safetensors"
    seen: set[int] = set()
    while process.poll() is None and len(seen) < writes:
        if last.exists():
            seen.add(last.stat().st_mtime_ns)
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("case", CASES)
def test_killed_and_resumed_equals_uninterrupted(
    case: str, datasets: dict[str, Path], tmp_path: Path
) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(case, datasets, whole), check=True, env=environment, capture_output=True)
    for writes in (1, 3, 2):
        process = subprocess.Popen(
            command(case, datasets, broken, "--resume"),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        kill_after(broken, process, writes)
        assert process.returncode == -signal.SIGKILL
        assert not (broken / "result.json").exists()
    done = subprocess.run(
        command(case, datasets, broken, "--resume"),
        check=True,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "resumed in epoch" in done.stderr
    assert weights(broken) == weights(whole)
    assert comparable(broken) == comparable(whole)
    if case == "pictures":
        assert (broken / "model.onnx").read_bytes() == (whole / "model.onnx").read_bytes()


def test_other_settings_do_not_resume(datasets: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    short = command("pictures", datasets, run, "--set", "train.epochs=1")
    subprocess.run(short, check=True, capture_output=True)
    done = subprocess.run(
        command("pictures", datasets, run, "--resume"), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "other settings" in done.stderr
