"""Progress on standard error: silent where that is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from mien.training.recipe import TrainSection
    from mien.training.task import Report, State


@contextmanager
def training_progress(settings: TrainSection) -> Iterator[tuple[Report, Callable[[str], None]]]:
    """A bar over all steps with loss, accuracy, images/s and time left; and how to say a line beside it."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        epochs = settings.rounds
        task = bar.add_task("", figures="", total=None)

        def report(state: State, steps: int, figures: dict[str, float]) -> None:
            text = "  ".join(
                [
                    f"loss {figures['loss']:.4f}",
                    *([f"accuracy {figures['accuracy']:.4f}"] if "accuracy" in figures else []),
                    f"{figures['images_per_s']:.0f} images/s",
                ]
            )
            done = state.epoch * steps + state.step_in_epoch
            bar.update(
                task,
                completed=done,
                total=epochs * steps,
                description=f"epoch {state.epoch + 1}/{epochs}"
                if settings.iterations is None
                else f"iteration {done:,}/{settings.iterations:,}",
                figures=text,
            )

        yield report, lambda line: console.print(escape(line), style="dim", highlight=False, soft_wrap=True)


@contextmanager
def share_done(description: str) -> Iterator[Callable[[float], None]]:
    """A bar that is told which share of the work is done, 0…1."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(description, total=1.0)
        yield lambda share: bar.update(task, completed=share)


@contextmanager
def faces_done(description: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that is told how many faces are done and of how many, with faces a minute and the time left."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    begun = time.monotonic()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(description, figures="", total=None)

        def report(done: int, of: int) -> None:
            rate = 60 * done / max(time.monotonic() - begun, 1e-6)
            bar.update(
                task, completed=done, total=of, figures=f"{done:,}/{of:,} faces  {rate:,.0f} faces/min"
            )

        yield report


@contextmanager
def busy(description: str) -> Iterator[None]:
    """Says what takes its time, where how long is not known; gone when it is done."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(escape(description)):
        yield
