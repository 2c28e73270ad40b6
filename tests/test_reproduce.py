"""`mien reproduce`: every table and figure, from an empty ledger, a made-up one, and one from a real run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from landmark_entries import landmark_entry
from map_entries import map_entry
from mien import data, ledger, storage
from mien.cli.app import app
from mien.errors import CheckpointError, DataError, RecipeError
from mien.evaluation.figures import measure
from mien.evaluation.humans import rater_ceiling, seats
from mien.evaluation.protocols import Scores
from mien.experiments import table_runs
from mien.experiments.table_runs import run_recipes, teachers_first
from mien.faces import FaceBatch
from mien.labels import EMOTIONS
from mien.papers.competition import OTHERS
from mien.papers.people import PEOPLE_ON_FER2013, PSYCHOLOGICAL_STUDY, people_table
from mien.papers.published import FIGURES, draw_figure
from mien.papers.sheets import SHEETS
from mien.papers.sources import Sources, largest
from mien.papers.tables import newest, placed, recipes_of, rows, table_names
from mien.training import recipe as known
from synthetic import face_batch

RECIPES = [known.load(name) for name in known.names()]
TABLES = [name for name in table_names(RECIPES) if name not in SHEETS]
SHOW_FACES = ("A/figure-1", "C/figure-7", "D/figure-7", "D/figure-8")
SUBSET = 9


@cache
def faces() -> FaceBatch:
    batch = face_batch(140)
    rng = np.random.default_rng(3)
    votes = np.stack([rng.multinomial(10, np.full(10, 0.1)) for _ in range(len(batch))]).astype(np.uint8)
    return replace(batch, votes=votes)


def guessed(recipe: str, part: FaceBatch, seed: int) -> dict[str, Any]:
    """A measured evaluation of a network that guesses."""
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(7), len(part)).astype(np.float32)
    return measure(
        Scores(probabilities, np.log(probabilities)),
        part,
        model=recipe,
        dataset="faces.parquet",
        split="public",
        copies=np.arange(len(part)) < 4,
    ).to_dict()


def entry(recipe: str, budget: str, seed: int = 0) -> dict[str, Any]:
    """An entry as a run leaves it, of a network that guesses; the figures are measured, the rest is set."""
    public = faces().split("public")
    figures = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    as_run = known.load(recipe, budget=budget)
    return {
        "recipe": recipe,
        "recipe_as_run": as_run.model_dump(mode="json", exclude_none=True),
        "seed": seed,
        "budget": {"name": budget, "epochs": 3, "best_epoch": 2, "seconds": 90.0},
        "selected_on": {"split": "public", "figure": "validation_accuracy", "value": 0.5},
        "figures": {"public": guessed(recipe, public, seed)},
        "protocols": {
            name: {"public": guessed(recipe, public.select(np.arange(SUBSET)), seed + 1)}
            for name in as_run.test.protocols
            if name != "single"
        },
        "history": [{"epoch": epoch, **dict.fromkeys(figures, 1 / epoch)} for epoch in (1, 2, 3)],
        "moving_means": {f"layer{n}": [n + i / 100 for i in range(15)] for n in (1, 2, 3, 4)},
    }


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with a cpu run of every recipe on pictures, of some on landmarks, and a full one of the
    final network."""
    folder = tmp_path_factory.mktemp("ledger")
    for recipe in RECIPES:
        if recipe.name.startswith("e/"):
            continue
        made = map_entry(recipe.name) if recipe.name.startswith("d/") else entry(recipe.name, "cpu")
        ledger.write(made, folder)
    ledger.write(entry("c/final", "full", seed=1), folder)
    for name in ("e/model-3", "e/spontaneous-model-3"):
        made = landmark_entry(name)
        made["landmarks"]["latent"] = {
            "divergence": [1.0] * 30,
            "norms": [1.0] * 30,
            "neutral_norms": [0.5] * 249,
        }
        ledger.write(made, folder)
    return folder


def mien(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["reproduce", *map(str, arguments)])


