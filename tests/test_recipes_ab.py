"""Systems A and B: every row of the papers' tables has its recipe, with the paper's figure and settings."""

from __future__ import annotations

import tomllib
from itertools import combinations
from typing import Any

import pytest

from mien.papers.tables import placed
from mien.training import recipe
from mien.training.optimisers import L2_ON, Progress, schedule
from mien.training.recipe import Recipe

RECIPES = {name: recipe.load(name) for name in recipe.names() if name.startswith(("a/", "b/"))}
FILES = {
    name: tomllib.loads((recipe.packaged("recipes") / f"{name}.toml").read_text(encoding="utf-8"))
    for name in RECIPES
}

TABLES: dict[str, list[tuple[str, str, dict[str, float]]]] = {
    "A/IV": [
        ("a/bkstart-no-augmentation", "eval1", {"public": 61.0, "private": 60.6}),
        ("a/bkstart-cross-entropy", "eval1", {"public": 68.3, "private": 69.5}),
    ],
    "A/V": [
        ("a/bkstart-cross-entropy", "eval1", {"public": 68.3, "private": 69.5}),
        ("a/bkstart-cross-entropy", "eval2", {"public": 69.2, "private": 70.4}),
        ("a/bkvgg8-cross-entropy", "eval1", {"public": 66.4, "private": 68.2}),
        ("a/bkvgg8-cross-entropy", "eval2", {"public": 67.6, "private": 69.1}),
    ],
    "A/VI": [
        ("a/bkstart-cross-entropy", "eval2", {"public": 69.2, "private": 70.4}),
        ("a/bkstart", "eval2", {"public": 69.7, "private": 70.9}),
        ("a/bkvgg8-cross-entropy", "eval2", {"public": 67.6, "private": 69.1}),
        ("a/bkvgg8", "eval2", {"public": 68.7, "private": 70.2}),
    ],
    "A/VII": [
        ("a/bkstart", "eval2", {"public": 69.7, "private": 70.9}),
        ("a/bkvgg8", "eval2", {"public": 68.7, "private": 70.2}),
        ("a/bkvgg10", "eval2", {"public": 69.5, "private": 70.4}),
        ("a/bkvgg12", "eval2", {"public": 71.0, "private": 71.9}),
        ("a/bkvgg14", "eval2", {"public": 70.6, "private": 71.4}),
    ],
    "A/VIII": [
        ("a/bkstart", "eval2", {"public": 69.7, "private": 70.9}),
        ("a/bkvgg14", "eval2", {"public": 70.6, "private": 71.4}),
        ("a/bkvgg12", "eval2", {"public": 71.0, "private": 71.9}),
    ],
    "B/5.3.1": [
        ("b/baseline", "single", {"private": 63.39}),
        ("b/no-rescaling", "single", {"private": 62.95}),
        ("b/no-augmentation", "single", {}),
    ],
    "B/5.3.2": [("b/baseline", "single", {}), ("b/no-dropout", "single", {})],
    "B/5.3.3": [
        ("b/plain-sgd", "single", {"private": 58.43}),
        ("b/momentum", "single", {}),
        ("b/baseline", "single", {}),
        ("b/nesterov-095", "single", {}),
        ("b/nesterov-099", "single", {}),
    ],
    "B/5.3.4": [
        ("b/type-a", "single", {"training": 62.72}),
        ("b/type-a-batch-norm-before", "single", {"training": 61.44}),
        ("b/second", "single", {"training": 65.54}),
        ("b/batch-norm-before", "single", {"training": 63.39}),
    ],
    "B/5.3.5": [
        *((name, "single", {}) for name in ("b/type-a", "b/type-b", "b/baseline")),
        *((f"b/type-{letter}", "single", {}) for letter in "def"),
        *((f"b/type-{letter}-constant", "single", {}) for letter in "abcdef"),
        *((f"b/type-{letter}-lower", "single", {}) for letter in "ab"),
    ],
    "B/5.3.6": [
        *((f"b/{name}", "single", {}) for name in ("second", "time-decay", "time-decay-epochs")),
    ],
    "B/5.5": [
        *((f"b/{name}", "single", {}) for name in ("second", "first", "dropout-050", "dropout-080")),
        *((f"b/{name}", "single", {}) for name in ("dropout-dense-080", "dropout-dense-050")),
    ],
    "B/5.7": [
        ("b/first", "single", {"private": 66.55}),
        ("b/second", "single", {"private": 65.88}),
        ("b/third", "single", {"private": 65.82}),
    ],
}
"""Each table's rows in its order: recipe, test protocol, and what the paper prints in per cent, by split."""

