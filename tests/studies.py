"""Small studies in files: a confusion matrix, and labelled points."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.labels import SIX

COUNTS = np.array(
    [
        [160, 24, 6, 0, 10, 0],
        [30, 148, 4, 2, 16, 0],
        [6, 10, 104, 2, 18, 60],
        [0, 2, 0, 194, 0, 4],
        [12, 18, 16, 2, 150, 2],
        [0, 0, 48, 10, 2, 140],
    ]
)
"""Rows truth, in the order of `SIX`."""


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def table_csv(path: Path, rows: list[str], columns: list[str], values: np.ndarray) -> Path:
    lines = [",".join(["", *columns])]
    lines += [",".join([name, *map(str, row)]) for name, row in zip(rows, values.tolist(), strict=True)]
    return written(path, "\n".join(lines) + "\n")


def points_of(n: int = 60) -> tuple[np.ndarray, list[str]]:
    labels = np.arange(n) % 6
    angles = labels * np.pi / 3
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.round(points + np.random.default_rng(0).normal(0, 0.2, (n, 2)), 4), [SIX[i] for i in labels]
