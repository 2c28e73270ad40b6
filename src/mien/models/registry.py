"""Networks by their registered name: the name in a recipe, on the command line and in the exported file."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from mien.errors import ModelError, hint
from mien.labels import EMOTIONS
from mien.models.landmark_network import LandmarkNetwork
from mien.models.network import Network


class Options(BaseModel):
    """Base of every architecture's options: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Built = TypeVar("Built", bound=Network | LandmarkNetwork)
Builder = TypeVar("Builder", bound=Callable[..., Any])


@dataclass(frozen=True)
class Architecture(Generic[Built]):
    """A registered network: how to build it, and where it comes from.

    name: the public name. options: its validated settings. source: paper and section.
    """

    name: str
    summary: str
    source: str
    options: type[Options]
    network: Callable[[Any, tuple[str, ...]], Built]

    def build(self, options: Mapping[str, Any] | None = None, labels: Sequence[str] = EMOTIONS) -> Built:
        """A fresh network with random weights from torch's current generator.

        Raises: ModelError when an option is unknown or out of range.
        """
        try:
            chosen = self.options(**(options or {}))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            if first["type"] == "extra_forbidden":
                known = self.options.model_fields
                raise ModelError(f"{self.name} has no option {key!r}: {hint(key, known)}") from error
            raise ModelError(
                f"{self.name} option {key!r}: {first['msg']} (got {first['input']!r})"
            ) from error
        network = self.network(chosen, tuple(labels))
        network.architecture = self.name
        return network

    def parameters(self, options: Mapping[str, Any] | None = None, labels: Sequence[str] = EMOTIONS) -> int:
        """The number of trainable numbers, counted without allocating them."""
        with torch.device("meta"):
            return self.build(options, labels).parameter_count()


class Registry(Generic[Built]):
    """Networks of one base by name."""

    def __init__(self) -> None:
        self._known: dict[str, Architecture[Built]] = {}

    def register(
        self, name: str, *, options: type[Options], summary: str, source: str
    ) -> Callable[[Builder], Builder]:
        """Makes a network available under `name`: a class decorator, or called with what builds one.

        What is registered is called with its validated options and the labels.
        """

        def add(network: Builder) -> Builder:
            if name in self._known:
                raise ValueError(f"two networks are registered as {name!r}")
            self._known[name] = Architecture(name, summary, source, options, network)
            return network

        return add

    def all(self) -> dict[str, Architecture[Built]]:
        """Every registered architecture by name, by family."""
        _import_families()
        return dict(self._known)

    def find(self, name: str) -> Architecture[Built]:
        """The architecture of that name.

        Raises: ModelError naming the nearest known names.
        """
        known = self.all()
        if name not in known:
            raise ModelError(f"unknown network {name!r}: {hint(name, known)}")
        return known[name]


@cache
def _import_families() -> None:
    """Each module of this package registers its own; each is imported once."""
    package = importlib.import_module("mien.models")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"mien.models.{module.name}")


PICTURES: Registry[Network] = Registry()
"""Networks that see pictures of faces."""

LANDMARKS: Registry[LandmarkNetwork] = Registry()
"""Networks that see faces as points in space."""

register = PICTURES.register
architectures = PICTURES.all
architecture = PICTURES.find
