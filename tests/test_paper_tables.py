"""Systems A's and B's tables and figures, from made-up ledgers whose every figure is known."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from mien import data, ledger
from mien.cli.app import app
from mien.errors import CheckpointError, DataError, RecipeError
from mien.evaluation import protocols
from mien.experiments.entry import moving_means as moving_means_of
from mien.experiments.table_runs import run_recipes
from mien.labels import EMOTIONS
from mien.models import architecture
from mien.papers import confusion, figures_a, moving_means, parameters
from mien.papers.competition import OTHERS
from mien.papers.published import FIGURES, draw_figure
from mien.papers.sources import Sources
from mien.papers.tables import recipes_of, rows
from mien.report import figures as draw
from mien.training import recipe as known
from mien.transforms import Augmentation
from synthetic import face_batch

RECIPES = [known.load(name) for name in known.names()]


def evaluation(n: int, right: int) -> dict[str, Any]:
    """Of n faces, `right` read rightly; what tables read of an evaluation, and no more."""
    return {
        "n": n,
        "accuracy": right / n,
        "accuracy_ci95": [right / n - 0.02, right / n + 0.01],
        "without_copies": {"accuracy": right / n - 0.03},
    }


def entry(recipe: str, budget: str = "cpu", seed: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "recipe": recipe,
        "seed": seed,
        "budget": {"name": budget, "epochs": 3, "best_epoch": 2, "seconds": 90.0},
        "figures": {"public": evaluation(1000, 600)},
        "history": [
            {"epoch": n, "train_loss": 3 - n / 4, "validation_loss": 2 - n / 4,
             "train_accuracy": (0.3, 0.5, 0.4)[n - 1], "validation_accuracy": n / 8}
            for n in (1, 2, 3)
        ],
        **more,
    }  # fmt: skip


def mien(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["reproduce", *map(str, arguments)])


def printed(folder: Path, table: str, *entries: dict[str, Any]) -> list[str]:
    folder.mkdir(exist_ok=True)
    for each in entries:
        ledger.write(each, folder)
    done = mien(table, "--ledger", folder)
    assert done.exit_code == 0, done.output
    return [line.strip() for line in done.stdout.splitlines()]


def test_a_row_is_measured_as_the_paper_measured_it(tmp_path: Path) -> None:
    crops = {"eval1": {"public": evaluation(1000, 640)}, "eval2": {"public": evaluation(500, 330)}}
    lines = printed(
        tmp_path,
        "A/V",
        entry("a/bkstart-cross-entropy", protocols=crops),
        entry("a/bkvgg8-cross-entropy"),
    )
    eval1, eval2 = (line for line in lines if "BKStart" in line and "public" in line and "0.6" in line)
    assert eval1.split()[5:] == [
        "eval1", "public", "0.683", "0.6400", "0.6200–0.6500", "-0.0430", "1,000", "of", "1,000", "0.6100",
        "cpu", "2", "of", "3",
    ]  # fmt: skip
    assert eval2.split()[5:13] == [
        "eval2", "public", "0.692", "0.6600", "0.6400–0.6700", "-0.0320", "500", "of",
    ]  # fmt: skip
    for protocol in ("eval1", "eval2"):
        assert (
            "BKVGG8 + softmax + cross-entropy: a/bkvgg8-cross-entropy was run (cpu) and not measured by "
            f"{protocol}; single pictures: public 0.6000"
        ) in lines
    assert "private: no figure of ours; a run measures the split that it selects on" in lines
    assert not any("never run" in line for line in lines)
    found = json.loads(mien("A/V", "--ledger", tmp_path, "--json").stdout)["rows"]
    splits = {row["protocol"]: row["splits"] for row in found if row["recipe"] == "a/bkstart-cross-entropy"}
    assert (splits["eval2"]["public"]["n"], splits["eval2"]["public"]["of"]) == (500, 1000)
    assert splits["eval2"]["public"]["gap"] == pytest.approx(0.66 - 0.692)
    assert splits["eval2"]["private"] == {"paper": 0.704, "gap": None}


def test_recipes_name_the_protocols_that_there_are() -> None:
    assert get_args(known.ProtocolName) == tuple(protocols.PROTOCOLS)


def test_only_what_was_never_run_is_named_so(tmp_path: Path) -> None:
    lines = printed(tmp_path, "A/VII", entry("a/bkvgg12"), entry("a/bkvgg14", "full"))
    (missing,) = (line for line in lines if line.startswith("never run: "))
    assert missing == "never run: a/bkstart, a/bkvgg8, a/bkvgg10"
    assert "to run them: mien reproduce A/VII --run --budget cpu --data PATH" in lines
    assert not any("no figure of ours" in line for line in lines), "nothing was measured by eval2 at all"


def test_every_seed_has_its_row(tmp_path: Path) -> None:
    lines = printed(tmp_path, "B/5.7", entry("b/first", seed=3), entry("b/first", seed=4), entry("b/second"))
    assert "seed" in lines[1]
    ours = [line.split() for line in lines if line.split()[:2] == ["1st", "public"]]
    assert [line[-4] for line in ours] == ["3", "4"], "seed, then 2 of 3"
    assert "seed" not in printed(tmp_path / "one", "B/5.7", entry("b/first", seed=3))[1]


def test_training_accuracy_is_that_of_the_best_epoch() -> None:
    (row,) = (row for row in rows("B/5.3.4", RECIPES, [entry("b/type-a")]) if row.recipe == "b/type-a")
    assert row.paper == {"training": 0.6272}
    assert row.ours["training"].accuracy == 0.5
    assert row.gap("training") == pytest.approx(0.5 - 0.6272)
    assert row.ours["training"].interval is None
    (other,) = (row for row in rows("B/5.7", RECIPES, [entry("b/first")]) if row.recipe == "b/first")
    assert set(other.ours) == {"public"}, "only a row whose figure is of training says it"


def test_others_stand_first_and_are_not_ours_to_run(tmp_path: Path) -> None:
    lines = printed(tmp_path, "A/VIII")
    names = list(OTHERS["A/VIII"])
    assert [name for line in lines for name in names if line.startswith(name)] == [
        name for name in names for _ in ("public", "private")
    ]
    assert sum("others' result" in line for line in lines) == 8
    (missing,) = (line for line in lines if line.startswith("never run: "))
    assert missing == "never run: a/bkstart, a/bkvgg14, a/bkvgg12"
    with pytest.raises(RecipeError, match=r"B/3\.1 holds others' results"):
        recipes_of("B/3.1", RECIPES)


def test_the_published_confusion_matrix_is_of_its_test_set() -> None:
    table = np.array(confusion.PUBLISHED)
    np.testing.assert_allclose(table.sum(axis=1), 100, atol=0.03)
    assert table[1, 1] == round(100 * 38 / 55, 2)
    # Its faces of each emotion: system B's counts of the whole dataset less the other two splits'. Whole
    # numbers of faces give the shares, and the diagonal gives Table VII's accuracy.
    faces = np.array([491, 55, 528, 879, 594, 416, 626])
    counts = np.round(table / 100 * faces[:, None])
    np.testing.assert_allclose(100 * counts / faces[:, None], table, atol=0.006)
    assert round(100 * np.trace(counts) / faces.sum(), 1) == 71.9


def test_our_confusion_matrix_stands_beside_the_papers(tmp_path: Path) -> None:
    counts = np.arange(49).reshape(7, 7) + 1
    counts[2] = 0
    measured = {"public": {**evaluation(1225, 600), "confusion": counts.tolist()}}
    run = entry("a/bkvgg12", protocols={"eval2": measured})
    run["figures"]["public"]["confusion"] = np.eye(7, dtype=int).tolist()
    lines = printed(tmp_path, "A/IX", run)
    angry = [line.split()[1:] for line in lines if line.startswith("angry")]
    shares = counts[0] / counts[0].sum() * 100
    assert angry[0] == [f"{value:.2f}" for value in confusion.PUBLISHED[0]]
    assert angry[1] == [f"{value:.2f}" for value in shares]
    differences = [f"{value:+.2f}".replace("-", "−") for value in shares - confusion.PUBLISHED[0]]
    assert angry[2] == differences
    assert [line.split()[1:] for line in lines if line.startswith("fear")][1] == ["–"] * 7
    assert any("a/bkvgg12, budget cpu, eval2, 1,225 public faces" in line for line in lines)
    found = json.loads(mien("A/IX", "--ledger", tmp_path, "--json").stdout)
    assert found["labels"] == list(EMOTIONS)
    assert found["ours"]["percent"][0] == pytest.approx(shares.tolist())
    del run["protocols"]
    assert any("cpu, single, 1,000" in line for line in printed(tmp_path, "A/IX", run))
    assert "never run: a/bkvgg12" in printed(tmp_path / "empty", "A/IX")


def test_json_has_no_number_that_is_none(tmp_path: Path) -> None:
    run = entry("a/bkvgg12")
    run["figures"]["public"]["confusion"] = np.diag([1, 0, 1, 1, 1, 1, 1]).tolist()
    ledger.write(run, tmp_path)
    text = mien("A/IX", "--ledger", tmp_path, "--json").stdout
    assert "NaN" not in text
    assert json.loads(text)["ours"]["percent"][1] == [None] * 7


def test_a_finished_run_keeps_its_moving_means() -> None:
    network = architecture("vgg_a").build({"batch_norm": "before"})
    layers = [module for module in network.modules() if hasattr(module, "running_mean")]
    for number, layer in enumerate(layers):
        layer.running_mean.copy_(torch.arange(len(layer.running_mean)) * 0.25 - number)
    kept = list(moving_means_of(network).values())
    assert len(layers[3].running_mean) == 128, "the fourth of type A, as in Table 5.4"
    assert kept == [[channel * 0.25 - number for channel in range(15)] for number in range(len(layers))]
    assert moving_means_of(architecture("bkvgg8").build()) == {}


def test_moving_means_beside_the_papers(tmp_path: Path) -> None:
    layers = {f"layer{n}": [n - channel for channel in range(15)] for n in range(1, 7)}
    lines = printed(
        tmp_path, "B/5.4", entry("b/type-a", moving_means=layers), entry("b/type-a-batch-norm-before")
    )
    first = next(line.split() for line in lines if line.startswith("1 "))
    assert first == ["1", "0.7137", "4.0000", "−5.3296", "–"]
    last = next(line.split() for line in lines if line.startswith("15 "))
    assert last == ["15", "1.1229", "−10.0000", "−4.0071", "–"]
    below = next(line.split("below zero")[1].split() for line in lines if line.startswith("below"))
    assert below == ["0", "of", "15", "10", "of", "15", "15", "of", "15", "–"]
    assert "BN → ReLU: b/type-a-batch-norm-before, budget cpu, kept no moving means" in lines
    found = json.loads(mien("B/5.4", "--ledger", tmp_path, "--json").stdout)
    assert found["rows"][4]["after"] == {"paper": moving_means.PUBLISHED["after"][4], "ours": 0}
    assert found["runs"]["before"] == "b/type-a-batch-norm-before"


def test_parameters_are_the_papers() -> None:
    """Within what two places, or thousands, leave open; Table III cuts BKVGG14's instead of rounding."""
    a = json.loads(mien("A/III", "--json").stdout)["rows"]
    b = json.loads(mien("B/5.3", "--json").stdout)["rows"]
    for row in a:
        assert abs(row["ours"] - parameters.MILLIONS[row["network"]] * 1e6) < 1e4
    for row in b:
        assert abs(row["ours"] - parameters.THOUSANDS[row["network"]] * 1e3) <= 500
    assert (len(a), len(b)) == (5, 6)


