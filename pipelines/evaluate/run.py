"""`healthytwin evaluate`: a bundle's own `evaluate.yaml` through `monai.bundle`, with progress and a report."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.bundles import find_bundle
from pipelines.detect.case import safely, summarise
from pipelines.detect.run import describe, finish
from pipelines.machine.files import writable_folder, write_whole
from pipelines.machine.provenance import provenance
from pipelines.outputs.table import result_files
from pipelines.problems import CommandError
from pipelines.record import CaseRecord, RunRecord
from pipelines.report.result import Result, spare_volumes
from pipelines.report.viewer import find_scripts
from pipelines.terminal.progress import progress, waiting
from pipelines.terminal.quiet import without_chatter

if TYPE_CHECKING:
    from data_prep import Case


def evaluate(
    datalist: Path, output: Path, *, bundle: Path | None = None, section: str = "test", report: bool = True
) -> RunRecord:
    """Run a bundle's evaluation over a labelled section of a datalist.

    Args:
        datalist: the datalist or its folder.
        output: folder for `metrics.json` and, for every case, what `detect` writes.
        bundle: its folder; see `find_bundle`.
        section: of the datalist.
        report: draw every case and write `report.html`.

    Raises:
        InputError: the datalist is missing or has no such section.
        CommandError: the output cannot be written, or there is no such bundle.
        BundleError: the bundle is incomplete.
    """
    from data_prep import list_cases

    started = time.perf_counter()
    root = find_bundle(bundle)
    config = root / "configs" / "evaluate.yaml"
    if not config.is_file():
        msg = f"{config}: this bundle has no evaluation"
        raise CommandError(msg)
    cases = list_cases(datalist, section)
    run = RunRecord(command="evaluate", output=str(output))
    if not cases:
        return run
    writable_folder(output)
    run.metrics = _run_bundle(config, datalist, output, section=section, total=len(cases))
    failed = {row["case"]: row["reason"] for row in run.metrics.get("failed", [])}
    with progress(len(cases), "drawing" if report else "reading results") as begin:
        volumes, results = report and find_scripts() is not None, list[Result]()
        for case in cases:
            begin(case.name)
            results.append(_result(case, output, failed, pictures=report, volumes=volumes))
            spare_volumes(results)
    describe(run, results)
    return finish(run, results, started=started, title=f"Evaluation: {section}" if report else None)


def _run_bundle(config: Path, datalist: Path, output: Path, *, section: str, total: int) -> dict[str, Any]:
    """Run the workflow in this process; gives its `metrics.json`, to which command, commit and machine are added."""
    from ignite.engine import Events
    from monai.bundle import ConfigWorkflow

    written = output / "metrics.json"
    written.unlink(missing_ok=True)
    with waiting(f"loading {config.parent.parent.name}"), without_chatter():
        workflow = ConfigWorkflow(
            config_file=str(config),
            workflow_type="inference",
            logging_file=False,
            bundle_root=str(config.parent.parent),
            dataset_dir=str(datalist.resolve()),
            output_dir=str(output.resolve()),
            section=section,
        )
        workflow.initialize()
        evaluator = workflow.parser.get_parsed_content("evaluator")
    with progress(total, "evaluating") as begin:
        evaluator.add_event_handler(Events.ITERATION_STARTED, lambda engine: begin(_name(engine.state.batch)))
        workflow.run()
    workflow.finalize()
    metrics: dict[str, Any] = {"provenance": provenance(), **json.loads(written.read_text())}
    write_whole(written, json.dumps(metrics, indent=2) + "\n")
    return metrics


def _name(batch: Any) -> str:
    """The case of an evaluator's batch, a dictionary or a list of items."""
    item = batch[0] if isinstance(batch, Sequence) else batch
    name = item.get("case", "")
    return str(name if isinstance(name, str) else name[0])


def _result(case: Case, output: Path, failed: dict[str, str], *, pictures: bool, volumes: bool) -> Result:
    """What the bundle wrote for a case."""
    if case.name in failed:
        reason = failed[case.name]
        code = reason.rsplit("[", 1)[-1].removesuffix("]") if reason.endswith("]") else "FAILED"
        return Result(record=CaseRecord.failed(case.name, str(case.image), code=code, reason=reason))
    return safely(case, lambda case: _written(case, output, pictures=pictures, volumes=volumes))


def _written(case: Case, output: Path, *, pictures: bool, volumes: bool) -> Result:
    import nibabel as nib
    import numpy as np

    from anomaly import Examination, Finding
    from data_prep import read_volume

    outputs = result_files(case.name)
    exam = Examination(
        finding=Finding.model_validate_json((output / outputs["finding"]).read_text()),
        mask=np.asarray(nib.load(output / outputs["mask"]).dataobj).astype(np.uint8),  # type: ignore[attr-defined]
        score=np.asarray(nib.load(output / outputs["score"]).dataobj, dtype=np.float32),  # type: ignore[attr-defined]
    )
    volume = read_volume(case.image)
    return summarise(case, volume, exam, outputs=outputs, pictures=pictures, volumes=volumes, truths=True)
