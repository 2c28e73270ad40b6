"""Everything that is measured of a network's explanations, as one JSON: trust, regions, average maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import DataError
from mien.explain import perturbation, randomisation
from mien.explain.batches import Maps, pixels_of, probabilities_of
from mien.explain.emotions import RULES, average, described, judged, mean_of
from mien.explain.methods import METHODS, Method, completeness_gap, find
from mien.explain.regions import FaceRegions
from mien.explain.template import landmarker, own_points, regions_at
from mien.faces import FaceBatch
from mien.labels import EMOTIONS, positions
from mien.models.network import Classifier

ALIKE = 0.5
"""A method whose maps keep a rank correlation above this when all weights are random shows the picture."""

PASSES, PARTLY, FAILS = "passes", "partly", "fails"

Matrix = NDArray[np.float64]
Note = Callable[[str], None]
Blind = Mapping[str, Mapping[str, Matrix]]
"""Curves (N, steps) by order that knows no network, and by fill."""


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """Faces of a split that a network reads right, as many of each emotion as asked for and there.

    targets: (N,) the network's class, which is the face's label. points: their own landmarks, where read.
    """

    images: NDArray[np.uint8]
    targets: NDArray[np.int64]
    regions: FaceRegions
    points: list[NDArray[np.float64] | None]

    def __len__(self) -> int:
        """How many faces."""
        return len(self.images)

    def __getitem__(self, rows: NDArray[Any]) -> Faces:
        """Some of the faces, by a mask (N,) or their numbers."""
        numbers = np.arange(len(self))[rows]
        points = [self.points[number] for number in numbers]
        return Faces(self.images[numbers], self.targets[numbers], self.regions[numbers], points)


def choose(
    network: Classifier, batch: FaceBatch, per_emotion: int, seed: int
) -> tuple[Faces, dict[str, Any]]:
    """Faces to explain, and how they were chosen, as JSON.

    batch: one split. Of each emotion `per_emotion` faces drawn by the seed, or all that are read right.
    Raises: DataError when the faces have another size than the network's, or none is read right.
    """
    size = network.input_size
    if batch.images.shape[1:] != (size, size):
        raise DataError(f"faces of {batch.images.shape[1:]} pixels in {batch.source}: expected {size}×{size}")
    batch = batch.select(np.isin(batch.labels, [EMOTIONS.index(name) for name in network.labels]))
    targets = positions(batch.labels, network.labels)
    order = np.random.default_rng(seed).permutation(len(batch))
    rows: list[int] = []
    for number in range(len(network.labels)):
        rows += _read_right(network, batch.images, order[targets[order] == number], number, per_emotion)
    if not rows:
        raise DataError(f"{network.architecture} reads no face of {batch.source} right: nothing to explain")
    images, reader = batch.images[rows], landmarker()
    points = [None if reader is None else own_points(image, reader) for image in images]
    faces = Faces(images, targets[rows], regions_at(points, size), points)
    counts = {name: int((faces.targets == number).sum()) for number, name in enumerate(network.labels)}
    read = int(faces.regions.read.sum())
    about = {"of": len(batch), "per_emotion": counts, "all": len(faces), "landmarks_read": read, "seed": seed}
    return faces, about


def _read_right(
    network: Classifier, images: NDArray[np.uint8], order: NDArray[np.int64], number: int, wanted: int
) -> list[int]:
    """The first `wanted` rows in an order that the network reads as class `number`."""
    right: list[int] = []
    for start in range(0, len(order), 64):
        if len(right) >= wanted:
            break
        part = order[start : start + 64]
        read = probabilities_of(network, pixels_of(network, images[part])).argmax(axis=1)
        right += part[read == number].tolist()
    return right[:wanted]


def measure(
    network: Classifier,
    faces: Faces,
    checked: int,
    seed: int,
    note: Note,
    names: Sequence[str] = tuple(METHODS),
) -> dict[str, Any]:
    """Every figure by method, as JSON.

    checked: faces on which trust is measured, drawn from `faces` by the seed. note: told what is being done.
    names: of the methods.
    Raises: DataError when a method is unknown.
    """
    methods = {name: find(name) for name in dict.fromkeys(names)}
    rows = np.sort(np.random.default_rng(seed).permutation(len(faces))[:checked])
    few = faces[rows]
    cascaded = list(randomisation.cascade(network, few.images, seed=seed))
    note(f"orders that know no network, {len(few)} faces")
    orders = {
        "random": perturbation.random_order(few.images, seed),
        "centre": perturbation.centre_order(few.regions, seed),
    }
    blind = {name: _curves(network, few, order) for name, order in orders.items()}
    found = {}
    for name, method in methods.items():
        note(f"{name}: maps of {len(faces)} faces")
        maps = method.explain(network, faces.images, faces.targets, faces.regions.maps)
        note(f"{name}: trust, {len(few)} faces")
        found[name] = {
            "randomisation": _randomised(method, network, few, maps[rows], cascaded),
            "perturbation": _perturbed(network, few, maps[rows], blind, seed),
            "emotions": _by_emotion(network, faces, maps, seed),
        }
    return {
        "checked": len(few),
        "layers": [{"down_to": name, "share": round(share, 5)} for name, share, _ in cascaded],
        "completeness_gap": _gap(network, few) if "integrated_gradients" in methods else None,
        "rules": RULES,
        "blind": {
            name: {fill: _described(each) for fill, each in fills.items()} for name, fills in blind.items()
        },
        "methods": found,
    }


def _gap(network: Classifier, few: Faces) -> float:
    """The median share of the score's difference by which integrated gradients miss it."""
    return float(np.median(completeness_gap(network, few.images, few.targets)))


