"""mien: facial expressions, read, trained, explained, mapped and judged by people.

`mien.predict(picture)` reads every face in a picture; `mien.load(name)` gives a reusable predictor.
Neither imports a deep-learning framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.inference.predictor import Predictor, load, predict

__version__ = "0.1.0"
__all__ = ["Predictor", "__version__", "load", "predict"]


def __getattr__(name: str) -> Any:
    """Imports the predictor on first use, so that `import mien` itself stays instant."""
    if name in {"Predictor", "load", "predict"}:
        from mien.inference import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module 'mien' has no attribute {name!r}")
