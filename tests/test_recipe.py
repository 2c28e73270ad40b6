"""Every recipe validates; wrong ones are refused in one line that names the key."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mien.errors import MienError, RecipeError
from mien.experiments.run import check
from mien.models import architecture
from mien.papers.tables import recipes_of, table_names
from mien.training import recipe
from mien.training.optimisers import optimiser, schedule
from mien.training.tasks import task_kind


@pytest.mark.parametrize("name", recipe.names())
@pytest.mark.parametrize("budget", recipe.BUDGETS)
def test_every_recipe_is_whole(name: str, budget: str) -> None:
    """Each name that a recipe mentions is registered, and each option known, under every budget."""
    found = recipe.load(name, budget=budget)
    check(found)


@pytest.mark.parametrize("name", recipe.names())
def test_recipe_as_written_gives_itself_again(name: str, tmp_path: Path) -> None:
    found = recipe.load(name)
    path = tmp_path / "again.toml"
    path.write_text(found.to_toml(), encoding="utf-8")
    assert recipe.load(str(path)) == found


def test_system_c_as_in_the_paper() -> None:
    final = recipe.load("c/final")
    assert (final.train.epochs, final.train.batch_size) == (40, 50)
    assert (final.train.lr, final.train.l2) == (0.00127, 0.00172)
    assert final.train.schedule.options == {"decay": 0.95}
    assert final.paper is not None
    assert [row.accuracy for row in final.paper.rows] == [{"public": 0.607}]
    assert recipe.load("c/distilled").task.options["alpha"] == 0.8
    assert recipe.load("c/distilled-from-larger").task.options["alpha"] == 0.1


def test_inheritance_keeps_sections_and_replaces_named_things(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(
        'summary = "a"\n[model]\nname = "conv_net"\nbatch_norm = false\n[train]\nlr = 0.5\n'
        '[train.optimiser]\nname = "sgd"\nmomentum = 0.9\n'
    )
    (tmp_path / "child.toml").write_text(
        'inherits = "base"\n[model]\nbatch_norm = true\n[train.optimiser]\nname = "adam"\n'
    )
    child = recipe.load("child", folder=tmp_path)
    assert child.model.options == {"batch_norm": True}
    assert child.train.lr == 0.5
    assert child.train.optimiser.options == {}


def test_what_was_chosen_is_inherited_and_rows_are_not(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(
        'summary = "a"\n[model]\nname = "conv_net"\n[paper]\nsystem = "C"\nclaim = "It works."\n'
        '[[paper.rows]]\ntables = ["t"]\nrow = "base"\n[paper.chosen]\npadding = "1"\nlr = "0.1"\n'
    )
    (tmp_path / "between.toml").write_text('inherits = "base"\n')
    (tmp_path / "child.toml").write_text('inherits = "between"\n[paper.chosen]\nlr = "0.2"\n')
    child, between = (recipe.load(name, folder=tmp_path).paper for name in ("child", "between"))
    assert child is not None
    assert (child.system, child.claim, child.rows) == ("C", "", ())
    assert child.chosen == {"padding": "1", "lr": "0.2"}
    assert between is None, "a recipe without a word on a paper is none of the paper's"


def test_an_override_leaves_no_trace() -> None:
    before = recipe.load("c/final")
    changed = recipe.load("c/final", overrides=["task.alpha=1", "train.schedule.more=2"])
    assert changed.task.options == {"alpha": 1}
    assert recipe.load("c/final") == before


def test_budgets_and_overrides() -> None:
    smoke = recipe.load("c/final", budget="smoke", overrides=["train.epochs=3", "model.dropout = 0.25"])
    assert smoke.train.epochs == 3
    assert smoke.data.limit == recipe.SMOKE["data.limit"]
    assert smoke.model.options["dropout"] == 0.25
    assert recipe.load("c/final").data.limit is None


CASES = [
    ("[train]\nepoch = 3", "unknown key 'train.epoch': did you mean 'epochs'"),
    ("[train]\nepochs = 0", "train.epochs"),
    ("[train]\nlr = 'fast'", "train.lr"),
    ("[data]\nvalidation = 'test'", "data.validation"),
    ("[data]\nlabels = ['happy']", "data.labels"),
    ("[trian]\nepochs = 3", "did you mean 'train'"),
    ("[search.'train.lr']\nlow = 0.0\nhigh = 1.0\nlog = true", "above 0 with log"),
    ("[search.'train.lr']\nlow = 0.1\nhih = 1.0", "did you mean 'high'"),
    (
        "[paper]\nsystem = 'A'\n[[paper.rows]]\ntables = ['VII']\nrow = 'x'\nclam = 'y'",
        "did you mean 'claim'",
    ),
    ("[test]\nprotocol = ['eval1']", "did you mean 'protocols'"),
    ("[test]\nprotocols = ['eval3']", "test.protocols"),
    ("[test.limit]\neval2 = 0", "test.limit.eval2"),
    ("inherits = 'nobody'", "unknown recipe 'nobody'"),
    ("[train", "Expected"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_wrong_recipes(text: str, expected: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text(f"summary = 'x'\n{text}\n" if "[" in text else f"{text}\n")
    if "model" not in text:
        body = (tmp_path / "wrong.toml").read_text()
        if "inherits" not in body and expected != "Expected":
            (tmp_path / "wrong.toml").write_text(body + "[model]\nname = 'conv_net'\n")
    with pytest.raises(RecipeError, match=expected.replace("[", r"\[")) as caught:
        recipe.load("wrong", folder=tmp_path)
    assert "\n" not in str(caught.value)


def test_a_file_inherits_from_the_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('inherits = "c/final"\nsummary = "Mine."\n')
    (tmp_path / "child.toml").write_text('inherits = "base.toml"\n[train]\nepochs = 3\n')
    found = recipe.load(str(tmp_path / "child.toml"))
    assert (found.summary, found.train.epochs, found.model.name) == ("Mine.", 3, "conv_net")


def test_circles_are_named(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text("inherits = 'two'\n")
    (tmp_path / "two.toml").write_text("inherits = 'one'\n")
    with pytest.raises(RecipeError, match="circle: one → two → one"):
        recipe.load("one", folder=tmp_path)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.epochs", "expected key=value"),
        ("train.epochs.more=1", "is a value, not a section"),
        ("train.select_mode=best", "train.select_mode"),
    ],
)
def test_wrong_overrides(override: str, expected: str) -> None:
    with pytest.raises(RecipeError, match=expected):
        recipe.load("c/final", overrides=[override])


def test_unknown_names() -> None:
    with pytest.raises(RecipeError, match="did you mean 'c/final'"):
        recipe.load("c/fnal")
    with pytest.raises(RecipeError, match="smoke, cpu, full"):
        recipe.load("c/final", budget="huge")
    network = architecture("conv_net").build()
    with pytest.raises(RecipeError, match="did you mean 'adam'"):
        optimiser(network, "adm", {}, lr=1, l2=0, l2_on="weights")
    with pytest.raises(RecipeError, match="momentum"):
        optimiser(network, "sgd", {"momentun": 0.9}, lr=1, l2=0, l2_on="weights")
    with pytest.raises(RecipeError, match="dense"):
        optimiser(network, "sgd", {}, lr=1, l2=0, l2_on="biases")
    with pytest.raises(RecipeError, match="exponential"):
        schedule("exponental", {})
    with pytest.raises(RecipeError, match="its options are decay"):
        schedule("exponential", {"rate": 0.5})
    with pytest.raises(MienError, match="distillation"):
        task_kind("distilation")


def test_tables_of_system_c() -> None:
    every = [recipe.load(name) for name in recipe.names()]
    assert {"C/results", "C/optimisers", "C/dropout", "C/batch-norm", "C/distillation"} <= set(
        table_names(every)
    )
    assert [each.name for each in recipes_of("c/results", every)][:2] == ["c/baseline", "c/final"]
    with pytest.raises(RecipeError, match="did you mean 'C/results'"):
        recipes_of("C/result", every)


def test_recipes_are_plain_toml() -> None:
    for path in recipe.packaged("recipes").rglob("*.toml"):
        tomllib.loads(path.read_text(encoding="utf-8"))
