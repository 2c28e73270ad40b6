"""Which file a network's name means."""

from __future__ import annotations

import os
from pathlib import Path

from mien import storage
from mien.errors import ModelError

DEFAULT_MODEL = "conv_net"
"""The network that reads faces where none is named."""


def shipped() -> list[str]:
    """Names of the networks in `weights/`."""
    return sorted(path.stem for path in storage.packaged("weights").glob("*.onnx"))


def find_model(name: str | os.PathLike[str]) -> Path:
    """The ONNX file of a shipped network's name, of a path to one, or of a run folder that holds `model.onnx`.

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
    raise ModelError(
        f"unknown network {str(name)!r}: expected {' or '.join(names) or 'a shipped network, of which there is none'},"
        " a path to an .onnx file, or a run folder"
    )
