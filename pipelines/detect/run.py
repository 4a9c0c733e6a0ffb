"""`healthytwin detect`: DICOM or NIfTI in; masks, score maps, findings, a record and a report out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from anomaly.bundle import load_calibration
from pipelines.bundles import find_bundle, load, wanted_by
from pipelines.detect.case import examine_all
from pipelines.detect.cases import check_types, gather_cases
from pipelines.detect.choice import Detectors, chosen_for_each
from pipelines.machine.device import check_device
from pipelines.machine.files import writable_folder, write_whole
from pipelines.outputs.ours import check_apart, check_ours, digests
from pipelines.outputs.table import OUTPUTS, RESULT, Output
from pipelines.record import RunRecord
from pipelines.report.result import Result
from pipelines.report.run import write_report
from pipelines.report.viewer import find_scripts
from pipelines.terminal.progress import progress, waiting

if TYPE_CHECKING:
    from data_prep import Case


def detect(
    paths: Sequence[Path],
    output: Path,
    *,
    bundle: Path | None = None,
    device: str | None = None,
    report: bool = True,
    allow_gaps: bool = False,
    calibration: Path | None = None,
    dicom: bool = False,
    precision: str = "auto",
) -> RunRecord:
    """Examine every case found at `paths`; a bad case is recorded and does not stop the rest.

    Args:
        paths: NIfTI files, DICOM series, folders of either, datalists.
        output: folder for `<case>_mask.nii.gz`, `<case>_score.nii.gz`, `<case>.json`, `run.json`, `report.html`.
        bundle: its folder; see `find_bundle`.
        device: "cpu", "cuda", "cuda:1", ...; None: CUDA where there is one.
        report: write `report.html`.
        allow_gaps: examine DICOM volumes in which whole slices are missing; findings carry the flag `gaps_allowed`.
        calibration: of the site; see `pipelines.evaluate.calibrate`; None: the bundle's own.
        dicom: also write a segmentation and a structured report of each DICOM series.
        precision: auto, fp32 or bf16; see `anomaly.precision`.

    Raises:
        CommandError: no path exists, the output cannot be written, lies in a source or holds a file in the way that is
            not ours, there is no bundle or no such device.
        BundleError: the bundle is incomplete or its weights are not the calibrated ones.
    """
    from data_prep.find.passed import PassedOver

    started, passed = time.perf_counter(), PassedOver()
    check_device(device)
    root = find_bundle(bundle)
    if calibration is not None:
        load_calibration(root, calibration)  # before anything that takes time
    check_apart(paths, output)
    with waiting("looking for images"):
        cases, failures = gather_cases(paths, allow_gaps=allow_gaps, passed=passed, **wanted_by(root))
    run = RunRecord(command="detect", output=str(output), passed_over=passed.sentence(named=False))
    if not cases and not failures:
        return run
    check_types(cases, failures)
    extras = [OUTPUTS[kind] for kind in ("seg", "sr")] if dicom else []
    check_ours(writable_folder(output), _files(cases, extras, report=report))
    results = [Result(record=failure) for failure in failures]
    if cases:
        results += run_cases(
            run,
            cases,
            None if chosen_for_each(bundle) and calibration is None else root,
            device=device,
            pictures=report,
            allow_gaps=allow_gaps,
            calibration=calibration,
            extras=extras,
            precision=precision,
        )
    return finish(run, results, started=started, title="Detection" if report else None)


def _files(cases: Sequence[Case], extras: Sequence[Output], *, report: bool) -> list[str]:
    """The names of all files that are to be written."""
    rows = [*RESULT, *extras]
    return [row.file(case.name) for case in cases for row in rows] + ["run.json", *(["report.html"] if report else [])]


def run_cases(
    run: RunRecord,
    cases: Sequence[Case],
    bundle: Path | None,
    *,
    device: str | None,
    pictures: bool,
    truths: bool = False,
    allow_gaps: bool = False,
    calibration: Path | None = None,
    extras: Sequence[Output] = (),
    precision: str = "auto",
) -> list[Result]:
    """Examine cases with a progress bar; `run` gets the bundle's name and the versions.

    Without a bundle each case is examined with the shipped one that its look and header ask for.
    """
    detectors = Detectors(bundle, partial(load, device=device, calibration=calibration, precision=precision))
    if bundle is not None:
        with waiting(f"loading {bundle.name}"):
            detectors.at(bundle)
    with progress(len(cases), "examining") as begin:
        results = examine_all(
            detectors,
            cases,
            Path(run.output),
            pictures=pictures,
            volumes=pictures and find_scripts() is not None,
            truths=truths,
            allow_gaps=allow_gaps,
            extras=extras,
            on_case=begin,
        )
    describe(run, results)
    return results


def describe(run: RunRecord, results: Sequence[Result]) -> None:
    """Take bundle and versions over from the first finding."""
    finding = next((result.finding for result in results if result.finding is not None), None)
    if finding is not None:
        run.bundle = finding.bundle.model_dump()
        run.versions = finding.versions


def finish(run: RunRecord, results: Sequence[Result], *, started: float, title: str | None) -> RunRecord:
    """Write `run.json` and, with a title, `report.html` to the run's output folder.

    Args:
        run: completed here.
        results: of all cases.
        started: `time.perf_counter()` of the beginning.
        title: heading of the report; None: no report.
    """
    folder = Path(run.output)
    run.cases = [result.record for result in results]
    run.seconds = round(time.perf_counter() - started, 3)
    if title is not None:
        run.report = str(write_report(folder / "report.html", run, results, title=title))
    names = [name for record in run.cases for name in record.outputs.values()]
    run.written = digests(folder, [*names, *(["report.html"] if title is not None else [])])
    write_whole(folder / "run.json", run.model_dump_json(indent=2) + "\n")
    return run
