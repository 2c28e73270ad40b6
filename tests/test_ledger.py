"""How measurements say where they come from, and that the scripts which make them start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mien import ledger

ROOT = Path(__file__).resolve().parents[1]


def test_a_measurement_names_the_command_as_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks/formats.py", "my faces", "mien_s"])
    found = ledger.made_by()
    assert found["command"] == "python benchmarks/formats.py 'my faces' mien_s"
    assert found["commit"] == ledger.commit()
    assert found["date"] == ledger.today()
    assert found["machine"]["cores"] >= 1


@pytest.mark.slow
@pytest.mark.parametrize("script", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_every_benchmark_tells_how_it_is_called(script: Path) -> None:
    command = [sys.executable, str(script), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert f"benchmarks/{script.name}" in done.stdout
