"""System E's tables and claims, from made-up ledgers whose every figure is known."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landmark_entries import PEOPLE, counts, landmark_entry
from mien.evaluation.landmarks.people import Difference, difference_interval, drawn
from mien.papers import landmark_dimensions as dimensions
from mien.papers.landmark_claims import judge
from mien.papers.landmark_findings import ABOVE, BELOW, CLAIMS, LEVEL, MARGIN
from mien.papers.landmark_published import RESULTS
from mien.papers.landmark_runs import LandmarkRun, landmark_runs_of, over_seeds
from mien.papers.sheet import Sheet
from mien.papers.sheets import SHEETS
from mien.papers.sources import Sources
from mien.papers.tables import placed
from mien.papers.verdicts import FAILS, HOLDS, PARTLY, together
from mien.training import recipe as known

RECIPES = [known.load(name) for name in known.names() if name.startswith("e/")]
ROWS = {
    "e/posed-raw": "None",
    "e/posed-pca-30": "PCA-30",
    "e/model-1": "Our best model 1",
    "e/model-2": "Our best model 2",
    "e/model-3": "Our best model 3",
}
SETTINGS = ("6.6", "6.8", "6.10", "6.12", "6.15", "6.17", "6.19", "6.21")


def made(table: str, entries: Iterable[dict[str, Any]] = ()) -> Sheet:
    """A table from these entries; what it says as JSON is read back from JSON."""
    sheet = SHEETS[f"E/{table}"].make(Sources(RECIPES, list(entries)))
    return replace(sheet, data=json.loads(json.dumps(sheet.data)))


def lines(sheet: Sheet) -> list[str]:
    """Titles, rows and notes, the cells apart by one space."""
    rows = [
        line
        for block in sheet.blocks
        for line in (block.title, *(" ".join(filter(None, row)) for row in block.rows))
    ]
    return [*rows, *sheet.notes]


def run(recipe: str, seed: int = 0, **more: Any) -> LandmarkRun:
    return LandmarkRun.of(landmark_entry(recipe, seed, **more))


@pytest.fixture
def three_seeds() -> list[dict[str, Any]]:
    """Table 6.14 at the cpu budget: three seeds of each model, and the two baselines."""
    return [
        landmark_entry("e/posed-raw", accuracy=0.7, satisfied=0.55, dimensions=249),
        landmark_entry("e/posed-pca-30", accuracy=0.65, satisfied=0.55),
        *(
            landmark_entry(f"e/model-{n}", seed, accuracy=accuracy + 0.05 * seed, satisfied=satisfied)
            for n, accuracy, satisfied in ((1, 0.4, 0.55), (2, 0.65, 0.65), (3, 0.8, 0.9))
            for seed in (0, 1, 2)
        ),
    ]


def test_table_6_14_without_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mien", "reproduce", "E/6.14", "--ledger", str(tmp_path)],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    printed = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "Our best model 3 test never run 30 – 0.736 – 0.798 –" in printed
    assert "PCA-30 test never run 30 – 0.676 – 0.592 –" in printed
    named = next(line for line in printed if line.startswith("never run: "))
    assert all(recipe in named for recipe in ROWS)
    assert "to run them: mien reproduce E/6.14 --run --budget cpu --data PATH" in printed
    assert not any("synthetic" in line for line in printed), "nothing of ours is shown"


def test_table_6_14_beside_the_thesis(three_seeds: list[dict[str, Any]]) -> None:
    printed = lines(made("6.14", three_seeds))
    test = next(line for line in printed if line.startswith("Our best model 3 test"))
    cells = test.removeprefix("Our best model 3 ")
    assert cells.startswith("test (10 people) cpu synthetic 0, 1, 2 30 30 0.736 0.850 (")
    assert " 0.798 0.900 (" in cells
    unseen = next(line for line in printed if line.startswith("Our best model 3 unseen"))
    assert unseen.startswith("Our best model 3 unseen (40 people) cpu synthetic 0, 1, 2 – 30 – 0.850 (")
    raw = [line for line in printed if line.startswith("None")]
    assert [line.split("synthetic")[0] for line in raw][:2] == [
        "None test (10 people) no training ",
        "None unseen (40 people) no training ",
    ]
    assert "249 249 0.720 0.700 (" in raw[0]
    # Each seed by itself, after the means.
    assert sum(line.startswith("Our best model 2 test") for line in printed) == 1 + 3
    assert any(line.startswith("ours, synthetic: ") for line in printed)
    assert any("no people's" in line for line in printed)
    assert "budget cpu: 25,000 iterations" in printed


def test_table_6_14_as_json(three_seeds: list[dict[str, Any]]) -> None:
    rows = made("6.14", three_seeds).data["rows"]
    held = {(row["recipe"], row["split"]): row for row in rows}
    third = held["e/model-3", "private"]
    assert third["thesis"] == {"accuracy": 0.736, "triplets": 0.798, "dimensions": 30}
    assert third["over_seeds"]["accuracy"]["value"] == pytest.approx(0.85)
    assert third["over_seeds"]["accuracy"]["least"] == pytest.approx(0.8)
    assert third["over_seeds"]["accuracy"]["most"] == pytest.approx(0.9)
    assert [each["seed"] for each in third["runs"]] == [0, 1, 2]
    assert {each["iterations"] for each in third["runs"]} == {25_000}
    assert {each["best_iteration"] for each in third["runs"]} == {5000}
    assert (third["synthetic"], third["budget"]) == (True, "cpu")
    assert held["e/model-3", "unseen"]["thesis"] == {}
    assert held["e/model-3", "unseen"]["runs"][0]["people"] == 40
    assert held["e/posed-raw", "private"]["runs"][0]["iterations"] is None


def test_a_means_interval_is_over_people_and_all_seeds() -> None:
    """By a loop: resampled people's mean over three runs."""
    runs = [run("e/model-3", seed, accuracy=0.7 + 0.1 * seed) for seed in (0, 1, 2)]
    measured = over_seeds(runs, "private", "accuracy")
    assert measured is not None
    tables = [np.array(list(counts("private", 0.7 + 0.1 * seed).values()), float) for seed in (0, 1, 2)]
    means = []
    for weights in drawn(PEOPLE["private"]):
        shares = [(weights @ table[:, 0]) / (weights @ table[:, 1]) for table in tables]
        means.append(sum(shares) / 3)
    assert measured.value == pytest.approx(0.8)
    assert measured.ci95 == pytest.approx(tuple(np.quantile(means, (0.025, 0.975))))
    alone = over_seeds(runs[:1], "private", "accuracy")
    assert alone is not None
    assert alone.ci95 == runs[0].interval("private", "accuracy")


