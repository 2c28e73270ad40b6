"""Whether the packages of an optional extra are there, asked before a command needs them."""

from __future__ import annotations

from importlib.util import find_spec

from mien.errors import MissingDependency

_PROBES = {
    "analysis": ("pyarrow", "h5py", "matplotlib", "pydantic", "tomli_w", "sklearn", "scipy"),
    "train": ("torch", "lightning_fabric", "safetensors", "optuna", "onnx", "onnxscript", "captum"),
}


def require(extra: str) -> None:
    """Stops with one line unless the packages of `extra` are installed.

    Raises: MissingDependency.
    """
    missing = [name for name in _PROBES[extra] if find_spec(name) is None]
    if missing:
        raise MissingDependency(
            f"this command needs {', '.join(missing)}: install it with pip install 'mien[{extra}]'"
        )
