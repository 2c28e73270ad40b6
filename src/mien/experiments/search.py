"""Hyperparameter search over a recipe: each trial is a run; workers share one storage and may be killed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from mien.errors import RecipeError, StorageError, TrainingDiverged
from mien.experiments.run import Order, fit
from mien.experiments.splits import Note
from mien.training.recipe import Recipe, SearchRange, load
from mien.transforms import key

SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, constant_liar=True, multivariate=True),
}
"""How the next trial is chosen, by name. random: independent draws, as system C's paper did."""

_HEARTBEAT_S = 30


@dataclass(frozen=True)
class Search:
    """What a person asked for.

    recipe: its name or file; its `search` section says what is varied. folder: one run folder a trial.
    trials: how many shall be complete in all, over every worker and every earlier call.
    storage: a database URL that workers share; None: a file in the folder.
    """

    recipe: str
    data: Path
    folder: Path
    trials: int
    storage: str | None = None
    sampler: str = "random"
    budget: str = "full"
    overrides: tuple[str, ...] = ()
    skip_bad: bool = False


@dataclass(frozen=True)
class Trial:
    """A finished trial: its number, settings and the selected figure."""

    number: int
    settings: dict[str, Any]
    value: float


def search(asked: Search, note: Note = lambda line: None) -> list[Trial]:
    """Runs trials until `asked.trials` are complete; returns all complete ones, the best first.

    Trial n draws from (seed, n) alone with the random sampler, so that the number of workers changes nothing.
    A trial whose worker died is taken up from its checkpoint by whoever next runs the search; one whose loss
    diverges has failed and is not counted.
    Raises: RecipeError when the recipe has no `search` section or the sampler is unknown; StorageError.
    """
    base = load(asked.recipe, overrides=asked.overrides, budget=asked.budget)
    if not base.search:
        raise RecipeError(f"recipe {base.name} has no [search] section: add one, such as [search.'train.lr']")
    if asked.sampler not in SAMPLERS:
        raise RecipeError(f"unknown sampler {asked.sampler!r}: expected one of {', '.join(SAMPLERS)}")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = _study(asked, base)

    def objective(trial: optuna.Trial) -> float:
        # The first try's number, where this one takes up a trial whose worker died.
        frozen = study.get_trials(deepcopy=False)[trial.number]
        original = RetryHeartbeatStaleTrialCallback.retried_trial_number(frozen)
        number = trial.number if original is None else original
        study.sampler = SAMPLERS[asked.sampler](key(base.train.seed, "search", number) % 2**32)
        settings = {name: _suggest(trial, name, span) for name, span in base.search.items()}
        order = _order(asked, settings, number)
        note(f"trial {number}: " + ", ".join(f"{name}={value:.5g}" for name, value in settings.items()))
        *_, state = fit(order, note=note)
        assert state.best is not None
        return state.best

    if _complete(study) < asked.trials:
        enough = MaxTrialsCallback(asked.trials, states=(TrialState.COMPLETE,))
        study.optimize(objective, callbacks=[enough], catch=(TrainingDiverged,))
    sign = -1 if base.train.select_mode == "max" else 1
    done = [trial for trial in study.get_trials(states=(TrialState.COMPLETE,)) if trial.value is not None]
    found = [Trial(trial.number, dict(trial.params), float(trial.value or 0.0)) for trial in done]
    return sorted(found, key=lambda trial: sign * trial.value)


def _complete(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def _study(asked: Search, recipe: Recipe) -> optuna.Study:
    # Heartbeats have been 'experimental' for years; the warning tells a person nothing to act on.
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    try:
        asked.folder.mkdir(parents=True, exist_ok=True)
        url = asked.storage or f"sqlite:///{asked.folder / 'search.db'}"
        storage = RDBStorage(
            url,
            heartbeat_interval=_HEARTBEAT_S,
            grace_period=2 * _HEARTBEAT_S,
            heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
        )
        return optuna.create_study(
            study_name=recipe.name,
            storage=storage,
            load_if_exists=True,
            direction="maximize" if recipe.train.select_mode == "max" else "minimize",
        )
    except (OSError, ArgumentError, SQLAlchemyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise StorageError(
            f"cannot open the search's storage {asked.storage or asked.folder}: {reason}"
        ) from error


def _suggest(trial: optuna.Trial, name: str, span: SearchRange) -> Any:
    if span.choices:
        return trial.suggest_categorical(name, span.choices)
    assert span.low is not None
    assert span.high is not None
    if span.whole:
        return trial.suggest_int(name, int(span.low), int(span.high), log=span.log)
    return trial.suggest_float(name, span.low, span.high, log=span.log)


def _order(asked: Search, settings: dict[str, Any], number: int) -> Order:
    overrides = (*asked.overrides, *(f"{name}={_as_toml(value)}" for name, value in settings.items()))
    recipe = load(asked.recipe, overrides=overrides, budget=asked.budget)
    run = asked.folder / f"trial-{number:04d}"
    order = Order(recipe=recipe, data=asked.data, run=run, budget=asked.budget, skip_bad=asked.skip_bad)
    return replace(order, resume=run.exists(), command=f"mien search {asked.recipe} (trial {number})")


def _as_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, int | float) else str(value)