def test_what_was_not_counted_alike_has_no_interval() -> None:
    runs = [run("e/spontaneous-model-1", seed) for seed in (0, 1)]
    f1 = over_seeds(runs, "private", "f1")
    assert f1 is not None
    assert (f1.value, f1.ci95) == (pytest.approx(0.7), None)
    assert over_seeds(runs, "private", "accuracy") is None
    assert over_seeds(runs, "absent", "triplets_5") is None


def test_a_larger_budget_stands_first_and_by_itself(three_seeds: list[dict[str, Any]]) -> None:
    entries = [*three_seeds, landmark_entry("e/model-2", 0, budget="full", accuracy=0.75)]
    rows = [row for row in made("6.14", entries).data["rows"] if row["recipe"] == "e/model-2"]
    assert [(row["budget"], len(row["runs"])) for row in rows if row["split"] == "private"] == [
        ("full", 1),
        ("cpu", 3),
    ]


def test_a_baseline_is_one_row_however_often_it_was_run(three_seeds: list[dict[str, Any]]) -> None:
    more = [landmark_entry("e/posed-raw", seed, budget="full") for seed in (0, 1)]
    rows = [row for row in made("6.14", [*three_seeds, *more]).data["rows"] if row["recipe"] == "e/posed-raw"]
    assert [(row["split"], len(row["runs"])) for row in rows] == [("private", 1), ("unseen", 1)]


def test_faces_of_people_are_not_averaged_with_synthetic_ones(three_seeds: list[dict[str, Any]]) -> None:
    """Whoever has BU-3DFE runs the same recipes beside the shipped runs."""
    own = [
        landmark_entry(name, 7, synthetic=False, accuracy=0.55) for name in ("e/model-2", "e/posed-pca-30")
    ]
    sheet = made("6.14", [*three_seeds, *own])
    for recipe, seeds in (("e/model-2", [[7], [0, 1, 2]]), ("e/posed-pca-30", [[7], [0]])):
        rows = [row for row in sheet.data["rows"] if row["recipe"] == recipe and row["split"] == "private"]
        assert [row["synthetic"] for row in rows] == [False, True]
        assert [[each["seed"] for each in row["runs"]] for row in rows] == seeds
    printed = [line for line in lines(sheet) if line.startswith("Our best model 2 test")]
    assert ["of people" in line for line in printed[:2]] == [True, False]


