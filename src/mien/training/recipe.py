"""Recipes: one TOML file an experiment, validated key by key before anything runs."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mien.errors import RecipeError, hint
from mien.evaluation.calibration import SCALINGS
from mien.labels import EMOTIONS, LANDMARK_SPLITS, PRECISIONS, SPLITS, WEIGHT_TYPES
from mien.storage import packaged
from mien.training.recipe_tree import assign, merged, value_of

BUDGETS = ("smoke", "cpu", "full")
"""smoke: seconds, on a subset, to see that it runs. cpu: hours at most on two cores. full: the paper's."""


class Section(BaseModel):
    """Base of a recipe's sections: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(Section):
    """What is trained on and what the best weights are selected on.

    test: a split that a finished map is measured on as well, where the data holds it.
    labels: the network's classes in their order; faces of other emotions are left out.
    limit: that many faces of each split, drawn by the seed; for trials.
    drop_copies: leave out repeats within the training faces, and validation faces that are pixel copies of
    one of them. drop_leaks: leave out the training faces on FER-2013's list of leaks (`mien.data.leaks`), for
    whatever reason; the validation split stays whole. resize: bring faces of another size to the network's,
    as `mien.data.read` does.
    split_seed: draws the splits of data that names subjects and no splits.
    triplets: of landmarks, which faces are more alike: 'judged', as lies beside the data, or by 'rules' from
    the labels (system E, 5.2.1).
    """

    train: Literal[SPLITS] = "training"  # type: ignore[valid-type]
    validation: Literal[SPLITS] = "public"  # type: ignore[valid-type]
    test: Literal[SPLITS] | None = None  # type: ignore[valid-type]
    labels: tuple[Literal[EMOTIONS], ...] = Field(EMOTIONS, min_length=2)  # type: ignore[valid-type]
    limit: int | None = Field(None, ge=1)
    drop_copies: bool = False
    drop_leaks: bool = False
    resize: bool = False
    split_seed: int = Field(0, ge=0)
    triplets: Literal["rules", "judged"] = "rules"


class NamedSection(BaseModel):
    """A section that chooses a registered thing by name; its other keys are that thing's own options."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Every key but `name`."""
        return dict(self.model_extra or {})


class TrainSection(Section):
    """How it is trained. Learning rates are per step of one mini-batch; weight decay is classic L2.

    epochs: how often each example is seen. iterations: in its place, how many steps are made; the network is
    then validated, and can be resumed from, after every `validate_every` of them and not after each epoch.
    warmup: epochs over which the learning rate rises in a straight line to the schedule's.
    l2: λ of ½·λ·‖w‖² on the parameters that `l2_on` names. checkpoint_s: seconds between checkpoints
    within an epoch; one is written after every epoch in any case. keep_every: epochs between weights that
    are kept for good. accumulate: micro-batches that a batch is computed in, each of which fits into memory.
    sync_batch_norm: under several processes, batch statistics over all of them instead of each its own.
    average: decay a step of a moving average of the weights, which is then what is validated, selected and
    exported; 0 for none.
    """

    epochs: int = Field(40, ge=1)
    iterations: int | None = Field(None, ge=1)
    validate_every: int | None = Field(None, ge=1)
    batch_size: int = Field(50, ge=1)
    seed: int = Field(0, ge=0)
    optimiser: NamedSection = NamedSection(name="adam")
    lr: float = Field(1e-3, gt=0)
    schedule: NamedSection = NamedSection(name="constant")
    warmup: float = Field(0.0, ge=0)
    l2: float = Field(0.0, ge=0)
    l2_on: str = "weights"
    select: str = "validation_accuracy"
    select_mode: Literal["max", "min"] = "max"
    patience: int | None = Field(None, ge=1)
    precision: Literal[PRECISIONS] = "32-true"  # type: ignore[valid-type]
    channels_last: bool = True
    checkpoint_s: float = Field(60.0, gt=0)
    keep_every: int | None = Field(None, ge=1)
    accumulate: int = Field(1, ge=1)
    sync_batch_norm: bool = False
    average: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _whole_rounds(self) -> TrainSection:
        if (self.iterations is None) != (self.validate_every is None):
            raise ValueError("expected iterations and validate_every together")
        if self.iterations and self.validate_every and self.iterations % self.validate_every:
            raise ValueError(
                f"iterations {self.iterations}: expected a multiple of validate_every, {self.validate_every}"
            )
        return self

    @property
    def rounds(self) -> int:
        """How often the network is validated: after each epoch, or after `validate_every` iterations."""
        if self.iterations is None or self.validate_every is None:
            return self.epochs
        return self.iterations // self.validate_every

    def steps(self, examples: int) -> int:
        """How many steps lie between two validations on so many training examples."""
        return self.validate_every or math.ceil(examples / self.batch_size)


