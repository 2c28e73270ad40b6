"""How copies of one photograph lie apart from other pairs: FER-2013's PublicTest beside its Training.

    python benchmarks/near_copies.py fer2013/ --montages bands/ --out results/measurements/near_copies.json

Counts the pairs that each of the two methods finds, and those of the second in bands of their correlation,
down to below its threshold. Of each band pairs drawn at random go into a montage, to be looked at: the public
face, the training face, and the public face registered to it.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mien import data, ledger, storage
from mien.cli.progress import share_done
from mien.data.recrops import DETAIL_CORRELATION, Recrops, aligned_pairs, recrops, warped
from mien.faces import UInt8

BANDS = (0.55, 0.65, 0.75, 0.85, 0.95, 1.0)
"""Ends of the bands of correlation; the last one is whole."""

DRAWN = 40
COLUMNS = 4
SCALE = 2
RIM = 4


def banded(correlation: NDArray[np.float32]) -> list[NDArray[np.int64]]:
    """Positions of each band's pairs."""
    band = np.digitize(correlation, BANDS[:-1])
    return [np.flatnonzero(band == number) for number in range(1, len(BANDS))]


def montage(public: UInt8, training: UInt8, found: Recrops, drawn: NDArray[np.int64]) -> UInt8:
    """(H, W) the pairs in rows of `COLUMNS`."""
    cells = []
    for pair in drawn:
        left, right = public[found.left[pair]], training[found.right[pair]]
        registered = warped(left.astype(np.float32), found.matrices[pair]).clip(0, 255).astype(np.uint8)
        cell = cv2.resize(np.hstack([left, right, registered]), None, fx=SCALE, fy=SCALE)
        cells.append(np.pad(cell, RIM, constant_values=255))
    blank = np.full_like(cells[0], 255)
    cells += [blank] * (-len(cells) % COLUMNS)
    rows = [np.hstack(cells[start : start + COLUMNS]) for start in range(0, len(cells), COLUMNS)]
    return np.vstack(rows)


def methods(public: UInt8, training: UInt8, found: Recrops) -> dict[str, int]:
    """How many pairs each method finds, and how many both."""
    kept = found.correlation >= DETAIL_CORRELATION
    cropped = set(zip(found.left[kept].tolist(), found.right[kept].tolist(), strict=True))
    lying = {(int(i), int(j)) for i, j in zip(*aligned_pairs(public, training), strict=True)}
    same = {(i, j) for i, j in cropped if np.array_equal(public[i], training[j])}
    return {
        "as_they_lie": len(lying),
        "under_another_crop": len(cropped),
        "of_these_mirrored": int(found.mirrored[kept].sum()),
        "of_these_equal_in_every_pixel": len(same),
        "both": len(lying & cropped),
    }


def main() -> None:
    """Prints the counts as JSON, and writes them and the montages where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--montages", type=Path, help="a folder; it holds faces of the dataset")
    parser.add_argument("--seed", type=int, default=0, help="of what is drawn for the montages")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    batch = data.read(asked.data)
    public, training = (batch.split(split).images for split in ("public", "training"))
    with share_done("pairs of one photograph") as progress:
        found = recrops(public, training, progress=progress, correlation=BANDS[0])
    bands: list[dict[str, Any]] = []
    draw = np.random.default_rng(asked.seed)
    for (low, high), pairs in zip(pairwise(BANDS), banded(found.correlation), strict=True):
        drawn = np.sort(draw.permutation(pairs)[:DRAWN])
        bands.append({"from": low, "to": high, "pairs": len(pairs), "drawn": len(drawn)})
        if asked.montages and len(drawn):
            asked.montages.mkdir(parents=True, exist_ok=True)
            shown = montage(public, training, found, drawn)
            cv2.imwrite(str(asked.montages / f"{low:.2f}-{high:.2f}.png"), shown)
    measured = {
        **ledger.made_by(),
        "seed": asked.seed,
        "pairs": methods(public, training, found),
        "bands": bands,
    }
    print(json.dumps(measured, indent=1))
    if asked.out:
        storage.write_json(asked.out, measured)


if __name__ == "__main__":
    main()
