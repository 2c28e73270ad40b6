"""What the plain install takes, and how soon its first reading is there.

Installs the checkout into an empty environment, without any extra, and reads scikit-image's astronaut.

    python benchmarks/install.py --out results/measurements/install.json
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from PIL import Image
from skimage import data

from mien import ledger, storage

ROOT = Path(__file__).resolve().parents[1]
RUNS = 7


def megabytes(folder: Path) -> float:
    """Size of all files below a folder, in 10⁶ bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def seconds(command: list[str]) -> dict[str, float]:
    """Median wall-clock and processor seconds of a command, after one run that is not counted."""
    walls, processors = [], []
    for _ in range(RUNS + 1):
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        walls.append(time.perf_counter() - started)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        processors.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"wall_s": statistics.median(walls[1:]), "processor_s": statistics.median(processors[1:])}


def measure(folder: Path) -> dict[str, object]:
    """Installs into `folder` and measures there."""
    environment, picture = folder / "environment", folder / "astronaut.png"
    Image.fromarray(data.astronaut()).save(picture)
    venv.create(environment, with_pip=True)
    empty = megabytes(environment)
    python = str(environment / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(ROOT)], check=True, capture_output=True)
    mien = str(environment / "bin" / "mien")
    return {
        **ledger.made_by(),
        "runs": RUNS,
        "megabytes": megabytes(environment) - empty,
        "help": seconds([mien, "--help"]),
        "import": seconds([python, "-c", "import mien"]),
        "predict_haar": seconds([mien, "predict", str(picture), "--detector", "haar"]),
    }


def main() -> None:
    """Prints what was measured as JSON, and writes it where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder))
    json.dump(found, sys.stdout, indent=2)
    if arguments.out:
        storage.write_json(arguments.out, found)


if __name__ == "__main__":
    main()