def test_validation_tables_show_validation() -> None:
    entries = [landmark_entry("e/table-6.6/05", dimensions=29, satisfied=0.6)]
    printed = lines(made("6.7", entries))
    line = next(each for each in printed if each.startswith("config 5"))
    assert line.startswith("config 5 validation (6 people) cpu synthetic 0 30 29 0.556 0.700 (")
    assert " 0.575 0.600 (" in line
    assert next(each for each in printed if each.startswith("config 6")) == (
        "config 6 validation never run 30 – 0.536 – 0.572 –"
    )
    assert "configurations: Table 6.6, mien reproduce E/6.6" in printed
    assert not any(each.startswith("every run") for each in printed), "one seed: the means are the runs"


def test_spontaneous_tables_by_agreement() -> None:
    entries = [landmark_entry("e/spontaneous-model-3", accuracy=0.6, satisfied=0.8)]
    row = next(row for row in made("6.23", entries).data["rows"] if row["runs"])
    assert (row["recipe"], row["split"]) == ("e/spontaneous-model-3", "private")
    ours = {name: figure["value"] for name, figure in row["over_seeds"].items()}
    assert ours == pytest.approx(
        {"f1": 0.6, "auc": 0.7, "triplets_5": 0.8, "triplets_3": 0.7, "triplets_1": 0.6}
    )
    assert set(row["thesis"]) == {*ours, "dimensions"}
    printed = lines(made("6.23", entries))
    assert any("action units" in line for line in printed)
    assert any("triplets by agreement" in line for line in printed)


@pytest.mark.parametrize("table", RESULTS)
def test_every_row_is_printed(table: str) -> None:
    chosen = placed(f"E/{table}", RECIPES)
    assert chosen
    empty = made(table)
    assert sorted(empty.never_run) == sorted({each.name for each, _ in chosen})
    for _, row in chosen:
        assert any(line.startswith(row.row) for line in lines(empty)), row.row
    held = made(table, [landmark_entry(each.name) for each, _ in chosen]).data
    assert held["never_run"] == []
    assert {row["row"] for row in held["rows"]} == {row.row for _, row in chosen}
    names = {name for part in RESULTS[table].measures.values() for name in part}
    for row in held["rows"]:
        assert row["budget"] == "cpu"
        assert set(row["thesis"]) <= names | {"dimensions"}
        assert row["split"] in RESULTS[table].splits
    thesis = {(row["row"], row["split"]) for row in held["rows"] if row["thesis"]}
    assert thesis == {(row.row, split) for _, row in chosen for split in row.figures}


def test_every_table_of_the_thesis_is_there() -> None:
    numbers = {*range(1, 5), *range(6, 24)}
    assert {f"E/6.{n}" for n in numbers} | {"E/6.5", "E/claims", "E/fer2013"} <= set(SHEETS)


@pytest.mark.parametrize("table", SETTINGS)
def test_settings_tables_print_the_configurations(table: str) -> None:
    sheet = made(table)
    printed, data = [line.split() for line in lines(sheet)], sheet.data["configurations"]
    assert [each["number"] for each in data] == list(range(1, len(data) + 1))
    for each in data:
        line = next(words for words in printed if words and words[0] == str(each["number"]))
        assert line[-1] == each["recipe"] == f"e/table-{table}/{each['number']:02d}"
        assert " ".join(line).find(str(each["encoding"])) > 0
    topological = ["topological_variance" in each for each in data]
    assert set(topological) == {table in ("6.10", "6.12", "6.19", "6.21")}


def test_a_line_of_a_settings_table() -> None:
    printed = lines(made("6.10"))
    assert (
        "9 [498, 600, 400, 200, 100, 50] [299, 300, 400, 300, 249] 0.001 0.04 100,000 e/table-6.10/09"
    ) in printed
    printed = lines(made("6.6"))
    assert "1 [249, 120, 60, 30] symmetrical 0.0001 no e/table-6.6/01" in printed
    assert SHEETS["E/6.6"].runs == "", "it is no table that is run"


TABLE_6_5 = {
    "learning rate": ("0.0001", "0.0001"),
    "share of units kept": ("0.9", "0.9"),
    "batch size B": ("200", "250"),
    "triplet batch size V": ("10", "10"),
    "sample size L": ("3", "3"),
    "triplet sample size M": ("10", "10"),
    "iterations": ("100,000", "100,000"),
    "iterations between validations": ("2,500", "2,500"),
}


def test_fixed_parameters() -> None:
    printed = lines(made("6.5"))
    for name, values in TABLE_6_5.items():
        assert any(line.startswith(name) and line.split()[-2:] == list(values) for line in printed), name


def test_entries_without_landmarks_are_passed_over() -> None:
    other = {"recipe": "e/model-1", "seed": 0, "budget": {"name": "cpu"}, "figures": {}}
    assert landmark_runs_of([other], "e/model-1") == []


