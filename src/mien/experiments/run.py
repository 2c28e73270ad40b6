"""One run: a recipe and data in, a run folder out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from mien import __version__, ledger
from mien.errors import CheckpointError, DataError, RecipeError
from mien.evaluation import protocols
from mien.experiments.splits import Note, Splits, read_splits
from mien.faces import FaceBatch
from mien.models import Embedder, Network, architecture
from mien.storage import write_json, write_text
from mien.training import processes
from mien.training.loop import Loop, Report, State, Task
from mien.training.optimisers import optimiser, schedule
from mien.training.recipe import FrozenSection, Recipe, explain
from mien.training.start import start_from
from mien.training.tasks import task_kind
from mien.training.tasks.contrastive import Contrastive
from mien.training.tasks.registry import Materials
from mien.transforms import Augmentation, key

FROZEN = "frozen"
"""The first stage's folder in a run folder."""

DESCRIPTION = {"summary", "budget", "paper", "search", "test", "export"}
"""Sections of a recipe that change nothing in what is trained."""


@dataclass(frozen=True)
class Order:
    """What a person asked for.

    data: dataset in any known format. run: folder to write. start: network to take weights from.
    command: as typed, for the record.
    """

    recipe: Recipe
    data: Path
    run: Path
    budget: str = "full"
    resume: bool = False
    start: str | None = None
    skip_bad: bool = False
    command: str = ""


def train(order: Order, *, report: Report | None = None, note: Note = lambda line: None) -> ledger.Entry:
    """Trains, selects, exports, evaluates and reports one run; returns its ledger entry.

    Leaves in the run folder: recipe.toml, run.json, metrics.jsonl, checkpoints/, best.safetensors, model.onnx
    and its card model.json, evaluation.json, result.json, report.html.
    Raises: DataError, RecipeError, ModelError, CheckpointError for bad input; TrainingDiverged.
    """
    network, faces, begun, state = fit(order, report=report, note=note)
    # Here and not above: drawing and ONNX tools are slow to import and no first step needs them.
    from mien.experiments.finish import finish

    best = f"best {order.recipe.train.select} {state.best:.4f} in epoch {state.best_epoch + 1}"
    note(f"{best}; exporting, evaluating")
    return finish(network, faces, order.run, order.recipe, begun, state, note)


def fit(
    order: Order, *, report: Report | None = None, note: Note = lambda line: None
) -> tuple[Network, Splits, dict[str, Any], State]:
    """Trains and selects the best weights.

    Returns the network with them, the faces, what was recorded at the start, and the state at the end. Of
    several processes only the first writes, and has the best weights and the record in the end.
    Raises: as `train`.
    """
    recipe = order.recipe
    if processes.is_first():
        _check_folder(order)
    check(recipe)
    faces = read_splits(recipe, order.data, skip_bad=order.skip_bad, note=note)
    network = build_network(recipe, faces.train, _start(order), note)
    kind = task_kind(recipe.task.name)
    materials = Materials(
        network, faces.train, faces.validation, _augmentation(recipe), recipe.train.seed, order.run
    )
    fingerprint = _fingerprint(order, faces, network)
    with processes.first_before_the_others():
        task = kind.build(kind.validated(recipe.task.options), materials)
    loop = Loop(task, recipe.train, order.run, fingerprint, report)
    resumed = order.resume and loop.resume()
    begun: dict[str, Any] = {}
    if processes.is_first():
        begun = _resume(order, loop.state) if resumed else _begin(order)
    if resumed:
        note(f"resumed in epoch {loop.state.epoch + 1}, step {loop.state.step_in_epoch + 1}")
    if recipe.frozen is not None and not loop.state.lasting:
        _learn_head(order, task, recipe.frozen, fingerprint, report, note)
    return network, faces, begun, loop.fit()


def _learn_head(
    order: Order, task: Task, stage: FrozenSection, fingerprint: str, report: Report | None, note: Note
) -> None:
    """The first stage: leaves the best head in the task's network, and its own record in `frozen/`."""
    assert isinstance(task, Contrastive)
    run = order.run / FROZEN
    note("first stage: the trunk keeps its weights")
    changes = {"epochs": stage.epochs, "patience": stage.patience, "lr": stage.lr, "schedule": stage.schedule}
    given = {key: value for key, value in changes.items() if value is not None or key == "patience"}
    loop = Loop(
        task.frozen(run), order.recipe.train.model_copy(update=given), run, f"{fingerprint}:{FROZEN}", report
    )
    if order.resume:
        loop.resume()
    state = loop.fit()
    note(f"best {loop.settings.select} {state.best:.4f} in epoch {state.best_epoch + 1}; now all of it")