TABLES |= {"B/5.3.7": TABLES["B/5.5"], "B/5.3.8": TABLES["B/5.7"], "B/5.6": TABLES["B/5.7"]}


@pytest.mark.parametrize("table", TABLES)
def test_every_row_of_the_paper_has_its_recipe_and_figure(table: str) -> None:
    found = [
        (each.name, row.protocol, {split: round(100 * rate, 6) for split, rate in row.accuracy.items()})
        for each, row in placed(table, RECIPES.values())
    ]
    assert found == TABLES[table]


def test_rows_and_recipes_are_all_accounted_for() -> None:
    mentioned = {name for rows in TABLES.values() for name, _, _ in rows}
    assert set(RECIPES) - mentioned == {"a/search", "b/glorot"}, "neither is a row of any table"
    named = {
        f"{each.paper.system}/{table}"
        for each in RECIPES.values()
        if each.paper
        for table in each.paper.tables
    }
    assert named == set(TABLES)


def test_each_row_is_told_from_the_others() -> None:
    for table in TABLES:
        rows = [(row.row, row.protocol) for _, row in placed(table, RECIPES.values())]
        positions = [row.position for _, row in placed(table, RECIPES.values())]
        assert len(set(rows)) == len(set(positions)) == len(rows), table


def test_what_a_row_is_measured_by_is_measured() -> None:
    for each in RECIPES.values():
        assert each.paper is not None
        assert {row.protocol for row in each.paper.rows} <= set(each.test.protocols), each.name


def settings(found: Recipe) -> dict[str, Any]:
    """What an experiment varies: neither how long nor in what precision it is computed."""
    whole = found.model_dump(include={"data", "model", "task", "augment", "train"})
    return {**whole, "train": {k: v for k, v in whole["train"].items() if k not in ("epochs", "precision")}}


def test_no_two_recipes_are_one_experiment() -> None:
    held = {name: settings(found) for name, found in RECIPES.items()}
    for one, other in combinations(held, 2):
        assert held[one] != held[other], f"{one} and {other}"


@pytest.mark.parametrize("name", [name for name, tree in FILES.items() if "inherits" in tree])
def test_a_recipe_holds_only_the_lines_that_differ(name: str) -> None:
    tree = FILES[name]
    parent = recipe.load(tree["inherits"]).model_dump(mode="json")
    own = {
        key: tree[key]
        for key in tree.keys() & {"data", "model", "task", "augment", "train", "test", "budget"}
    }
    repeated = [
        path for path, value in leaves(own) if at(parent, path) == value and not renamed(own, parent, path)
    ]
    assert not repeated


