"""Networks: one file a family, found by name in the registry."""

from mien.models.network import Network, Outputs
from mien.models.registry import Architecture, architecture, architectures

__all__ = ["Architecture", "Network", "Outputs", "architecture", "architectures"]