def check(recipe: Recipe) -> None:
    """Builds everything that a recipe names and that needs no faces, so that a wrong name costs nothing.

    Raises: RecipeError, ModelError.
    """
    with torch.device("meta"):
        network = architecture(recipe.model.name).build(recipe.model.options, recipe.data.labels)
    kind = task_kind(recipe.task.name)
    kind.check(network)
    kind.validated(recipe.task.options)
    if recipe.frozen is not None and not isinstance(network, Embedder):
        raise RecipeError(f"recipe {recipe.name}: frozen: {recipe.model.name} has no trunk to freeze")
    augmentation = _augmentation(recipe)
    try:
        augmentation.check(network.body_size, network.input_size)
    except ValueError as error:
        raise RecipeError(f"recipe {recipe.name}: {error}") from error
    for name in recipe.test.protocols:
        protocols.find(name).check(network.body_size, recipe.model.name)
    settings = recipe.train
    optimiser(
        network,
        settings.optimiser.name,
        settings.optimiser.options,
        lr=settings.lr,
        l2=settings.l2,
        l2_on=settings.l2_on,
    )
    schedule(settings.schedule.name, settings.schedule.options)


def build_network(
    recipe: Recipe, faces: FaceBatch, start: str | None = None, note: Note = lambda line: None
) -> Network:
    """The recipe's network with seeded weights and its normalisation fitted, or with weights taken over.

    Raises: DataError when the faces are of another size than the network sees; ModelError.
    """
    with torch.random.fork_rng():
        torch.manual_seed(key(recipe.train.seed, "weights"))
        network = architecture(recipe.model.name).build(recipe.model.options, recipe.data.labels)
    side, shape = network.input_size, faces.images.shape[1:]
    if shape != (side, side):
        raise DataError(
            f"{faces.source} holds faces of {shape[1]}×{shape[0]} pixels: {recipe.model.name} sees "
            f"{side}×{side}; crop and resize them first"
        )
    network.normalise.fit(faces.images)
    if start is not None:
        taken = start_from(network, start)
        fresh = f"; fresh: {', '.join(taken.fresh)}" if taken.fresh else ""
        note(f"{taken.taken} tensors taken from {start}{fresh}")
    return network


def _augmentation(recipe: Recipe) -> Augmentation:
    try:
        return Augmentation(**recipe.augment)
    except ValidationError as error:
        raise RecipeError(f"recipe {recipe.name}: {explain(error, Augmentation, 'augment')}") from error


def _start(order: Order) -> str | None:
    """The network that the run begins with: the person's choice before the recipe's."""
    return order.start or order.recipe.start or None


def _check_folder(order: Order) -> None:
    run = order.run
    try:
        if run.exists() and not run.is_dir():
            raise CheckpointError(f"{run} is a file: expected a folder for the run")
        filled = run.is_dir() and any(run.iterdir())
    except OSError as error:
        raise CheckpointError(
            f"cannot read {run}: {error.strerror or error}; choose another folder"
        ) from error
    if filled and not order.resume:
        raise CheckpointError(f"{run} is not empty: add --resume to go on with it, or choose another folder")


def _fingerprint(order: Order, faces: Splits, network: Network) -> str:
    """What a resumed run must share with the one it resumes: settings, starting weights and data.

    A frozen trunk is in no checkpoint of its stage: it must be the same to the bit.
    """
    digest = hashlib.sha256(order.recipe.model_dump_json(exclude=DESCRIPTION, exclude_defaults=True).encode())
    digest.update(str(_start(order)).encode())
    for part in (faces.train, faces.validation):
        digest.update(part.images.tobytes())
        digest.update(part.labels.tobytes())
    if order.recipe.frozen is not None:
        for value in network.state_dict().values():
            digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def _begin(order: Order) -> dict[str, Any]:
    """Records what is about to run before it runs."""
    begun = {
        "recipe": order.recipe.name,
        "recipe_as_run": order.recipe.model_dump(mode="json", exclude_none=True),
        "command": order.command,
        "start": _start(order),
        "seed": order.recipe.train.seed,
        "commit": ledger.commit(),
        "mien": __version__,
        "date": ledger.today(),
        "machine": ledger.machine(),
        "budget": {"name": order.budget},
    }
    write_text(order.run / "recipe.toml", order.recipe.to_toml())
    write_json(order.run / "run.json", begun)
    return begun


def _resume(order: Order, state: State) -> dict[str, Any]:
    """What was recorded at the start, and where another version of the code took the run over."""
    path = order.run / "run.json"
    try:
        begun: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot read {path} ({error}): train into a new folder") from error
    taken_over = begun.setdefault("resumed", [])
    if ledger.commit() != ([begun, *taken_over][-1])["commit"]:
        taken_over.append(
            {"commit": ledger.commit(), "epoch": state.epoch + 1, "step": state.step_in_epoch + 1}
        )
        write_json(path, begun)
    return begun