class FrozenSection(Section):
    """A first stage in which the network's trunk keeps the weights that it begins with and its head learns.

    Faces are shown as they are: the trunk sees each once, and what it gives is kept. lr, schedule: in place
    of `train`'s; all other settings are `train`'s own. The second stage begins with the best head.
    """

    epochs: int = Field(100, ge=1)
    patience: int | None = Field(10, ge=1)
    lr: float | None = Field(None, gt=0)
    schedule: NamedSection | None = None


ProtocolName = Literal["single", "eval1", "eval2"]
"""How a picture is shown to a network at test time; `evaluation.protocols` holds them."""


class TestSection(Section):
    """Which test protocols are measured when a run has finished.

    limit: by protocol, that many faces of the split, drawn with seed 0; all where it is not named.
    """

    protocols: tuple[ProtocolName, ...] = ("single",)
    limit: dict[ProtocolName, Annotated[int, Field(ge=1)]] = {}


class ExportSection(Section):
    """How the selected network is written.

    weights: 'float16' halves the file; all figures are its own. scaling: one of `calibration.SCALINGS`,
    fitted on the validation split. familiar: the share of its faces that are to be familiar, and pictures
    unlike them unsure (see `decision.Decision`); None does not ask.
    """

    weights: Literal[WEIGHT_TYPES] = "float32"  # type: ignore[valid-type]
    scaling: Literal[tuple(SCALINGS)] = "temperature"  # type: ignore[valid-type]
    familiar: float | None = Field(None, gt=0, lt=1)


class PaperRow(Section):
    """One row of published tables: what the paper reports of this recipe under one protocol.

    accuracy: by split, in 0…1. figures: by split, those of other kinds by name. position: of the row in its
    tables. claim: in place of the section's.
    """

    tables: tuple[str, ...] = Field(min_length=1)
    row: str
    position: int = 0
    accuracy: dict[Literal[SPLITS], float] = {}  # type: ignore[valid-type]
    figures: dict[Literal[LANDMARK_SPLITS], dict[str, float]] = {}  # type: ignore[valid-type]
    protocol: ProtocolName = "single"
    claim: str = ""


class PaperSection(Section):
    """Which published figures the recipe is to reach.

    claim: what the paper says of it in words. chosen: settings the paper does not give, and what we chose;
    a recipe takes these, and the system, from the recipe that it inherits from.
    """

    system: Literal["A", "B", "C", "D", "E"]
    rows: tuple[PaperRow, ...] = ()
    claim: str = ""
    chosen: dict[str, str] = {}

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that have a row of this recipe, such as `results`, each once."""
        return tuple(dict.fromkeys(table for row in self.rows for table in row.tables))


class AblationSection(Section):
    """One change to another recipe under the same budget: a row of that recipe's ablation table.

    of: the recipe that was changed. change: what was, in a few words. A recipe that inherits from this one
    takes none of it.
    """

    of: str
    change: str


class SearchRange(Section):
    """What a search may set one key to: any number from `low` to `high`, or one of `choices`.

    log: draw the logarithm evenly. whole: whole numbers only.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False
    choices: tuple[Any, ...] = ()

    @model_validator(mode="after")
    def _one_kind(self) -> SearchRange:
        ranged = self.low is not None and self.high is not None and self.low < self.high
        if ranged == bool(self.choices) or (self.log and (self.low or 0) <= 0):
            raise ValueError("expected low < high (above 0 with log), or choices")
        return self


class Recipe(Section):
    """One experiment. name: its path under `recipes/` without the suffix. search: what a search varies.

    start: a network to begin with, as `mien train --from` names one. frozen: a first stage, if there is one.
    """

    name: str
    summary: str
    data: DataSection = DataSection()
    model: NamedSection
    task: NamedSection = NamedSection(name="classification")
    augment: dict[str, Any] = {}
    start: str | None = None
    frozen: FrozenSection | None = None
    train: TrainSection = TrainSection()
    test: TestSection = TestSection()
    export: ExportSection = ExportSection()
    paper: PaperSection | None = None
    ablation: AblationSection | None = None
    budget: dict[Literal[BUDGETS], dict[str, Any]] = {}  # type: ignore[valid-type]
    search: dict[str, SearchRange] = {}

    def to_toml(self) -> str:
        """The whole recipe, defaults included, as the text of a recipe file that gives it again."""
        import tomli_w

        return tomli_w.dumps(_without_none(self.model_dump(mode="json")))


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return value


_NAMED: dict[str, Any] = {
    "task": Recipe.model_fields["task"].default.model_dump(),
    "train": {key: TrainSection.model_fields[key].default.model_dump() for key in ("optimiser", "schedule")},
}
"""What the sections that choose by name choose unasked, spelt out so that an override may change one key."""

