"""System A's Table IX: the confusion matrix of BKVGG12, beside ours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.labels import EMOTIONS
from mien.ledger import Entry
from mien.papers.figures_a import is_best
from mien.papers.sheet import Block, Sheet
from mien.papers.sources import Sources

TITLE = "confusion matrix of BKVGG12 in per cent, rows truth"

PUBLISHED: tuple[tuple[float, ...], ...] = (
    (63.14, 0.41, 9.98, 2.24, 15.27, 0.81, 8.15),
    (18.18, 69.09, 0.00, 3.64, 3.64, 3.64, 1.82),
    (11.36, 0.00, 51.89, 2.27, 20.08, 6.82, 7.58),
    (1.48, 0.00, 1.59, 89.76, 2.96, 1.37, 2.84),
    (7.74, 0.00, 8.92, 3.87, 61.78, 0.84, 16.84),
    (1.44, 0.24, 6.01, 4.81, 2.16, 82.45, 2.88),
    (3.51, 0.16, 4.15, 3.04, 15.34, 0.64, 73.16),
)
"""Per cent of each true class, in the order of `EMOTIONS`; on the private test set.

The table's header says that its rows are what was predicted; they are the truth, for they sum to 100 and
18.18 % of the second is a share of its 55 disgusted faces.
"""

RUNS = "A/VII"
_MINUS = "−"


def sheet(sources: Sources) -> Sheet:
    """Table IX, ours as the row of Table VII was tested, or as single pictures, and the difference."""
    paper = np.array(PUBLISHED)
    blocks = [_block("the paper, on the private test set", paper, "{:.2f}")]
    recipes = sources.of(RUNS, is_best)
    names = list(dict.fromkeys(recipe.name for recipe in recipes.values()))
    run = next((run for name in names if (run := sources.run_of(name)) is not None), None)
    data: dict[str, Any] = {"labels": list(EMOTIONS), "paper": paper.tolist(), "ours": None}
    notes = ["the paper's header names its rows 'predicted'; they are the truth"]
    if run is None:
        return Sheet(blocks, notes, names, data)
    protocol, split, figures = _tested(run)
    ours = _percent(np.array(figures["confusion"]))
    blocks += [
        _block(f"ours, on {split}", ours, "{:.2f}"),
        _block("ours minus the paper's, in points", ours - paper, "{:+.2f}"),
    ]
    about = f"{run['recipe']}, budget {run['budget']['name']}, {protocol}, {figures['n']:,} {split} faces"
    about += f", seed {run['seed']}"
    notes.append(f"ours: {about}; the paper's split is another, so a difference is of networks and of faces")
    data["ours"] = {
        "recipe": run["recipe"],
        "budget": run["budget"]["name"],
        "protocol": protocol,
        "split": split,
        "n": figures["n"],
        "percent": _or_none(ours),
        "difference": _or_none(ours - paper),
    }
    return Sheet(blocks, notes, data=data)


def _tested(run: Entry) -> tuple[str, str, dict[str, Any]]:
    """The protocol that the paper used where it was measured, else single pictures; split and evaluation."""
    for protocol in ("eval2", "eval1"):
        for split, figures in run.get("protocols", {}).get(protocol, {}).items():
            return protocol, split, figures
    split, figures = next(iter(run["figures"].items()))
    return "single", split, figures


def _percent(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Shares of each true class in per cent; not a number where a class has no faces."""
    support = counts.sum(axis=1, keepdims=True)
    shares = np.full(counts.shape, np.nan)
    return np.asarray(np.divide(100.0 * counts, support, out=shares, where=support > 0))


def _or_none(values: NDArray[np.float64]) -> list[list[float | None]]:
    """For JSON, which has no word for what is not a number."""
    return [[None if np.isnan(value) else value for value in row] for row in values.tolist()]


def _block(title: str, values: NDArray[np.float64], form: str) -> Block:
    rows = [
        (name, *("–" if np.isnan(value) else form.format(value).replace("-", _MINUS) for value in row))
        for name, row in zip(EMOTIONS, values, strict=True)
    ]
    return Block(("truth", *EMOTIONS), rows, title)
