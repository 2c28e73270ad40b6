"""What system D's paper claims, beside what our runs say: every verdict follows from figures by its rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any

from mien.evaluation.maps.agreement import mantel, procrustes
from mien.evaluation.maps.circular_order import EXPECTED, consistent
from mien.evaluation.maps.quality import SEPARATED
from mien.evaluation.maps.separability import SEPARABLE
from mien.papers.map_runs import (
    ALPHA,
    ANOTHER_TRUNK,
    AS_PUBLISHED,
    BALANCED,
    EVEN,
    MAIN,
    NOT_HERE,
    STAND_IN,
    SYNTHETIC,
    MapRun,
    map_runs_of,
    short,
)
from mien.papers.sheet import Block, Sheet
from mien.papers.sources import Sources
from mien.papers.verdicts import FAILS, HOLDS, PARTLY, together

TITLE = "the paper's claims, and what our runs say"

APART = (EVEN, AS_PUBLISHED, SYNTHETIC)
"""Recipes that claims are judged by too: with even emotions, on the paper's own data, on synthetic people."""

OVER_SEEDS = "a verdict is that of the runs where all agree, else 'partly'"


@dataclass(frozen=True)
class Runs:
    """The runs that claims are judged by, all under one budget. main: with all pairs, by seed.

    balanced: of balanced pairs; another_trunk: of another network; both on the same faces.
    """

    main: Sequence[MapRun]
    balanced: Sequence[MapRun] = ()
    another_trunk: Sequence[MapRun] = ()


@dataclass(frozen=True)
class Judged:
    """One run, or one pair of runs, against a claim. seeds: of the run or the two. figures: what it says."""

    seeds: tuple[int, ...]
    verdict: str
    figures: dict[str, float | str]

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"seeds": list(self.seeds), "verdict": self.verdict, "figures": self.figures}


@dataclass(frozen=True)
class Claim:
    """paper: what it says. rule: what a run must show. judge: applies it.

    beside: figures, over the same runs, that say what those of the claim are worth; in `beside_is`'s words.
    """

    name: str
    paper: str
    rule: str
    judge: Callable[[Runs], Iterator[Judged]]
    beside: Callable[[Runs], Iterator[Judged]] = field(default=lambda _: iter(()))
    beside_is: str = ""


def verdict(judged: Sequence[Judged]) -> str:
    """Over seeds, by the rule that `OVER_SEEDS` states; 'never run' where there is none."""
    return together([each.verdict for each in judged])


def sheet(sources: Sources) -> Sheet:
    """Every claim by the runs on the stand-in, and by those of `APART`, each recipe by itself, where run."""
    found = {MAIN: _runs(sources, MAIN)}
    for name in APART:
        if apart := map_runs_of(sources, name):
            found[name] = Runs(apart)
    judged = {
        recipe: {claim.name: list(claim.judge(runs)) for claim in CLAIMS} for recipe, runs in found.items()
    }
    blocks = [
        Block(
            ("claim", "verdict", "runs", "ours"),
            [
                (
                    claim.name,
                    verdict(ours := judged[recipe][claim.name]),
                    _tally(ours),
                    _ours(claim, ours, runs),
                )
                for claim in CLAIMS
            ],
            f"{TITLE}: {recipe}{_about(runs)}",
        )
        for recipe, runs in found.items()
    ]
    never_run = [name for name in (MAIN, BALANCED, ANOTHER_TRUNK, *APART) if not map_runs_of(sources, name)]
    lacking = [NOT_HERE] if AS_PUBLISHED in never_run else []
    rules = [f"{claim.name}: the paper says: {claim.paper} {claim.rule}" for claim in CLAIMS]
    return Sheet(
        blocks,
        [STAND_IN, *lacking, *rules, OVER_SEEDS],
        never_run,
        {
            "data": STAND_IN,
            "over_seeds": OVER_SEEDS,
            "recipes": [
                {
                    "recipe": recipe,
                    "budget": runs.main[0].budget if runs.main else None,
                    "seeds": [run.seed for run in runs.main],
                    "claims": [_to_dict(claim, judged[recipe][claim.name], runs) for claim in CLAIMS],
                }
                for recipe, runs in found.items()
            ],
            "never_run": never_run,
        },
    )


def _runs(sources: Sources, recipe: str) -> Runs:
    """A recipe's runs, and those of the two that are compared with it under the same budget."""
    main, *others = (map_runs_of(sources, name) for name in (recipe, BALANCED, ANOTHER_TRUNK))
    alike = [[run for run in runs if main and _same_faces(run, main[0])] for runs in others]
    return Runs(main, *alike)


