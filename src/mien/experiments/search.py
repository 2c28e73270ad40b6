"""Hyperparameter search over a recipe: each trial is a run; workers share one storage and may be killed."""

from __future__ import annotations

import contextlib
import hashlib
import random
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)

from mien.errors import MissingDependency, RecipeError, StorageError, TrainingDiverged
from mien.experiments.domain import Note
from mien.experiments.run import DESCRIPTION, Order, check, domain_of, fit
from mien.training.recipe import Recipe, SearchRange, load
from mien.transforms import key

SAMPLERS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, constant_liar=True, multivariate=True),
}
"""How the next trial is chosen, by name. random: independent draws, as system C's paper did."""

HEARTBEAT_S = 30
"""Seconds between a worker's signs of life; one that gives none for twice as long is taken for dead."""

_HOPELESS = 10
_ATTEMPTS = 8


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
    A trial that was interrupted, or whose worker died, is taken up from its checkpoint by whoever next runs
    the search; one whose loss diverges has failed and is not counted.
    Raises: RecipeError when the recipe has no `search` section, a key in it is wrong, the sampler is unknown,
    or the storage holds a search with other settings; DataError; StorageError; TrainingDiverged when no
    setting trains.
    """
    base = load(asked.recipe, overrides=asked.overrides, budget=asked.budget)
    _check(asked, base)
    study = _study(asked, base)

    def objective(trial: optuna.Trial) -> float:
        frozen = _frozen(study, trial.number)
        number = _first_try(frozen)
        settings = {name: _suggest(trial, name, span) for name, span in base.search.items()}
        note(f"trial {number}: {in_words(settings)}")
        try:
            *_, state = fit(_order(asked, settings, number), note=note)
        except (KeyboardInterrupt, StorageError):
            # Optuna takes the trial for failed; its checkpoint is worth going on with.
            RetryHeartbeatStaleTrialCallback()(study, _frozen(study, trial.number))
            raise
        assert state.best is not None
        return state.best

    try:
        if _complete(study) < asked.trials:
            enough = MaxTrialsCallback(asked.trials, states=(TrialState.COMPLETE,))
            study.optimize(objective, callbacks=[enough, _stop_if_hopeless], catch=(TrainingDiverged,))
        done = study.get_trials(states=(TrialState.COMPLETE,))
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        raise _storage_error(asked, error) from error
    sign = -1 if base.train.select_mode == "max" else 1
    found = [Trial(_first_try(t), dict(t.params), t.value) for t in done if t.value is not None]
    return sorted(found, key=lambda trial: sign * trial.value)


def in_words(settings: Mapping[str, Any]) -> str:
    """Settings in one line, numbers to five digits: `train.lr=0.0012437, train.optimiser.name=adam`."""
    return ", ".join(
        f"{name}={value:.5g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in settings.items()
    )


def _check(asked: Search, base: Recipe) -> None:
    """Refuses whatever can be known to be wrong before a trial's number is spent on it."""
    if not base.search:
        raise RecipeError(f"recipe {base.name} has no [search] section: add one, such as [search.'train.lr']")
    if asked.sampler not in SAMPLERS:
        raise RecipeError(f"unknown sampler {asked.sampler!r}: expected one of {', '.join(SAMPLERS)}")
    ends = [{name: (span.choices or (span.low,))[0] for name, span in base.search.items()}]
    ends += [{name: (span.choices or (span.high,))[-1] for name, span in base.search.items()}]
    for settings in ends:
        check(_order(asked, settings, 0).recipe)
    domain_of(base).read(base, asked.data, asked.skip_bad, lambda line: None)


def _frozen(study: optuna.Study, number: int) -> optuna.trial.FrozenTrial:
    return study.get_trials(deepcopy=False)[number]


def _first_try(trial: optuna.trial.FrozenTrial) -> int:
    """A trial's number, or that of the trial it takes up: the one that names the run folder."""
    original = RetryHeartbeatStaleTrialCallback.retried_trial_number(trial)
    return trial.number if original is None else original


def _complete(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def _stop_if_hopeless(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    """Without this, a search whose every setting diverges would never end."""
    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))
    last = finished[-_HOPELESS:]
    if len(last) == _HOPELESS and all(each.state == TrialState.FAIL for each in last):
        raise TrainingDiverged(
            f"the last {_HOPELESS} trials all failed: narrow the ranges in [search], train.lr first"
        )


class _Keyed(optuna.samplers.BaseSampler):
    """A sampler that is made anew for each trial from (seed, trial), whichever worker runs it."""

    def __init__(self, make: Callable[[int], optuna.samplers.BaseSampler], seed: int) -> None:
        self.make, self.seed = make, seed
        self.inner = make(0)

    def before_trial(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        self.inner = self.make(key(self.seed, "search", _first_try(trial)) % 2**32)
        self.inner.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, Any]:
        return self.inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial, search_space: dict[str, Any]
    ) -> dict[str, Any]:
        return self.inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        return self.inner.sample_independent(study, trial, param_name, param_distribution)


def _study(asked: Search, recipe: Recipe) -> optuna.Study:
    # Heartbeats have been 'experimental' for years; the warning tells a person nothing to act on.
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = _opened_by_one_of_many(asked, recipe)
        settings = hashlib.sha256(
            recipe.model_dump_json(exclude=DESCRIPTION - {"search"}, exclude_defaults=True).encode()
        ).hexdigest()
        if study.user_attrs.setdefault("settings", settings) != settings:
            raise RecipeError(
                f"{asked.storage or asked.folder} holds a search of {recipe.name} with other settings: "
                "repeat the command as it was, budget and overrides too, or choose another --out or --storage"
            )
        study.set_user_attr("settings", settings)
    except (OSError, ArgumentError, SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        raise _storage_error(asked, error) from error
    except ImportError as error:
        raise MissingDependency(
            f"{asked.storage} needs a database driver ({error.__cause__ or error}): install it with pip"
        ) from error
    return study


def _opened_by_one_of_many(asked: Search, recipe: Recipe) -> optuna.Study:
    """Workers that start together on a new database get in each other's way while its tables are made."""
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(OperationalError, IntegrityError, ProgrammingError):
            return _opened(asked, recipe)
        time.sleep(random.uniform(0.1, 0.5))
    return _opened(asked, recipe)


def _opened(asked: Search, recipe: Recipe) -> optuna.Study:
    asked.folder.mkdir(parents=True, exist_ok=True)
    url = asked.storage or f"sqlite:///{asked.folder / 'search.db'}"
    storage = RDBStorage(
        url,
        # SQLite gives up after five seconds behind other writers, which busy workers exceed.
        engine_kwargs={"connect_args": {"timeout": 60}} if url.startswith("sqlite") else None,
        heartbeat_interval=HEARTBEAT_S,
        grace_period=2 * HEARTBEAT_S,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),
    )
    return optuna.create_study(
        study_name=recipe.name,
        storage=storage,
        sampler=_Keyed(SAMPLERS[asked.sampler], recipe.train.seed),
        load_if_exists=True,
        direction="maximize" if recipe.train.select_mode == "max" else "minimize",
    )


def _storage_error(asked: Search, error: Exception) -> StorageError:
    reason = str(error.__cause__ or error).strip().splitlines()[0]
    return StorageError(f"cannot use the search's storage {asked.storage or asked.folder}: {reason}")


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
