"""System D's runs, one line a recipe and seed, and what they say together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from mien.evaluation.maps.circular_order import EXPECTED
from mien.papers.map_runs import ALPHA, AS_PUBLISHED, NOT_HERE, RUNS, STAND_IN, MapRun, in_order, short
from mien.papers.sheet import Block, Sheet
from mien.papers.sources import Sources
from mien.report.circumplex_words import share_of, times
from mien.training.recipe import BUDGETS

TITLE = "maps learned from same and different alone, and the order of emotions round them"

_ORDERS = 60
_HEADS = ("row", "seed", "budget", "best epoch", "neighbours (95 % interval)", "silhouette")
_ORDER_HEADS = (
    "row", "seed", "order", "exchanges (chance)", "consistent", "Mantel r (p)", "disparity",
)  # fmt: skip


def sheet(sources: Sources) -> Sheet:
    """Every run of every recipe, and by recipe and budget what the seeds agree on."""
    recipes = sources.of(RUNS)
    runs = {
        row: _ranked(
            MapRun.of(entry)
            for entry in sources.entries
            if entry["recipe"] == recipe.name and in_order(entry)
        )
        for row, recipe in recipes.items()
    }
    never_run = [recipe.name for row, recipe in recipes.items() if not runs[row]]
    groups = [
        (row, list(alike))
        for row, held in runs.items()
        for _, alike in groupby(held, key=lambda run: run.budget)
    ]
    every = [(row, run) for row, held in runs.items() for run in held]
    blocks = [
        Block(_HEADS, [_cells(row, run) for row, run in every], TITLE),
        Block(
            _ORDER_HEADS, [_order_cells(row, run) for row, run in every], "the order of emotions round each"
        ),
    ]
    if groups:
        blocks += [_summary(groups), _orders(groups)]
    return Sheet(
        blocks,
        _notes(groups, never_run),
        never_run,
        {
            "data": STAND_IN,
            "runs": [{"row": row, **_to_dict(run)} for row, held in runs.items() for run in held],
            "over_seeds": [{"row": row, **_over_seeds(held)} for row, held in groups],
            "never_run": never_run,
        },
    )


def _ranked(runs: Iterable[MapRun]) -> list[MapRun]:
    return sorted(runs, key=lambda run: (-BUDGETS.index(run.budget), run.seed))


def _cells(row: str, run: MapRun) -> tuple[str, ...]:
    near = run.near
    return (
        row,
        str(run.seed),
        run.budget,
        f"{run.best_epoch} of {run.epochs}",
        f"{near.accuracy:.4f} ({near.ci95[0]:.4f}–{near.ci95[1]:.4f})",
        _number(run.quality.silhouette),
    )


def _order_cells(row: str, run: MapRun) -> tuple[str, ...]:
    expected, against = run.found["expected"], run.found["against"]
    people = ("–", "–")
    if against:
        mantel = against["mantel"]
        people = (
            f"{_number(mantel['r'])} ({mantel['p']:.4f})",
            f"{against['procrustes']['disparity']:.3f}",
        )
    return (
        row,
        str(run.seed),
        short(run.order),
        f"{run.exchanges} ({expected['chance']:.3f})",
        f"{'yes' if expected['consistent'] else 'no'}, {times(run.found['overlaps']['orders'], 'order')}",
        *people,
    )


def _to_dict(run: MapRun) -> dict[str, Any]:
    expected, against, near = run.found["expected"], run.found["against"], run.near
    return {
        "recipe": run.recipe,
        "seed": run.seed,
        "budget": run.budget,
        "epochs": run.epochs,
        "best_epoch": run.best_epoch,
        "split": run.split,
        "n": run.n,
        "neighbours": {"k": near.k, "accuracy": near.accuracy, "ci95": list(near.ci95)},
        "silhouette": run.quality.silhouette,
        "order": list(run.order),
        "exchanges": run.exchanges,
        "chance": expected["chance"],
        "consistent": expected["consistent"],
        "orders_stood_for": run.found["overlaps"]["orders"],
        "mantel": against and against["mantel"],
        "disparity": against and against["procrustes"]["disparity"],
    }


def _over_seeds(runs: Sequence[MapRun]) -> dict[str, Any]:
    """What the runs of one recipe under one budget say together; means are over seeds."""
    orders = Counter(run.order for run in runs).most_common()
    people = [run.found["against"]["mantel"] for run in runs if run.found["against"]]
    return {
        "recipe": runs[0].recipe,
        "budget": runs[0].budget,
        "seeds": [run.seed for run in runs],
        "orders": [{"order": list(order), "share": came / len(runs)} for order, came in orders],
        "expected_share": sum(run.exchanges == 0 for run in runs) / len(runs),
        "within_one_share": sum(run.exchanges <= 1 for run in runs) / len(runs),
        "consistent_share": sum(run.found["expected"]["consistent"] for run in runs) / len(runs),
        "neighbours": _spread([run.near.accuracy for run in runs]),
        "silhouette": _spread([run.quality.silhouette for run in runs]),
        "mantel_r": _spread([mantel["r"] for mantel in people]) if people else None,
        "mantel_agrees_share": sum(m["p"] <= ALPHA for m in people) / len(people) if people else None,
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"mean": sum(values) / len(values), "least": min(values), "most": max(values)}


def _summary(groups: Sequence[tuple[str, list[MapRun]]]) -> Block:
    heads = (
        "row", "budget", "runs", "expected order", "at most one exchange", "consistent", "neighbours",
        "silhouette", "Mantel r", f"p ≤ {ALPHA}",
    )  # fmt: skip
    rows = []
    for row, runs in groups:
        found, n = _over_seeds(runs), len(runs)
        shares = [found[f"{share}_share"] for share in ("expected", "within_one", "consistent")]
        agrees = found["mantel_agrees_share"]
        rows.append(
            (
                row,
                runs[0].budget,
                str(n),
                *(_of(share, n) for share in shares),
                _ends(found["neighbours"]),
                _ends(found["silhouette"]),
                "–" if found["mantel_r"] is None else _ends(found["mantel_r"]),
                "–" if agrees is None else _of(agrees, sum(run.found["against"] is not None for run in runs)),
            )
        )
    return Block(heads, rows, "over seeds: how many runs, and means with their range")


def _of(share: float, n: int) -> str:
    return f"{round(share * n)} of {n}"


def _ends(spread: dict[str, float]) -> str:
    """A mean with its range, or one figure where there is no range."""
    mean, least, most = (_number(spread[name]) for name in ("mean", "least", "most"))
    return mean if least == most else f"{mean} ({least} to {most})"


def _number(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


def _orders(groups: Sequence[tuple[str, list[MapRun]]]) -> Block:
    rows = []
    for row, runs in groups:
        exchanges = {run.order: run.exchanges for run in runs}
        rows += [
            (row, runs[0].budget, short(order), f"{came} of {len(runs)}", str(exchanges[order]))
            for order, came in Counter(run.order for run in runs).most_common()
        ]
    return Block(("row", "budget", "order", "runs", "exchanges"), rows, "how often each order came")


def _notes(groups: Sequence[tuple[str, list[MapRun]]], never_run: Sequence[str]) -> list[str]:
    notes = [STAND_IN]
    if AS_PUBLISHED in never_run:
        notes.append(NOT_HERE)
    if groups:
        run = groups[0][1][0]
        notes += [
            f"neighbours: how often the {run.near.k} nearest training faces name the emotion of a validation "
            "face; interval: Wilson",
            "order: an angry, di disgust, fe fear, ha happy, sa sad, sp surprise, read either way; "
            f"exchanges: of neighbours, to the paper's {short(EXPECTED)}; chance: of all orders, the share "
            f"as near, {share_of(1 / _ORDERS, _ORDERS)} for the order itself",
            "consistent: the paper's order, or it once emotions that are not told apart may swap; and for "
            f"how many of the {_ORDERS} orders the map stands, so that many make it say little",
            "Mantel r, p, disparity: against people's votes, on those of the faces that have them, exact "
            "over all relabellings",
        ]
    notes.append("one seed each says little: --run --seeds N runs N of each recipe")
    return notes