SHOWN = {
    "A/figure-1": ["a/bkvgg12"],
    "A/figure-2": ["a/bkvgg12"],
    "B/figure-5.3": ["b/baseline", "b/no-rescaling", "b/no-augmentation"],
    "B/figure-5.4": ["b/baseline", "b/no-dropout"],
    "B/figure-5.5": ["b/plain-sgd", "b/momentum", "b/baseline"],
    "B/figure-5.6": ["b/baseline", "b/nesterov-095", "b/nesterov-099"],
    "B/figure-5.8": ["b/type-a", "b/type-a-batch-norm-before"],
    "B/figure-5.9": ["b/second", "b/batch-norm-before"],
    "B/figure-5.10": [f"b/type-{letter}-constant" for letter in "abcdef"],
    "B/figure-5.11": ["b/type-a", "b/type-b", "b/baseline", "b/type-d", "b/type-e", "b/type-f"],
    "B/figure-5.12": [
        "b/second", "b/first", "b/dropout-050", "b/dropout-080", "b/dropout-dense-080", "b/dropout-dense-050",
    ],
    "B/figure-5.13": ["b/first", "b/second", "b/third"],
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in FIGURES if name[0] in "AB"])
def test_a_figure_shows_its_experiment(name: str) -> None:
    figure = FIGURES[name]
    shown = Sources(RECIPES, []).of(figure.table, figure.which).values()
    assert [recipe.name for recipe in shown] == SHOWN[name]