def _randomised(
    method: Method,
    network: Classifier,
    few: Faces,
    maps: Maps,
    cascaded: list[tuple[str, float, Classifier]],
) -> dict[str, Any]:
    """Similarity to the trained network's maps by stage, and between maps of different faces: the floor.

    Faces stand in the order of their emotions, so that nearly all the different ones show the same emotion.
    """
    stages = randomisation.compared(
        method, network, few.images, few.targets, few.regions.maps, maps, cascaded
    )
    others = np.roll(maps, 1, axis=0)
    floor = mean_of(randomisation.rank_correlations(maps, others)).to_list()
    last = mean_of(stages[-1].rank).to_list()
    return {
        "rank": [mean_of(stage.rank).to_list() for stage in stages],
        "structure": [mean_of(stage.structure).to_list() for stage in stages],
        "empty": [stage.empty for stage in stages],
        "other_faces": {
            "rank": floor,
            "structure": mean_of(randomisation.similarities(maps, others)).to_list(),
        },
        "verdict": sanity(last, floor),
    }


def sanity(last: list[float | None], floor: list[float | None]) -> str:
    """Whether maps forget: by their rank correlation when all weights are random, each with its interval.

    passes: no more alike than maps of different faces by the trained network, as far as intervals tell.
    fails: above `ALIKE`. partly: between them.
    """
    value, low, _ = last
    if value is None or low is None or floor[2] is None:
        return PARTLY
    if low <= max(floor[2], 0.0):
        return PASSES
    return FAILS if value > ALIKE else PARTLY


def _curves(network: Classifier, few: Faces, order: NDArray[np.int64]) -> dict[str, Matrix]:
    return {
        fill: perturbation.curves(network, few.images, few.targets, order, fill)
        for fill in perturbation.FILLS
    }


def _described(curves: Matrix) -> dict[str, Any]:
    return {
        "area": mean_of(perturbation.area(curves)).to_list(),
        "curve": np.round(curves.mean(axis=0), 4).tolist(),
    }


def _perturbed(network: Classifier, few: Faces, maps: Maps, blind: Blind, seed: int) -> dict[str, Any]:
    """Both curves in the maps' order, and their areas less those of the orders that know no network."""
    order = perturbation.order_of(maps, seed)
    own = _curves(network, few, order)
    found: dict[str, Any] = {fill: _described(curves) for fill, curves in own.items()}
    better = []
    for fill, curves in own.items():
        sign = -1 if fill == "deletion" else 1
        gains = {
            name: mean_of(sign * (perturbation.area(curves) - perturbation.area(fills[fill])))
            for name, fills in blind.items()
        }
        found[fill]["better_by"] = {name: gain.to_list() for name, gain in gains.items()}
        better += [gain.ci95 is not None and gain.ci95[0] > 0 for gain in gains.values()]
    found["verdict"] = PASSES if all(better) else PARTLY if any(better) else FAILS
    return found


def _by_emotion(network: Classifier, faces: Faces, maps: Maps, seed: int) -> dict[str, Any]:
    rows = {name: faces.targets == number for number, name in enumerate(network.labels)}
    held = {name: mask for name, mask in rows.items() if mask.any()}
    return {
        "all": described(maps, faces.regions, seed),
        "each": {name: described(maps[mask], faces.regions[mask], seed) for name, mask in held.items()},
        "findings": judged(
            {name: maps[mask] for name, mask in held.items()},
            {name: faces.regions[mask] for name, mask in held.items()},
            seed,
        ),
        "maps": {name: average(maps[mask], faces[mask].points) for name, mask in held.items()},
    }
