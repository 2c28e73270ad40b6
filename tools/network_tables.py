"""What the ledger says of our networks as such: their cost, what each change brought, what ships."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

from mien.inference.lookup import DEFAULT_MODEL, card_of
from mien.ledger import Entry
from mien.papers.ablations import AblationRow, ablation_rows, mean_without
from mien.papers.sources import Sources
from mien.report.model_card import markdown
from mien.report.pareto import Cost, frontier
from mien.storage import packaged

PEERS = Path(__file__).with_name("peers.toml")
MEASUREMENTS = packaged("results") / "measurements"
SPLIT = "public"
_WITHOUT = ("without copied faces", "without near copies either")
"""Heads of the columns of accuracies on faces that training did not show."""


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "".join(f"| {' | '.join(line)} |\n" for line in [heads, ["---"] * len(heads), *rows])


@cache
def _multiply_adds(architecture_name: str, options: str) -> int:
    """Of one face's forward pass. On no device: shapes are enough to count."""
    import torch

    from mien.bench.speed import multiply_adds
    from mien.models import architecture

    with torch.device("meta"):
        return multiply_adds(architecture(architecture_name).build(json.loads(options)))


def _cost_of(entry: Entry) -> int:
    options = dict(entry["recipe_as_run"]["model"])
    return _multiply_adds(options.pop("name"), json.dumps(options, sort_keys=True))


def _is_classifier(entry: Entry) -> bool:
    figures = entry.get("figures", {}).get(SPLIT, {})
    return {"accuracy", "confusion"} <= figures.keys() and figures.get("protocol", "single") == "single"


def own_costs(sources: Sources) -> list[Cost]:
    """Every recipe of a classifier of pictures that was run, but for those that change another in one thing.

    Of several seeds the mean, under the largest budget that it was run with. Of recipes that cost the same
    the best is named.
    """
    found = []
    for recipe in sources.recipes:
        runs = [entry for entry in sources.runs_of(recipe.name) if _is_classifier(entry)]
        if recipe.ablation is not None or not runs:
            continue
        figures = [entry["figures"][SPLIT] for entry in runs]
        rates = [each["accuracy"] for each in figures]
        found.append(
            Cost(
                recipe.name,
                mean(rates),
                (min(rates), max(rates)),
                mean_without("without_copies", figures),
                _cost_of(runs[0]),
                ours=True,
                without_leaks=mean_without("without_leaks", figures),
            )
        )
    best = {each.multiply_adds: each.name for each in sorted(found, key=lambda each: each.accuracy)}
    return [replace(each, named=each.name in best.values()) for each in found]


def peers() -> list[dict[str, Any]]:
    """What others published, from `peers.toml`."""
    found: list[dict[str, Any]] = tomllib.loads(PEERS.read_text(encoding="utf-8"))["peer"]
    return found


def peer_costs() -> list[Cost]:
    """The same as points of the picture."""
    return [
        Cost(
            each["name"],
            each["accuracy"],
            (each["accuracy"] - each.get("spread", 0.0), each["accuracy"] + each.get("spread", 0.0)),
            None,
            each.get("multiply_adds"),
            ours=False,
        )
        for each in peers()
    ]


def _millions(count: int | None) -> str:
    return "unknown" if count is None else f"{count / 1e6:.1f} M"


def costs(_: str, sources: Sources) -> str:
    """Each network's accuracy beside its multiply-adds, ours and others'."""
    ours = sorted(own_costs(sources), key=lambda each: each.multiply_adds or 0)
    best = set(frontier(ours))
    rows = [
        [
            f"**`{each.name}`**" if each.name in best else f"`{each.name}`",
            _millions(each.multiply_adds),
            "PublicTest",
            _spread(each.accuracy, each.ends),
            _rate(each.without_copies),
            _rate(each.without_leaks),
            "this ledger",
        ]
        for each in ours
    ]
    rows += [
        [
            f"{each['name']}{' (installable)' if each.get('installable') else ''}",
            _millions(each.get("multiply_adds")),
            "PrivateTest" if each["split"] == "private" else each["split"],
            f"{each['accuracy']:.3f}" + (f" ± {each['spread']:.2f}" if "spread" in each else ""),
            "–",
            "–",
            each["source"] + ("" if "checked" in each else " †"),
        ]
        for each in peers()
    ]
    heads = ["network", "multiply-adds", "split", "accuracy", *_WITHOUT, "from"]
    return table(heads, rows) + "\n† quoted at second hand: the figure was not looked up in its source.\n"


