"""A recipe's tree of keys before it is validated: laid over another, changed key by key."""

from __future__ import annotations

import tomllib
from typing import Any

from mien.errors import RecipeError


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`changes` over `base`, section by section; a section that names another thing replaces the whole."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        replaces = isinstance(value, dict) and isinstance(old, dict) and "name" in value
        if (
            isinstance(value, dict)
            and isinstance(old, dict)
            and not (replaces and value["name"] != old.get("name"))
        ):
            result[key] = merged(old, value)
        else:
            result[key] = value
    return result


def assign(tree: dict[str, Any], key: str, value: Any) -> None:
    """Puts a value at a dotted key, as in `train.epochs`; sections that are missing are made.

    Raises: RecipeError when the key leads through a value.
    """
    *sections, last = key.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise RecipeError(f"override {key!r}: {section!r} is a value, not a section")
    tree[last] = value


def value_of(text: str) -> Any:
    """What an override's text means in TOML; the text itself where it means nothing there."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