def difference(value: float, low: float, high: float) -> Difference:
    return Difference(value, (low, high), 200, (1, 1))


@pytest.mark.parametrize(
    ("rule", "value", "low", "high", "verdict"),
    [
        (ABOVE, 0.05, 0.01, 0.09, HOLDS),
        (ABOVE, 0.05, -0.01, 0.11, PARTLY),
        (ABOVE, -0.01, -0.03, 0.01, FAILS),
        (BELOW, -0.05, -0.09, -0.01, HOLDS),
        (BELOW, -0.05, -0.11, 0.01, PARTLY),
        (BELOW, 0.0, -0.01, 0.01, FAILS),
        (LEVEL, 0.01, -MARGIN, MARGIN, HOLDS),
        (LEVEL, 0.01, -0.01, 0.03, PARTLY),
        (LEVEL, 0.03, 0.01, 0.05, FAILS),
    ],
)
def test_rules(rule: Any, value: float, low: float, high: float, verdict: str) -> None:
    assert rule.verdict(difference(value, low, high)) == verdict
    without = rule.verdict(Difference(value, None, 1, (1, 1)))
    assert without == (PARTLY if verdict == HOLDS else verdict)


def test_verdicts_together() -> None:
    assert together([HOLDS, HOLDS]) == HOLDS
    assert together([HOLDS, FAILS]) == PARTLY
    assert together([]) == "never run"


def claims(
    entries: Iterable[dict[str, Any]], data: str = "posed"
) -> dict[tuple[str, str, str], dict[str, Any]]:
    """What was judged, by claim, budget and split."""
    return {
        (claim["claim"], each["budget"], each["split"]): each
        for claim in made("claims", entries).data["claims"]
        for each in claim["judged"]
        if claim["data"] == data
    }


def test_claims_of_table_6_14(three_seeds: list[dict[str, Any]]) -> None:
    judged = claims(three_seeds)
    verdicts = {name: each["verdict"] for (name, _, split), each in judged.items() if split == "unseen"}
    assert verdicts == {
        "Model 1 below the baselines": HOLDS,
        "Model 1 satisfies as many triplets": HOLDS,
        "Model 2 above Model 1": HOLDS,
        "Model 2 level with the baseline": PARTLY,
        "Model 2 satisfies more triplets": HOLDS,
        "Model 3 above the baselines": HOLDS,
        "Model 3 satisfies more triplets": HOLDS,
    }
    assert {split for _, _, split in judged} == {"unseen", "private"}
    ours = judged["Model 3 satisfies more triplets", "cpu", "unseen"]["differences"]
    assert set(ours) == {"e/model-2", "e/posed-pca-30", "e/posed-raw"}
    expected = difference_interval([counts("unseen", 0.9)] * 3, [counts("unseen", 0.65)] * 3)
    assert ours["e/model-2"] == expected.to_dict()
    assert ours["e/model-2"]["value"] == pytest.approx(0.25)
    assert ours["e/posed-raw"]["runs"] == [3, 1]
    printed = lines(made("claims", three_seeds))
    assert any(
        line.startswith("Model 3 satisfies more triplets ") and "holds" in line and "+0.250" in line
        for line in printed
    )
    assert any(line.startswith("Model 3 above x − neutral") and "never run" in line for line in printed)
    assert any(line.startswith("Model 3 above the baselines (posed): ") for line in printed)


def test_a_claim_that_fails() -> None:
    entries = [
        landmark_entry("e/posed-raw", accuracy=0.8),
        landmark_entry("e/posed-pca-30", accuracy=0.6),
        landmark_entry("e/model-1", accuracy=0.7),
        landmark_entry("e/model-3", accuracy=0.5),
    ]
    judged = claims(entries)
    assert judged["Model 1 below the baselines", "cpu", "unseen"]["verdict"] == PARTLY
    assert judged["Model 3 above the baselines", "cpu", "unseen"]["verdict"] == FAILS
    assert not any(name.startswith("Model 2") for name, _, _ in judged)


def test_budgets_are_not_mixed(three_seeds: list[dict[str, Any]]) -> None:
    entries = [*three_seeds, landmark_entry("e/model-3", 0, budget="full", accuracy=0.2)]
    judged = claims(entries)
    assert judged["Model 3 above the baselines", "full", "unseen"]["verdict"] == FAILS
    assert judged["Model 3 above the baselines", "cpu", "unseen"]["verdict"] == HOLDS
    assert ("Model 3 satisfies more triplets", "full", "unseen") not in judged, "Model 2 was not run so"


