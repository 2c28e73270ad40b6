"""What the thesis finds of Models 1 to 3 in one test, each with the rule by which ours are judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mien.evaluation.landmarks.people import Difference
from mien.papers.verdicts import FAILS, HOLDS, PARTLY

MARGIN = 0.02
"""Two shares are level where they are known to differ by no more."""


@dataclass(frozen=True)
class Kind:
    """Data of one kind. recipes: by their role in claims."""

    name: str
    recipes: Mapping[str, str]


_BASELINE_NAMES = {
    "raw": "raw",
    "PCA-30": "pca-30",
    "x − neutral": "difference",
    "x − neutral, PCA-30": "difference-pca-30",
}


def _recipes(models: str, baselines: str) -> dict[str, str]:
    named = {f"Model {number}": f"e/{models}{number}" for number in (1, 2, 3)}
    return named | {role: f"e/{baselines}-{name}" for role, name in _BASELINE_NAMES.items()}


POSED = Kind("posed", _recipes("model-", "posed"))
SPONTANEOUS = Kind("spontaneous", _recipes("spontaneous-model-", "spontaneous"))


@dataclass(frozen=True)
class Rule:
    """How a difference is judged. holds: whether its 95 % interval bears it out; partly: whether it does."""

    name: str
    says: str
    holds: Callable[[float, float], bool]
    partly: Callable[[float], bool]

    def verdict(self, found: Difference) -> str:
        """Without an interval, of too few people or of figures that are no counts, partly at best."""
        if not self.partly(found.value):
            return FAILS
        return HOLDS if found.ci95 is not None and self.holds(*found.ci95) else PARTLY


ABOVE = Rule(
    "above",
    "holds where the whole interval lies above 0, partly where the difference does",
    lambda low, high: low > 0,
    lambda value: value > 0,
)
BELOW = Rule(
    "below",
    "holds where the whole interval lies below 0, partly where the difference does",
    lambda low, high: high < 0,
    lambda value: value < 0,
)
LEVEL = Rule(
    "level with",
    f"holds where the whole interval lies within ±{MARGIN}, partly where the difference does",
    lambda low, high: low >= -MARGIN and high <= MARGIN,
    lambda value: abs(value) <= MARGIN,
)


RULE_KINDS = (ABOVE, BELOW, LEVEL)


@dataclass(frozen=True)
class Claim:
    """That one representation lies above, below or level with others by a measure.

    thesis: what it says; empty for a question of ours.
    """

    name: str
    kind: Kind
    thesis: str
    ours: str
    others: tuple[str, ...]
    measure: str
    rule: Rule


_BASELINES = ("raw", "PCA-30")

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "Model 1 below the baselines",
        POSED,
        "Its classification accuracy is lower than the baselines' (6.5.1).",
        "Model 1",
        _BASELINES,
        "accuracy",
        BELOW,
    ),
    Claim(
        "Model 1 satisfies as many triplets",
        POSED,
        "The number of satisfied triplets is similar to the baseline's (6.5.1).",
        "Model 1",
        _BASELINES,
        "triplets",
        LEVEL,
    ),
    Claim(
        "Model 2 above Model 1",
        POSED,
        "A neutral face as input improves the accuracy by about a tenth (6.5.2).",
        "Model 2",
        ("Model 1",),
        "accuracy",
        ABOVE,
    ),
    Claim(
        "Model 2 level with the baseline",
        POSED,
        "It reaches the baseline's accuracy: 0.72 and 0.72 (Table 6.14).",
        "Model 2",
        ("raw",),
        "accuracy",
        LEVEL,
    ),
    Claim(
        "Model 2 satisfies more triplets",
        POSED,
        "Its share of satisfied triplets is higher than the baseline's (6.5.2).",
        "Model 2",
        _BASELINES,
        "triplets",
        ABOVE,
    ),
    Claim(
        "Model 3 above the baselines",
        POSED,
        "It outperforms both baselines in accuracy (6.5.4).",
        "Model 3",
        _BASELINES,
        "accuracy",
        ABOVE,
    ),
    Claim(
        "Model 3 satisfies more triplets",
        POSED,
        "The prior raises the share of satisfied triplets of people never seen: 0.798 (6.5.4).",
        "Model 3",
        ("Model 2", "PCA-30", "raw"),
        "triplets",
        ABOVE,
    ),
    Claim(
        "Model 3 above x − neutral",
        POSED,
        "",
        "Model 3",
        ("x − neutral", "x − neutral, PCA-30"),
        "accuracy",
        ABOVE,
    ),
    Claim(
        "Model 3 satisfies more triplets than x − neutral",
        POSED,
        "",
        "Model 3",
        ("x − neutral", "x − neutral, PCA-30"),
        "triplets",
        ABOVE,
    ),
    Claim(
        "Model 1 below the baselines",
        SPONTANEOUS,
        "Its results are worse than the baseline's (6.6.1).",
        "Model 1",
        _BASELINES,
        "auc",
        BELOW,
    ),
    Claim(
        "Model 3 above the baselines",
        SPONTANEOUS,
        "It outperforms the baselines on the F1 score (6.6.4).",
        "Model 3",
        _BASELINES,
        "f1",
        ABOVE,
    ),
    Claim(
        "Model 3's AUC below that of PCA",
        SPONTANEOUS,
        "Its AUC is slightly lower than that of PCA (6.6.4).",
        "Model 3",
        ("PCA-30",),
        "auc",
        BELOW,
    ),
    *(
        Claim(
            f"Model 3 satisfies more triplets, agreement {votes}",
            SPONTANEOUS,
            f"Triplets of {word} agreement are satisfied much more often than by the baselines (6.6.4).",
            "Model 3",
            ("Model 2", *_BASELINES),
            f"triplets_{votes}",
            ABOVE,
        )
        for votes, word in ((5, "high"), (3, "medium"))
    ),
    Claim(
        "Model 3 no further, agreement 1",
        SPONTANEOUS,
        "Of low agreement nearly as many are satisfied as by the baselines: 0.556 and 0.549 (Table 6.23).",
        "Model 3",
        _BASELINES,
        "triplets_1",
        LEVEL,
    ),
)
"""In the order of the thesis's argument."""
