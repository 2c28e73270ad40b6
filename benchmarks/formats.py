"""What ships, in every kind of numbers: how right, and how fast, beside the float file that it was made of.

A file in whole numbers ships where it loses at most half a point of accuracy and is faster at batch 1 and 64,
on one thread and on two.

    python benchmarks/formats.py fer2013/ mien_s mien_s_int8 mien_m --out results/measurements/formats.json

Another name or file may be given as NAME=FILE, for a float file that does not ship itself.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mien import data, ledger, storage
from mien.bench.latency import latencies
from mien.bench.speed import matrix_rate, multiply_adds
from mien.data.known import copies_of_training
from mien.data.leaks import leaked_public
from mien.errors import DataError
from mien.evaluation.metrics import wilson
from mien.evaluation.paired import paired_difference
from mien.faces import FaceBatch
from mien.inference.lookup import find_model
from mien.inference.predictor import Predictor
from mien.labels import SPLITS, positions
from mien.models import architecture
from mien.models.formats import weight_type
from mien.models.onnx_file import open_model

SPLIT = "public"
BATCHES = (1, 64)
THREADS = (1, 2)

AT_MOST = 0.005
"""Half a point: what a file in whole numbers may lose."""


@dataclass(frozen=True)
class File:
    """One exported file. original: the sha256 of the file that it was made of; empty of a float file."""

    name: str
    path: Path
    sha256: str
    weights: str
    original: str

    @classmethod
    def of(cls, wish: str) -> File:
        """From NAME, FILE or NAME=FILE."""
        name, _, given = wish.rpartition("=")
        path = find_model(given)
        card = path.with_suffix(".json")
        told = json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {}
        return cls(
            name or path.stem,
            path,
            hashlib.sha256(path.read_bytes()).hexdigest(),
            weight_type(path),
            told.get("converted", {}).get("from", {}).get("sha256", ""),
        )

    def multiply_adds(self) -> int:
        """Of one face, counted on the network that the file names."""
        _, metadata = open_model(self.path)
        return multiply_adds(architecture(metadata["architecture"]).build(metadata["options"]))


def note(line: str) -> None:
    """Says on the error stream what goes on: the JSON alone goes to the output."""
    print(line, file=sys.stderr, flush=True)


def answers(file: File, faces: FaceBatch) -> NDArray[np.bool_]:
    """(N,) which faces the file reads right."""
    network = Predictor(file.path)
    found: NDArray[np.bool_] = network.classify(faces.images).probabilities.argmax(axis=1) == positions(
        faces.labels, network.labels
    )
    return found


def accuracy(right: NDArray[np.bool_]) -> dict[str, Any]:
    """A rate with Wilson's interval."""
    return {
        "n": len(right),
        "accuracy": float(right.mean()),
        "accuracy_ci95": list(wilson(int(right.sum()), len(right))),
    }


def speeds(files: list[File], faces: FaceBatch, seconds: float) -> list[dict[str, Any]]:
    """Each file's latency by threads and batch, and what share of the machine's matrix product it is."""
    found: list[dict[str, Any]] = [{} for _ in files]
    for threads in THREADS:
        torch.set_num_threads(threads)
        rate = matrix_rate(1.0)
        networks = [Predictor(file.path, threads=threads) for file in files]
        for batch in BATCHES:
            note(f"{threads} threads, batch {batch}")
            images = faces.images[:batch]
            works = [partial(network.classify, images) for network in networks]
            for file, spent, each in zip(files, latencies(works, seconds), found, strict=True):
                operations = 2 * file.multiply_adds() * batch
                each.setdefault(f"threads_{threads}", {})[f"batch_{batch}"] = {
                    **spent.to_dict(),
                    "matrix_rate_gflop_s": round(rate / 1e9, 1),
                    "share_of_matrix_rate": operations / (spent.median / 1000) / rate,
                }
    return found


def beside(latency: dict[str, Any], original: dict[str, Any]) -> dict[str, float]:
    """How many times as fast as the original, by setting: the ratio of the medians."""
    return {
        f"{threads}, {batch}": original[threads][batch]["median_ms"] / each["median_ms"]
        for threads, batches in latency.items()
        for batch, each in batches.items()
    }


def measure(folder: Path, wishes: list[str], seconds: float) -> dict[str, Any]:
    """Everything measured, as JSON."""
    files = [File.of(wish) for wish in wishes]
    everything = data.read(folder)
    faces = everything.split(SPLIT)
    if not len(faces):
        raise DataError(f"{folder} holds no split {SPLIT}")
    copied = copies_of_training(
        faces.images, everything.images[everything.splits == SPLITS.index("training")]
    )
    leaked = leaked_public(faces.images)
    right = {}
    for file in files:
        note(f"{file.name} on {len(faces):,} faces")
        right[file.sha256] = answers(file, faces)
    rows = []
    by_hash = dict(zip((file.sha256 for file in files), speeds(files, faces, seconds), strict=True))
    for file in files:
        own = right[file.sha256]
        row: dict[str, Any] = {
            "name": file.name,
            "sha256": file.sha256,
            "weights": file.weights,
            "bytes": file.path.stat().st_size,
            "multiply_adds": file.multiply_adds(),
            SPLIT: {
                **accuracy(own),
                "without_copies": accuracy(own[~copied]),
                "without_leaks": accuracy(own[~leaked]),
            },
            "latency": by_hash[file.sha256],
            "original": None,
        }
        if file.original in right:
            apart = paired_difference(right[file.original], own)
            faster = beside(row["latency"], by_hash[file.original])
            row["original"] = {
                "name": next(each.name for each in files if each.sha256 == file.original),
                "difference": apart.to_dict(),
                "times_as_fast": faster,
                "ships": apart.difference >= -AT_MOST and min(faster.values()) > 1,
            }
        rows.append(row)
    return {"dataset": folder.resolve().name, "split": SPLIT, "seconds": seconds, "files": rows}


def main() -> None:
    """Prints what was measured as JSON, or writes it where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="FER-2013 in any format that mien data reads")
    parser.add_argument("files", nargs="+", metavar="NAME|FILE|NAME=FILE")
    parser.add_argument("--seconds", type=float, default=7.0, help="time for each latency")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    found = {
        **ledger.made_by(),
        **measure(arguments.data, arguments.files, arguments.seconds),
    }
    if arguments.out:
        storage.write_json(arguments.out, found)
    else:
        json.dump(found, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
