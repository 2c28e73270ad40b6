"""System E: every configuration of the thesis has its recipe, with its settings and its figures."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mien.labels import LANDMARK_SPLITS
from mien.papers.tables import placed
from mien.training import recipe
from mien.training.recipe import PaperRow, Recipe

RECIPES = {name: recipe.load(name) for name in recipe.names() if name.startswith("e/")}

SETTINGS: dict[str, str] = {
    "6.6": """
1 [249, 120, 60, 30] symmetrical 0.0001 no
2 [249, 120, 60, 30] symmetrical 0.0001 50 000
3 [249, 120, 60, 30] symmetrical 0.0001 100 000
4 [249, 240, 120, 60, 30] symmetrical 0.0001 no
5 [249, 240, 120, 60, 30] symmetrical 0.0001 50 000
6 [249, 240, 120, 60, 30] symmetrical 0.0001 100 000
7 [249, 120, 60, 30] symmetrical 0.001 no
8 [249, 120, 60, 30] symmetrical 0.001 50 000
9 [249, 120, 60, 30] symmetrical 0.001 100 000
10 [249, 240, 120, 60, 30] symmetrical 0.001 no
11 [249, 240, 120, 60, 30] symmetrical 0.001 50 000
12 [249, 240, 120, 60, 30] symmetrical 0.001 100 000
""",
    "6.8": """
1 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.0001 no
2 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.0001 50 000
3 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.0001 100 000
4 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.0005 no
5 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.0005 50 000
6 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.0005 100 000
7 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 no
8 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 50 000
9 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 100 000
""",
    "6.10": """
