"""Networks: one file a family, found by name in the registry."""

from mien.models.landmark_network import LandmarkNetwork
from mien.models.network import Classifier, Embedded, Embedder, Network, Outputs
from mien.models.registry import LANDMARKS, Architecture, architecture, architectures

__all__ = [
    "LANDMARKS", "Architecture", "Classifier", "Embedded", "Embedder", "LandmarkNetwork", "Network",
    "Outputs", "architecture", "architectures",
]  # fmt: skip
