"""Giving faces places on a map of expressions: an exported embedder behind a face detector."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.inference.detectors import Detector
from mien.inference.exported import ExportedNetwork, Floats, MapCard, UInt8
from mien.inference.lookup import DEFAULT_MAP
from mien.labels import EMOTIONS


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Labelled faces that the network itself has placed, to read the map by.

    split: where they come from. points: (N, D) float64. labels: (N,) int64, indices into `EMOTIONS`.
    """

    split: str
    points: NDArray[np.float64]
    labels: NDArray[np.int64]


class Mapper(ExportedNetwork):
    """A network that maps faces, with a way to find them; several threads may share one.

    model: a shipped network's name, a path to an .onnx file, or a run folder.
    detector, threads: see `ExportedNetwork`.
    Raises: ModelError when the network is unknown, damaged, a classifier, or not one that mien exported.
    """

    kind = "embedding"
    card: MapCard

    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT_MAP,
        detector: str | Detector | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__(model, detector, threads)

    def places(self, images: UInt8) -> Floats:
        """Where the network puts grey faces; near each other means alike in expression.

        Shape: images (N, S, S) uint8, S the network's input size, N may be 0; returns (N, D) float32. The
        map has no unit: distances compare with each other, and within one network alone.
        Raises: ImageError when the shape or type differs.
        """
        return self.run(images, ("embedding",))[0]

    @functools.cached_property
    def reference(self) -> Reference | None:
        """The faces that the card beside the network's file holds; None where there is no card or no map.

        Raises: ModelError when the card does not parse, or its points do not fit the network.
        """
        path = self.path.with_suffix(".json")
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
            given = card.get("map")
            if given is None:
                return None
            points = np.array(given["points"], np.float64)
            labels = np.array([EMOTIONS.index(label) for label in given["labels"]], np.int64)
            if points.shape != (len(labels), self.card.dimensions) or not np.isfinite(points).all():
                raise ValueError(f"points of shape {points.shape} for {len(labels)} labels")
            return Reference(str(given["split"]), points, labels)
        except FileNotFoundError:
            return None
        except (OSError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"cannot read the map in {path}: {error!r}; export the network again") from error
