"""How good a map of expressions is beyond its looks: neighbours, clusters, and what a straight line parts.

A map is points of faces with their emotions, from a network or any other way of placing faces; the figures
need no network. Distances are Euclidean, in the map's own units; no figure changes when the map is shifted,
turned, mirrored or scaled as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.errors import DataError
from mien.evaluation.maps.responses import Embeddings, means
from mien.evaluation.maps.separability import FOLDS, SEPARABLE, parted
from mien.evaluation.metrics import accuracy, confusion, wilson

Points = NDArray[np.float64]
Labels = NDArray[np.int64]
Labelled = tuple[ArrayLike, ArrayLike]
"""Points (N, D) and their labels (N,)."""

NEIGHBOURS = 15
"""Many enough that one wrong label decides nothing, few beside the 56 faces of FER-2013's rarest emotion."""

LEAST_FACES = 2
"""Of each emotion: one that the others place."""

SEPARATED = 0.95
"""From this balanced accuracy on, a straight line parts two sets of faces all but completely."""

_OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Rate:
    """A balanced accuracy in 0…1 with its 95 % interval, as `balanced` gives them."""

    value: float
    ci95: tuple[float, float]

    @property
    def verdict(self) -> str:
        """In a word: 'separable' from `SEPARATED` on, 'not separable' below `SEPARABLE`, else 'barely'."""
        if self.value >= SEPARATED:
            return "separable"
        return "barely" if self.value >= SEPARABLE else "not separable"

    def to_dict(self) -> dict[str, Any]:
        """As JSON, without the verdict: the figure says more."""
        return {"balanced_accuracy": self.value, "ci95": list(self.ci95)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Rate:
        """What `to_dict` gave."""
        return cls(stored["balanced_accuracy"], (stored["ci95"][0], stored["ci95"][1]))


@dataclass(frozen=True, slots=True)
class Neighbours:
    """How often the k nearest faces name a face's emotion.

    Each of the k has one vote, near or far; of emotions with equally many votes, the one whose face is
    nearest wins. k: `NEIGHBOURS`, or all faces there are where these are fewer. among: how many faces the
    neighbours are sought in. most_common: the share of the most common emotion, which a guess would reach.
    recall: by emotion. ci95: Wilson's interval of the accuracy.
    """

    k: int
    among: int
    accuracy: float
    ci95: tuple[float, float]
    balanced: Rate
    most_common: float
    recall: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "k": self.k,
            "among": self.among,
            "accuracy": self.accuracy,
            "ci95": list(self.ci95),
            "balanced_accuracy": self.balanced.value,
            "balanced_ci95": list(self.balanced.ci95),
            "most_common": self.most_common,
            "recall": self.recall,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Neighbours:
        """What `to_dict` gave."""
        low, high = stored["balanced_ci95"]
        return cls(
            stored["k"],
            stored["among"],
            stored["accuracy"],
            (stored["ci95"][0], stored["ci95"][1]),
            Rate(stored["balanced_accuracy"], (low, high)),
            stored["most_common"],
            dict(stored["recall"]),
        )


@dataclass(frozen=True, slots=True)
class MapQuality:
    """Everything said about one map.

    faces: how many of each emotion. dimensions: D. reference: neighbours among the training faces, None
    where no such points are known. leave_one_out: neighbours among the other faces of the map itself.
    silhouette, silhouettes: Rousseeuw's (1987), −1…1, mean over all faces and over each emotion's.
    tightness: root-mean-square distance of an emotion's faces to their centroid, over that of all faces to
    the centre of all; below 1 is a cluster.
    against_others: by emotion, and pairs: by 'fear|surprise' in the order of the emotions, what a straight
    line (in D dimensions, a flat surface) parts: Fisher's linear discriminant with equal priors, judged by
    faces that it was not fitted on, in `FOLDS` stratified parts drawn by `seed`, or as many as the rarest
    emotion has faces. The best line of all may
    part a little more.
    """

    faces: dict[str, int]
    dimensions: int
    reference: Neighbours | None
    leave_one_out: Neighbours
    silhouette: float
    silhouettes: dict[str, float]
    tightness: dict[str, float]
    against_others: dict[str, Rate]
    pairs: dict[str, Rate]
    seed: int

    @property
    def tightest(self) -> str:
        """The emotion of least `tightness`."""
        return min(self.tightness, key=self.tightness.__getitem__)

    def pair(self, one: str, other: str) -> Rate:
        """How far a straight line parts two emotions, named in either order.

        Raises: KeyError when the map does not hold both.
        """
        key = pair_key(one, other)
        return self.pairs[key if key in self.pairs else pair_key(other, one)]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "faces": self.faces,
            "dimensions": self.dimensions,
            "neighbours": {
                "reference": None if self.reference is None else self.reference.to_dict(),
                "leave_one_out": self.leave_one_out.to_dict(),
            },
            "silhouette": {"mean": self.silhouette, "per_emotion": self.silhouettes},
            "tightness": {"per_emotion": self.tightness, "tightest": self.tightest},
            "separability": {
                "folds": min(FOLDS, *self.faces.values()),
                "seed": self.seed,
                "separable_from": SEPARATED,
                "not_separable_below": SEPARABLE,
                "against_others": {name: rate.to_dict() for name, rate in self.against_others.items()},
                "pairs": {name: rate.to_dict() for name, rate in self.pairs.items()},
            },
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> MapQuality:
        """What `to_dict` gave."""
        near, parted = stored["neighbours"], stored["separability"]
        return cls(
            faces=dict(stored["faces"]),
            dimensions=stored["dimensions"],
            reference=None if near["reference"] is None else Neighbours.from_dict(near["reference"]),
            leave_one_out=Neighbours.from_dict(near["leave_one_out"]),
            silhouette=stored["silhouette"]["mean"],
            silhouettes=dict(stored["silhouette"]["per_emotion"]),
            tightness=dict(stored["tightness"]["per_emotion"]),
            against_others={name: Rate.from_dict(rate) for name, rate in parted["against_others"].items()},
            pairs={name: Rate.from_dict(rate) for name, rate in parted["pairs"].items()},
            seed=parted["seed"],
        )


def pair_key(one: str, other: str) -> str:
    """The name of a pair in `MapQuality.pairs`: 'fear|surprise'."""
    return f"{one}|{other}"


def quality(
    points: ArrayLike,
    labels: ArrayLike,
    emotions: Sequence[str],
    *,
    reference: Labelled | None = None,
    seed: int = 0,
) -> MapQuality:
    """The figures of a map of faces that its maker was not trained on.

    points: (N, D) numbers. labels: (N,) int, indices into `emotions`. reference: points and labels of the
    training faces in the same space. seed: of the parts that separability is judged in.
    Raises: DataError when the arrays do not fit together or are not finite, there are fewer than two
    emotions, one has fewer than `LEAST_FACES` faces, or all points are equal.
    """
    held = _source(points, labels, emotions, "the map")
    counts = np.bincount(held.labels, minlength=len(emotions))
    _check_counts(held.emotions, counts)
    near = None
    if reference is not None:
        known = _source(*reference, emotions, "the reference")
        if known.points.shape[1] != held.points.shape[1]:
            raise DataError(
                f"{known.points.shape[1]} dimensions of the reference and {held.points.shape[1]} of the map: "
                "expected points that one network placed"
            )
        near = _neighbours(held, known)
    mean, silhouettes = _silhouettes(held)
    return MapQuality(
        faces=_named(held.emotions, counts),
        dimensions=held.points.shape[1],
        reference=near,
        leave_one_out=_neighbours(held, None),
        silhouette=mean,
        silhouettes=silhouettes,
        tightness=tightness(held),
        against_others=_against_others(held, seed),
        pairs=_pairs(held, seed),
        seed=seed,
    )


def balanced(right: ArrayLike, of: ArrayLike) -> Rate:
    """The mean of C rates, right/of, with a 95 % interval that stays inside 0…1 and is not empty at its ends.

    Each rate's Wilson interval gives its two margins; those of the mean are the root of the sum of their
    squares, over C. Right answers of one set of faces may be halves, where a tie counts as such.
    Source: Newcombe 1998, method 10, carried over to means (Zou & Donner 2008).
    Shape: right, of (C,), of ≥ 1.
    """
    counts, totals = np.asarray(right, np.float64), np.asarray(of, np.int64)
    rates = counts / totals
    ends = [wilson(count, n) for count, n in zip(counts.tolist(), totals.tolist(), strict=True)]
    low, high = np.array(ends).T
    mean, c = float(rates.mean()), len(rates)
    below = float(np.sqrt(((rates - low) ** 2).sum())) / c
    above = float(np.sqrt(((high - rates) ** 2).sum())) / c
    return Rate(mean, (mean - below, mean + above))


def nearest_emotions(points: Points, known: Points, labels: Labels, k: int, *, leave_one_out: bool) -> Labels:
    """The emotion that most of each point's k nearest known points have; see `Neighbours` on ties: (N,).

    Shape: points (N, D), known (M, D), labels (M,). leave_one_out: points are the known ones, and none is
    its own neighbour.
    """
    from sklearn.neighbors import NearestNeighbors

    finder = NearestNeighbors(n_neighbors=k).fit(known)
    near = labels[finder.kneighbors(None if leave_one_out else points, return_distance=False)]
    votes = np.zeros((len(near), int(labels.max()) + 1), np.int64)
    np.add.at(votes, (np.arange(len(near))[:, None], near), 1)
    # Neighbours come nearest first: the first of those whose emotion has the most votes decides.
    most = np.take_along_axis(votes, near, axis=1) == votes.max(axis=1, keepdims=True)
    found: Labels = near[np.arange(len(near)), most.argmax(axis=1)]
    return found


def tightness(held: Embeddings) -> dict[str, float]:
    """By emotion, the spread of its faces over the spread of all; see `MapQuality`."""
    centroids = means(held.points, held.labels, len(held.emotions))
    squares = ((held.points - centroids[held.labels]) ** 2).sum(axis=1)
    whole = np.sqrt(((held.points - held.points.mean(axis=0)) ** 2).sum(axis=1).mean())
    own = np.sqrt(np.bincount(held.labels, weights=squares) / np.bincount(held.labels))
    return _named(held.emotions, own / whole)


def _source(points: ArrayLike, labels: ArrayLike, emotions: Sequence[str], name: str) -> Embeddings:
    truth = np.asarray(labels)
    if truth.dtype.kind not in "iu":
        raise DataError(f"labels of {truth.dtype} for {name}: expected whole numbers, indices of emotions")
    return Embeddings(tuple(emotions), np.asarray(points, np.float64), truth.astype(np.int64), name)


def _check_counts(emotions: Sequence[str], counts: Labels) -> None:
    for emotion, count in zip(emotions, counts.tolist(), strict=True):
        if count < LEAST_FACES:
            raise DataError(
                f"{count} faces of {emotion} on the map: expected at least {LEAST_FACES}, one to judge by "
                "the others; leave the emotion out or add faces"
            )


def _named(emotions: Sequence[str], values: NDArray[Any]) -> dict[str, Any]:
    return dict(zip(emotions, values.tolist(), strict=True))


def _neighbours(held: Embeddings, known: Embeddings | None) -> Neighbours:
    """known: the reference, None for the map's own other faces."""
    among = len(held.points) - 1 if known is None else len(known.points)
    found = known or held
    k = min(NEIGHBOURS, among)
    said = nearest_emotions(held.points, found.points, found.labels, k, leave_one_out=known is None)
    table = confusion(held.labels, said, len(held.emotions))
    right, support = np.diag(table), table.sum(axis=1)
    return Neighbours(
        k=k,
        among=among,
        accuracy=accuracy(table),
        ci95=wilson(int(right.sum()), len(held.labels)),
        balanced=balanced(right, support),
        most_common=float(support.max() / support.sum()),
        recall=_named(held.emotions, right / support),
    )


def _silhouettes(held: Embeddings) -> tuple[float, dict[str, float]]:
    from sklearn.metrics import silhouette_samples

    each = silhouette_samples(held.points, held.labels)
    by_emotion = np.bincount(held.labels, weights=each) / np.bincount(held.labels)
    return float(each.mean()), _named(held.emotions, by_emotion)


def _against_others(held: Embeddings, seed: int) -> dict[str, Rate]:
    found = {}
    for number, emotion in enumerate(held.emotions):
        others = (held.labels != number).astype(np.int64)
        two = Embeddings((emotion, _OTHERS), held.points, others, held.source)
        found[emotion] = _pairs(two, seed)[pair_key(emotion, _OTHERS)]
    return found


def _pairs(held: Embeddings, seed: int) -> dict[str, Rate]:
    right, counts = parted(held, seed), np.bincount(held.labels)
    return {
        pair_key(held.emotions[one], held.emotions[other]): balanced(
            (right[one, other], right[other, one]), counts[[one, other]]
        )
        for one, other in combinations(range(len(held.emotions)), 2)
    }
