"""A whole benchmark: every method trained, calibrated and measured, then the table."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.benchmark.settings import QUICK, Settings
from pipelines.machine.files import printable, writable_folder, write_whole
from pipelines.problems import CommandError, causes, one_line

if TYPE_CHECKING:
    from pipelines.benchmark.cohort import Cohort
    from pipelines.benchmark.record import BenchmarkRecord, MethodRun
    from pipelines.benchmark.trainer import Trainer

_VERSION = 2  # of what a run means: raise it where a method or a measure changes, and old runs are made again
_SHOWN = 5  # cases side by side


def benchmark(
    datalist: Path,
    output: Path,
    *,
    methods: Sequence[str] = (),
    settings: Settings = QUICK,
    device: str | None = None,
    seed: int = 0,
    bundle: Path | None = None,
    margin: float = 0.0,
    box_key: str | None = None,
    backbone: Path | None = None,
    section: str = "test",
    resamples: int = 1000,
) -> BenchmarkRecord:
    """Train, calibrate and measure methods on one split, and write the leaderboard.

    A method that was done before with the same settings is not run again; one that fails has its reason in its row.

    Args:
        datalist: healthy scans under "training" (and "validation"), labelled ones under `section`.
        output: folder for `leaderboard.{json,csv,md,html}`; the methods' own files go to `methods/`.
        methods: names out of `METHODS`; none: all whose packages are installed.
        settings: how hard the methods are trained.
        device: where; None: CUDA where there is one.
        seed: of trainings and bootstrap.
        bundle: a HealthyTwin bundle that is taken as it is, with its preparation for all; None: it is trained.
        margin: mm below the surface that are left out of every score map: the skull, where there is one.
        box_key: name of an organ's box in the datalist, outside which nothing is measured; see `measure`.
        backbone: a timm checkpoint for methods with a backbone of photographs; None: their backbone is random.
        section: of the datalist, to measure on.
        resamples: of the bootstrap.

    Raises:
        InputError: the datalist is missing or no datalist.
        CommandError: an unknown method, no such backbone, too few healthy scans, nothing to measure on, or no box of
            that name.
    """
    import torch

    from pipelines.benchmark import leaderboard, page, saved_runs
    from pipelines.benchmark.cohort import gather_cohort
    from pipelines.benchmark.methods import METHODS
    from pipelines.benchmark.record import BenchmarkRecord, MethodRun
    from pipelines.benchmark.trainer import Trainer
    from pipelines.machine.provenance import provenance
    from pipelines.terminal.quiet import without_chatter

    started = time.perf_counter()
    names = list(dict.fromkeys(methods)) or [name for name, method in METHODS.items() if method.available]
    if unknown := [name for name in names if name not in METHODS]:
        msg = f"no such method: {', '.join(unknown)}; there are {', '.join(METHODS)}"
        raise CommandError(msg)
    if backbone is not None and not backbone.is_file():
        msg = f"{backbone}: there is no such file of backbone weights"
        raise CommandError(msg)
    shared = writable_folder(output / "methods" / "shared")
    cohort = gather_cohort(datalist, shared, bundle=bundle, section=section)
    if box_key is not None and not any(box_key in item for item in cohort.test):
        msg = f"{datalist}: no test case has a box {box_key!r}"
        raise CommandError(msg)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    trainer = Trainer(
        cohort,
        settings,
        where,
        shared,
        seed=seed,
        bundle=bundle,
        margin=margin,
        box_key=box_key,
        backbone=backbone,
    )
    keys = {of_twin: _key(trainer, of_twin=of_twin) for of_twin in (False, True)}
    results = {}
    for name in names:
        folder = writable_folder(output / "methods" / name)
        key = keys[METHODS[name].of_twin]
        made_of = METHODS[name].made_of
        made = None if made_of is None else made_of(trainer)
        own_key = f"{name}-{key}" if made is None else f"{name}-{key}-{_short_hash(made)}"
        kept = saved_runs.load(folder, own_key)
        with without_chatter():
            results[name] = kept or _attempt(name, trainer, folder, MethodRun(key=own_key, made_of=made))
    rows = leaderboard.rank({name: result[:2] for name, result in results.items()}, resamples=resamples, seed=seed)
    measured = next((cases for _, cases, _ in results.values() if cases), [])
    record = BenchmarkRecord(
        datalist=printable(datalist),
        output=printable(output),
        effort=asdict(settings),
        seed=seed,
        margin=margin,
        box_key=box_key,
        section=section,
        resamples=resamples,
        training=len(cohort.data.sections["training"]),
        validation=len(cohort.data.sections["validation"]),
        test=len(cohort.test),
        abnormal=sum(case.ill for case in measured),
        rows=rows,
        refused=cohort.data.refused,
        seconds=round(time.perf_counter() - started, 1),
        provenance=provenance(),
        page=printable(output / "leaderboard.html"),
    )
    write_whole(output / "leaderboard.json", record.model_dump_json(indent=2) + "\n")
    write_whole(output / "leaderboard.csv", leaderboard.as_csv(record))
    write_whole(output / "leaderboard.md", leaderboard.as_markdown(record))
    write_whole(output / "leaderboard.html", page.draw(record, results, cohort))
    return record


def _attempt(
    name: str, trainer: Trainer, folder: Path, begun: MethodRun
) -> tuple[MethodRun, list[Any], dict[str, Any]]:
    """Run one method; whatever goes wrong in it stays in its row."""
    from pipelines.benchmark import saved_runs

    try:
        run, cases, pictures = _run(name, trainer, folder, begun)
    except Exception as error:
        reason = printable(one_line([*causes(error)][-1]))
        return begun.model_copy(update={"error": reason}), [], {}
    saved_runs.save(folder, run, cases, pictures)
    return run, cases, pictures


def _run(name: str, trainer: Trainer, folder: Path, begun: MethodRun) -> tuple[MethodRun, list[Any], dict[str, Any]]:
    import numpy as np
    import torch
    from monai.utils import set_determinism

    from pipelines.benchmark.measure import PostProcessed, calibrate_method, measure, timed
    from pipelines.benchmark.methods import METHODS
    from pipelines.benchmark.record import MethodRun
    from pipelines.benchmark.trainer import parameters_of
    from pipelines.machine.peak_memory import watching

    cohort, device = trainer.cohort, trainer.device
    trainer.shared.clear()
    trainer.earlier.clear()
    set_determinism(trainer.seed)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with watching() as peak:
        method, training = timed(METHODS[name].fit, trainer)
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


def _key(trainer: Trainer, *, of_twin: bool) -> str:
    """A short hash of all that decides a run: the division, the test cases, the preparation, the settings."""
    cohort, bundle = trainer.cohort, trainer.bundle if of_twin else None
    parts = [
        _VERSION,
        json.loads(cohort.listed.read_text()),
        list(cohort.test),
        list(cohort.prepare),
        asdict(trainer.settings),
        trainer.seed,
        trainer.margin,
        None if bundle is None else (bundle / "models" / "calibration.json").read_text(),
        *([] if trainer.box_key is None else [trainer.box_key]),
    ]
    return _short_hash(json.dumps(parts, sort_keys=True, default=str))


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