def test_a_figure_of_some_of_its_runs_names_the_others(tmp_path: Path) -> None:
    out = tmp_path / "f.png"
    sources = Sources(RECIPES, [entry("b/momentum")])
    assert draw_figure("B/figure-5.5", sources, out).never_run == ["b/plain-sgd", "b/baseline"]
    ledger.write(entry("b/momentum"), tmp_path)
    done = mien("B/figure-5.5", "--ledger", tmp_path, "--out", out)
    assert done.stdout.splitlines()[-1] == "never run: b/plain-sgd, b/baseline"
    with pytest.raises(DataError, match=r"mien reproduce B/5.3.8 --run") as caught:
        draw_figure("B/figure-5.13", sources, out)
    assert str(caught.value).startswith("b/first, b/second, b/third are not in the ledger")


def test_an_experiments_runs_are_drawn_in_one_figure() -> None:
    histories = {"one": entry("b/first")["history"], "two": entry("b/second")["history"][:1]}
    loss, accuracy = draw.experiment_curves(histories).axes
    drawn = [[line.get_ydata().tolist() for line in axes.lines] for axes in (loss, accuracy)]
    assert drawn[0] == [[1.75, 1.5, 1.25], [2.75, 2.5, 2.25], [1.75], [2.75]]
    assert drawn[1] == [[0.125, 0.25, 0.375], [0.3, 0.5, 0.4], [0.125], [0.3]]
    assert [line.get_color() for line in loss.lines] == [line.get_color() for line in accuracy.lines]
    assert len({line.get_color() for line in loss.lines}) == 2
    with pytest.raises(DataError, match="no loss in the history of none"):
        draw.experiment_curves({"none": []})


