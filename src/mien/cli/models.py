"""`mien models`: shipped networks, of all kinds, and the architectures that can be trained."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from mien.cli.tables import table_console
from mien.errors import ModelError, hint

_EMPTY: dict[str, Any] = {"name": None, "parameters": None, "architecture": None, "shipped": None}


def models(
    name: Annotated[str | None, typer.Argument(help="One network.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the networks: what is shipped, and what can be trained, with exact parameter counts.

    Example: mien models mien_s
    """
    known = catalogue()
    if name is not None:
        if name not in known:
            raise ModelError(f"unknown network {name!r}: {hint(name, known)}")
        known = {name: known[name]}
    if json_output:
        values = list(known.values())
        typer.echo(json.dumps(values[0] if name is not None else values))
    elif name is not None:
        _print_one(known[name])
    else:
        _print_all(list(known.values()))


def catalogue() -> dict[str, dict[str, Any]]:
    """Every network by name; `architecture` is None without torch, `shipped` where there are no weights.

    `shipped` is the network's card without the hundreds of places of its map.
    """
    from mien.inference.lookup import card_of, shipped

    entries: dict[str, dict[str, Any]] = {}
    for each in shipped():
        card = {key: value for key, value in card_of(each).items() if key != "map"}
        entries[each] = {
            "name": each,
            "parameters": card.get("parameters"),
            "architecture": None,
            "shipped": card,
        }
    if find_spec("torch") is not None and find_spec("pydantic") is not None:
        from mien.models import architectures

        for each, architecture in architectures().items():
            entry = entries.setdefault(each, {**_EMPTY, "name": each})
            entry["parameters"] = entry["parameters"] or architecture.parameters()
            entry["architecture"] = {
                "summary": architecture.summary,
                "source": architecture.source,
                "options": architecture.options().model_dump(mode="json"),
                "parameters": architecture.parameters(),
            }
    return entries


def _print_all(entries: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table("network", "parameters", "shipped", "accuracy", "what it is", box=None, header_style="bold")
    for entry in entries:
        card, architecture = entry["shipped"], entry["architecture"]
        table.add_row(
            entry["name"],
            f"{entry['parameters']:,}",
            f"{card['bytes'] / 1e6:.1f} MB" if card else "recipe only",
            ", ".join(_accuracies(card or {})),
            architecture["summary"] if architecture else card.get("summary", ""),
        )
    table_console().print(table)


def _accuracies(card: dict[str, Any]) -> list[str]:
    """A classifier's accuracy on each split; on a map, that of the vote of a face's nearest neighbours."""
    return [
        *(f"{split} {found['accuracy']:.3f}" for split, found in card.get("figures", {}).items()),
        *(
            f"{split} neighbours {found['neighbours']['accuracy']:.3f}"
            for split, found in card.get("maps", {}).items()
        ),
    ]


def _print_one(entry: dict[str, Any]) -> None:
    from mien.report.model_card import sections

    console = table_console()
    console.print(f"[bold]{entry['name']}[/bold]  {entry['parameters']:,} parameters")
    if entry["architecture"]:
        console.print(entry["architecture"]["summary"])
        console.print(entry["architecture"]["source"], style="dim")
    if entry["shipped"]:
        for heading, lines in sections(entry["shipped"]):
            console.print(f"\n[bold]{heading}[/bold]")
            for line in lines:
                console.print(f"  {line}", highlight=False, markup=False)
    else:
        console.print("no weights are shipped: mien recipes lists what trains it")
