"""The ledger: one JSON file a finished run, with all that is needed to run it again and to check it."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from mien.errors import DataError
from mien.storage import packaged, write_json

Entry = dict[str, Any]
"""What a finished run leaves: recipe as run, command, seed, commit, machine, budget, figures, history."""

_PACKAGES = ("torch", "onnxruntime", "numpy")


def machine() -> dict[str, Any]:
    """What the figures were measured on: processor, cores, memory, system and the libraries that matter."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": _threads(),
        "memory_gib": _memory_gib(),
        "accelerator": _accelerator(),
        "system": platform.system(),
        "python": platform.python_version(),
        **versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _threads() -> int | None:
    torch = sys.modules.get("torch")
    return None if torch is None else int(torch.get_num_threads())


def _accelerator() -> str | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return str(torch.cuda.get_device_name(0))


@cache
def commit() -> str:
    """The checkout's commit, with `+` where files differ from it; `installed` outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return "installed"
    try:
        revision = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", "src", "recipes")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return revision + ("+" if changed else "")


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout.strip()


def made_by() -> dict[str, Any]:
    """How a measurement was made: the command as typed, the commit, the date and the machine."""
    return {
        "command": shlex.join(["python", *sys.argv]),
        "commit": commit(),
        "date": today(),
        "machine": machine(),
    }


def today() -> str:
    """The date in UTC, as the ledger writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%d")


def file_name(entry: Entry) -> str:
    """An entry's file in the ledger: `c-final.cpu.seed0.json`."""
    recipe = str(entry["recipe"]).replace("/", "-")
    return f"{recipe}.{entry['budget']['name']}.seed{entry['seed']}.json"


def write(entry: Entry, folder: Path | None = None) -> Path:
    """Adds an entry, or replaces the one of the same recipe, budget and seed; returns its file."""
    path = (folder or packaged("results")) / file_name(entry)
    write_json(path, entry)
    return path


def map_of(entry: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The split and the map by which a run that maps faces is judged: the test split's, else validation's."""
    split, found = list(entry["maps"].items())[-1]
    return split, found


def entries(folder: Path | None = None) -> list[Entry]:
    """Every finished run in the ledger, sorted by file name.

    Raises: DataError naming a file that is not JSON.
    """
    return [read(path) for path in sorted((folder or packaged("results")).glob("*.json"))]


def read(path: Path) -> Entry:
    """One finished run.

    Raises: DataError when the file is not JSON.
    """
    try:
        entry: Entry = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no ledger entry ({error}): restore or remove it") from error
    return entry
