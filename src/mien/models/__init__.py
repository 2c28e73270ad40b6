"""Networks: one file a family, found by name in the registry."""

from mien.models.network import Classifier, Embedded, Embedder, Network, Outputs
from mien.models.registry import Architecture, architecture, architectures

__all__ = [
    "Architecture", "Classifier", "Embedded", "Embedder", "Network", "Outputs", "architecture",
    "architectures",
]  # fmt: skip
