"""One run: a recipe and data in, a run folder out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from mien import __version__, ledger
from mien.errors import CheckpointError
from mien.experiments.domain import Domain, Note, learns
from mien.experiments.landmarks import Landmarks
from mien.experiments.pictures import Pictures
from mien.models import LANDMARKS
from mien.storage import write_json, write_text
from mien.training import processes
from mien.training.loop import Loop
from mien.training.optimisers import optimiser, schedule
from mien.training.recipe import FrozenSection, Recipe
from mien.training.task import Report, State, Task
from mien.training.tasks import task_kind
from mien.training.tasks.contrastive import Contrastive

FROZEN = "frozen"
"""The first stage's folder in a run folder."""

DESCRIPTION = {"summary", "budget", "paper", "ablation", "search", "test", "export"}
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


def domain_of(recipe: Recipe) -> Domain[Any, Any]:
    """The kind of faces that the recipe's network sees."""
    return Landmarks() if recipe.model.name in LANDMARKS.all() else Pictures()


def train(order: Order, *, report: Report | None = None, note: Note = lambda line: None) -> ledger.Entry:
    """Trains, selects, exports, evaluates and reports one run; returns its ledger entry.

    Leaves in the run folder: recipe.toml, run.json, metrics.jsonl, checkpoints/, best.safetensors, model.onnx
    and its card model.json, evaluation.json, result.json, report.html.
    Raises: DataError, RecipeError, ModelError, CheckpointError for bad input; TrainingDiverged.
    """
    network, faces, begun, state = fit(order, report=report, note=note)
    # Here and not above: drawing and ONNX tools are slow to import and no first step needs them.
    from mien.experiments.finish import finish

    if state.history:
        every = order.recipe.train.validate_every
        best = state.best_epoch + 1
        when = f"in epoch {best}" if every is None else f"after {best * every:,} iterations"
        note(f"best {order.recipe.train.select} {state.best:.4f} {when}")
    return finish(network, faces, order.run, order.recipe, begun, state, note)


def fit(
    order: Order, *, report: Report | None = None, note: Note = lambda line: None
) -> tuple[Any, Any, dict[str, Any], State]:
    """Trains and selects the best weights.

    Returns the network with them, the faces, what was recorded at the start, and the state at the end. A
    network without parameters is as it was built, and its state the first. Of several processes only the
    first writes, and has the best weights and the record in the end.
    Raises: as `train`.
    """
    recipe = order.recipe
    if processes.is_first():
        _check_folder(order)
    check(recipe)
    domain = domain_of(recipe)
    faces = domain.read(recipe, order.data, order.skip_bad, note)
    network = domain.build(recipe, faces, _start(order), note)
    if not learns(network):
        return network, faces, _begin(order) if processes.is_first() else {}, State()
    fingerprint = _fingerprint(order, faces, network)
    kind = task_kind(recipe.task.name)
    with processes.first_before_the_others():
        task = kind.build(
            kind.validated(recipe.task.options), domain.materials(recipe, network, faces, order.run)
        )
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
    network = domain_of(recipe).check(recipe)
    if not learns(network):
        return
    kind, settings = task_kind(recipe.task.name), recipe.train
    kind.check(network)
    kind.validated(recipe.task.options)
    optimiser(
        network,
        settings.optimiser.name,
        settings.optimiser.options,
        lr=settings.lr,
        l2=settings.l2,
        l2_on=settings.l2_on,
    )
    schedule(settings.schedule.name, settings.schedule.options)


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


def _fingerprint(order: Order, faces: Any, network: nn.Module) -> str:
    """What a resumed run must share with the one it resumes: settings, starting weights and data.

    A frozen trunk is in no checkpoint of its stage: it must be the same to the bit.
    """
    digest = hashlib.sha256(order.recipe.model_dump_json(exclude=DESCRIPTION, exclude_defaults=True).encode())
    digest.update(str(_start(order)).encode())
    for part in domain_of(order.recipe).content(faces):
        digest.update(part)
    if order.recipe.frozen is not None:
        for value in network.state_dict().values():
            digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def _begin(order: Order) -> dict[str, Any]:
    """Records what is about to run before it runs."""
    begun = {
        **_asked(order),
        "command": order.command,
        "start": _start(order),
        "seed": order.recipe.train.seed,
        "commit": ledger.commit(),
        "mien": __version__,
        "date": ledger.today(),
        "machine": ledger.machine(),
        "budget": {"name": order.budget},
    }
    _record(order, begun)
    return begun


def _asked(order: Order) -> dict[str, Any]:
    return {
        "recipe": order.recipe.name,
        "recipe_as_run": order.recipe.model_dump(mode="json", exclude_none=True),
    }


def _record(order: Order, begun: dict[str, Any]) -> None:
    write_text(order.run / "recipe.toml", order.recipe.to_toml())
    write_json(order.run / "run.json", begun)


def _resume(order: Order, state: State) -> dict[str, Any]:
    """What was recorded at the start, and where another version of the code took the run over.

    Sections that change nothing in what is trained may be others by now: what is followed is recorded.
    """
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
    begun |= _asked(order)
    _record(order, begun)
    return begun
