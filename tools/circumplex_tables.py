"""The tables of the circumplex, from the ledger's maps and `results/measurements/three_maps.json`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien import ledger
from mien.evaluation.maps.agreement import Mantel, mantel
from mien.evaluation.maps.circular_order import exchanges
from mien.evaluation.maps.quality import MapQuality, Neighbours, Rate
from mien.papers import map_claims
from mien.papers.map_runs import MAIN, RUNS, MapRun, map_runs_of, short
from mien.papers.sources import Sources
from mien.report.circumplex_words import orders_of
from mien.training import recipe

Found = Mapping[str, Any]
Row = Sequence[str]

MEASURED = "measurements/three_maps.json"
"""What `benchmarks/three_maps.py` measured, in the ledger's folder."""

PIXELS = (("pca", "PCA"), ("mds", "MDS"))
"""Maps from pixels: their names in what was measured, and in the tables."""


@dataclass(frozen=True, slots=True, eq=False)
class Results:
    """What all tables are made of.

    sources: recipes and ledger. runs: by recipe, in the order of its table, the runs of every seed. names:
    of recipes in the tables. measured: beside the runs, on the same faces.
    """

    sources: Sources
    runs: Mapping[str, Sequence[MapRun]]
    names: Mapping[str, str]
    measured: Found

    @classmethod
    def of(cls, sources: Sources, measured: Found) -> Results:
        """The runs that mapped the faces that were measured; those on other data have no place here."""
        names = {each.name: f"siamese, {row}" for row, each in sources.of(RUNS).items()}
        split = measured["split"]
        faces = sum(measured["faces"][split].values())
        found = {name: map_runs_of(sources, name) for name in names}
        held = {
            name: runs
            for name, runs in found.items()
            if runs and (runs[0].split, runs[0].n) == (split, faces)
        }
        return cls(sources, held, names, measured)

    @classmethod
    def read(cls, folder: Path) -> Results:
        """What a ledger's folder holds."""
        measured = json.loads((folder / MEASURED).read_text(encoding="utf-8"))
        recipes = [recipe.load(name) for name in recipe.names()]
        return cls.of(Sources(recipes, ledger.entries(folder)), measured)

    @property
    def main(self) -> Sequence[MapRun]:
        """The runs of the recipe as it stands, by seed."""
        return self.runs[MAIN]

    @property
    def people(self) -> Found:
        """People's circumplex of the validation faces."""
        found: Found = self.measured["people"][self.measured["split"]]
        return found

    @property
    def classifier(self) -> Found:
        """The classifier's circumplex of the validation faces."""
        found: Found = self.measured["classifier"][self.measured["split"]]
        return found

    @property
    def every(self) -> list[tuple[str, Found]]:
        """Every circumplex with its name, people first."""
        runs = [run for each in self.runs.values() for run in each]
        return [
            ("people, PublicTest", self.people),
            ("people, Training", self.measured["people"]["training"]),
            ("`conv_net`", self.classifier),
            *((f"{self.names[run.recipe]}, seed {run.seed}", run.found) for run in runs),
            *(
                (f"{title} of the pixels", self.measured["pixels"][name]["circumplex"])
                for name, title in PIXELS
            ),
        ]


def table(heads: Row, rows: Iterable[Row]) -> str:
    """A Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _order(names: Sequence[str]) -> str:
    return ", ".join(names)


def _spread(values: Iterable[float], digits: int = 2) -> str:
    """One value, or the mean of several with their ends."""
    held = list(values)
    told = [_number(value, digits) for value in (mean(held), min(held), max(held))]
    return told[0] if len(held) == 1 else "{} ({} to {})".format(*told)


def _number(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def _chance(share: float, emotions: int) -> str:
    total = orders_of(emotions)
    return f"{round(share * total)} of {total}"


def _p(value: float) -> str:
    return f"{value:.4f}" if value < 0.1 else f"{value:.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _seeds(runs: Sequence[MapRun]) -> str:
    return "one run" if len(runs) == 1 else f"{len(runs)} seeds"


def faces(held: Results) -> str:
    """How many faces there are of each emotion, and how many of them people's map stands on."""
    counts = held.measured["faces"]
    rows = [
        [title, f"{sum(counts[name].values()):,}", *(f"{count:,}" for count in counts[name].values())]
        for name, title in (
            ("training", "Training"),
            (held.measured["split"], "PublicTest"),
            ("voted", "of these, on people's map"),
        )
    ]
    return table(["faces", "all", *counts["training"]], rows)


def maps(held: Results) -> str:
    """Each kind of map in a row: order, distance from the paper's, agreement with people."""
    return _maps(held, list(held.runs))


def summary(held: Results) -> str:
    """`maps` with the recipe as it stands alone."""
    return _maps(held, [MAIN])


