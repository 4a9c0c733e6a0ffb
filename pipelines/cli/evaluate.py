"""`healthytwin evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.detect import show_run
from pipelines.cli.guard import guarded
from pipelines.cli.options import Bundle, BundleSha256, Debug, Json, Output, Precision
from pipelines.cli.tell import tell


def evaluate(
    datalist: Annotated[Path, typer.Argument(metavar="DATALIST", help="dataset.json, or the folder that has it.")],
    output: Output,
    bundle: Bundle = None,
    bundle_sha256: BundleSha256 = None,
    section: Annotated[str, typer.Option(help="Section of the datalist.")] = "test",
    report: Annotated[bool, typer.Option("--report/--no-report", help="Draw the cases into report.html.")] = True,
    precision: Precision = "auto",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure a bundle on labelled cases: metrics.json beside masks, score maps and findings."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.bundles import pinned
        from pipelines.evaluate.run import evaluate as run_evaluate

        run = run_evaluate(
            datalist,
            output,
            bundle=pinned(bundle, bundle_sha256),
            section=section,
            report=report,
            precision=precision,
        )
    tell(run, as_json, show_run)
