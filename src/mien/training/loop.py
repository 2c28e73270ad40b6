"""The one training loop. It knows no network, no dataset and no loss: a task brings them."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mien.errors import CheckpointError, RecipeError, TrainingDiverged
from mien.storage import write_text
from mien.training import checkpoint, processes
from mien.training.averaging import WeightAverage
from mien.training.batch_norm import synchronised
from mien.training.optimisers import ENDED, Progress, optimiser, schedule
from mien.training.recipe import TrainSection
from mien.training.task import Report, State, Task
from mien.transforms import key


@contextmanager
def _denormals_flushed() -> Iterator[None]:
    """Lets the processor take numbers below the smallest normal float for 0 while the block runs.

    L2 under Adam drives unused weights there, and each would take a hundred times as long. Threads that torch
    starts within the block keep the setting, so that it also stands where the first of them may start.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


class Loop:
    """Trains a task into a run folder, from the start or from where a killed run stopped.

    run: folder of `checkpoints/last.safetensors`, `best.safetensors` and `metrics.jsonl`; of several
    processes the first alone reads and writes it.
    fingerprint: identifies the recipe, so that a run is only resumed by its own.
    Raises: RecipeError when a setting names no optimiser, schedule or figure, or a precision that the device
    does not have, or leaves batches too small to normalise.
    """

    def __init__(
        self, task: Task, settings: TrainSection, run: Path, fingerprint: str, report: Report | None = None
    ) -> None:
        self.task = task
        self.settings = settings
        self.run = run
        self.fingerprint = fingerprint
        self.report = report or (lambda state, steps, figures: None)
        selectable = ["train_loss", *(f"validation_{name}" for name in task.figures)]
        if settings.select not in selectable:
            raise RecipeError(f"train.select {settings.select!r}: expected one of {', '.join(selectable)}")
        self.state = State()
        self.steps = settings.steps(task.size)
        self.factor = schedule(settings.schedule.name, settings.schedule.options, settings.warmup)
        self._check_schedule(selectable)
        self._check_parts()
        with _denormals_flushed():
            self._set_up()

    def _check_schedule(self, figures: list[str]) -> None:
        try:
            self.factor(Progress(1, self.steps, 1, self.steps, [dict.fromkeys(figures, 0.0)]))
        except KeyError as error:
            raise RecipeError(
                f"train.schedule.figure {error}: expected one of {', '.join(figures)}"
            ) from error

    def _check_parts(self) -> None:
        """A loss on pairs needs whole batches; a normalised dense layer has no deviation over one example."""
        if not self.task.separable and (processes.count() > 1 or self.settings.accumulate > 1):
            raise RecipeError(
                f"{processes.count()} processes, train.accumulate {self.settings.accumulate}: the loss is on "
                "all pairs of a batch, which must stay whole; train in one process with accumulate 1"
            )
        shared = self.settings.sync_batch_norm and processes.count() > 1
        if shared or not any(isinstance(module, nn.BatchNorm1d) for module in self.task.network.modules()):
            return
        batch, size = min(self.settings.batch_size, self.task.size), self.task.size
        parts = processes.count() * self.settings.accumulate
        last = batch if self.settings.validate_every else size - (self.steps - 1) * batch
        for examples in (batch, last):
            if (examples // parts or examples) == 1:
                raise RecipeError(
                    f"train.batch_size {batch}: a batch of {examples} of the {size} examples leaves a part "
                    "with 1, and batch normalisation needs 2; choose another batch_size or accumulate"
                )

    def _set_up(self) -> None:
        task, settings = self.task, self.settings
        self.fabric = processes.fabric(settings.precision)
        layout = torch.channels_last if settings.channels_last else torch.contiguous_format
        task.network.to(memory_format=layout)  # type: ignore[call-overload]
        self.optimiser = optimiser(
            task.network,
            settings.optimiser.name,
            settings.optimiser.options,
            lr=settings.lr,
            l2=settings.l2,
            l2_on=settings.l2_on,
        )
        self.network, self.fabric_optimiser = self.fabric.setup(task.network, self.optimiser)
        task.to(self.fabric.device)
        self.average = WeightAverage(task.network, settings.average) if settings.average else None

    @property
    def last(self) -> Path:
        """The checkpoint to resume from."""
        return self.run / "checkpoints" / "last.safetensors"

    @property
    def best(self) -> Path:
        """The weights of the best epoch by the selected figure."""
        return self.run / "best.safetensors"

    def kept(self, epoch: int) -> Path:
        """The weights after `epoch` epochs, where `keep_every` asks for them."""
        return self.run / "checkpoints" / f"epoch-{epoch:03d}.safetensors"

    def resume(self) -> bool:
        """Puts the run back where its last checkpoint stands; False where there is none yet.

        Raises: CheckpointError when the checkpoint is corrupt or of another recipe.
        """
        # Read once and sent: the other processes may be on machines that do not see the folder.
        found = self.fabric.broadcast(self._read_last() if processes.is_first() else None)
        if found is None:
            return False
        tensors, state = found
        checkpoint.restore_network(self.task.network, tensors, str(self.last))
        checkpoint.restore_optimiser(self.optimiser, tensors)
        if self.average:
            self.average.restore(tensors)
        self.state = State(**state)
        return True

    def _read_last(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        if not self.last.exists():
            return None
        tensors, state = checkpoint.load(self.last)
        if state.pop("fingerprint") != self.fingerprint:
            raise CheckpointError(
                f"{self.last} was made with other settings or data: repeat the command as it was, "
                "or train into a new folder"
            )
        return tensors, state

    def fit(self) -> State:
        """Trains to the last epoch, or until patience or the schedule ends.

        Afterwards the first process's network has the best weights.
        Raises: TrainingDiverged when a loss or a figure is not finite.
        """
        self._write_metrics()
        if not self.state.lasting:
            if self.average:
                # A first stage may have changed the weights since the loop was made.
                self.average.restart()
            self._observe()
        shared = self.settings.sync_batch_norm and processes.count() > 1
        with _denormals_flushed(), synchronised(self.task.network) if shared else nullcontext():
            while self.state.epoch < self.settings.rounds and not self._ended():
                self._epoch()
        if processes.is_first():
            tensors, _ = checkpoint.load(self.best)
            checkpoint.restore_network(self.task.network, tensors, str(self.best))
        return self.state

    def _ended(self) -> bool:
        """Whether patience is out or the schedule has ended the training."""
        patience = self.settings.patience
        if patience is not None and self.state.epoch - 1 - self.state.best_epoch >= patience:
            return True
        return self.factor(self._progress(self.state.step_in_epoch)) == ENDED

    def _progress(self, step: int) -> Progress:
        state, rounds = self.state, self.settings.rounds
        done = state.epoch * self.steps + step
        return Progress(state.epoch, done, rounds, rounds * self.steps, state.history)

    def _epoch(self) -> None:
        state = self.state
        self.network.train()
        order = self._order().to(self.fabric.device)
        started = written = time.monotonic()
        seen_before = state.sums.get("seen", 0.0)
        for step in range(state.step_in_epoch, self.steps):
            rows = order[step * self.settings.batch_size : (step + 1) * self.settings.batch_size]
            self.step(rows, step)
            state.step_in_epoch = step + 1
            now = time.monotonic()
            rate = (state.sums["seen"] - seen_before) / max(now - started, 1e-9)
            self.report(state, self.steps, {**self._means(), "images_per_s": rate})
            if now - written > self.settings.checkpoint_s and step + 1 < self.steps:
                state.seconds += now - written
                self._save_last()
                written = now
        state.seconds += time.monotonic() - written
        self._finish_epoch(rate)

    def _order(self) -> Tensor:
        """The examples of the epoch, or of the round of iterations, in the order in which they are seen.

        Iterations follow one order after the other without a break: every batch is whole.
        """
        task, settings, epoch = self.task, self.settings, self.state.epoch
        if settings.validate_every is None:
            return task.order(settings.seed, epoch)
        wanted = settings.validate_every * settings.batch_size
        first, skipped = divmod(epoch * wanted, task.size)
        last = ((epoch + 1) * wanted - 1) // task.size
        orders = [task.order(settings.seed, number) for number in range(first, last + 1)]
        return torch.cat(orders)[skipped : skipped + wanted]

    def step(self, rows: Tensor, step: int) -> None:
        """One optimiser step on the examples `rows` (B,), the `step`-th of the current epoch.

        The gradient is that of the mean loss over all of them, in however many parts and processes.
        """
        state = self.state
        at = self._progress(step)
        self.task.begin(at)
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.lr * self.factor(at)
        self.fabric_optimiser.zero_grad(set_to_none=True)
        totals = self._backward(rows, step)
        value = totals["loss"] / totals["seen"]
        self._demand_finite("the loss", value, f"step {step + 1}")
        self.fabric_optimiser.step()
        if self.average:
            self.average.update(at.step + 1)
        for name, total in totals.items():
            state.sums[name] = state.sums.get(name, 0.0) + total

    def _backward(self, rows: Tensor, step: int) -> dict[str, float]:
        """Leaves the gradient of the batch's mean loss in the parameters; returns sums over the batch."""
        count, epoch = processes.count(), self.state.epoch
        parts = processes.parts(rows, count, processes.rank(), self.settings.accumulate)
        # Fewer rows than parts are computed by every process: then each counts for its share only.
        times = count if len(parts[0].rows) == len(rows) else 1
        totals: dict[str, float] = {}
        for part in parts:
            # Dropout draws from torch's generator: keyed by step and part, it needs no saving.
            numbers = (step, part.number) if part.number else (step,)
            self._draw_from(key(self.settings.seed, "step", epoch, *numbers))
            with self.fabric.no_backward_sync(self.network, enabled=part is not parts[-1]):
                loss, sums = self.task.loss(self.network, part.rows, epoch)
                # Read before the backward pass, on which an accelerator works while the next is prepared.
                found = {"seen": float(len(part.rows)), "loss": float(loss.detach()) * len(part.rows)}
                found |= {name: float(total) for name, total in sums.items()}
                # Gradients are averaged over processes: each weighs as much as the examples it has.
                self.fabric.backward(loss * (len(part.rows) * count / (len(rows) * times)))
            totals = {name: totals.get(name, 0.0) + total for name, total in found.items()}
        totals = processes.summed(totals, self.fabric.device)
        return {name: total / times for name, total in totals.items()}

    def _draw_from(self, seed: int) -> None:
        """Seeds the generator that the step draws from: that of its device alone.

        torch.manual_seed seeds those of every kind of device, and notes for absent ones where it was called:
        a millisecond, which is a fifth of a small network's step.
        """
        torch.default_generator.manual_seed(seed)
        if self.fabric.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _demand_finite(self, name: str, value: float, where: str) -> None:
        if not math.isfinite(value):
            raise TrainingDiverged(
                f"{name} became {value} in epoch {self.state.epoch + 1}, {where}: {self._last_good()}; "
                "lower train.lr"
            )

    def _last_good(self) -> str:
        return (
            f"the last good checkpoint is {self.last}" if self.last.exists() else "there is no checkpoint yet"
        )

    def _means(self) -> dict[str, float]:
        seen = self.state.sums["seen"]
        return {name: total / seen for name, total in self.state.sums.items() if name != "seen"}

    def _finish_epoch(self, rate: float) -> None:
        with self.average.shown() if self.average else nullcontext():
            self._judge_epoch(rate)
        # Best weights first: killed between the two writes, the epoch is run again and writes the same.
        self._save_last()
        self._write_metrics()

    def _judge_epoch(self, rate: float) -> None:
        """Validates, selects and keeps the network as it stands, or its average."""
        state = self.state
        started = time.monotonic()
        figures = self._figures()
        for name, value in figures.items():
            self._demand_finite(name, value, "at its end")
        state.seconds += time.monotonic() - started
        state.history.append(
            {
                "epoch": state.epoch + 1,
                "step": (state.epoch + 1) * self.steps,
                "lr": self.optimiser.param_groups[0]["lr"],
                **figures,
                "images_per_s": round(rate, 1),
                "seconds": round(state.seconds, 2),
            }
        )
        self._select(figures)
        state.epoch += 1
        state.step_in_epoch = 0
        state.sums = {}
        self._observe()
        if self.settings.keep_every and state.epoch % self.settings.keep_every == 0:
            self._save_network(self.kept(state.epoch), {"epoch": state.epoch, **figures})

    def _figures(self) -> dict[str, float]:
        """The epoch's figures as the first process finds them, for all decide by the same."""
        figures: dict[str, float] = {}
        if processes.is_first():
            with torch.no_grad():
                found = self.task.validate(self.network)
            figures = {f"train_{name}": value for name, value in self._means().items()}
            figures |= {f"validation_{name}": value for name, value in found.items()}
        return self.fabric.broadcast(figures)

    def _observe(self) -> None:
        if processes.is_first():
            with torch.no_grad():
                self.task.observe(self.network, self.state.epoch)

    def _select(self, figures: dict[str, float]) -> None:
        name = self.settings.select
        value = figures[name]
        sign = 1 if self.settings.select_mode == "max" else -1
        if self.state.best is None or sign * value > sign * self.state.best:
            self.state.best, self.state.best_epoch = value, self.state.epoch
            self._save_network(self.best, {"epoch": self.state.epoch + 1, name: value})

    def _save_network(self, path: Path, state: dict[str, Any]) -> None:
        if processes.is_first():
            checkpoint.save(path, checkpoint.network_tensors(self.task.network), state)

    def _save_last(self) -> None:
        if not processes.is_first():
            return
        tensors = {
            **checkpoint.network_tensors(self.task.network),
            **checkpoint.optimiser_tensors(self.optimiser),
            **(self.average.tensors() if self.average else {}),
        }
        state: dict[str, Any] = {**asdict(self.state), "fingerprint": self.fingerprint}
        checkpoint.save(self.last, tensors, state)

    def _write_metrics(self) -> None:
        """Rewritten whole from the state, so that the file never disagrees with the checkpoint."""
        if not processes.is_first():
            return
        lines = "".join(json.dumps(record) + "\n" for record in self.state.history)
        write_text(self.run / "metrics.jsonl", lines)