def _rate(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _spread(middle: float, ends: tuple[float, float]) -> str:
    return f"{middle:.4f}" + (f" ({ends[0]:.4f} to {ends[1]:.4f})" if ends[0] < ends[1] else "")


def ablation(base: str, sources: Sources) -> str:
    """What each change to a recipe costs or brings under the same budget."""
    rows = ablation_rows(base, sources)
    lines = [
        [
            each.change,
            _rates(each),
            _rate(each.without_copies),
            _rate(each.without_leaks),
            _difference(each),
            str(len(each.accuracies)) if each.accuracies else "never run",
            "–" if each.minutes is None else f"{each.minutes:.0f}",
        ]
        for each in rows
    ]
    heads = [
        "change", "accuracy, public", *_WITHOUT, "difference in points (95 % interval)", "seeds", "minutes",
    ]  # fmt: skip
    unpaired = any(each.difference is not None and not each.difference.paired for each in rows)
    note = "\n† of two rates: the run does not say which faces it read right.\n" if unpaired else ""
    return table(heads, lines) + note


def _rates(row: AblationRow) -> str:
    if not row.accuracies:
        return "–"
    return _spread(mean(row.accuracies), (min(row.accuracies), max(row.accuracies)))


def _difference(row: AblationRow) -> str:
    if row.difference is None:
        return "–"
    low, high = (100 * end for end in row.difference.ci95)
    mark = "" if row.difference.paired else " †"
    return f"{100 * row.difference.value:+.1f} ({low:+.1f} to {high:+.1f}){mark}".replace("-", "−")


def formats(_: str, sources: Sources) -> str:
    """What ships in which numbers, from `benchmarks/formats.py`; nothing before it was measured."""
    path = MEASUREMENTS / "formats.json"
    if not path.is_file():
        return "Not measured yet.\n"
    found = json.loads(path.read_text(encoding="utf-8"))
    computer = found["machine"]
    rows = []
    for each in found["files"]:
        rate = each[SPLIT]
        low, high = rate["accuracy_ci95"]
        cells = [
            f"{_latency(each['latency'][threads][batch])}"
            for threads in ("threads_1", "threads_2")
            for batch in ("batch_1", "batch_64")
        ]
        rows.append(
            [
                f"`{each['name']}`",
                each["weights"],
                f"{each['bytes'] / 1e6:.2f} MB",
                f"{rate['accuracy']:.4f} ({low:.4f}–{high:.4f})",
                *(
                    _rate((rate.get(key) or {}).get("accuracy"))
                    for key in ("without_copies", "without_leaks")
                ),
                _beside(each["original"]),
                *cells,
            ]
        )
    heads = [
        "network", "numbers", "file", "accuracy, public", *_WITHOUT, "beside the float file, points",
        "1 thread, batch 1", "64", "2 threads, batch 1", "64",
    ]  # fmt: skip
    return (
        f"Milliseconds, medians with quartiles, on {computer['cores']} cores of {computer['processor']}, "
        f"{found['date']} (`{found['command']}`):\n\n" + table(heads, rows)
    )


def _latency(spent: dict[str, Any]) -> str:
    low, high = spent["quartiles_ms"]
    digits = 2 if spent["median_ms"] < 10 else 0
    return f"{spent['median_ms']:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def _beside(original: dict[str, Any] | None) -> str:
    if original is None:
        return "–"
    apart = original["difference"]
    low, high = (100 * end for end in apart["ci95"])
    fastest = original["times_as_fast"].values()
    return (
        f"{100 * apart['difference']:+.2f} ({low:+.2f} to {high:+.2f}), "
        f"{min(fastest):.1f} to {max(fastest):.1f} times as fast"
    ).replace("-", "−")


def model_card(name: str, sources: Sources) -> str:
    """A shipped network's card in words: of the one that reads faces where none is named, if none is here."""
    return markdown(card_of(name or DEFAULT_MODEL))


BLOCKS: dict[str, Callable[[str, Sources], str]] = {
    "costs": costs,
    "ablation": ablation,
    "formats": formats,
    "modelcard": model_card,
}
"""The tables by the word that opens a block."""
