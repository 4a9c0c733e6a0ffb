"""A whole benchmark: every method trained, calibrated and measured, then the table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.benchmark.settings import QUICK, Settings
from pipelines.cohort.labelled import check_labelled
from pipelines.machine.device import check_device
from pipelines.machine.files import printable, writable_folder, write_whole
from pipelines.problems import CommandError

if TYPE_CHECKING:
    from pipelines.benchmark.attempt import Attempt
    from pipelines.benchmark.record import BenchmarkRecord
    from pipelines.benchmark.trainer import Trainer


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
        CommandError: no case has a label, an unknown method, no such backbone, too few healthy scans, nothing to
            measure on, or no box of that name.
    """
    started, names = time.perf_counter(), _known(methods)
    _check(datalist, section, device, backbone)

    import torch

    from pipelines.benchmark.attempt import attempt
    from pipelines.benchmark.cohort import gather_cohort
    from pipelines.benchmark.trainer import Trainer

    shared = writable_folder(output / "methods" / "shared")
    cohort = gather_cohort(datalist, shared, bundle=bundle, section=section, box_key=box_key)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    options: dict[str, Any] = {"bundle": bundle, "margin": margin, "box_key": box_key, "backbone": backbone}
    trainer = Trainer(cohort, settings, where, shared, seed=seed, **options)
    results = {name: attempt(name, trainer, output / "methods" / name) for name in names}
    record = _record(trainer, results, source=(datalist, section), output=output, resamples=resamples)
    record.seconds = round(time.perf_counter() - started, 1)
    _write(record, output, trainer, results)
    cohort.data.datalist(cohort.listed.parent).without_folders().write()
    return record


def _check(datalist: Path, section: str, device: str | None, backbone: Path | None) -> None:
    """Refuse what cannot be done, before anything is loaded."""
    check_device(device)
    check_labelled(datalist, section)
    if backbone is not None and not backbone.is_file():
        msg = f"{backbone}: there is no such file of backbone weights"
        raise CommandError(msg)


def _known(methods: Sequence[str]) -> list[str]:
    """The methods that are asked for, each once; all that can run here where none is.

    Raises:
        CommandError: there is no such method.
    """
    from pipelines.benchmark.methods import METHODS

    names = list(dict.fromkeys(methods)) or [name for name, method in METHODS.items() if method.available]
    if unknown := [name for name in names if name not in METHODS]:
        msg = f"no such method: {', '.join(unknown)}; there are {', '.join(METHODS)}"
        raise CommandError(msg)
    return names


def _record(
    trainer: Trainer, results: dict[str, Attempt], *, source: tuple[Path, str], output: Path, resamples: int
) -> BenchmarkRecord:
    """The leaderboard, and what it was made from."""
    from pipelines.benchmark import leaderboard
    from pipelines.benchmark.record import BenchmarkRecord
    from pipelines.machine.provenance import provenance

    cohort, seed = trainer.cohort, trainer.seed
    measured = next((cases for _, cases, _ in results.values() if cases), [])
    by = leaderboard.deciding(measured)
    kept = {name: result[:2] for name, result in results.items()}
    return BenchmarkRecord(
        datalist=printable(source[0].name),
        section=source[1],
        output=printable(output),
        page=printable(output / "leaderboard.html"),
        effort=asdict(trainer.settings),
        seed=seed,
        margin=trainer.margin,
        box_key=trainer.box_key,
        resamples=resamples,
        training=len(cohort.data.sections["training"]),
        validation=len(cohort.data.sections["validation"]),
        test=len(cohort.test),
        abnormal=sum(case.ill for case in measured),
        ranked_by=by,
        rows=leaderboard.rank(kept, by=by, resamples=resamples, seed=seed),
        refused=cohort.data.refused,
        provenance=provenance(),
    )


def _write(record: BenchmarkRecord, output: Path, trainer: Trainer, results: dict[str, Attempt]) -> None:
    """Write the leaderboard as JSON, CSV, Markdown and HTML."""
    from pipelines.benchmark import leaderboard, page

    write_whole(output / "leaderboard.json", record.model_dump_json(indent=2) + "\n")
    write_whole(output / "leaderboard.csv", leaderboard.as_csv(record))
    write_whole(output / "leaderboard.md", leaderboard.as_markdown(record))
    write_whole(output / "leaderboard.html", page.draw(record, results, trainer.cohort))
