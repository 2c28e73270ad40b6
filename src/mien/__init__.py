"""mien: facial expressions, read, trained, explained, mapped and judged by people.

`mien.predict(picture)` reads every face in a picture; `mien.load(name)` gives a reusable predictor.
`mien.embed(picture)` gives every face its place on a map of expressions; `mien.Mapper(name)` is reusable.
None of them imports a deep-learning framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.inference.mapper import Mapper, embed
    from mien.inference.predictor import Predictor, load, predict

__version__ = "0.1.0"
__all__ = ["Mapper", "Predictor", "__version__", "embed", "load", "predict"]

_HOMES = {
    "Mapper": "mapper",
    "Predictor": "predictor",
    "embed": "mapper",
    "load": "predictor",
    "predict": "predictor",
}


def __getattr__(name: str) -> Any:
    """Imports what reads faces on first use, so that `import mien` itself stays instant."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"mien.inference.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'mien' has no attribute {name!r}")
