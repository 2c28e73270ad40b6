"""The thesis's tables of results: what each measures, on which faces, and what it says of them (system E)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mien.evaluation.landmarks.action_units import MOST_FACES

FACES: dict[str, str] = {
    "posed": "thesis: BU-3DFE, 100 people posing, which is licensed",
    "spontaneous": "thesis: BP4D, 41 people, with triplets judged by paid workers; neither is free",
    "fer2013": "no table of the thesis: faces found in FER-2013's pictures, triplets from the votes of FER+",
}
"""By kind of data, what the thesis's figures are of."""


@dataclass(frozen=True)
class ResultTable:
    """measures: blocks of a printed table, each by its title. splits: that it tells, the thesis's first.

    data: a key of `FACES`. settings: the table of its configurations. says: the thesis's findings. terms:
    what is measured, and what the figures are worth.
    """

    title: str
    data: str
    measures: Mapping[str, tuple[str, ...]]
    splits: tuple[str, ...]
    settings: str = ""
    says: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()


_ALL = ("training", "public", "private", "unseen")
_VALIDATION = ("public",)
_TEST = ("private", "unseen")

_POSED: Mapping[str, tuple[str, ...]] = {"": ("accuracy", "triplets")}
_UNITS = {"action units": ("f1", "auc")}
_AGREED = {"triplets by agreement": ("triplets_5", "triplets_3", "triplets_1")}
_SPONTANEOUS: Mapping[str, tuple[str, ...]] = {**_UNITS, **_AGREED}

_F1 = "F1: of the mean precision and recall, weighted by the units' positives; AUC: weighted likewise"
_MACHINES = (
    f"ours: each action unit's classifier learns from {MOST_FACES:,} of the training faces at most, drawn"
)
_AGREEMENT = "triplets 5, 3, 1: by how many more of five people judged so than the other way round"
_SAID = "the thesis's text calls this table and its configurations by the numbers of Model 2's"


def _posed(title: str, settings: str, *says: str, terms: tuple[str, ...] = ()) -> ResultTable:
    return ResultTable(f"posed faces, {title}", "posed", _POSED, _VALIDATION, settings, says, terms)


def _spontaneous(title: str, settings: str, *says: str, terms: tuple[str, ...] = ()) -> ResultTable:
    title, terms = f"spontaneous faces, {title}", (*terms, _F1, _MACHINES, _AGREEMENT)
    return ResultTable(title, "spontaneous", _SPONTANEOUS, _VALIDATION, settings, says, terms)


RESULTS: dict[str, ResultTable] = {
    "6.1": ResultTable(
        "posed faces, the baselines: accuracy of seven expressions",
        "posed",
        {"": ("accuracy",)},
        _ALL,
        says=("With 50 dimensions accuracy is hardly lower than with all 249, with fewer it drops.",),
    ),
    "6.2": ResultTable(
        "spontaneous faces, the baselines: F1 and AUC of action units",
        "spontaneous",
        {"": ("f1", "auc")},
        _ALL,
        says=("Fewer dimensions cost much in training, and almost nothing in validation and test.",),
        terms=(_F1, _MACHINES),
    ),
    "6.3": ResultTable(
        "posed faces, the baselines: satisfied triplets",
        "posed",
        {"": ("triplets",)},
        _ALL,
        says=("The share of satisfied triplets does not drop with the dimensions.",),
    ),
    "6.4": ResultTable(
        "spontaneous faces, the baselines: satisfied triplets by agreement",
        "spontaneous",
        {"": _AGREED["triplets by agreement"]},
        _ALL,
        says=("The share of satisfied triplets does not drop with the dimensions.",),
        terms=(_AGREEMENT,),
    ),
    "6.7": _posed(
        "Model 1",
        "6.6",
        "A small variance leaves all dimensions active; with a larger one, slower annealing leaves more.",
        "Accuracy is below the baseline, satisfied triplets are near it.",
    ),
    "6.9": _posed(
        "Model 2",
        "6.8",
        "Accuracy is higher than Model 1's and below the baseline; satisfied triplets are above it.",
    ),
    "6.11": _posed(
        "Model 3, only the KL annealed",
        "6.10",
        "Accuracy is now above the baseline, and triplets are far above.",
    ),
    "6.13": _posed(
        "Model 3, the whole prior annealed",
        "6.12",
        "No definite answer which annealing is best; in general this one seems better.",
        terms=(
            "configurations 6 and 9 are the same: the thesis's 0.708 and 0.696 tell what chance is worth",
        ),
    ),
    "6.14": ResultTable(
        "posed faces, the best models on test people",
        "posed",
        _POSED,
        _TEST,
        says=("Model 3 outperforms both baselines.",),
        terms=("the thesis's 0.736 against 0.72 is four faces of 250, of ten people",),
    ),
    "6.16": _spontaneous("Model 1", "6.15", "The results are worse than the baseline.", terms=(_SAID,)),
    "6.18": _spontaneous(
        "Model 2",
        "6.17",
        "No improvement over Model 1; a smaller variance and slower annealing leave more dimensions active.",
    ),
    "6.20": _spontaneous(
        "Model 3, only the KL annealed", "6.19", "Both action units and satisfied triplets improve."
    ),
    "6.22": _spontaneous(
        "Model 3, the whole prior annealed", "6.21", "Both action units and satisfied triplets improve."
    ),
    "6.23": ResultTable(
        "spontaneous faces, the best models on test people",
        "spontaneous",
        _SPONTANEOUS,
        _TEST,
        says=(
            "Model 3's F1 is above the baselines', its AUC slightly below that of PCA; satisfied triplets of "
            "high and medium agreement are far above.",
        ),
        terms=(_F1, _MACHINES, _AGREEMENT),
    ),
    "fer2013": ResultTable(
        "faces in FER-2013's pictures, with and without people's triplets",
        "fer2013",
        _POSED,
        _VALIDATION,
        terms=(
            "validation is PublicTest, on which weights and C were chosen; PrivateTest stays unread",
            "whose faces these are is not known: for the intervals each is a person of its own",
        ),
    ),
}
"""By the table's name, as recipes give it."""