def _same_faces(one: MapRun, other: MapRun) -> bool:
    return (one.budget, one.split, one.n) == (other.budget, other.split, other.n)


def _about(runs: Runs) -> str:
    if not runs.main:
        return ""
    first = runs.main[0]
    seeds = ", ".join(str(run.seed) for run in runs.main)
    many = "seed" if len(runs.main) == 1 else "seeds"
    return f", budget {first.budget}, {many} {seeds}, {first.n:,} faces of {first.split}"


def _tally(judged: Sequence[Judged]) -> str:
    """How many runs, or pairs of them, have each verdict."""
    return ", ".join(
        f"{name} {number} of {len(judged)}"
        for name, number in Counter(each.verdict for each in judged).most_common()
    )


def _ours(claim: Claim, judged: Sequence[Judged], runs: Runs) -> str:
    beside = list(claim.beside(runs))
    told = _figures(judged)
    return f"{told}; {claim.beside_is}: {_figures(beside)}" if beside and judged else told


def _figures(judged: Sequence[Judged]) -> str:
    """Each figure over the runs: a number as its mean and range, a word by how often it came."""
    names = dict.fromkeys(name for each in judged for name in each.figures)
    return ", ".join(f"{name} {_over([each.figures[name] for each in judged])}" for name in names)


def _over(values: Sequence[float | str]) -> str:
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) < len(values):
        counted = Counter(str(value) for value in values).most_common()
        return " / ".join(f"{value} ({times} of {len(values)})" for value, times in counted)
    mean, least, most = sum(numbers) / len(numbers), min(numbers), max(numbers)
    told = [f"{value:g}" if isinstance(value, int) else f"{value:.3f}" for value in (least, most)]
    return (told[0] if least == most else f"{mean:.3f} ({told[0]} to {told[1]})").replace("-", "−")


def _to_dict(claim: Claim, judged: Sequence[Judged], runs: Runs) -> dict[str, Any]:
    return {
        "claim": claim.name,
        "paper": claim.paper,
        "rule": claim.rule,
        "verdict": verdict(judged),
        "runs": [each.to_dict() for each in judged],
        "beside": {
            "is": claim.beside_is or None,
            "runs": [each.to_dict() for each in claim.beside(runs)],
        },
    }


def _order(runs: Runs) -> Iterator[Judged]:
    for run in runs.main:
        figures: dict[str, float | str] = {"order": short(run.order), "exchanges": run.exchanges}
        yield Judged((run.seed,), HOLDS if run.exchanges == 0 else FAILS, figures)


_JOINED = consistent(EXPECTED, [("fear", "surprise")])


def _order_joined(runs: Runs) -> Iterator[Judged]:
    for run in runs.main:
        yield Judged((run.seed,), HOLDS if run.order in _JOINED else FAILS, {"order": short(run.order)})


def _tightest(runs: Runs) -> Iterator[Judged]:
    for run in runs.main:
        tightness = run.quality.tightness
        least = min(value for name, value in tightness.items() if name != "happy")
        holds = run.quality.tightest == "happy"
        yield Judged(
            (run.seed,),
            HOLDS if holds else FAILS,
            {
                "tightest": run.quality.tightest,
                "happy": tightness["happy"],
                "tightest of the others": least,
            },
        )


def _happy_separable(runs: Runs) -> Iterator[Judged]:
    verdicts = {"separable": HOLDS, "barely": PARTLY, "not separable": FAILS}
    for run in runs.main:
        rate = run.quality.against_others["happy"]
        yield Judged((run.seed,), verdicts[rate.verdict], {"happy from all others": rate.value})


def _pair(one: str, other: str, verdicts: dict[str, str]) -> Callable[[Runs], Iterator[Judged]]:
    """A claim on how far a straight line parts two emotions. verdicts: by what `Rate.verdict` says.

    The pair's place among all, the least parted first, says what a map that parts nothing leaves unsaid.
    """

    def judge(runs: Runs) -> Iterator[Judged]:
        for run in runs.main:
            rate, pairs = run.quality.pair(one, other), run.quality.pairs.values()
            figures: dict[str, float | str] = {
                f"{one} from {other}": rate.value,
                f"place among {len(pairs)} pairs": 1 + sum(pair.value < rate.value for pair in pairs),
            }
            yield Judged((run.seed,), verdicts[rate.verdict], figures)

    return judge


