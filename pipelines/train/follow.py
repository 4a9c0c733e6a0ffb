"""`following`: what a person sees of a training: its plan, its phase, its losses, the time that is left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipelines.machine.free_memory import free_bytes
from pipelines.terminal.progress import duration, progress_bar

if TYPE_CHECKING:
    from rich.progress import Progress

PLANNED = ("epochs", "steps", "batch_size", "slab", "device")  # keys of `train.yaml` that a plan is told by
_MEASURED = 5  # steps after which the time of the training is known


@contextmanager
def following(trainer: Any, evaluator: Any, calibrator: Any = None) -> Iterator[list[dict[str, float]]]:
    """A progress bar that names the phase; in a log, a line for each phase. Gives the history of validations.

    Args:
        trainer: Ignite engine, with losses as output.
        evaluator: that validates after an epoch.
        calibrator: that calibrates at the end; None: it is not followed.
    """
    from ignite.engine import Events

    history: list[dict[str, float]] = []
    with progress_bar() as bar:
        view = _View(bar, trainer, history)
        trainer.add_event_handler(Events.EPOCH_STARTED, view.epoch)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, view.step)
        evaluator.add_event_handler(Events.STARTED, lambda _: view.say(f"validating after {view.where}"))
        evaluator.add_event_handler(Events.COMPLETED, view.validated)
        if calibrator is not None:
            calibrator.add_event_handler(Events.STARTED, lambda _: view.say("calibrating on healthy scans"))
        yield history


class _View:
    """The bar's words and, where nobody looks at a bar, the lines of a log."""

    def __init__(self, bar: Progress, trainer: Any, history: list[dict[str, float]]) -> None:
        self.bar, self.trainer, self.history = bar, trainer, history
        self.task = bar.add_task("training", total=None)
        self.started = time.monotonic()
        self.first: int | None = None  # step of this run; later than 1 where a training is resumed

    @property
    def where(self) -> str:
        """The epoch, of how many."""
        return f"epoch {self.trainer.state.epoch} of {self.trainer.state.max_epochs}"

    def say(self, words: str) -> None:
        """Name the phase."""
        self.bar.update(self.task, description=words)
        if not self.bar.console.is_terminal:
            self.bar.console.print(f"[{time.monotonic() - self.started:.0f} s] {words}", markup=False, soft_wrap=True)

    def epoch(self, _: Any) -> None:
        """Take in that an epoch begins."""
        if self.first is None:
            self.first, self.started = self.trainer.state.iteration, time.monotonic()
        self.say(f"training: {self.where}")

    def step(self, engine: Any) -> None:
        """Show losses and how far the steps are."""
        losses = engine.state.output
        words = [f"training: {self.where}"]
        words += [f"{name} {losses[f'{name}_loss']:.3f}" for name in ("twin", "mask", "discriminator")]
        if self.history:
            words.append(f"best AP {max(row['voxel_ap'] for row in self.history):.3f}")
        total = engine.state.max_epochs * engine.state.epoch_length
        self.bar.update(self.task, completed=engine.state.iteration, total=total, description=", ".join(words))
        if engine.state.iteration - (self.first or 0) == _MEASURED:
            self._measure(total - engine.state.iteration)

    def _measure(self, steps: int) -> None:
        """Say how long the steps that are left take."""
        each = (time.monotonic() - self.started) / _MEASURED
        words = f"time: {each:.1f} s per step, {duration(steps * each)} of training left; validations come on top"
        self.bar.console.print(words, markup=False, soft_wrap=True)

    def validated(self, engine: Any) -> None:
        """Keep the metrics of a validation."""
        metrics = {name: float(value) for name, value in engine.state.metrics.items()}
        self.history.append({"epoch": float(self.trainer.state.epoch), **metrics})
        if not self.bar.console.is_terminal:
            words = f"{self.where}: voxel AP of planted anomalies {metrics['voxel_ap']:.3f}"
            self.bar.console.print(words, markup=False, soft_wrap=True)


def plan_in_words(config: dict[str, Any], training: int, validation: int) -> list[str]:
    """What a training is about to do and with how much memory, for a person, before its first step.

    Args:
        config: of `train.yaml`, what is `PLANNED`.
        training: scans to learn from.
        validation: scans to validate and calibrate on.
    """
    slab = " x ".join(map(str, config["slab"]))
    free = free_bytes()
    return [
        f"plan: {training} scans to train on, {validation} to validate and calibrate on; {config['epochs']} epochs of "
        f"{config['steps']} steps, {config['batch_size']} windows of {slab} voxels per step, on {config['device']}",
        *([] if free is None else [f"memory: {free / 1e9:.1f} GB are free"]),
    ]
