"""`healthytwin evaluate`: a bundle's own `evaluate.yaml` through `monai.bundle`, with progress and a report."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.bundles import check_precision, find_bundle, is_of_pictures
from pipelines.cohort.labelled import check_labelled
from pipelines.detect.case import safely, summarise
from pipelines.detect.cases import skip_record
from pipelines.detect.run import describe, finish
from pipelines.machine.files import printable, writable_folder, write_whole
from pipelines.machine.provenance import provenance
from pipelines.outputs.ours import check_apart
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
    datalist: Path,
    output: Path,
    *,
    bundle: Path | None = None,
    section: str = "test",
    report: bool = True,
    precision: str = "auto",
) -> RunRecord:
    """Run a bundle's evaluation over a labelled section of a datalist.

    Args:
        datalist: the datalist or its folder.
        output: folder for `metrics.json` and, for every case, what `detect` writes.
        bundle: its folder; see `find_bundle`.
        section: of the datalist.
        report: draw every case and write `report.html`.
        precision: auto, fp32 or bf16; see `anomaly.precision`.

    Raises:
        InputError: the datalist is missing or has no such section.
        CommandError: no case has a label, the output cannot be written, or there is no such bundle.
        BundleError: the bundle is incomplete.
    """
    started = time.perf_counter()
    root = find_bundle(bundle)
    config = root / "configs" / "evaluate.yaml"
    if not config.is_file():
        msg = f"{config}: this bundle has no evaluation"
        raise CommandError(msg)
    check_apart([datalist], output)
    check_precision(precision)
    cases = check_labelled(datalist, section, flat=is_of_pictures(root) or None)
    run = RunRecord(command="evaluate", output=str(output))
    if not cases:
        return run
    writable_folder(output)
    skipped = [Result(record=skip_record(case)) for case in cases if case.skipped]
    done = _run_bundle(run, config, [case for case in cases if not case.skipped], section, precision, pictures=report)
    describe(run, done)
    return finish(run, [*done, *skipped], started=started, title=f"Evaluation: {section}" if report else None)


def _run_bundle(
    run: RunRecord, config: Path, cases: list[Case], section: str, precision: str, *, pictures: bool
) -> list[Result]:
    """Run the workflow in this process; `run` gets its `metrics.json`, with command, commit and machine added."""
    from ignite.engine import Events
    from monai.bundle import ConfigWorkflow

    from anomaly.detector import bundle_precision

    output = Path(run.output)
    written = output / "metrics.json"
    written.unlink(missing_ok=True)
    with waiting(f"loading {config.parent.parent.name}"), without_chatter():
        workflow = ConfigWorkflow(
            config_file=str(config),
            workflow_type="inference",
            logging_file=False,
            bundle_root=str(config.parent.parent),
            dataset_dir=tuple(cases),  # found already; a tuple, as the parser would look into a list
            output_dir=str(output.resolve()),
            section=section,
        )
        workflow.parser["evaluator::precision"] = bundle_precision(workflow.parser, precision)
        workflow.initialize()
        evaluator = workflow.parser.get_parsed_content("evaluator")
    results = _Results(cases, pictures=pictures)
    with progress(len(cases), "evaluating") as begin:
        evaluator.add_event_handler(Events.ITERATION_STARTED, lambda engine: begin(_name(engine.state.batch)))
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, results.collect)
        workflow.run()
    workflow.finalize()
    run.metrics = {"provenance": provenance(), **json.loads(written.read_text())}
    write_whole(written, json.dumps(run.metrics, indent=2) + "\n")
    return results.all(evaluator.failures)


class _Results:
    """What the evaluator's handlers say of every case, and its picture.

    Args:
        cases: in the order of the report.
        pictures: draw every case.
    """

    def __init__(self, cases: list[Case], *, pictures: bool) -> None:
        self.cases = {case.name: case for case in cases}
        self.pictures, self.volumes = pictures, pictures and find_scripts() is not None
        self.found: list[Result] = []

    def collect(self, engine: Any) -> None:
        """Take over the cases of one iteration."""
        for item, output in zip(engine.state.batch, engine.state.output, strict=True):
            self.found.append(safely(self.cases[item["case"]], partial(self._summary, output)))
            spare_volumes(self.found)

    def _summary(self, output: dict[str, Any], case: Case) -> Result:
        label = output.get("label")  # on the image's voxels, as it was measured
        return summarise(
            case,
            case.volume(),
            output["examination"],
            outputs=result_files(case.name),
            pictures=self.pictures,
            volumes=self.volumes,
            truth=None if label is None else label[0].cpu().numpy() > 0,
        )

    def all(self, failures: list[dict[str, str]]) -> list[Result]:
        """Of every case, in order; those that could not be read as failed."""
        found = {result.record.case: result for result in self.found}
        reasons = {row["case"]: row for row in failures}
        return [found.get(name) or _failed(case, reasons[name]) for name, case in self.cases.items()]


def _failed(case: Case, row: dict[str, str]) -> Result:
    reason = printable(row["reason"])
    return Result(
        record=CaseRecord.failed(case.name, printable(case.image), code=row.get("code", "FAILED"), reason=reason)
    )


def _name(batch: Any) -> str:
    """The case of an evaluator's batch, a dictionary or a list of items."""
    item = batch[0] if isinstance(batch, Sequence) else batch
    name = item.get("case", "")
    return str(name if isinstance(name, str) else name[0])