def leaves(tree: dict[str, Any], before: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    found = []
    for key, value in tree.items():
        path = (*before, key)
        found += leaves(value, path) if isinstance(value, dict) else [(path, value)]
    return found


def at(tree: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def renamed(own: dict[str, Any], parent: dict[str, Any], path: tuple[str, ...]) -> bool:
    """Whether the section names another thing than the parent's, whose options then have to be said anew."""
    section = path[:-1]
    name = at(own, (*section, "name"))
    return name is not None and name != at(parent, (*section, "name"))


def test_system_a_trains_as_the_paper_says() -> None:
    for name in ("bkstart", "bkvgg8", "bkvgg10", "bkvgg12", "bkvgg14"):
        found = RECIPES[f"a/{name}"]
        assert (found.model.name, found.task.options["loss"]) == (name, "l2_svm")
        assert found.model.options.get("dropout", 0.5) == 0.5
        assert found.train.optimiser == recipe.NamedSection(name="sgd", momentum=0.9)
        assert (found.train.epochs, found.train.batch_size, found.train.l2) == (1400, 256, 0)
        assert (found.train.schedule.name, found.train.schedule.options["drops"]) == ("plateau", 5)
        assert found.train.schedule.options.get("factor", 0.1) == 0.1
        assert found.augment == {
            "mirror": 0.5, "rotate": 45, "resize": [42, 54], "crop": "random", "fill": "zero"
        }  # fmt: skip


@pytest.mark.parametrize(("name", "parent"), [("bkstart", "bkstart"), ("bkvgg8", "bkvgg8")])
def test_cross_entropy_changes_the_loss_alone(name: str, parent: str) -> None:
    assert differences(f"a/{name}-cross-entropy", f"a/{parent}") == {"task.loss": "cross_entropy"}


def differences(name: str, from_name: str) -> dict[str, Any]:
    """The settings of a recipe that another does not share, by dotted key."""
    ours, theirs = settings(RECIPES[name]), settings(RECIPES[from_name])
    return {".".join(path): value for path, value in leaves(ours) if at(theirs, path) != value}


BASELINE = {
    "model": ("vgg_c", "relu", "after", 0.25, 0.5, "he_normal"),
    "train": (90, 128, 0.1, "sgd", {"momentum": 0.9, "nesterov": True}, "time", {"decay": 0.001}),
}
FIRST = {
    "model": ("vgg_c", "elu", "after", 0.3, 0.3, "he_normal"),
    "train": (80, 64, 1e-3, "adam", {"eps": 1e-7}, "step", {"milestones": [40, 60], "factor": 0.1}),
}
THIRD = {
    "model": ("vgg_c", "elu", "after", 0.25, 0.5, "he_normal"),
    "train": (100, 128, 0.1, "adam", {"eps": 1e-8}, "time", {"decay": 0.001}),
}


@pytest.mark.parametrize(
    ("name", "expected"), [("b/baseline", BASELINE), ("b/first", FIRST), ("b/third", THIRD)]
)
def test_system_b_trains_as_the_paper_says(name: str, expected: dict[str, tuple[Any, ...]]) -> None:
    found = RECIPES[name]
    options = {
        "activation": "elu",
        "batch_norm": "after",
        "initialisation": "he_normal",
        **found.model.options,
    }
    chosen = ("activation", "batch_norm", "dropout_conv", "dropout_dense", "initialisation")
    assert (found.model.name, *(options[key] for key in chosen)) == expected["model"]
    train = found.train
    assert expected["train"] == (
        train.epochs, train.batch_size, train.lr,
        train.optimiser.name, train.optimiser.options, train.schedule.name, train.schedule.options,
    )  # fmt: skip
    assert train.keep_every == 5
    assert found.augment == {"mirror": 0.5, "rotate": 10, "zoom": 0.1, "fill": "nearest"}


EXPERIMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "no-rescaling": ("baseline", {"model.rescale": 1}),
    "no-augmentation": ("baseline", {"augment.mirror": 0, "augment.rotate": 0, "augment.zoom": 0}),
    "no-dropout": ("baseline", {"model.dropout_conv": 0, "model.dropout_dense": 0}),
    "plain-sgd": ("baseline", {"train.optimiser.momentum": 0, "train.optimiser.nesterov": False}),
    "momentum": ("baseline", {"train.optimiser.nesterov": False}),
    "nesterov-095": ("baseline", {"train.optimiser.momentum": 0.95}),
    "nesterov-099": ("baseline", {"train.optimiser.momentum": 0.99}),
    **{f"type-{letter}": ("baseline", {"model.name": f"vgg_{letter}"}) for letter in "abdef"},
    **{
        f"type-{letter}-constant": (f"type-{letter}", {"train.schedule.name": "constant"})
        for letter in "abdef"
    },
    "type-c-constant": ("baseline", {"train.schedule.name": "constant"}),
    **{
        f"type-{letter}-lower": (
            f"type-{letter}",
            {"train.lr": 0.01, "train.l2": 0.02, "train.l2_on": "dense"},
        )
        for letter in "ab"
    },
    "type-a-batch-norm-before": ("type-a", {"model.batch_norm": "before"}),
    "batch-norm-before": ("second", {"model.batch_norm": "before"}),
    "second": ("first", {"model.dropout_conv": 0.25, "model.dropout_dense": 0.5}),
    "dropout-050": ("first", {"model.dropout_conv": 0.5, "model.dropout_dense": 0.5}),
    "dropout-080": ("first", {"model.dropout_conv": 0.8, "model.dropout_dense": 0.8}),
    "dropout-dense-080": ("first", {"model.dropout_conv": 0, "model.dropout_dense": 0.8}),
    "dropout-dense-050": ("first", {"model.dropout_conv": 0, "model.dropout_dense": 0.5}),
    "time-decay": ("second", {"train.schedule.name": "time", "train.schedule.decay": 0.001}),
    "time-decay-epochs": ("time-decay", {"train.schedule.per": "epoch"}),
    "glorot": ("first", {"model.initialisation": "glorot_normal"}),
}
"""Every other recipe of system B: what it is compared with, and the settings in which it differs."""


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_changes_what_it_is_about_and_nothing_else(name: str) -> None:
    other, changed = EXPERIMENTS[name]
    assert differences(f"b/{name}", f"b/{other}") == changed


def test_keras_l2_is_twice_the_strength() -> None:
    """0.01·‖w‖² has the gradient 0.02·w, which is what the optimiser adds with 0.02."""
    torch = pytest.importorskip("torch")
    from mien.models import architecture
    from mien.training.optimisers import optimiser

    train = RECIPES["b/type-a-lower"].train
    network = architecture("vgg_a").build()
    made = optimiser(network, "sgd", {}, lr=1.0, l2=train.l2, l2_on=train.l2_on)
    before = network.head.weight.detach().clone().requires_grad_()
    (0.01 * before.square().sum()).backward()
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    convolution = network.features[0].weight.detach().clone()
    made.step()
    torch.testing.assert_close(network.head.weight, before.detach() - before.grad)
    assert torch.equal(network.features[0].weight, convolution)
    assert train.l2_on in L2_ON


@pytest.mark.parametrize("name", [name for name in RECIPES if name.startswith("b/")])
def test_the_cpu_budget_shortens_schedules_in_proportion(name: str) -> None:
    """At equal shares of the training, the factor of the learning rate is the paper's."""
    full, short = RECIPES[name], recipe.load(name, budget="cpu")
    assert 10 <= short.train.epochs < full.train.epochs
    updates = -(-28709 // full.train.batch_size)
    for tenth in range(11):
        factors = [factor(each, tenth / 10, updates) for each in (full, short)]
        assert factors[1] == pytest.approx(factors[0], rel=1e-9), tenth


def factor(found: Recipe, share: float, updates: int) -> float:
    """Of the learning rate when that share of the epochs is over; shares of an epoch count as whole ones."""
    epochs = found.train.epochs
    done = share * epochs
    at = Progress(done, done * updates, epochs, epochs * updates)  # type: ignore[arg-type]
    return schedule(found.train.schedule.name, found.train.schedule.options)(at)


def test_system_a_shortened_drops_the_rate_within_its_epochs() -> None:
    names = [name for name in RECIPES if name.startswith("a/") and name != "a/search"]
    for name in names:
        short = recipe.load(name, budget="cpu").train
        milestones = short.schedule.options["milestones"]
        assert milestones == sorted(set(milestones))
        assert 0 < milestones[0] < milestones[-1] < short.epochs < RECIPES[name].train.epochs


def test_a_smoke_run_shows_few_crops() -> None:
    """648 crops of four faces are as much work as two epochs of the 400."""
    for name in RECIPES:
        smoke = recipe.load(name, budget="smoke")
        assert smoke.data.limit == 400
        for protocol in set(smoke.test.protocols) - {"single"}:
            assert smoke.test.limit[protocol] <= {"eval1": 50, "eval2": 4}[protocol]


LOST = {
    **{f"b/{name}": "5.3" for name in ("baseline",)},
    **{f"b/{name}": "Figure 5.5" for name in ("plain-sgd", "momentum")},
    **{f"b/nesterov-{rate}": "Figure 5.6" for rate in ("095", "099")},
    **{f"b/type-a{end}": "Figure 5.8" for end in ("", "-batch-norm-before")},
    **{f"b/{name}": "Figure 5.9" for name in ("second", "batch-norm-before")},
    **{f"b/type-{letter}{end}": "Figure 5.10" for letter in "bdef" for end in ("", "-constant")},
}


@pytest.mark.parametrize("name", LOST)
def test_what_stands_in_a_lost_figure_is_said_to_be_unknown(name: str) -> None:
    paper = RECIPES[name].paper
    assert paper is not None
    unknown = [text for text in paper.chosen.values() if text.startswith("unknown: ")]
    assert any(LOST[name] in text for text in unknown)