def _maps(held: Results, recipes: Sequence[str]) -> str:
    pixels = {name: found["circumplex"] for name, found in held.measured["pixels"].items()}
    rows = [
        ["people's votes", _order(held.people["order"]), _away(held.people), "–"],
        _one_row("classifier `conv_net`", held.classifier),
        *(_runs_row(f"{held.names[name]}, {_seeds(held.runs[name])}", held.runs[name]) for name in recipes),
        *(_one_row(f"{title} of the pixels", pixels[name]) for name, title in PIXELS),
    ]
    return table(["map", "order round it", "exchanges from the paper's", "r to people (exact p)"], rows)


def _away(found: Found) -> str:
    expected = found["expected"]
    return f"{expected['exchanges']} ({_chance(expected['chance'], len(found['emotions']))})"


def _one_row(name: str, found: Found) -> Row:
    agreed = found["against"]["mantel"]
    return [name, _order(found["order"]), _away(found), f"{_number(agreed['r'])} ({_p(agreed['p'])})"]


def _runs_row(name: str, runs: Sequence[MapRun]) -> Row:
    if len(runs) == 1:
        return _one_row(name, runs[0].found)
    (often, times), *_ = Counter(run.order for run in runs).most_common()
    agreed = [run.found["against"]["mantel"] for run in runs]
    away = Counter(run.exchanges for run in runs)
    return [
        name,
        f"{_order(often)} ({times} of {len(runs)})",
        ", ".join(f"{each} ({count}×)" for each, count in sorted(away.items())),
        f"{_spread(each['r'] for each in agreed)} (largest {_p(max(each['p'] for each in agreed))})",
    ]


def claims(held: Results) -> str:
    """The paper's claims by the rules of `mien reproduce D/claims`."""
    block = map_claims.sheet(held.sources).blocks[0]
    return table(block.heads, block.rows)


def orders(held: Results) -> str:
    """Order, its distance from the paper's with the exact chance, and what is joined, of every map."""
    rows = []
    for name, found in held.every:
        overlaps, emotions = found["overlaps"], len(found["emotions"])
        joined = "; ".join(" – ".join(pair) for pair in overlaps["joined"]) or "none"
        if len(overlaps["joined"]) == len(overlaps["pairs"]):
            joined = "all"
        rows.append(
            [
                name,
                _order(found["order"]),
                _away(found),
                joined,
                _chance(overlaps["chance"], emotions),
                "yes" if found["expected"]["consistent"] else "no",
            ]
        )
    heads = ["map", "order", "exchanges (chance)", "joined", "orders it stands for", "the paper's among them"]
    return table(heads, rows)


def stability(held: Results) -> str:
    """Stress, non-metric order and the bootstrap's shares of every map."""
    rows = []
    for name, found in held.every:
        drawn, other = found["bootstrap"], found["nonmetric"]["order"]
        rows.append(
            [
                name,
                f"{found['source']['faces']:,}",
                f"{found['metric']['stress']:.3f}",
                "the same" if other == found["order"] else _order(other),
                *(_percent(drawn[share]) for share in ("share", "expected_share", "within_one_share")),
            ]
        )
    heads = ["map", "faces", "stress", "non-metric order", "own order", "the paper's", "within one exchange"]
    drawn = held.people["bootstrap"]
    return f"{drawn['resamples']:,} resamples, seed {drawn['seed']}:\n\n" + table(heads, rows)


def measures(held: Results) -> str:
    """The order by each measure of dissimilarity, with its exchanges from the paper's, of answers."""
    shown = held.every[:3]
    rows = []
    for measure in held.people["measures"]:
        cells = [measure]
        for _, found in shown:
            order = tuple(found["measures"][measure]["order"])
            cells.append(f"{short(order)} ({exchanges(order, tuple(found['expected']['order']))})")
        rows.append(cells)
    return table(["measure", *(name for name, _ in shown)], rows)


def agreement(held: Results) -> str:
    """How far every map agrees with people's of the PublicTest faces."""
    every = [*held.every[1:], ("`conv_net`, faces with votes alone", held.measured["classifier"]["voted"])]
    for run in held.measured["runs"]:
        name = f"{held.names[run['recipe']]}, seed {run['seed']}, faces with votes alone"
        every.append((name, run["voted"]))
    rows = []
    for name, found in every:
        against = found["against"]
        by_pairs, by_maps = against["mantel"], against["procrustes"]
        without = _without_happy(found, held.every[0][1])
        rows.append(
            [
                name,
                f"{found['source']['faces']:,}",
                _number(by_pairs["r"]),
                _p(by_pairs["p"]),
                f"{_number(without.r)} ({_p(without.p)})",
                _number(by_maps["disparity"]),
                _p(by_maps["p"]),
                f"{against['exchanges']} ({_chance(against['chance'], len(against['emotions']))})",
            ]
        )
    heads = [
        "map", "faces", "Mantel r", "p", "without happy (p)", "Procrustes disparity", "p",
        "exchanges (chance)",
    ]  # fmt: skip
    return table(heads, rows)