SMOKE: dict[str, Any] = {"data.limit": 400, "train.epochs": 2}
"""What the smoke budget changes in every recipe that says nothing else."""

SMOKE_ITERATIONS: dict[str, Any] = {"train.iterations": 20, "train.validate_every": 10}
"""What it changes besides where a recipe counts iterations."""


def names(folder: Path | None = None) -> list[str]:
    """Every recipe's name, sorted; a file whose name starts with an underscore is only inherited from."""
    folder = folder or packaged("recipes")
    files = (path.relative_to(folder).with_suffix("") for path in folder.rglob("*.toml"))
    return sorted(path.as_posix() for path in files if not path.name.startswith("_"))


def load(
    name: str, *, overrides: Iterable[str] = (), budget: str = "full", folder: Path | None = None
) -> Recipe:
    """The recipe of that name or file, with a budget's changes and then `key=value` overrides applied.

    Raises: RecipeError when it is unknown, inherits in a circle, or a key or value is wrong.
    """
    folder = folder or packaged("recipes")
    if budget not in BUDGETS:
        raise RecipeError(f"unknown budget {budget!r}: expected one of {', '.join(BUDGETS)}")
    path = _locate(name, folder)
    tree = merged(deepcopy(_NAMED), _inherited(path, folder, ()))
    changes = tree.get("budget", {}).get(budget, {})
    if budget == "smoke":
        frozen = {"frozen.epochs": 2} if "frozen" in tree else {}
        counted = SMOKE_ITERATIONS if "iterations" in tree["train"] else {}
        changes = {**SMOKE, **frozen, **counted, **changes}
    for key, value in changes.items():
        assign(tree, key, value)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key.strip():
            raise RecipeError(f"override {override!r}: expected key=value, as in train.epochs=3")
        assign(tree, key.strip(), value_of(text))
    tree.setdefault(
        "name",
        path.relative_to(folder).with_suffix("").as_posix() if path.is_relative_to(folder) else path.stem,
    )
    return validate(tree, str(name))


def validate(tree: Mapping[str, Any], source: str) -> Recipe:
    """A recipe from its tree of keys.

    Raises: RecipeError with the first wrong key, what was expected, and the nearest right key.
    """
    try:
        return Recipe(**tree)
    except ValidationError as error:
        raise RecipeError(f"recipe {source}: {explain(error, Recipe)}") from error


def explain(error: ValidationError, model: type[BaseModel], prefix: str = "") -> str:
    """The first problem of a validation in one line, with the nearest right key where a key is unknown."""
    first = error.errors()[0]
    parts = [str(part) for part in first["loc"]]
    key = ".".join(filter(None, [prefix, *parts]))
    if first["type"] != "extra_forbidden":
        told = first["type"] == "missing" or isinstance(first["input"], dict)
        given = "" if told else f" (got {first['input']!r})"
        return f"{key}: {first['msg'].removeprefix('Value error, ')}{given}"
    known = list(_fields_at(model, parts[:-1]))
    return f"unknown key {key!r}: {hint(parts[-1], known)}"


def _fields_at(model: type[BaseModel], parts: list[str]) -> Iterable[str]:
    for part in parts:
        if part not in model.model_fields:
            continue  # A place in a list, or a key of a dictionary: the section within is already found.
        annotation = model.model_fields[part].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        model = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return model.model_fields


def _locate(name: str, folder: Path) -> Path:
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise RecipeError(f"no recipe file {name}: expected a path to a TOML file")
        return Path(name).resolve()
    path = folder / f"{name}.toml"
    if not path.is_file():
        known = names(folder)
        raise RecipeError(f"unknown recipe {name!r}: {hint(name, known)}")
    return path


@cache
def _parsed(path: Path, changed_ns: int) -> dict[str, Any]:
    """A file's tree of keys: what many recipes inherit from is read once."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _inherited(path: Path, folder: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path in seen:
        circle = " → ".join(step.stem for step in (*seen, path))
        raise RecipeError(f"recipe {seen[0]} inherits in a circle: {circle}; remove one 'inherits'")
    try:
        tree = deepcopy(_parsed(path, path.stat().st_mtime_ns))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise RecipeError(f"recipe {path}: {error}") from error
    parent = tree.pop("inherits", None)
    if parent is None:
        return tree
    # A file is sought beside the one that names it, wherever the command is typed.
    named = str(path.parent / parent) if str(parent).endswith(".toml") else str(parent)
    base = _inherited(_locate(named, folder), folder, (*seen, path))
    paper = base.pop("paper", {})
    base.pop("ablation", None)
    result = merged(base, tree)
    # Rows and claims are a recipe's own. What was chosen goes where the settings go that it speaks of.
    if seen or "paper" in tree:
        kept = {key: value for key, value in paper.items() if key in ("system", "chosen")}
        result["paper"] = merged(kept, tree.get("paper", {}))
    return result
