"""The command line `healthytwin`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines import archive_cli
from pipelines.cli_benchmark import benchmark
from pipelines.cli_calibrate import calibrate
from pipelines.cli_doctor import doctor
from pipelines.cli_label import label
from pipelines.cli_prepare import prepare
from pipelines.cli_train import plant, pretrain, train
from pipelines.examples import WithExamples
from pipelines.options import AllowGaps, Bundle, Debug, Device, Json, Output, SiteCalibration
from pipelines.problems import ExitCode, guarded

if TYPE_CHECKING:
    from pipelines.record import RunRecord

app = typer.Typer(
    name="healthytwin",
    cls=WithExamples,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Learn what healthy looks like; outline and score what differs. For research only, not a medical device.",
    epilog="Exit codes: 0 all done; 1 internal error; 2 usage or configuration; 3 some input failed, the rest is "
    "done; 4 nothing to do was found.",
)


@app.callback(invoke_without_command=True)
def healthytwin(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Take the options that stand before a command."""
    if version:
        from importlib import metadata

        typer.echo(f"healthytwin {metadata.version('healthytwin')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(int(ExitCode.USAGE))


def demo(
    output: Output = Path("healthytwin-demo"),
    bundle: Bundle = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed makes other heads and lesions.")] = 0,
    show: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Try it: make a few heads with and without lesions, examine them, write a report. No data, no network."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.demo import demo as run_demo

        run = run_demo(output, bundle=bundle, seed=seed)
    _tell(run, as_json=as_json, truths=True)
    if show and run.report:
        typer.launch(Path(run.report).resolve().as_uri())
    raise typer.Exit(int(run.exit_code))


def inspect(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Files, folders, zip archives: what is about to be used.")
    ],
    allow_gaps: AllowGaps = False,
    modality: Annotated[
        list[str] | None, typer.Option(metavar="MR", help="A DICOM modality that is wanted. [default: MR, CT, PT]")
    ] = None,
    pixels: Annotated[bool, typer.Option("--pixels", help="Decode every series: slower, and finds more.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that read headers. [default: one for each core, at most 8]")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Tell what series there are, and whether each would be accepted, and why not. Reads headers only."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.inspect import inspect as run_inspect

        run = run_inspect(paths, allow_gaps=allow_gaps, modalities=modality, pixels=pixels, workers=workers)
    if as_json:
        typer.echo(run.model_dump_json(indent=2))
    else:
        from pipelines import console

        console.print_series(run)
        counts = ", ".join(f"{run.counts[verdict]} {verdict}" for verdict in ("ACCEPT", "SKIP", "QUARANTINE"))
        typer.echo(f"\n{counts}, in {run.seconds:.1f} s" if run.series else "nothing found: no image at all", err=True)
    raise typer.Exit(int(run.exit_code))


def detect(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="NIfTI, NRRD or DICOM files, folders or zip archives of them, lists."),
    ],
    output: Output,
    bundle: Bundle = None,
    device: Device = None,
    report: Annotated[bool, typer.Option("--report/--no-report", help="Draw the cases into report.html.")] = True,
    allow_gaps: AllowGaps = False,
    calibration: SiteCalibration = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Find what is abnormal: DICOM or NIfTI in; masks, score maps, findings and a report out."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.detect import detect as run_detect

        run = run_detect(
            paths,
            output,
            bundle=bundle,
            device=device,
            report=report,
            allow_gaps=allow_gaps,
            calibration=calibration,
        )
    _tell(run, as_json=as_json)
    raise typer.Exit(int(run.exit_code))


def evaluate(
    datalist: Annotated[Path, typer.Argument(metavar="DATALIST", help="dataset.json, or the folder that has it.")],
    output: Output,
    bundle: Bundle = None,
    section: Annotated[str, typer.Option(help="Section of the datalist.")] = "test",
    report: Annotated[bool, typer.Option("--report/--no-report", help="Draw the cases into report.html.")] = True,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure a bundle on labelled cases: metrics.json beside masks, score maps and findings."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.evaluate import evaluate as run_evaluate

        run = run_evaluate(datalist, output, bundle=bundle, section=section, report=report)
    _tell(run, as_json=as_json)
    raise typer.Exit(int(run.exit_code))


for command in (demo, inspect, prepare, detect, train, pretrain, plant, evaluate, benchmark, calibrate, doctor, label):
    app.command()(command)
archive_cli.register(app)


def main() -> None:
    """Entry point; raises SystemExit with an `ExitCode`."""
    app()


def _tell(run: RunRecord, *, as_json: bool, truths: bool = False) -> None:
    """Print what a run gave: the JSON document, or tables and where to look."""
    if as_json:
        typer.echo(run.model_dump_json(indent=2))
        return
    from pipelines import console, measures

    if not run.cases:
        typer.echo("nothing to do: no image file and no DICOM series found", err=True)
        return
    console.print_cases(run)
    if truths:
        typer.echo()
        console.print_truths(run)
    if run.metrics is not None:
        typer.echo()
        console.print_measures(measures.measures(run.metrics))
    counts = Counter(case.status for case in run.cases)
    numbers = f"{counts['done']} done, {counts['failed']} failed, {counts['skipped']} skipped"
    typer.echo(f"\n{numbers}, in {run.seconds:.0f} s: {run.output}")
    if run.report:
        typer.echo(f"report: {Path(run.report).resolve()}")