def _without_happy(found: Found, people: Found) -> Mantel:
    """Mantel's correlation on the five emotions that are not far from all others; exact over 120."""
    matrices = []
    for each in (found, people):
        kept = [number for number, name in enumerate(each["emotions"]) if name != "happy"]
        matrices.append(np.array(each["dissimilarity"]["matrix"])[np.ix_(kept, kept)])
    return mantel(*matrices)


def quality(held: Results) -> str:
    """Neighbours and silhouette of the learned maps beside those from pixels."""
    measured = [
        (f"{held.names[name]}, {_seeds(runs)}", [run.quality for run in runs])
        for name, runs in held.runs.items()
    ]
    for name, title in PIXELS:
        stored = MapQuality.from_dict(held.measured["pixels"][name]["quality"])
        measured.append((f"{title} of the pixels", [stored]))
    rows = [
        [
            name,
            f"{sum(found[0].faces.values()):,}",
            *_near([each.reference for each in found if each.reference is not None]),
            *_near([each.leave_one_out for each in found]),
            _spread((each.silhouette for each in found), 3),
        ]
        for name, found in measured
    ]
    heads = ["map", "faces", "by training faces", "balanced", "by the map's others", "balanced", "silhouette"]
    near = held.main[0].quality.leave_one_out
    told = f"k = {near.k}; a guess of the most common emotion is right {near.most_common:.3f} of the time:"
    return f"{told}\n\n" + table(heads, rows)


def _near(found: Sequence[Neighbours]) -> tuple[str, str]:
    """Accuracy and balanced accuracy of neighbours; dashes where a map places no training faces."""
    if not found:
        return "–", "–"
    return _spread((each.accuracy for each in found), 3), _spread((each.balanced.value for each in found), 3)


def pairs(held: Results) -> str:
    """How far a straight line parts two emotions on the siamese maps, beside the classifier and people."""
    columns = [_separabilities(found) for found in (held.classifier, held.people)]
    rates = {name: [run.quality.pairs[name] for run in held.main] for name in held.main[0].quality.pairs}
    rows = []
    for name in sorted(rates, key=lambda each: mean(rate.value for rate in rates[each])):
        one, other = name.split("|")
        beside = (f"{column[frozenset((one, other))]:.2f}" for column in columns)
        values = _spread(rate.value for rate in rates[name])
        rows.append([f"{one} – {other}", values, _verdicts(rates[name]), *beside])
    return table(["pair", held.names[MAIN], "verdict", "`conv_net`", "people"], rows)


def _separabilities(found: Found) -> dict[frozenset[str], float]:
    return {frozenset(pair["emotions"]): pair["separability"] for pair in found["overlaps"]["pairs"]}


def _verdicts(rates: Sequence[Rate]) -> str:
    counted = Counter(rate.verdict for rate in rates)
    if len(counted) == 1:
        return next(iter(counted))
    return ", ".join(f"{verdict} ({count}×)" for verdict, count in counted.most_common())


def emotions(held: Results) -> str:
    """Each emotion's tightness, silhouette, neighbours and how far a line parts it from all others."""
    qualities = [run.quality for run in held.main]
    rows = [
        [
            name,
            f"{count:,}",
            _spread(each.tightness[name] for each in qualities),
            _spread(each.silhouettes[name] for each in qualities),
            _spread(run.near.recall[name] for run in held.main),
            _spread(each.against_others[name].value for each in qualities),
        ]
        for name, count in qualities[0].faces.items()
    ]
    return table(["emotion", "faces", "tightness", "silhouette", "named right", "parted from others"], rows)


def runs(held: Results) -> str:
    """How alike the maps of seeds, recipes and the classifier are, by their dissimilarities."""
    main = held.names[MAIN]
    compared = {f"{main}: two seeds": list(combinations(_tables(held.main), 2))}
    for name, others in held.runs.items():
        if name != MAIN:
            compared[f"{held.names[name]}: with {main}"] = list(product(_tables(held.main), _tables(others)))
    classifier = np.array(held.classifier["dissimilarity"]["matrix"])
    for name, others in held.runs.items():
        compared[f"{held.names[name]}: with `conv_net`"] = [(one, classifier) for one in _tables(others)]
    rows = []
    for what, matrices in compared.items():
        each = [mantel(*two) for two in matrices]
        if each:
            values = [one.r for one in each]
            ends = map(_number, (median(values), min(values), max(values)))
            rows.append([what, f"{len(each)}", *ends, _p(max(one.p for one in each))])
    return table(["maps compared", "pairs of maps", "median r", "least", "most", "largest p"], rows)


def _tables(found: Sequence[MapRun]) -> list[NDArray[np.float64]]:
    return [run.dissimilarities for run in found]


BLOCKS: dict[str, Callable[[Results], str]] = {
    "faces": faces,
    "summary": summary,
    "maps": maps,
    "claims": claims,
    "orders": orders,
    "stability": stability,
    "measures": measures,
    "agreement": agreement,
    "quality": quality,
    "pairs": pairs,
    "emotions": emotions,
    "runs": runs,
}
"""The tables by the word after `circumplex` in a block's opening."""
