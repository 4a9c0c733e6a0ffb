"""One method of a benchmark: trained, calibrated, measured, and kept; whatever goes wrong in it stays in its row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.benchmark import methods, saved_runs
from pipelines.benchmark.hashes import short_hash
from pipelines.benchmark.record import MethodRun
from pipelines.machine.files import printable, writable_folder
from pipelines.problems import CommandError, causes, one_line
from pipelines.terminal.quiet import without_chatter

if TYPE_CHECKING:
    from pipelines.benchmark.cohort import Cohort
    from pipelines.benchmark.trainer import Trainer

_VERSION = 3  # of what a run means: raise it where a method or a measure changes, and old runs are made again
_SHOWN = 5  # cases side by side
Attempt = tuple[MethodRun, list[Any], dict[str, Any]]  # the run, the measures of its cases, pictures of some


def attempt(name: str, trainer: Trainer, folder: Path) -> Attempt:
    """Run a method, or take over what an earlier run with the same data and settings has kept.

    Args:
        name: of the method.
        trainer: with cohort and settings.
        folder: made; for what the method leaves.
    """
    method = methods.METHODS[name]
    made_of = None if method.made_of is None else method.made_of(trainer)
    parts = [name, run_key(trainer, of_twin=method.of_twin), *([] if made_of is None else [short_hash(made_of)])]
    begun = MethodRun(key="-".join(parts), made_of=made_of)
    writable_folder(folder)
    if (kept := saved_runs.load(folder, begun.key)) is not None:
        return kept
    try:
        with without_chatter():
            run, cases, pictures = _run(name, trainer, folder, begun)
    except Exception as error:
        return begun.model_copy(update={"error": printable(one_line([*causes(error)][-1]))}), [], {}
    saved_runs.save(folder, run, cases, pictures)
    return run, cases, pictures


def _run(name: str, trainer: Trainer, folder: Path, begun: MethodRun) -> Attempt:
    import numpy as np
    import torch
    from monai.utils import set_determinism

    from pipelines.benchmark.measure import PostProcessed, calibrate_method, measure, timed
    from pipelines.benchmark.trainer import parameters_of
    from pipelines.machine.peak_memory import watching

    cohort, device = trainer.cohort, trainer.device
    trainer.shared.clear()
    trainer.earlier.clear()
    set_determinism(trainer.seed)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with watching() as peak:
        method, training = timed(methods.METHODS[name].fit, trainer)
        network = PostProcessed(method, spacing=cohort.spacing, margin=trainer.margin).to(device).eval()
        calibration, calibrating = timed(calibrate_method, network, cohort, folder, device)
        found = measure(network, cohort, calibration, device, shown=shown_cases(cohort), box_key=trainer.box_key)
    if not found.cases:
        msg = "no test scan could be read"
        raise CommandError(msg)
    on_gpu = torch.cuda.max_memory_allocated(device) // 2**20 if device.type == "cuda" else None
    run = MethodRun(
        key=begun.key,
        made_of=begun.made_of,
        training_seconds=round(training + sum(trainer.earlier.values()), 2),
        shared_seconds=round(sum(trainer.shared.values()), 2),
        calibration_seconds=round(calibrating, 2),
        seconds_per_volume=round(sum(found.seconds) / len(found.seconds), 4),
        cpu_seconds_per_volume=None if device.type == "cuda" else round(sum(found.cpu_seconds) / len(found.seconds), 4),
        peak_mib=on_gpu if on_gpu is not None else peak.mib,
        parameters=parameters_of([method]),
        voxel_threshold=calibration.voxel_threshold,
        failed=found.failed,
    )
    pictures = {f"{one.case}_{part}": getattr(one, part) for one in found.pictures for part in ("truth", "score")}
    levels = {f"{one.case}_level": np.array(one.level) for one in found.pictures}
    return run, found.cases, {**pictures, **levels}


def shown_cases(cohort: Cohort) -> list[str]:
    """The names of the cases that are shown, spread evenly over the list."""
    names = [str(item["case"]) for item in cohort.test]
    count = min(_SHOWN, len(names))
    return [names[round(index * (len(names) - 1) / max(1, count - 1))] for index in range(count)]


def run_key(trainer: Trainer, *, of_twin: bool) -> str:
    """A short hash of all that decides a run: what was learned from, the test cases, the preparation, the settings."""
    bundle = trainer.bundle if of_twin else None
    parts = [
        _VERSION,
        trainer.key,
        trainer.cohort.tested,
        trainer.margin,
        None if bundle is None else (bundle / "models" / "calibration.json").read_text(),
        *([] if trainer.box_key is None else [trainer.box_key]),
    ]
    return short_hash(parts)
