"""Our networks' tables and picture: from entries whose figures are known."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.evaluation.paired import packed
from mien.inference.lookup import card_of
from mien.papers.ablations import ablation_rows, mean_without
from mien.papers.sources import Sources
from mien.report.model_card import markdown, sections
from mien.report.pareto import Cost, frontier
from mien.report.spacing import spread_column
from mien.training.recipe import AblationSection, load

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tools")]

import network_tables  # noqa: E402

BASE = "mien/s-ablation"


def entry(recipe: str, right: list[bool], seed: int = 0, budget: str = "full", **more: Any) -> dict[str, Any]:
    rate = float(np.mean(right))
    return {
        "recipe": recipe,
        "seed": seed,
        "budget": {"name": budget, "seconds": 120.0},
        "parameters": 7,
        "figures": {
            "public": {
                "accuracy": rate, "accuracy_ci95": [rate - 0.1, rate + 0.1], "confusion": [],
                "protocol": "single", "without_copies": {"accuracy": rate - 0.01},
                "without_leaks": {"accuracy": rate - 0.02},
            }
        },
        "right": {"public": packed(right)},
        "recipe_as_run": {"model": {"name": "conv_net"}},
        **more,
    }  # fmt: skip


def unanswered(recipe: str, right: list[bool]) -> dict[str, Any]:
    found = entry(recipe, right)
    del found["right"]
    return found


def sources(*entries: dict[str, Any]) -> Sources:
    base = load(BASE)
    changed = [
        base.model_copy(update={"name": name, "ablation": AblationSection(of=BASE, change=name.upper())})
        for name in ("worse", "better", "unrun")
    ]
    return Sources([base, *changed], list(entries))


def test_changes_are_compared_face_by_face_and_the_costliest_comes_first() -> None:
    rows = ablation_rows(
        BASE,
        sources(
            entry(BASE, [True, True, False, False] * 10),
            entry("better", [True, True, True, False] * 10),
            entry("worse", [True, False, False, False] * 10),
            entry("worse", [True] * 40, budget="smoke"),
        ),
    )
    assert [row.change for row in rows] == ["the base", "WORSE", "BETTER", "UNRUN"]
    assert [row.difference and row.difference.value for row in rows] == [None, -0.25, 0.25, None]
    assert all(row.difference.paired for row in rows if row.difference)
    assert rows[2].difference is not None
    assert 0 < rows[2].difference.ci95[0] < 0.25 < rows[2].difference.ci95[1]
    assert (rows[1].without_copies, rows[1].minutes, rows[3].minutes) == (pytest.approx(0.24), 2.0, None)
    assert (rows[1].without_leaks, rows[3].without_leaks) == (pytest.approx(0.23), None)


def test_figures_without_leaks_are_the_mean_of_runs_that_all_have_them() -> None:
    old, new = ({"without_leaks": None}, {"without_leaks": {"accuracy": 0.5}})
    assert mean_without("without_leaks", [new, {"without_leaks": {"accuracy": 0.6}}]) == pytest.approx(0.55)
    assert mean_without("without_leaks", [old, new]) is None
    assert mean_without("without_leaks", [{}]) is None
    point = Cost("a", 0.7, (0.7, 0.7), 0.6, 10, ours=True)
    assert (point.unseen, replace(point, without_leaks=0.5).unseen) == (0.6, 0.5)


def test_without_answers_the_interval_is_of_two_rates() -> None:
    held = sources(unanswered(BASE, [True, False] * 20), entry("better", [True, True, True, False] * 10))
    found = ablation_rows(BASE, held)[1].difference
    assert found is not None
    assert (found.value, found.paired) == (0.25, False)
    assert found.ci95 == (pytest.approx(0.25 - 0.02**0.5), pytest.approx(0.25 + 0.02**0.5))
    assert "†" in network_tables.ablation(BASE, held)


def test_only_seeds_that_both_have_are_compared() -> None:
    held = sources(
        entry(BASE, [True, False], seed=0),
        entry(BASE, [True, True], seed=1),
        entry("better", [True, True], seed=0),
    )
    found = ablation_rows(BASE, held)[1].difference
    assert found is not None
    assert found.value == 0.5


@pytest.mark.slow
def test_costs_are_means_over_seeds_and_leave_changes_out() -> None:
    held = sources(
        entry(BASE, [True, False, True, True]),
        entry(BASE, [True, False, False, True], seed=1),
        entry("worse", [False] * 4),
    )
    (found,) = network_tables.own_costs(held)
    assert (found.name, found.accuracy, found.ends) == (BASE, 0.625, (0.5, 0.75))
    assert (found.without_copies, found.without_leaks) == (pytest.approx(0.615), pytest.approx(0.605))
    # 3x3 convolutions and dense layers of system C's network, counted by hand (see `test_bench`).
    assert found.multiply_adds == pytest.approx(23.5e6, rel=0.01)
    assert found.named
    assert "**`mien/s-ablation`**" in network_tables.costs("", held)


def test_the_frontier_holds_whom_none_beats_at_its_price() -> None:
    def cost(name: str, accuracy: float, price: int, ours: bool = True) -> Cost:
        return Cost(name, accuracy, (accuracy, accuracy), None, price, ours)

    shown = [cost("a", 0.5, 10), cost("b", 0.6, 20), cost("c", 0.55, 30), cost("d", 0.7, 5, ours=False)]
    assert frontier(shown) == ["a", "b"]


def test_every_peer_says_where_its_figure_comes_from() -> None:
    found = network_tables.peers()
    assert {each["name"] for each in found} >= {"fer", "face-api", "human", "facex", "people"}
    for each in found:
        assert 0 < each["accuracy"] < 1
        assert each["source"]
        assert ("multiply_adds" in each) == ("counted" in each)
        assert set(each) <= {
            "name", "accuracy", "spread", "split", "source", "checked", "installable", "multiply_adds",
            "counted",
        }  # fmt: skip


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_names_in_a_column_lie_apart_and_near(heights: list[float]) -> None:
    ranked = sorted(heights)
    moved = spread_column(ranked, 0.1)
    assert all(high - low >= 0.1 - 1e-9 for low, high in pairwise(moved))
    assert np.mean(moved) == pytest.approx(np.mean(ranked))
    if all(high - low >= 0.1 for low, high in pairwise(ranked)):
        assert moved == pytest.approx(ranked)


def test_a_card_in_words_says_what_the_law_forbids_and_what_is_unknown() -> None:
    card = card_of("conv_net")
    spent = {"median_ms": 1.25, "quartiles_ms": [1.0, 2.0]}
    card["latency"] = {"ms": {"threads_1": {"batch_1": spent}}, "processor": "P", "date": "D"}
    card["figures"]["public"]["without_copies"] = {"n": 10, "accuracy": 0.5, "accuracy_ci95": [0.25, 0.75]}
    card["figures"]["public"]["without_leaks"] = {"n": 9, "accuracy": 0.4, "accuracy_ci95": [0.25, 0.75]}
    group = {"group": "blurred", "n": 4, "accuracy": 0.5, "accuracy_ci95": [0.1, 0.9], "given_emotion": None}
    card["fairness"] = {"sharpness": {"groups": [group, {**group, "group": "none", "n": 0}]}}
    told = dict(sections(card))
    assert "workplace and education institutions" in told["What the law forbids"][0]
    assert "threads 1, batch 1: 1.25 ms (quartiles 1.00 to 2.00)" in told["How fast it is"]
    assert any("without copies" in line and "0.5000" in line for line in told["How right it is"])
    assert any("near copies" in line and "0.4000" in line for line in told["How right it is"])
    assert told["For which faces"] == ["sharpness: blurred: 0.500 (0.100 to 0.900, 4)"]
    assert "skin colour" in told["Not known"][0]
    assert markdown(card).count("## ") == len(told)
    del card["latency"]
    assert "How fast it is" not in dict(sections(card))