def _all_pairs(runs: Runs) -> Iterator[Judged]:
    balanced = {run.seed: run for run in runs.balanced}
    for run in runs.main:
        if (other := balanced.get(run.seed)) is None:
            continue
        ours, theirs = run.near, other.near
        higher = [ours.accuracy > theirs.accuracy, run.quality.silhouette > other.quality.silhouette]
        beyond = ours.ci95[0] > theirs.ci95[1]
        yield Judged(
            (run.seed, other.seed),
            FAILS if not all(higher) else HOLDS if beyond else PARTLY,
            {
                "neighbours": ours.accuracy,
                "balanced": theirs.accuracy,
                "silhouette": run.quality.silhouette,
                "balanced silhouette": other.quality.silhouette,
            },
        )


def _same_map(one: MapRun, other: MapRun) -> Judged:
    pairs = mantel(one.dissimilarities, other.dissimilarities)
    alike = [one.order == other.order, pairs.p <= ALPHA]
    return Judged(
        (one.seed, other.seed),
        HOLDS if all(alike) else PARTLY if any(alike) else FAILS,
        {
            "same order": "yes" if alike[0] else "no",
            "Mantel r": pairs.r,
            "p": pairs.p,
            "disparity": procrustes(one.places, other.places).disparity,
        },
    )


def _other_trunks(runs: Runs) -> Iterator[Judged]:
    for one, other in product(runs.main, runs.another_trunk):
        yield _same_map(one, other)


def _same_trunk(runs: Runs) -> Iterator[Judged]:
    for one, other in combinations(runs.main, 2):
        yield _same_map(one, other)


def _people(runs: Runs) -> Iterator[Judged]:
    for run in runs.main:
        if (against := run.found["against"]) is None:
            continue
        r, p = against["mantel"]["r"], against["mantel"]["p"]
        alike = [against["chance"] <= ALPHA, p <= ALPHA]
        yield Judged(
            (run.seed,),
            HOLDS if all(alike) else PARTLY if any(alike) else FAILS,
            {
                "Mantel r": r,
                "p": p,
                "disparity": against["procrustes"]["disparity"],
                "exchanges from people's order": against["exchanges"],
                "chance of as few": against["chance"],
            },
        )


_PARTED = (
    f"separable from {SEPARATED} on, barely from {SEPARABLE}, below it not: balanced accuracy of a straight "
    "line on faces that it was not fitted on"
)

CLAIMS: tuple[Claim, ...] = (
    Claim(
        "circular order",
        "The order is happy, surprise, fear, sad, angry, disgust.",
        "Holds where the map has this order: chance 1 of 60.",
        _order,
    ),
    Claim(
        "order, fear and surprise joined",
        "Since fear and surprise overlap, it is that order or happy, fear, surprise, sad, angry, disgust.",
        "Holds where the map has one of the two: chance 2 of 60.",
        _order_joined,
    ),
    Claim(
        "happy tightest",
        "Happy faces are pushed into a tight cluster.",
        "Holds where happy faces lie nearest to their middle, by the root of the mean squared distance over "
        "that of all faces to theirs.",
        _tightest,
    ),
    Claim(
        "happy linearly separable",
        "Happy faces are essentially linearly separable from the others in two dimensions.",
        f"Holds where happy is separable, partly where barely; {_PARTED}.",
        _happy_separable,
    ),
    Claim(
        "fear and surprise not separable",
        "Surprise and fear completely overlap.",
        "Holds where the two are not separable, partly where barely, in the same sense; first among the "
        "pairs is the least parted.",
        _pair("fear", "surprise", {"not separable": HOLDS, "barely": PARTLY, "separable": FAILS}),
    ),
    Claim(
        "disgust and anger barely",
        "Disgust and anger are just barely separated.",
        "Holds where the two are barely separable in the same sense, and neither more nor less.",
        _pair("angry", "disgust", {"not separable": FAILS, "barely": HOLDS, "separable": FAILS}),
    ),
    Claim(
        "all pairs beat balanced pairs",
        "With as many unlike pairs as like ones, data is lost and the model does not generalise well.",
        "By seed, on the same faces: holds where neighbours and silhouette are both higher with all pairs, "
        "the neighbours beyond both 95 % intervals; partly where both are higher by less; else not.",
        _all_pairs,
    ),
    Claim(
        "other trunks, the same map",
        "All architectures whose loss fell much yield essentially the same representation.",
        "Every seed of one trunk with every seed of another: holds where the orders are the same and "
        f"Mantel's exact p ≤ {ALPHA}, partly where one of the two.",
        _other_trunks,
        _same_trunk,
        "seeds of one trunk among themselves",
    ),
    Claim(
        "people's map",
        "The order is very similar to that of the scaled answers of people.",
        f"Holds where at most {ALPHA} of all orders lie as near to that of people's votes, and Mantel's "
        f"exact p ≤ {ALPHA} for the distances; partly where one of the two. People's map is of those of the "
        "faces that have votes among the six.",
        _people,
    ),
)
"""In the order of the paper's argument."""
