"""How a training step is best laid out: memory layout, precision, threads and compilation.

The network's pass and the optimiser's step of each recipe on random faces; each variant in its own process.

    python benchmarks/layouts.py a/bkvgg12 --out results/measurements/layouts.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import Any

from mien import ledger, storage
from mien.labels import PRECISIONS

STEPS = 7
WARM = 2


def measure(name: str, *, channels_last: bool, precision: str, compiled: bool, threads: int) -> float:
    """Faces a second of one variant, by the median step."""
    import torch

    from mien.losses import CRITERIA
    from mien.models import architecture
    from mien.training.optimisers import optimiser
    from mien.training.recipe import load

    torch.set_num_threads(threads)
    recipe = load(name)
    batch = recipe.train.batch_size
    network = architecture(recipe.model.name).build(recipe.model.options)
    network.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    chosen = recipe.train.optimiser
    step = optimiser(network, chosen.name, chosen.options, lr=1e-9, l2=0, l2_on="all")
    loss = CRITERIA[recipe.task.options.get("loss", "cross_entropy")].loss
    faces = torch.randn(batch, 1, network.body_size, network.body_size)
    labels = torch.randint(0, len(network.labels), (batch,))
    forward = torch.compile(network) if compiled else network
    times = []
    for _ in range(WARM + STEPS):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == PRECISIONS[1]):
            logits = forward(faces, normalised=True).logits
        step.zero_grad()
        loss(logits.float(), labels).backward()
        step.step()
        times.append(time.perf_counter() - began)
    return batch / sorted(times[WARM:])[STEPS // 2]


def variants() -> list[dict[str, Any]]:
    """Every layout in every precision on one and two threads, and the compiled form of the best layout."""
    eager = [
        {"channels_last": last, "precision": precision, "compiled": False, "threads": threads}
        for precision, last, threads in product(PRECISIONS, (False, True), (1, 2))
    ]
    return [*eager, {**eager[-1], "compiled": True}]


def in_own_process(name: str, variant: dict[str, Any]) -> float:
    """A variant's rate, measured where no other has set threads or filled caches."""
    command = [sys.executable, __file__, name, "--variant", json.dumps(variant)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    """Prints what was measured as JSON, and writes it where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--variant", type=json.loads, help="One variant as JSON: print its rate alone.")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.variant:
        print(measure(arguments.recipes[0], **arguments.variant))
        return
    rows = [
        {"recipe": name, **variant, "images_s": round(in_own_process(name, variant), 1)}
        for name, variant in product(arguments.recipes, variants())
    ]
    found = {
        **ledger.made_by(),
        "steps": STEPS,
        "rows": rows,
    }
    json.dump(found, sys.stdout, indent=2)
    if arguments.out:
        storage.write_json(arguments.out, found)


if __name__ == "__main__":
    main()
