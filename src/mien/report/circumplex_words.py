"""What a circumplex says, in sentences and tables that the terminal and the page share.

All is read from what `Circumplex.to_dict` gives, so that a ledger's entry reads as a fresh result does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Found = Mapping[str, Any]

_SHOWN_ORDERS = 8
"""Of the orders that the bootstrap gave, the most frequent ones."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the account: sentences, and a table (heads, rows) with its caption where there is one."""

    heading: str
    sentences: tuple[str, ...]
    caption: str = ""
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def arrows(order: Sequence[str]) -> str:
    """A circular order, closed: happy → surprise → … → happy."""
    return " → ".join([*order, order[0]])


def parts(found: Found) -> list[Part]:
    """The whole account, in the order in which it is read."""
    return [
        _source(found),
        _map(found),
        _odds(found),
        _overlaps(found),
        *_expected(found),
        _bootstrap(found),
        _measures(found),
        *_against(found),
    ]


def orders_of(count: int) -> int:
    """How many circular orders so many emotions have, start and direction ignored: (C − 1)!/2."""
    return math.factorial(count - 1) // 2


def times(number: int, thing: str) -> str:
    """'1 exchange', '2 exchanges'."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def share_of(chance: float, total: int) -> str:
    """An exact chance as the fraction that it is: '7 of 60, 0.117'."""
    return f"{round(chance * total):,} of {total:,}, {chance:.3g}"


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _source(found: Found) -> Part:
    source, measured = found["source"], found["dissimilarity"]
    about = [source["name"] if source["faces"] is None else f"{source['name']}: {source['faces']:,} faces"]
    counts = source["per_emotion"]
    if counts:
        about.append(", ".join(f"{name} {count:,}" for name, count in counts.items()))
    names = found["emotions"]
    return Part(
        "What was compared",
        (
            "; ".join(about) + ".",
            f"Two emotions are the less alike the larger this is: {measured['how']} ({measured['measure']}).",
        ),
        "How unlike two emotions are.",
        ("", *names),
        tuple(
            (name, *(f"{value:.3f}" if value else "–" for value in row))
            for name, row in zip(names, measured["matrix"], strict=True)
        ),
    )


def _map(found: Found) -> Part:
    metric, other = found["metric"], found["nonmetric"]
    same = metric["order"] == other["order"]
    rest = "the same order" if same else arrows(other["order"])
    return Part(
        "The map and its order",
        (
            f"Order by metric MDS: {arrows(found['order'])}.",
            f"Metric MDS puts the emotions in a plane so that distances stand for these numbers: stress "
            f"{metric['stress']:.3f}. Non-metric MDS keeps only which pairs are the nearer ones: stress "
            f"{other['stress']:.3f}, {rest}.",
            "Stress (Kruskal's first) is the size of the plane's errors beside the distances: 0.05 is good, "
            "0.2 poor; few points fit a plane easily, so that a low stress alone proves little.",
        ),
        "Direction of each emotion from the middle of the map, in degrees, counter-clockwise from the right.",
        ("", "metric MDS", "non-metric MDS"),
        tuple(
            (name, f"{metric['angles'][name]:.0f}°", f"{other['angles'][name]:.0f}°")
            for name in found["order"]
        ),
    )


def _odds(found: Found) -> Part:
    count = len(found["emotions"])
    total = orders_of(count)
    return Part(
        "Could it be chance?",
        (
            f"{count} emotions have {total:,} circular orders, since it makes no difference where one starts "
            f"and which way one reads: a map drawn by lot has this order with probability 1 in {total:,}, "
            f"{found['chance']:.3g}.",
        ),
    )


def _overlaps(found: Found) -> Part:
    overlaps, total = found["overlaps"], orders_of(len(found["emotions"]))
    pairs = sorted(overlaps["pairs"], key=lambda pair: pair["separability"])
    joined = [_list(pair) for pair in overlaps["joined"]]
    if joined:
        told = (
            f"Not told apart: {'; '.join(joined)}. Such neighbours may change places, so that the map stands "
            f"for {times(overlaps['orders'], 'order')}: chance {share_of(overlaps['chance'], total)}."
        )
    else:
        told = "All neighbours on the circle are told apart, so that the map stands for its own order alone."
    return Part(
        "Emotions that are not told apart",
        (f"The rule: {overlaps['criterion'].rstrip('.')}.", told),
        "How well two emotions are told apart: 50% is chance, 100% never confused; hardest first.",
        ("", "told apart", "joined"),
        tuple(
            (" – ".join(pair["emotions"]), _percent(pair["separability"]), "yes" if pair["joined"] else "no")
            for pair in pairs
        ),
    )


def _expected(found: Found) -> Iterator[Part]:
    expected = found["expected"]
    if expected is None:
        return
    total = orders_of(len(found["emotions"]))
    if expected["exchanges"] == 0:
        told = f"The found order is the expected one: chance {share_of(expected['chance'], total)}."
    else:
        told = (
            f"The found order lies {times(expected['exchanges'], 'exchange')} of neighbours away from it; of "
            f"all orders, {share_of(expected['chance'], total)}, lie as near or nearer."
        )
        stands_for = found["overlaps"]["orders"]
        if stands_for == total:
            told += " The map tells no neighbours apart, and stands for every order: it says nothing of one."
        elif expected["consistent"]:
            told += (
                " Once emotions that are not told apart may swap, it is the expected order, as it is any of "
                f"{stands_for:,}."
            )
    yield Part("Against the expected order", (f"Expected: {arrows(expected['order'])}.", told))


def _bootstrap(found: Found) -> Part:
    heading, drawn = "Would other faces give the same?", found["bootstrap"]
    if drawn is None:
        why = (
            "no resamples were wanted"
            if found["source"]["faces"]
            else "a table of rates has no faces to draw"
        )
        return Part(heading, (f"Not tried: {why}.",))
    told = f"{_percent(drawn['share'])} gave the found order"
    if drawn["expected_share"] is not None:
        told += (
            f", {_percent(drawn['expected_share'])} the expected one, and "
            f"{_percent(drawn['within_one_share'])} an order at most one exchange from the expected one"
        )
    orders = drawn["orders"]
    more = f" The other {times(len(orders) - _SHOWN_ORDERS, 'order')} came less often."
    return Part(
        heading,
        (
            f"{drawn['resamples']:,} times, as many faces were drawn again with replacement within each "
            f"emotion, and mapped by metric MDS (bootstrap, seed {drawn['seed']}).",
            f"Of these maps {told}." + (more if len(orders) > _SHOWN_ORDERS else ""),
        ),
        "How often each order came.",
        ("", "share"),
        tuple((arrows(each["order"]), _percent(each["share"])) for each in orders[:_SHOWN_ORDERS]),
    )


def _measures(found: Found) -> Part:
    measures = found["measures"]
    alike = sum(each["order"] == found["order"] for each in measures.values())
    return Part(
        "Other ways to compare",
        (f"{alike} of {len(measures)} measures of dissimilarity give the found order by metric MDS.",),
        "Order and stress of the metric map by each measure.",
        ("", "stress", "order"),
        tuple((name, f"{each['stress']:.3f}", arrows(each["order"])) for name, each in measures.items()),
    )


def _against(found: Found) -> Iterator[Part]:
    other = found["against"]
    if other is None:
        return
    mantel, laid = other["mantel"], other["procrustes"]
    total = orders_of(len(other["emotions"]))
    yield Part(
        "Against the second source",
        (
            f"Second source: {other['name']}; {_list(other['emotions'])} are in both.",
            f"Mantel: the two tables of dissimilarities correlate with r = {mantel['r']:.3f}. Of all "
            f"{mantel['relabellings']:,} ways to give one source's emotions other names, "
            f"{share_of(mantel['p'], mantel['relabellings'])}, correlate as well or better: that is the "
            "exact one-sided p.",
            f"Procrustes: with one map turned, mirrored and scaled upon the other, "
            f"{_percent(laid['disparity'])} of the spread does not fit (disparity {laid['disparity']:.3f}; "
            f"0 is the same map). Of the relabellings, {share_of(laid['p'], mantel['relabellings'])}, fit as "
            "well or better.",
            f"The two orders lie {times(other['exchanges'], 'exchange')} of neighbours apart; of all orders, "
            f"{share_of(other['chance'], total)}, lie as near.",
        ),
        "Places of the emotions in the overlay, both maps at unit size.",
        ("", "first source", "second source", "apart"),
        tuple(
            (
                name,
                _place(pair["ours"]),
                _place(pair["theirs"]),
                f"{math.dist(pair['ours'], pair['theirs']):.3f}",
            )
            for name, pair in laid["points"].items()
        ),
    )


def _place(point: Sequence[float]) -> str:
    return f"{point[0]:+.2f}, {point[1]:+.2f}".replace("-", "−")
