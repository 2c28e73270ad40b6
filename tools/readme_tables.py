"""Writes the README's tables from the ledger: `python tools/readme_tables.py`; --check only compares."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mien import ledger
from mien.experiments.tables import Row, recipes_of, rows
from mien.storage import write_text
from mien.training import recipe

README = Path(__file__).resolve().parents[1] / "README.md"
_BLOCK = re.compile(r"(<!-- ledger (?P<table>\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def markdown(table: str) -> str:
    """A paper's table beside ours, one line a row, split and budget; every figure from the ledger."""
    every = [recipe.load(name) for name in recipe.names()]
    found = rows(recipes_of(table, every), ledger.entries())
    lines = [
        "| row | split | paper | ours (95 % interval) | gap | without copied faces | budget |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in found:
        lines += [_line(row, split) for split in sorted({*row.paper, *row.ours}, reverse=True) or ["–"]]
    return "\n".join(lines) + "\n"


def _line(row: Row, split: str) -> str:
    paper, ours, gap = row.paper.get(split), row.ours.get(split), row.gap(split)
    budget = (
        "never run"
        if row.budget is None
        else f"{row.budget}: best of {row.epochs} epochs, seed {row.seed}, {row.minutes:.0f} min"
    )
    cells = [
        row.row,
        split,
        "–" if paper is None else f"{paper:.3f}",
        "–" if ours is None else f"{ours.accuracy:.4f} ({ours.interval[0]:.4f}–{ours.interval[1]:.4f})",
        "–" if gap is None else f"{gap:+.4f}",
        "–" if ours is None or ours.without_copies is None else f"{ours.without_copies:.4f}",
        budget,
    ]
    return f"| {' | '.join(cells)} |"


def filled(text: str) -> str:
    """The README with every marked block written anew."""
    return _BLOCK.sub(lambda match: match[1] + markdown(match["table"]) + match[3], text)


def main() -> None:
    """Rewrites the README, or exits 1 with --check where it differs from the ledger."""
    text = README.read_text(encoding="utf-8")
    fresh = filled(text)
    if "--check" not in sys.argv:
        write_text(README, fresh)
    elif fresh != text:
        sys.exit("README.md differs from the ledger: run make readme")


if __name__ == "__main__":
    main()
