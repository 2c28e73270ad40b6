"""How `mien reproduce` prints a table: rows of accuracies, or a sheet of any shape."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import typer

from mien.cli.tables import table_console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from mien.papers.sheet import Sheet
    from mien.papers.tables import Measured, Row


def print_sheet(name: str, sheet: Sheet, *, runs: str, json_output: bool) -> None:
    """Prints a sheet's blocks and notes, or its data as JSON. runs: the table whose runs it is made from."""
    if json_output:
        typer.echo(json.dumps({"table": name, **sheet.data}))
        return
    console = table_console()
    for number, block in enumerate(sheet.blocks):
        title = f"{name}  {block.title}".rstrip() if number == 0 else block.title
        table = _table(title, block.heads)
        for row in block.rows:
            table.add_row(*row)
        console.print(table)
    for note in sheet.notes:
        console.print(note, style="dim", soft_wrap=True)
    _say_never_run(console, list(sheet.never_run), runs)


def print_rows(name: str, title: str, rows: list[Row], *, json_output: bool) -> None:
    """Prints a table's rows split by split, its claims, and what was never run or not measured."""
    if json_output:
        typer.echo(
            json.dumps({"table": name, "title": title or None, "rows": [row.to_dict() for row in rows]})
        )
        return
    columns = {head: cell for head, (cell, shown) in _COLUMNS.items() if shown(rows)}
    table = _table(f"{name}  {title}".rstrip(), columns)
    for row in rows:
        for split in row.splits or [""]:
            table.add_row(*(cell(row, split) for cell in columns.values()))
    console = table_console()
    console.print(table)
    for row in {(row.recipe, row.row): row for row in rows if row.claim}.values():
        console.print(f"{row.row}: {row.claim}", style="dim", soft_wrap=True)
    if any("training" in row.ours for row in rows):
        console.print("training: the best epoch's, on augmented faces and with dropout", style="dim")
    for split in _without_ours(rows):
        console.print(f"{split}: no figure of ours; a run measures the split that it selects on", style="dim")
    for row in rows:
        if row.unmeasured:
            console.print(f"{row.row}: {_instead(row)}", soft_wrap=True)
    _say_never_run(console, [row.recipe for row in rows if row.recipe and row.never_run], name)


def _table(title: str, heads: Iterable[str]) -> Table:
    from rich.table import Table

    # A table narrower than its title would break it.
    return Table(
        *heads,
        title=title,
        title_justify="left",
        header_style="bold",
        box=None,
        min_width=len(title) + 2,
    )


def _say_never_run(console: Console, recipes: list[str], table: str) -> None:
    if recipes:
        console.print(f"never run: {', '.join(dict.fromkeys(recipes))}", soft_wrap=True)
        if table:
            console.print(f"to run them: mien reproduce {table} --run --budget cpu --data PATH")


def _without_ours(rows: list[Row]) -> list[str]:
    """The splits of the paper on which none of the rows was measured that were measured at all."""
    held = [row for row in rows if row.ours]
    return sorted(
        {split for row in held for split in row.paper} - {split for row in held for split in row.ours}
    )


def _instead(row: Row) -> str:
    """What a run says whose row asks for another protocol than was measured."""
    single = ", ".join(f"{split} {ours.accuracy:.4f}" for split, ours in row.single.items())
    return (
        f"{row.recipe} was run ({row.budget}) and not measured by {row.protocol}; single pictures: {single}"
    )


def _of_ours(text: Callable[[Measured], str]) -> Callable[[Row, str], str]:
    """A cell about our own figure; a dash where there is none."""
    return lambda row, split: text(row.ours[split]) if split in row.ours else "–"


def _paper(row: Row, split: str) -> str:
    from mien.papers.tables import in_figures

    return in_figures(row.paper[split]) if split in row.paper else "–"


def _gap(row: Row, split: str) -> str:
    gap = row.gap(split)
    return "–" if gap is None else f"{gap:+.4f}"


def _budget(row: Row, _: str) -> str:
    return "never run" if row.never_run else row.budget or "others' result"


def _epochs(row: Row, _: str) -> str:
    return "" if row.epochs is None else f"{row.best_epoch} of {row.epochs}"


def _always(_: list[Row]) -> bool:
    return True


def _many_protocols(rows: list[Row]) -> bool:
    return any(row.protocol not in (None, "single") for row in rows)


def _subsets(rows: list[Row]) -> bool:
    return any(ours.n != ours.of for row in rows for ours in row.ours.values())


def _many_seeds(rows: list[Row]) -> bool:
    return len({row.seed for row in rows} - {None}) > 1


_COLUMNS: dict[str, tuple[Callable[[Row, str], str], Callable[[list[Row]], bool]]] = {
    "row": (lambda row, split: row.row, _always),
    "protocol": (lambda row, split: row.protocol or "", _many_protocols),
    "split": (lambda row, split: split, _always),
    "paper": (_paper, _always),
    "ours": (_of_ours(lambda ours: f"{ours.accuracy:.4f}"), _always),
    "95 % interval": (
        _of_ours(lambda ours: "{:.4f}–{:.4f}".format(*ours.interval) if ours.interval else "–"), _always,
    ),
    "gap": (_gap, _always),
    "faces": (_of_ours(lambda ours: "–" if ours.n is None else f"{ours.n:,} of {ours.of:,}"), _subsets),
    "without copies": (
        _of_ours(lambda ours: "–" if ours.without_copies is None else f"{ours.without_copies:.4f}"), _always,
    ),
    "budget": (_budget, _always),
    "seed": (lambda row, split: "" if row.seed is None else str(row.seed), _many_seeds),
    "best epoch": (_epochs, _always),
    "from": (lambda row, split: row.start or "", lambda rows: any(row.start for row in rows)),
}  # fmt: skip
"""Each column's cell of a row and split, and in which tables it is shown."""
