"""The runs of system D, each a network's map of faces, as its tables and figures read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.evaluation.maps.quality import MapQuality, Neighbours
from mien.ledger import Entry, map_of
from mien.papers.sources import Sources
from mien.report.map_figures import SHORT_NAMES

RUNS = "D/maps"
"""The table that system D's recipes name."""

MAIN = "d/fer2013"
BALANCED = "d/fer2013-balanced"
ANOTHER_TRUNK = "d/fer2013-deep"
EVEN = "d/fer2013-even"
AS_PUBLISHED = "d/nimstim"
SYNTHETIC = "d/facekit"

STAND_IN = (
    "the d/fer2013 recipes are a stand-in: FER-2013's six emotions, 48×48 faces in the wild in its own "
    "splits; the paper's NimStim is licensed; d/facekit is another: posed and with subjects, but synthetic, "
    "pictures of people who do not exist"
)

NOT_HERE = (
    f"{AS_PUBLISHED} needs NimStim, which its authors license to institutions, and AlexNet's weights: "
    "mien fetch alexnet"
)

ALPHA = 0.05
"""An exact p of at most this counts as agreement."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MapRun:
    """One run's map of validation faces.

    n: faces of `split`. quality: the map's figures. found: what `Circumplex.to_dict` gave, with people's
    votes, on those of the faces that have them, as its `against` where they are known.
    """

    recipe: str
    seed: int
    budget: str
    epochs: int
    best_epoch: int
    split: str
    n: int
    quality: MapQuality
    found: Mapping[str, Any]

    @classmethod
    def of(cls, entry: Entry) -> MapRun:
        """What a ledger entry says of its first map."""
        split, held = map_of(entry)
        spent = entry["budget"]
        return cls(
            recipe=entry["recipe"],
            seed=entry["seed"],
            budget=spent["name"],
            epochs=spent["epochs"],
            best_epoch=spent["best_epoch"],
            split=split,
            n=held["n"],
            quality=MapQuality.from_dict(held["quality"]),
            found=held["circumplex"],
        )

    @property
    def near(self) -> Neighbours:
        """Neighbours among the training faces; among its own where those were not placed."""
        return self.quality.reference or self.quality.leave_one_out

    @property
    def order(self) -> tuple[str, ...]:
        """The emotions round the map, canonical."""
        return tuple(self.found["order"])

    @property
    def exchanges(self) -> int:
        """Of neighbours on the circle, from the expected order."""
        return int(self.found["expected"]["exchanges"])

    @property
    def dissimilarities(self) -> Matrix:
        """(C, C): between the centroids of the emotions."""
        return np.array(self.found["dissimilarity"]["matrix"], np.float64)

    @property
    def places(self) -> Matrix:
        """(C, 2): the emotions on the map, by metric scaling."""
        return np.array([self.found["metric"]["points"][name] for name in self.found["emotions"]], np.float64)


def in_order(entry: Entry) -> bool:
    """Whether an entry is of a map whose emotions have an order to compare with the paper's."""
    found = map_of(entry)[1]["circumplex"] if "maps" in entry else None
    return found is not None and found["expected"] is not None


def map_runs_of(sources: Sources, recipe: str) -> list[MapRun]:
    """A recipe's runs, as `Sources.runs_of` has them, those of other emotions left out."""
    return [MapRun.of(entry) for entry in sources.runs_of(recipe) if in_order(entry)]


def short(order: Sequence[str]) -> str:
    """An order in the short names of the paper's legend: 'ha sp fe sa an di'."""
    return " ".join(SHORT_NAMES[name] for name in order)
