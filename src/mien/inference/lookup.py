"""Which file a network's name means."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mien import storage
from mien.errors import ModelError, hint

DEFAULT_MODEL = "mien_s"
"""The network that reads faces where none is named."""

DEFAULT_MAP = "siamese_conv"
"""The network that gives faces places on a map where none is named."""


def shipped() -> list[str]:
    """Names of the networks in `weights/`."""
    return sorted(path.stem for path in storage.packaged("weights").glob("*.onnx"))


def card_of(name: str) -> dict[str, Any]:
    """What a shipped network's card says: the JSON file beside it.

    Raises: ModelError when there is no such network or its card does not parse.
    """
    if name not in shipped():
        raise ModelError(f"unknown network {name!r}: {hint(name, shipped())}")
    path = storage.packaged("weights") / f"{name}.json"
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read the card {path}: {error}; install mien again") from error
    if not isinstance(card, dict):
        raise ModelError(f"the card {path} is no JSON object: install mien again")
    return card


def find_model(name: str | os.PathLike[str]) -> Path:
    """The ONNX file of a shipped network's name, of its own path, or of a run folder that holds `model.onnx`.

    A shipped name comes before a folder of the same name; './name' is the folder.
    Raises: ModelError naming what there is.
    """
    names = shipped()
    if str(name) in names:
        return storage.packaged("weights") / f"{name}.onnx"
    path = Path(name)
    if path.is_dir():
        if (path / "model.onnx").is_file():
            return path / "model.onnx"
        raise ModelError(f"the folder {path} holds no model.onnx: expected a finished run")
    if path.is_file():
        if path.suffix == ".onnx":
            return path
        raise ModelError(f"{path} is no network: expected an .onnx file or a run folder")
    there = " or ".join(names) or "a shipped name, of which there is none"
    raise ModelError(
        f"unknown network {str(name)!r}: expected {there}, a path to an .onnx file, or a run folder"
    )
