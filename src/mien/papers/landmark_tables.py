"""System E's tables of results, beside ours: a mean over seeds for each row and split, and every run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from mien.papers.landmark_published import FACES, RESULTS, ResultTable
from mien.papers.landmark_runs import MEASURES, SPLITS, LandmarkRun, Measured, by_budget, landmark_runs_of
from mien.papers.landmark_runs import over_seeds as mean_of
from mien.papers.sheet import Block, Sheet
from mien.papers.sources import Sources
from mien.papers.tables import in_figures, placed
from mien.training.recipe import PaperRow, Recipe

SYNTHETIC = (
    "ours, synthetic: of faces that are drawn from a statistical model and are no people's; not the thesis's "
    "data"
)
INTERVALS = (
    "in brackets: 95 % intervals over people, each with all their faces and triplets; of a mean over seeds "
    "they cover the choice of people and not that of the seed"
)
_LEADING = ("row", "split", "budget", "faces")


@dataclass(frozen=True)
class Line:
    """A row of a table, on one split. runs: of its recipe under one budget; none where it was never run."""

    recipe: Recipe
    row: PaperRow
    split: str
    runs: tuple[LandmarkRun, ...]

    @property
    def thesis(self) -> dict[str, float]:
        """The thesis's figures by name."""
        return self.row.figures.get(self.split, {})

    @property
    def budget(self) -> str:
        """The budget; of a baseline, that nothing is trained."""
        if not self.runs:
            return "never run"
        return self.runs[0].budget if self.runs[0].trained else "no training"

    @property
    def faces(self) -> str:
        """Whose faces ours are."""
        return "" if not self.runs else "synthetic" if self.runs[0].synthetic else "of people"

    @property
    def where(self) -> str:
        """The split, with the number of its people where ours is known; empty where nothing is."""
        name = SPLITS[self.split] if self.runs or self.thesis else ""
        people = self.runs[0].splits.get(self.split, {}).get("people") if self.runs else None
        return name if people is None else f"{name} ({people:,} people)"


def result_sheet(table: str, sources: Sources) -> Sheet:
    """One of `RESULTS` beside ours."""
    kind = RESULTS[table]
    rows = placed(f"E/{table}", sources.recipes)
    runs = {recipe.name: landmark_runs_of(sources.entries, recipe.name) for recipe, _ in rows}
    lines = [line for recipe, row in rows for line in _lines(recipe, row, runs[recipe.name], kind.splits)]
    held = [line for line in lines if line.runs]
    blocks = [
        Block(
            _heads("seeds", measures),
            [_cells(line, measures, _seeds(line.runs)) for line in lines],
            f"{kind.title}{', mean over seeds' * bool(held)}{f': {part}' if part else ''}",
        )
        for part, measures in kind.measures.items()
    ]
    if any(len(line.runs) > 1 for line in held):
        blocks += [
            Block(
                _heads("seed", measures), _every_run(held, measures), f"every run{f': {part}' * bool(part)}"
            )
            for part, measures in kind.measures.items()
        ]
    never_run = [name for name, found in runs.items() if not found]
    return Sheet(blocks, _notes(kind, rows, held), never_run, _data(table, lines, never_run))


def _lines(
    recipe: Recipe, row: PaperRow, runs: Sequence[LandmarkRun], splits: Iterable[str]
) -> Iterable[Line]:
    """Of each budget, the splits that ours or the thesis has; of those never run, the thesis's."""
    for alike in by_budget(runs) or [[]]:
        for split in splits:
            line = Line(recipe, row, split, tuple(alike))
            if line.thesis or any(split in run.splits for run in alike) or (not alike and not row.figures):
                yield line
                if not alike and not row.figures:
                    break  # A row of ours that was never run: one line says so.


def _seeds(runs: Sequence[LandmarkRun]) -> str:
    return ", ".join(str(run.seed) for run in runs if run.trained)


def _heads(seeds: str, measures: Sequence[str]) -> tuple[str, ...]:
    figures = [head for name in measures for head in (f"{_head(name)}: thesis", "ours")]
    return (*_LEADING, seeds, "active: thesis", "ours", *figures)


