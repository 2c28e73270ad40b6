"""The papers' tables that are no lists of accuracies: one registry over all systems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mien.papers import (
    confusion,
    landmark_claims,
    landmark_data,
    landmark_settings,
    landmark_tables,
    map_claims,
    maps,
    moving_means,
    pair_table,
    parameters,
    people,
)
from mien.papers.map_runs import RUNS
from mien.papers.sheet import Sheet
from mien.papers.sources import Sources


@dataclass(frozen=True)
class SheetKind:
    """A table's title, how it is made, and the table whose runs it is made from; empty where of none.

    Where that is the table itself, its recipes can be run under its own name.
    """

    title: str
    make: Callable[[Sources], Sheet]
    runs: str = ""


SHEETS: dict[str, SheetKind] = {
    "A/III": SheetKind(parameters.TITLE, parameters.system_a),
    "A/IX": SheetKind(confusion.TITLE, confusion.sheet, confusion.RUNS),
    "B/5.3": SheetKind(parameters.TITLE, parameters.system_b),
    "B/5.4": SheetKind(moving_means.TITLE, moving_means.sheet, moving_means.RUNS),
    "C/table-1": SheetKind(people.TITLE, people.sheet),
    "D/claims": SheetKind(map_claims.TITLE, map_claims.sheet, RUNS),
    "D/maps": SheetKind(maps.TITLE, maps.sheet, RUNS),
    "D/table-1": SheetKind(pair_table.TITLE, pair_table.sheet),
    "E/claims": SheetKind(landmark_claims.TITLE, landmark_claims.sheet, landmark_claims.RUNS),
    **{name: SheetKind(title, make) for name, (title, make) in landmark_data.SHEETS.items()},
    **{name: SheetKind(title, make) for name, (title, make) in landmark_settings.SHEETS.items()},
    **{name: SheetKind(title, make, name) for name, (title, make) in landmark_tables.SHEETS.items()},
}
"""By name on the command line."""