@pytest.mark.parametrize(
    ("budgets", "names"),
    [
        (("cpu", "cpu"), ["0.3 in the whole network", "0.5 in the whole network"]),
        (("full", "cpu"), ["0.3 in the whole network, full", "0.5 in the whole network, cpu"]),
    ],
)
def test_runs_of_unlike_budgets_are_told_apart(budgets: tuple[str, str], names: list[str]) -> None:
    figure = FIGURES["B/figure-5.12"]
    runs = [entry(name, budget) for name, budget in zip(("b/first", "b/dropout-050"), budgets, strict=True)]
    sources = Sources(RECIPES, runs)
    recipes = sources.of(figure.table, figure.which)
    finished = {row: run for row, recipe in recipes.items() if (run := sources.run_of(recipe.name))}
    drawn = figure.draw(recipes, finished, sources)
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == names


def test_squares_of_faces_hold_every_face() -> None:
    faces = face_batch(14).images[:5]
    small = faces[:, :42, :42]
    left, right = draw.face_sheets({"left": faces, "right": small}).axes
    pictures = [np.asarray(axes.images[0].get_array()) for axes in (left, right)]
    for picture, given in zip(pictures, (faces, small), strict=True):
        side = given.shape[1]
        for number, face in enumerate(given):
            top, start = number // 3 * (side + 2), number % 3 * (side + 2)
            np.testing.assert_allclose(
                picture[top : top + side, start : start + side, 0], face / 255, atol=1e-12
            )
    with pytest.raises(DataError, match="no faces"):
        draw.face_sheets({"left": faces[:0]})