def _head(measure: str) -> str:
    """A measure in short; of triplets by agreement, which the block's title names, the agreement alone."""
    return MEASURES[measure].removeprefix("triplets of agreement ")


def _cells(line: Line, measures: Sequence[str], seeds: str) -> tuple[str, ...]:
    thesis = line.thesis
    cells = [line.row.row, line.where, line.budget, line.faces, seeds]
    cells += [f"{thesis['dimensions']:.0f}" if thesis else "–", _dimensions(line.runs)]
    for name in measures:
        cells += [
            in_figures(thesis[name]) if name in thesis else "–",
            _figure(mean_of(line.runs, line.split, name)),
        ]
    return tuple(cells)


def _every_run(lines: Iterable[Line], measures: Sequence[str]) -> list[tuple[str, ...]]:
    """Of rows with several, one by one."""
    alone = [
        Line(line.recipe, line.row, line.split, (run,))
        for line in lines
        if len(line.runs) > 1
        for run in line.runs
    ]
    return [_cells(line, measures, _seeds(line.runs)) for line in alone]


def _dimensions(runs: Sequence[LandmarkRun]) -> str:
    """How many are active: one number, or the least and the most over seeds."""
    found = [run.dimensions for run in runs]
    if not found:
        return "–"
    return str(found[0]) if min(found) == max(found) else f"{min(found)}–{max(found)}"


def _figure(found: Measured | None) -> str:
    if found is None:
        return "–"
    ends = "" if found.ci95 is None else " ({:.3f}–{:.3f})".format(*found.ci95)
    return f"{found.value:.3f}{ends}"


def _notes(kind: ResultTable, rows: Sequence[tuple[Recipe, PaperRow]], held: Sequence[Line]) -> list[str]:
    notes = [FACES[kind.data]]
    if any(line.runs[0].synthetic for line in held):
        notes.append(SYNTHETIC)
    if held:
        notes += [INTERVALS, "active: dimensions that are used; of a baseline all"]
    if kind.settings:
        notes.append(f"configurations: Table {kind.settings}, mien reproduce E/{kind.settings}")
    notes += [f"thesis: {sentence}" for sentence in kind.says]
    notes += kind.terms
    notes += dict.fromkeys(row.claim for _, row in rows if row.claim)
    lengths = {run.budget: run.iterations for line in held for run in line.runs if run.trained}
    notes += [f"budget {budget}: {length:,} iterations" for budget, length in lengths.items()]
    return notes


def _data(table: str, lines: Sequence[Line], never_run: Sequence[str]) -> dict[str, Any]:
    kind = RESULTS[table]
    return {
        "title": kind.title,
        "thesis_data": FACES[kind.data],
        "says": list(kind.says),
        "rows": [
            _to_dict(line, [name for part in kind.measures.values() for name in part]) for line in lines
        ],
        "never_run": list(never_run),
    }


def _to_dict(line: Line, measures: Sequence[str]) -> dict[str, Any]:
    found = {name: mean_of(line.runs, line.split, name) for name in measures}
    return {
        "recipe": line.recipe.name,
        "row": line.row.row,
        "claim": line.row.claim or None,
        "split": line.split,
        "budget": line.runs[0].budget if line.runs else None,
        "synthetic": line.runs[0].synthetic if line.runs else None,
        "thesis": line.thesis,
        "over_seeds": {name: mean.to_dict() for name, mean in found.items() if mean is not None},
        "runs": [
            {
                "seed": run.seed,
                "iterations": run.iterations,
                "best_iteration": run.best_iteration,
                "dimensions": run.dimensions,
                "people": run.splits.get(line.split, {}).get("people"),
                "n": run.splits.get(line.split, {}).get("n"),
                "figures": {
                    name: {"value": value, "ci95": run.interval(line.split, name)}
                    for name in measures
                    if (value := run.value(line.split, name)) is not None
                },
            }
            for run in line.runs
        ],
    }


SHEETS: dict[str, tuple[str, Callable[[Sources], Sheet]]] = {
    f"E/{table}": (kind.title, partial(result_sheet, table)) for table, kind in RESULTS.items()
}
"""Title and maker of each, by its name on the command line."""