1 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.01 no
2 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.01 50 000
3 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.01 100 000
4 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.04 no
5 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.04 50 000
6 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.04 100 000
7 [498, 480, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.04 100 000
8 [498, 480, 240, 120, 60, 30] [279, 300, 500, 300, 249] 0.001 0.04 100 000
9 [498, 600, 400, 200, 100, 50] [299, 300, 400, 300, 249] 0.001 0.04 100 000
10 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.0005 0.04 100 000
11 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.0001 0.04 100 000
""",
    "6.12": """
1 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.04 50 000
2 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.04 100 000
3 [498, 480, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.04 50 000
4 [498, 600, 400, 200, 100, 50] [299, 300, 400, 300, 249] 0.001 0.04 50 000
5 [498, 400, 200, 100, 50] [299, 300, 400, 300, 249] 0.001 0.04 50 000
6 [498, 480, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.04 100 000
7 [498, 480, 240, 120, 60, 30] [279, 300, 500, 300, 249] 0.001 0.04 100 000
8 [498, 600, 400, 200, 100, 50] [299, 300, 400, 300, 249] 0.001 0.04 100 000
9 [498, 480, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.04 100 000
10 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.0005 0.04 100 000
11 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.0001 0.04 100 000
""",
    "6.15": """
1 [249, 120, 60, 30] symmetrical 0.0001 no
2 [249, 120, 60, 30] symmetrical 0.0001 50 000
3 [249, 120, 60, 30] symmetrical 0.0001 100 000
4 [249, 240, 120, 60, 30] symmetrical 0.0001 no
5 [249, 240, 120, 60, 30] symmetrical 0.0001 50 000
6 [249, 240, 120, 60, 30] symmetrical 0.0001 100 000
7 [249, 300, 200, 100, 50] symmetrical 0.0001 no
8 [249, 300, 200, 100, 50] symmetrical 0.0001 50 000
9 [249, 300, 200, 100, 50] symmetrical 0.0001 100 000
""",
    "6.17": """
1 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.0001 no
2 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.01 no
3 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.01 50 000
4 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.01 100 000
5 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 no
6 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 50 000
7 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 100 000
""",
    "6.19": """
1 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.001 no
2 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.001 50 000
3 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.001 100 000
4 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.0001 no
5 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.0001 50 000
6 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.0001 100 000
""",
    "6.21": """
1 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.001 50 000
2 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.001 100 000
3 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.0001 50 000
4 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.0001 100 000
5 [498, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.0005 50 000
6 [498, 480, 240, 120, 60, 30] [279, 300, 400, 300, 249] 0.001 0.0005 50 000
7 [498, 600, 400, 200, 100, 50] [299, 300, 400, 300, 249] 0.001 0.0005 50 000
8 [498, 400, 200, 100, 50] [299, 300, 400, 300, 249] 0.001 0.0005 50 000
""",
}
"""As the thesis prints its tables of settings."""

POSED = ("dimensions", "accuracy", "triplets")
SPONTANEOUS = ("dimensions", "f1", "auc", "triplets_5", "triplets_3", "triplets_1")

RESULTS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "6.7": ("public", POSED, """
None 249 0.684 0.564
config 1 30 0.544 0.563
config 2 30 0.52 0.571
config 3 30 0.544 0.565
config 4 30 0.544 0.565
config 5 30 0.556 0.575
config 6 30 0.536 0.572
config 7 20 0.536 0.572
config 8 25 0.544 0.557
config 9 29 0.544 0.56
config 10 17 0.512 0.556
config 11 21 0.524 0.554
config 12 27 0.516 0.557
"""),
    "6.9": ("public", POSED, """
None 249 0.684 0.564
config 1 30 0.62 0.594
config 2 30 0.628 0.598
config 3 30 0.664 0.595
config 4 16 0.616 0.593
config 5 21 0.636 0.58
config 6 25 0.624 0.572
config 7 13 0.592 0.606
config 8 15 0.616 0.581
config 9 17 0.62 0.572
"""),
    "6.11": ("public", POSED, """
None 249 0.684 0.564
config 1 30 0.62 0.742
config 2 30 0.636 0.748
config 3 30 0.644 0.754
config 4 24 0.66 0.741
config 5 22 0.604 0.734
config 6 30 0.664 0.75
config 7 30 0.724 0.761
config 8 30 0.676 0.751
config 9 39 0.708 0.76
config 10 30 0.68 0.75
config 11 30 0.656 0.693
"""),
    "6.13": ("public", POSED, """
None 249 0.684 0.564
config 1 22 0.676 0.747
config 2 27 0.68 0.73
config 3 25 0.676 0.746
config 4 22 0.704 0.729
config 5 26 0.7 0.725
config 6 25 0.708 0.76
config 7 27 0.704 0.748
config 8 33 0.696 0.74
config 9 27 0.696 0.745
config 10 30 0.656 0.714
config 11 30 0.648 0.674
"""),
    "6.14": ("private", POSED, """
None 249 0.72 0.593
PCA-30 30 0.676 0.592
Our best model 1 30 0.64 0.592
Our best model 2 30 0.72 0.67
Our best model 3 30 0.736 0.798
"""),
    "6.16": ("public", SPONTANEOUS, """
None 249 0.598 0.766 0.678 0.605 0.487
config 1 30 0.576 0.748 0.667 0.592 0.524
config 2 30 0.591 0.758 0.672 0.589 0.499
config 3 30 0.594 0.759 0.672 0.585 0.512
config 4 30 0.584 0.75 0.652 0.586 0.519
config 5 30 0.589 0.765 0.667 0.595 0.51
config 6 30 0.597 0.769 0.655 0.582 0.505
config 7 50 0.58 0.746 0.67 0.576 0.512
config 8 50 0.588 0.75 0.663 0.59 0.507
config 9 50 0.586 0.753 0.667 0.567 0.521
"""),
    "6.18": ("public", SPONTANEOUS, """
None 249 0.598 0.766 0.678 0.605 0.487
config 1 30 0.603 0.746 0.635 0.59 0.502
config 2 5 0.576 0.691 0.637 0.598 0.505
config 3 9 0.588 0.715 0.63 0.57 0.526
config 4 11 0.587 0.728 0.626 0.573 0.527
config 5 13 0.602 0.736 0.613 0.564 0.502
config 6 16 0.594 0.73 0.601 0.582 0.498
config 7 19 0.596 0.734 0.609 0.574 0.501
"""),
    "6.20": ("public", SPONTANEOUS, """
None 249 0.598 0.766 0.678 0.605 0.487
config 1 17 0.624 0.759 0.758 0.655 0.518
config 2 20 0.61 0.754 0.741 0.659 0.512
config 3 24 0.618 0.752 0.762 0.65 0.523
config 4 28 0.622 0.765 0.837 0.729 0.544
config 5 30 0.618 0.768 0.834 0.742 0.566
config 6 30 0.614 0.753 0.848 0.736 0.543
"""),
    "6.22": ("public", SPONTANEOUS, """
None 249 0.598 0.766 0.678 0.605 0.487
config 1 16 0.605 0.749 0.73 0.65 0.519
config 2 22 0.606 0.749 0.736 0.649 0.527
config 3 30 0.627 0.764 0.839 0.726 0.544
config 4 28 0.62 0.763 0.839 0.727 0.555
config 5 19 0.621 0.759 0.779 0.682 0.526
config 6 25 0.603 0.75 0.767 0.695 0.543
config 7 21 0.618 0.755 0.756 0.687 0.516
config 8 22 0.62 0.763 0.779 0.678 0.529
"""),
    "6.23": ("private", SPONTANEOUS, """
None 249 0.633 0.766 0.747 0.615 0.549
PCA-30 30 0.646 0.771 0.743 0.608 0.549
Our model 1 30 0.637 0.753 0.706 0.593 0.494
Our model 2 30 0.644 0.752 0.647 0.584 0.495
Our model 3 30 0.658 0.764 0.849 0.716 0.556
"""),
}  # fmt: skip
"""By table: the split, what its columns are, and its rows."""

BASELINES: dict[str, tuple[tuple[str, ...], str]] = {
    "6.1": (("accuracy",), """
249 0.874 0.684 0.72
50 0.871 0.648 0.724
40 0.769 0.652 0.708
30 0.743 0.636 0.676
20 0.701 0.548 0.676
"""),
    "6.2": (("f1", "auc"), """
249 0.782 0.898 0.598 0.766 0.633 0.766
50 0.727 0.848 0.584 0.762 0.627 0.77
40 0.72 0.839 0.574 0.76 0.627 0.771
30 0.708 0.824 0.588 0.766 0.646 0.771
20 0.694 0.808 0.59 0.756 0.635 0.757
"""),
    "6.3": (("triplets",), """
249 0.614 0.564 0.593
50 0.613 0.566 0.593
40 0.613 0.564 0.594
30 0.613 0.566 0.592
20 0.612 0.564 0.591
"""),
}  # fmt: skip
"""By table: its columns within each of training, validation and test; rows by dimensions."""

TABLE_6_4 = """
training 5 0.724 0.727 0.727 0.725 0.724
training 3 0.611 0.609 0.612 0.611 0.613
training 1 0.539 0.541 0.54 0.543 0.537
public 5 0.678 0.678 0.678 0.678 0.675
public 3 0.605 0.608 0.606 0.608 0.608
public 1 0.487 0.488 0.49 0.501 0.51
private 5 0.747 0.747 0.751 0.743 0.751
private 3 0.615 0.618 0.618 0.608 0.614
private 1 0.549 0.545 0.549 0.549 0.548
"""
"""Columns: no reduction, and 50, 40, 30 and 20 dimensions."""

MODELS = {
    "6.6": ("6.7", 1, 200, False), "6.8": ("6.9", 2, 200, False), "6.10": ("6.11", 3, 200, False),
    "6.12": ("6.13", 3, 200, True), "6.15": ("6.16", 1, 250, False), "6.17": ("6.18", 2, 250, False),
    "6.19": ("6.20", 3, 250, False), "6.21": ("6.22", 3, 250, True),
}  # fmt: skip
"""By table of settings: that of its results, model, batch size, whether the whole prior is annealed."""


def lines(text: str) -> list[str]:
    return text.strip().splitlines()


def thesis_rows(table: str) -> list[tuple[Recipe, PaperRow]]:
    """A table's rows that have figures of the thesis: ours beside them have none."""
    return [(found, row) for found, row in placed(f"E/{table}", list(RECIPES.values())) if row.figures]


@pytest.mark.parametrize("table", RESULTS)
def test_the_figures_of_a_table(table: str) -> None:
    split, names, text = RESULTS[table]
    expected = []
    for line in lines(text):
        row, *values = line.rsplit(maxsplit=len(names))
        expected.append((row, {split: dict(zip(names, map(float, values), strict=True))}))
    assert [(row.row, row.figures) for _, row in thesis_rows(table)] == expected
    assert all(row.accuracy == {} for _, row in thesis_rows(table))


@pytest.mark.parametrize("table", BASELINES)
def test_the_baselines_figures(table: str) -> None:
    names, text = BASELINES[table]
    expected = []
    for line in lines(text):
        dimensions, *values = map(float, line.split())
        parts = [values[i : i + len(names)] for i in range(0, len(values), len(names))]
        assert len(parts) == 3
        expected.append(
            {
                split: {**dict(zip(names, part, strict=True)), "dimensions": dimensions}
                for split, part in zip(LANDMARK_SPLITS[:3], parts, strict=True)
            }
        )
    assert [row.figures for _, row in thesis_rows(table)] == expected
    assert [found.model.options["baseline"] for found, _ in thesis_rows(table)] == [
        "raw", "pca-50", "pca-40", "pca-30", "pca-20",
    ]  # fmt: skip


def test_table_6_4_by_agreement() -> None:
    expected: list[dict[str, dict[str, float]]] = [{} for _ in range(5)]
    for line in lines(TABLE_6_4):
        split, votes, *values = line.split()
        for column, value in enumerate(values):
            expected[column].setdefault(split, {})[f"triplets_{votes}"] = float(value)
    for column, dimensions in enumerate((249, 50, 40, 30, 20)):
        for figures in expected[column].values():
            figures["dimensions"] = dimensions
    assert [row.figures for _, row in thesis_rows("6.4")] == expected


def as_printed(found: Recipe, *, topological: bool) -> str:
    """A recipe's settings as a line of the thesis's tables."""
    model, task = found.model.options, found.task.options
    beside = 249 if model["neutral"] else 0
    encoding = [249 + beside, *model["encoder"], model["latent"]]
    decoding = [model["latent"] + beside, *model["decoder"], 249] if "decoder" in model else "symmetrical"
    variances = [task["reconstruction_variance"], *([task["topological_variance"]] if topological else [])]
    spaced = {0.0: "no", 0.5: "50 000", 1.0: "100 000"}[task["anneal"]]
    return " ".join([str(encoding), str(decoding), *(f"{v:f}".rstrip("0") for v in variances), spaced])


@pytest.mark.parametrize("table", SETTINGS)
def test_the_settings_of_every_configuration(table: str) -> None:
    results, model, batch, whole = MODELS[table]
    rows = [pair for pair in thesis_rows(results) if pair[1].row != "None"]
    assert [found.name for found, _ in rows] == [f"e/table-{table}/{n:02d}" for n in range(1, len(rows) + 1)]
    printed = [f"{row.position} {as_printed(found, topological=model == 3)}" for found, row in rows]
    assert printed == lines(SETTINGS[table])
    for found, row in rows:
        assert row.row == f"config {row.position}"
        assert found.model.options["neutral"] == (model > 1)
        assert ("topological_variance" in found.task.options) == (model == 3)
        assert found.task.options.get("anneal_all", False) == whole
        assert found.train.batch_size == batch


TRAINED = [name for name, found in RECIPES.items() if found.model.name == "landmark_vae"]
UNTRAINED = [name for name in RECIPES if name not in TRAINED]


@pytest.mark.parametrize("name", TRAINED)
def test_what_table_6_5_fixes(name: str) -> None:
    found = RECIPES[name]
    assert (found.model.options["keep"], found.task.options["samples"]) == (0.9, 3)
    train = found.train
    assert (train.lr, train.optimiser.name, train.schedule.name) == (1e-4, "adam", "constant")
    assert (train.iterations, train.validate_every) == (100_000, 2500)
    assert (train.select, train.select_mode) == ("validation_elbo", "max")
    assert train.l2 == train.warmup == 0
    if "topological_variance" in found.task.options:
        assert (found.task.options["triplet_batch"], found.task.options["triplet_samples"]) == (10, 10)
    judged = "spontaneous" in found.summary.lower() or name.startswith("e/fer2013")
    assert found.data.triplets == ("judged" if judged else "rules")
    assert train.batch_size == (250 if judged else 200)


BEST = {
    "e/model-1": "e/table-6.6/05",
    "e/model-2": "e/table-6.8/03",
    "e/model-3": "e/table-6.10/07",
    "e/spontaneous-model-1": "e/table-6.15/06",
    "e/spontaneous-model-2": "e/table-6.17/01",
    "e/spontaneous-model-3": "e/table-6.21/03",
}


def settings(name: str, budget: str = "full") -> dict[str, Any]:
    found = recipe.load(name, budget=budget)
    return found.model_dump(exclude={"name", "summary", "paper", "budget"})


@pytest.mark.parametrize(("name", "configuration"), BEST.items())
def test_the_best_models_are_configurations_run_for_longer(name: str, configuration: str) -> None:
    assert settings(name) == settings(configuration)
    assert recipe.load(name, budget="cpu").train.iterations == 25_000
    assert recipe.load(configuration, budget="cpu").train.iterations == 5000
    table, _, number = configuration.removeprefix("e/table-").partition("/")
    assert f"onfiguration {int(number)} of Table {table}" in RECIPES[name].summary


def test_a_best_model_that_the_thesis_does_not_name_is_said_to_be_inferred() -> None:
    named = {"e/model-3", "e/spontaneous-model-3"}
    for name in BEST:
        paper = RECIPES[name].paper
        assert paper is not None
        assert ("configuration" in paper.chosen) == (name not in named)


def test_configurations_6_and_9_of_table_6_12_differ_by_the_seed_alone() -> None:
    one, other = settings("e/table-6.12/06"), settings("e/table-6.12/09")
    assert (one["train"].pop("seed"), other["train"].pop("seed")) == (0, 1)
    assert one == other


@pytest.mark.parametrize("kind", ["posed", "spontaneous"])
def test_ten_baselines(kind: str) -> None:
    names = [name for name in UNTRAINED if name.startswith(f"e/{kind}-")]
    sizes = ["", *(f"pca-{n}" for n in (50, 40, 30, 20))]
    given = {size or "raw" for size in sizes} | {f"difference-{size}".rstrip("-") for size in sizes}
    assert {RECIPES[name].model.options["baseline"] for name in names} == given
    assert {name.removeprefix(f"e/{kind}-") for name in names} == given
    for name in names:
        paper = RECIPES[name].paper
        assert paper is not None
        assert all(bool(row.figures) == ("difference" not in name) for row in paper.rows)


def test_fer2013_with_and_without_the_prior() -> None:
    one, other = settings("e/fer2013-model-1"), settings("e/fer2013-triplets")
    prior = {key: value for key, value in other["task"].items() if key not in one["task"]}
    assert set(prior) == {"topological_variance", "anneal_all", "triplet_batch", "triplet_samples"}
    other["task"] = one["task"]
    assert one == other
    assert one["model"]["neutral"] is False
    for name in ("e/fer2013-model-1", "e/fer2013-triplets"):
        assert recipe.load(name, budget="cpu").train.iterations == 25_000


@pytest.mark.parametrize("name", TRAINED)
def test_a_smoke_run_takes_seconds(name: str) -> None:
    smoke = recipe.load(name, budget="smoke")
    assert (smoke.train.iterations, smoke.train.validate_every, smoke.data.limit) == (20, 10, 400)


def test_licensed_data_are_said_to_be_stood_in_for() -> None:
    for name, found in RECIPES.items():
        assert found.paper is not None
        words = found.paper.chosen["data"]
        assert "FER-2013" in words if "fer2013" in name else "synthetic" in words
        assert re.search(r"[.]$", found.summary)