def test_it_lists_all_there_is() -> None:
    done = mien()
    assert done.exit_code == 0
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names == [*sorted({*TABLES, *SHEETS}), *FIGURES]
    assert all(each["title"] for each in json.loads(mien("--json").stdout) if each["name"][0] != "C")
    assert [each["name"] for each in json.loads(mien("--json").stdout)] == names
    assert {"C/results", "C/optimisers", "C/dropout", "C/batch-norm", "C/distillation"} <= set(names)
    assert {f"C/figure-{n}" for n in range(4, 9)} <= set(names)


@pytest.mark.parametrize("table", TABLES)
def test_every_table_without_a_run(table: str, tmp_path: Path) -> None:
    done = mien(table, "--ledger", tmp_path)
    assert done.exit_code == 0, done.output
    for recipe, row in placed(table, RECIPES):
        assert row.row in done.stdout
        assert recipe.name in next(line for line in done.stdout.splitlines() if "never run: " in line)
    found = json.loads(mien(table, "--ledger", tmp_path, "--json").stdout)
    assert found["table"] == table
    assert all(row["budget"] is None for row in found["rows"])


def expected(recipe: str, protocol: str, split: str, stored: Mapping[str, Any]) -> dict[str, Any] | None:
    """An entry's evaluation under a protocol, read by hand."""
    if protocol == "single":
        return stored["figures"].get(split)
    return stored["protocols"].get(protocol, {}).get(split)


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_every_table_with_runs(table: str, filled: Path) -> None:
    done = mien(table, "--ledger", filled)
    assert done.exit_code == 0, done.output
    assert "never run" not in done.stdout
    found = json.loads(mien(table, "--ledger", filled, "--json").stdout)["rows"]
    others = OTHERS.get(table, {})
    chosen = placed(table, RECIPES)
    finals = sum(recipe.name == "c/final" for recipe, _ in chosen)
    budgets = [None] * len(others) + ["full"] * finals + ["cpu"] * len(chosen)
    assert [row["budget"] for row in found] == budgets
    stored = {(each["recipe"], each["budget"]["name"]): each for each in ledger.entries(filled)}
    for row in found[len(others) :]:
        run = stored[row["recipe"], row["budget"]]
        for name, split in row["splits"].items():
            figures = expected(row["recipe"], row["protocol"], name, run)
            if figures is None:
                assert split["gap"] is None or name == "training"
                continue
            assert split["accuracy"] == figures["accuracy"]
            assert split["accuracy_ci95"] == figures["accuracy_ci95"]
            assert split["without_copies"] == figures["without_copies"]["accuracy"]
            assert split["n"] == figures["n"]
            assert split["of"] == len(faces().split("public"))
            if split["paper"] is not None:
                assert split["gap"] == pytest.approx(figures["accuracy"] - split["paper"])
            assert f"{split['accuracy']:.4f}" in done.stdout


@pytest.mark.slow
def test_the_papers_figure_stands_beside_ours(filled: Path) -> None:
    found = json.loads(mien("c/RESULTS", "--ledger", filled, "--json").stdout)["rows"]
    final = next(row for row in found if row["recipe"] == "c/final")
    assert final["splits"]["public"]["paper"] == 0.607
    assert final["budget"] == "full"


def test_rows_follow_budget_then_position() -> None:
    positions = [row.position for _, row in placed("C/results", RECIPES)]
    assert positions == sorted(positions)
    found = rows("C/results", RECIPES, [entry("c/distilled", "smoke"), entry("c/no-batch-norm", "full")])
    assert [(row.recipe, row.budget) for row in found] == [
        ("c/no-batch-norm", "full"),
        ("c/distilled", "smoke"),
        ("c/baseline", None),
        ("c/final", None),
    ]


def test_a_fresh_run_takes_the_place_of_its_elder() -> None:
    old, other, fresh = entry("c/final", "cpu"), entry("c/final", "full"), entry("c/final", "cpu")
    assert newest([old, other], [fresh]) == [fresh, other]
    assert newest([old, other], [fresh])[0] is fresh


