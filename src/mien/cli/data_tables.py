"""What `mien data` shows and checks, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mien.labels import FERPLUS_CHOICES

if TYPE_CHECKING:
    from rich.table import Table

    from mien.data.audit import Audit
    from mien.data.pairs import PairCounts


def counts_table(result: dict[str, Any]) -> Table:
    """Emotions down, splits across: it fits the narrowest terminal."""
    from rich.table import Table

    parts = result["splits"]
    columns = {
        split: [part["emotions"], {"all": part["n"], "with FER+ votes": part["with_votes"]}]
        for split, part in parts.items()
    }
    if len(parts) > 1:
        with_votes = sum(part["with_votes"] for part in parts.values())
        columns["all splits"] = [result["emotions"], {"all": result["n"], "with FER+ votes": with_votes}]
    table = Table("faces")
    for split in columns:
        table.add_column(split, justify="right")
    for section in zip(*columns.values(), strict=True):
        for name in section[0]:
            table.add_row(name, *(f"{column[name]:,}" for column in section))
        table.add_section()
    return table


def votes_table(result: dict[str, Any]) -> Table:
    """What FER+'s raters said, splits across."""
    from rich.table import Table

    parts = result["splits"]
    table = Table("FER+ votes")
    for split in parts:
        table.add_column(split, justify="right")
    for name in FERPLUS_CHOICES:
        table.add_row(name, *(f"{part['votes'][name]:,}" for part in parts.values()))
    return table


def pairs_line(counted: PairCounts) -> str:
    """How many pairs of faces there are."""
    return f"{counted.total:,} in all, {counted.same:,} of one emotion, {counted.different:,} of two"


def pairs_table(counted: PairCounts) -> Table:
    """The upper triangle, as the paper prints it; FER-2013's tens of millions fit 80 columns."""
    from rich.table import Table

    table = Table("", *counted.emotions, box=None, padding=(0, 0, 0, 1))
    for column in table.columns[1:]:
        column.justify = "right"
    for row, name in enumerate(counted.emotions):
        numbers = [f"{number:,}" for number in counted.table[row, row:]]
        table.add_row(name, *[""] * row, *numbers)
    return table


def findings_table(found: Audit) -> Table:
    """What `mien data check` found, a line each."""
    from rich.table import Table

    table = Table("finding", "where")
    table.add_column("count", justify="right")
    for split, number in found.exact_within.items():
        table.add_row("repeats of an earlier face, equal in every pixel", split, f"{number:,}")
    for split, other, faces, same in found.exact_across:
        table.add_row(
            f"faces that are pixel copies of one in {other} ({same:,} with its label)", split, f"{faces:,}"
        )
    table.add_row("sets of pixel copies with different labels", "all", f"{len(found.conflicts):,}")
    for split, pairs in found.near_within.items():
        table.add_row("pairs of near copies", split, f"{pairs:,}")
    for split, other, faces in found.near_across:
        table.add_row(f"faces with a near copy in {other}", split, f"{faces:,}")
    table.add_row("near pairs that are mirror images", "all", f"{found.mirrored:,}")
    for name, counts in found.known.items():
        for split, faces in counts.items():
            table.add_row(f"pixel copies of faces in {name}", split, f"{faces:,}")
    table.add_row("faces that FER+ calls no face", "all", f"{found.not_a_face:,}")
    for split, reasons in found.leaks.items():
        for reason, faces in reasons.items():
            table.add_row(f"on FER-2013's list of leaks: {reason}", split, f"{faces:,}")
    return table