def test_other_people_are_not_compared() -> None:
    claim = next(claim for claim in CLAIMS if claim.name == "Model 2 above Model 1")
    held = {name: [run(name)] for name in claim.kind.recipes.values()}
    assert judge(claim, held, "cpu", "unseen") is not None
    strangers = run("e/model-1")
    unseen = strangers.splits["unseen"]
    renamed = {f"other {name}": held for name, held in unseen["right"].items()}
    splits = {**strangers.splits, "unseen": {**unseen, "right": renamed}}
    other = replace(strangers, splits=splits)
    assert judge(claim, {**held, "e/model-1": [other]}, "cpu", "unseen") is None


def test_other_triplets_of_the_same_people_are_not_compared() -> None:
    """Judgements that were drawn anew, of fewer people at one agreement: no error, and no difference."""
    claim = next(claim for claim in CLAIMS if claim.measure == "triplets_5")
    held = {name: [run(name)] for name in claim.kind.recipes.values()}
    assert judge(claim, held, "cpu", "unseen") is not None
    drawn_anew = run("e/spontaneous-model-2")
    levels = drawn_anew.splits["unseen"]["triplets"]
    fewer = {**levels["5"], "satisfied": dict(list(levels["5"]["satisfied"].items())[1:])}
    unseen = {**drawn_anew.splits["unseen"], "triplets": {**levels, "5": fewer}}
    other = replace(drawn_anew, splits={**drawn_anew.splits, "unseen": unseen})
    assert judge(claim, {**held, "e/spontaneous-model-2": [other]}, "cpu", "unseen") is None


def test_claims_of_spontaneous_faces() -> None:
    entries = [
        landmark_entry("e/spontaneous-raw", accuracy=0.6, satisfied=0.6),
        landmark_entry("e/spontaneous-pca-30", accuracy=0.6, satisfied=0.6),
        landmark_entry("e/spontaneous-model-2", accuracy=0.6, satisfied=0.6),
        landmark_entry("e/spontaneous-model-3", accuracy=0.7, satisfied=0.9),
    ]
    judged = claims(entries, "spontaneous")
    f1 = judged["Model 3 above the baselines", "cpu", "unseen"]
    assert f1["verdict"] == PARTLY, "F1 is no count by person"
    assert f1["differences"]["e/spontaneous-raw"] == {
        "value": pytest.approx(0.1), "ci95": None, "people": 40, "runs": [1, 1],
    }  # fmt: skip
    assert judged["Model 3's AUC below that of PCA", "cpu", "unseen"]["verdict"] == FAILS
    for votes in (5, 3):
        name = f"Model 3 satisfies more triplets, agreement {votes}"
        assert judged[name, "cpu", "unseen"]["verdict"] == HOLDS
    assert judged["Model 3 no further, agreement 1", "cpu", "unseen"]["verdict"] == FAILS


def dimension_verdicts(active: dict[str, int], budget: str = "cpu") -> dict[str, tuple[str, int, int]]:
    entries = [landmark_entry(name, dimensions=n, budget=budget) for name, n in active.items()]
    data = dimensions.dimension_claims(Sources(RECIPES, entries)).data
    return {each["claim"]: (each["verdict"], each["right"], each["cases"]) for each in data}


THESIS_6_7 = (30, 30, 30, 30, 30, 30, 20, 25, 29, 17, 21, 27)


def test_dimensions_as_the_thesis_has_them() -> None:
    """Table 6.7's own: two architectures, three annealings each, both variances."""
    active = {f"e/table-6.6/{n:02d}": count for n, count in enumerate(THESIS_6_7, 1)}
    assert dimension_verdicts(active) == {
        "a small variance keeps all dimensions": (HOLDS, 6, 6),
        "slower annealing keeps more": (HOLDS, 6, 6),
        "a smaller variance keeps more": (HOLDS, 6, 6),
    }


def test_dimensions_that_go_another_way() -> None:
    active = {f"e/table-6.6/{n:02d}": count for n, count in enumerate(THESIS_6_7, 1)}
    active |= {"e/table-6.6/01": 29, "e/table-6.6/09": 19, "e/table-6.6/08": 18, "e/table-6.6/11": 28}
    verdicts = dimension_verdicts(active)
    assert verdicts["a small variance keeps all dimensions"] == (PARTLY, 5, 6)
    # 20, 18, 19: one of three rises; 17, 28, 27: two of three.
    assert verdicts["slower annealing keeps more"] == (FAILS, 3, 6)
    assert verdicts["a smaller variance keeps more"] == (HOLDS, 6, 6)


def test_dimensions_never_run() -> None:
    assert set(dimension_verdicts({}).values()) == {("never run", 0, 0)}