def test_unknown_tables() -> None:
    with pytest.raises(RecipeError, match="did you mean 'C/dropout'"):
        recipes_of("C/dropouts", RECIPES)


def test_people_without_a_run(tmp_path: Path) -> None:
    done = mien("C/table-1", "--ledger", tmp_path)
    assert done.exit_code == 0
    for emotion, rate in PSYCHOLOGICAL_STUDY.items():
        assert any(emotion in line and f"{rate:.3f}" in line for line in done.stdout.splitlines())
    assert "0.634" in done.stdout
    assert "never run: c/final" in done.stdout


@pytest.mark.slow
def test_people_beside_raters_and_network(filled: Path) -> None:
    found = json.loads(mien("C/table-1", "--ledger", filled, "--json").stdout)
    full = entry("c/final", "full", seed=1)["figures"]["public"]
    ceiling = rater_ceiling(seats(faces().split("public").votes))
    assert (found["budget"], found["split"]) == ("full", "public")
    assert {row["emotion"] for row in found["rows"]} == set(EMOTIONS)
    for row in found["rows"]:
        assert row["paper"] == PSYCHOLOGICAL_STUDY[row["emotion"]]
        assert row["rater"] == pytest.approx(ceiling["per_class"][row["emotion"]])
        assert row["network"] == full["per_class"][row["emotion"]]["recall"]
    assert found["over_all"]["paper"] == PEOPLE_ON_FER2013
    assert found["over_all"]["rater"] == pytest.approx(ceiling["accuracy"])
    assert found["over_all"]["network"] == full["accuracy"]
    shown = mien("C/table-1", "--ledger", filled).stdout
    assert f"{ceiling['accuracy']:.3f}" in shown
    assert "budget full, on public" in shown


def test_people_where_nobody_voted() -> None:
    without = entry("c/final", "cpu")
    without["figures"]["public"]["humans"] = None
    table = people_table([without])
    assert all(row.rater is None and row.network is not None for row in table.rows)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FIGURES if name not in SHOW_FACES])
def test_figures_are_drawn_from_the_ledger(name: str, filled: Path, tmp_path: Path) -> None:
    out = tmp_path / "figure.png"
    done = mien(name, "--ledger", filled, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"figure": name, "file": str(out), "never_run": []}
    with Image.open(out) as picture:
        pixels = np.asarray(picture.convert("L"))
    assert min(pixels.shape) > 200
    assert pixels.std() > 5


@pytest.mark.slow
def test_the_saliency_sheet(filled: Path, data_folder: Path, tmp_path: Path) -> None:
    if not (storage.packaged("weights") / "conv_net.onnx").is_file():
        pytest.skip("conv_net is not shipped yet: weights/conv_net.onnx is absent")
    sources = Sources(RECIPES, ledger.entries(filled), data_folder / "fer2013")
    with Image.open(draw_figure("C/figure-7", sources, tmp_path / "f.png").file) as picture:
        # Three pairs of a face and its map, side by side.
        assert picture.width > 2 * picture.height


@pytest.mark.slow
def test_figures_that_cannot_be_drawn(filled: Path, tmp_path: Path) -> None:
    for stored, out, message in (
        ([], tmp_path / "f.png", "c/final is not in the ledger"),
        (ledger.entries(filled), tmp_path / "f.pdf", "ends in .png"),
    ):
        with pytest.raises(DataError, match=message):
            draw_figure("C/figure-4", Sources(RECIPES, stored), out)
    with pytest.raises(DataError, match="name the dataset with --data"):
        draw_figure("C/figure-7", Sources(RECIPES, ledger.entries(filled)), tmp_path / "f.png")
    assert not list(tmp_path.iterdir())


def test_the_largest_budget_speaks() -> None:
    runs = [entry("c/final", "cpu"), entry("c/final", "full", seed=1), entry("c/final", "full")]
    assert largest(runs) is runs[2]
    assert largest(run for run in runs if run["recipe"] == "c/baseline") is None


def test_teachers_come_first() -> None:
    names = [recipe.name for recipe in teachers_first(["c/distilled-from-larger", "c/distilled"], "smoke")]
    assert names == ["c/larger", "c/distilled-from-larger", "c/final", "c/distilled"]