def test_augmented_faces_are_those_of_the_first_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = face_batch(140)
    data.write(batch, tmp_path / "faces.parquet", "parquet")
    shown: dict[str, np.ndarray] = {}
    real = draw.face_sheets

    def watched(sheets: dict[str, np.ndarray]) -> Any:
        shown.update(sheets)
        return real(sheets)

    monkeypatch.setattr(figures_a.draw, "face_sheets", watched)
    sources = Sources(RECIPES, [], tmp_path / "faces.parquet")
    drawn = draw_figure("A/figure-1", sources, tmp_path / "f.png")
    assert drawn.file.stat().st_size > 10_000
    assert drawn.never_run == []
    original, changed = shown.values()
    faces = batch.split("training").images
    rows = [int(np.flatnonzero((faces == face).all(axis=(1, 2)))[0]) for face in original]
    assert len(set(rows)) == len(rows) == 16
    recipe = known.load("a/bkvgg12")
    network = architecture("bkvgg12").build(recipe.model.options)
    network.normalise.fit(faces)
    normalised = network.normalise(torch.from_numpy(faces[rows])[:, None].float())
    expected = Augmentation(**recipe.augment)(
        normalised, size=42, seed=recipe.train.seed, epoch=0, rows=torch.tensor(rows)
    )[:, 0].numpy()
    for grey, values in zip(changed, expected, strict=True):
        # Grey 127.5 is zero, and the farthest from it is black or white.
        np.testing.assert_allclose((grey - 127.5) / 127.5 * np.abs(values).max(), values, atol=1e-4)
    with pytest.raises(DataError, match="name the dataset with --data"):
        draw_figure("A/figure-1", Sources(RECIPES, []), tmp_path / "f.png")


def test_runs_go_with_tables_of_runs(tmp_path: Path) -> None:
    for name, told in (
        ("A/IX", "run A/VII and repeat it without --run"),
        ("B/figure-5.12", "run B/5.3.7 and repeat it without --run"),
        ("A/III", "A/III trains nothing itself: repeat it without --run"),
        ("D/claims", "run D/maps and repeat it without --run"),
        ("D/figures", "run D/maps and repeat it without --run"),
    ):
        done = mien(name, "--run", "--data", tmp_path)
        assert done.exit_code != 0
        assert told in str(done.exception)


def test_a_finished_run_stays_one_when_settings_are_added(tmp_path: Path) -> None:
    """What a run did not know is a default now; what it measures at the end trains nothing."""
    recipe = known.load("b/first", budget="smoke")
    as_run = recipe.model_dump(mode="json", exclude_none=True)
    del as_run["train"]["accumulate"], as_run["test"]
    as_run["paper"] = {"system": "B", "tables": ["5.7"], "row": "as it was written once"}
    run = tmp_path / "smoke" / "b-first"
    run.mkdir(parents=True)
    finished = {**entry("b/first", "smoke"), "recipe_as_run": as_run}
    (run / "result.json").write_text(json.dumps(finished), encoding="utf-8")
    notes: list[str] = []
    found = run_recipes(["b/first"], budget="smoke", data=tmp_path, runs=tmp_path, note=notes.append)
    assert found == [finished]
    assert notes == [f"b/first: finished before, in {run}"]
    for key, value in (("lr", 0.5), ("no_longer", 1)):
        changed = {**finished, "recipe_as_run": {**as_run, "train": {**as_run["train"], key: value}}}
        (run / "result.json").write_text(json.dumps(changed), encoding="utf-8")
        with pytest.raises(CheckpointError, match="run with other settings"):
            run_recipes(["b/first"], budget="smoke", data=tmp_path, runs=tmp_path)


def test_a_wrong_recipe_costs_no_run_of_those_before_it(tmp_path: Path) -> None:
    data.write(face_batch(70), tmp_path / "faces.parquet", "parquet")
    with pytest.raises(RecipeError, match="unknown recipe 'b/frst'"):
        run_recipes(
            ["b/first", "b/frst"], budget="smoke", data=tmp_path / "faces.parquet", runs=tmp_path / "runs"
        )
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_table_vii_is_run_at_the_smoke_budget(tmp_path: Path) -> None:
    data.write(face_batch(70), tmp_path / "faces.parquet", "parquet")
    done = subprocess.run(
        [
            sys.executable, "-m", "mien", "reproduce", "A/VII", "--run", "--budget", "smoke", "--json",
            "--data", tmp_path / "faces.parquet", "--runs", tmp_path / "runs",
            "--ledger", tmp_path / "ledger",
        ],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["rows"]
    assert [row["recipe"] for row in found] == [recipe.name for recipe in recipes_of("A/VII", RECIPES)]
    for row in found:
        ours = row["splits"]["public"]
        assert (row["budget"], row["protocol"], row["epochs"]) == ("smoke", "eval2", 2)
        assert (ours["n"], ours["of"]) == (4, len(face_batch(70).split("public")))
    assert not (tmp_path / "ledger").exists(), "a smoke run says that a recipe runs, and no more"
