"""Writing without loss, and where the project's own files lie."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mien.errors import StorageError

_PACKAGE = Path(__file__).resolve().parent


def packaged(folder: str) -> Path:
    """The folder `recipes`, `results` or `weights`: in the installed package, or in the checkout."""
    inside = _PACKAGE / folder
    return inside if inside.is_dir() else _PACKAGE.parents[1] / folder


def cache_folder() -> Path:
    """Where `mien fetch` puts what it brings: `MIEN_CACHE`, else the user's cache folder."""
    if chosen := os.environ.get("MIEN_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mien"


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and vanishes otherwise.

    Readers see the old file or the new one whole, also after a power cut: the file is synced first.
    Raises: StorageError when the folder cannot be written or the disk is full.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=f".partial{path.suffix}"
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another folder"
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Writes a text file atomically, as UTF-8."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file atomically, lists of plain values on one line each.

    Numbers that are not finite are refused, as JSON has none.
    """
    write_text(path, _laid_out(value) + "\n")


def _laid_out(value: Any, indent: str = "") -> str:
    inside = indent + "  "
    if isinstance(value, dict) and value:
        names = (json.dumps(str(name), ensure_ascii=False) for name in value)
        items = [
            f"{name}: {_laid_out(each, inside)}" for name, each in zip(names, value.values(), strict=True)
        ]
    elif isinstance(value, list | tuple) and any(isinstance(each, dict | list | tuple) for each in value):
        items = [_laid_out(each, inside) for each in value]
    else:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    left, right = "{}" if isinstance(value, dict) else "[]"
    lines = f",\n{inside}".join(items)
    return f"{left}\n{inside}{lines}\n{indent}{right}"