def test_recipes_that_teach_each_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    for pupil, teacher in (("one", "two"), ("two", "one")):
        (tmp_path / "c" / f"{pupil}.toml").write_text(
            f'summary = "x"\nmodel.name = "conv_net"\n[task]\nname = "distillation"\n'
            f'teacher = "recipe:c/{teacher}"\n'
        )
    monkeypatch.setattr(
        table_runs, "load", lambda name, budget: known.load(name, budget=budget, folder=tmp_path)
    )
    with pytest.raises(RecipeError, match="in a circle: c/one → c/two → c/one"):
        list(teachers_first(["c/one"], "smoke"))


@pytest.mark.slow
def test_a_table_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data.write(faces(), tmp_path / "faces.parquet", "parquet")
    monkeypatch.setattr(known, "SMOKE", {"train.epochs": 1, "train.batch_size": 47})
    before = sorted(storage.packaged("results").glob("*"))
    store, runs = tmp_path / "ledger", tmp_path / "runs"
    arguments = (
        "C/results", "--run", "--budget", "smoke", "--data", tmp_path / "faces.parquet",
        "--runs", runs, "--ledger", store, "--json",
    )  # fmt: skip
    done = mien(*arguments)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["rows"]
    assert {row["recipe"] for row in found} == {"c/baseline", "c/final", "c/no-batch-norm", "c/distilled"}
    assert all(row["budget"] == "smoke" for row in found)
    assert (runs / "smoke" / "c-distilled" / "teacher.npy").is_file()
    assert not store.exists(), "a smoke run says that a recipe runs, and no more"
    assert sorted(storage.packaged("results").glob("*")) == before
    again = mien(*arguments)
    assert again.stderr.count("finished before") == 4
    assert json.loads(again.stdout)["rows"] == found
    monkeypatch.setattr(known, "SMOKE", {"train.epochs": 2, "train.batch_size": 47})
    with pytest.raises(CheckpointError, match="run with other settings"):
        run_recipes(["c/baseline"], budget="smoke", data=tmp_path / "faces.parquet", runs=runs)


@pytest.mark.slow
def test_a_real_run_enters_the_ledger_and_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data.write(faces(), tmp_path / "faces.parquet", "parquet")
    small = {"train.epochs": 2, "model.filters": [4], "model.hidden": 8}
    load = known.load
    changes = [f"{key}={value}" for key, value in small.items()]
    monkeypatch.setattr(table_runs, "load", lambda name, budget: load(name, budget=budget, overrides=changes))
    stored = tmp_path / "ledger"
    (made,) = run_recipes(
        ["c/final"], budget="cpu", data=tmp_path / "faces.parquet", runs=tmp_path / "runs", results=stored
    )
    assert ledger.entries(stored) == [made]
    assert [path.name for path in stored.iterdir()] == ["c-final.cpu.seed0.json"]
    for name in FIGURES:
        if name.startswith("C/") and name not in SHOW_FACES:
            draw_figure(name, Sources(RECIPES, ledger.entries(stored)), tmp_path / "f.png")
            assert Image.open(tmp_path / "f.png").size[0] > 200
    row = next(row for row in rows("C/results", RECIPES, [made]) if row.budget == "cpu")
    assert row.ours["public"].accuracy == made["figures"]["public"]["accuracy"]
    assert row.epochs == 2


def test_seeds_have_folders_of_their_own(tmp_path: Path) -> None:
    data.write(face_batch(60), tmp_path / "faces.parquet", "parquet")
    entries = run_recipes(
        ["c/baseline"], budget="smoke", data=tmp_path / "faces.parquet", runs=tmp_path / "runs", seeds=2
    )
    assert [entry["seed"] for entry in entries] == [0, 1]
    folders = sorted(path.name for path in (tmp_path / "runs" / "smoke").iterdir())
    assert folders == ["c-baseline", "c-baseline.seed1"]
    assert "--set train.seed=1" in entries[1]["command"]
