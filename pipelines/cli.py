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
from pipelines.examples import WithExamples
from pipelines.options import Debug, Device, Json
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

Output = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.")]
Bundle = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The bundle to run. [default: $HEALTHYTWIN_BUNDLE or the one that is shipped]"),
]
AllowGaps = Annotated[
    bool,
    typer.Option("--allow-gaps", help="Take DICOM volumes with slices missing, fill the gaps in, and say so."),
]
SiteCalibration = Annotated[
    Path | None,
    typer.Option("--calibration", metavar="FILE", help="Of the site, by `calibrate`. [default: the bundle's own]"),
]


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


@app.command()
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


@app.command()
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


@app.command()
def prepare(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Folders of scans: plain, BIDS, or a public data set.")
    ],
    output: Output,
    sequence: Annotated[
        str | None, typer.Option(metavar="T1", help="The sequence that is wanted, where the data have several.")
    ] = None,
    layout: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="ixi, oasis1, oasis3, brats, brats2023, atlas, mslub, bids, datalist, folder."
        ),
    ] = "auto",
    split: Annotated[
        str, typer.Option(metavar="N,N,N", help="Percent of the healthy patients to train, validate and test.")
    ] = "70,15,15",
    seed: Annotated[int, typer.Option(min=0, help="Another seed divides the patients in another way.")] = 0,
    n4: Annotated[bool, typer.Option("--n4", help="Correct the bias field (N4).")] = False,
    skull_strip: Annotated[
        str | None, typer.Option(metavar="COMMAND", help="Remove the skull by an installed tool, such as hd-bet.")
    ] = None,
    spacing: Annotated[
        str | None, typer.Option(metavar="MM,MM,MM", help="Resample to this voxel size along the scan's axes.")
    ] = None,
    standardise: Annotated[
        str | None, typer.Option(metavar="HOW", help="Bring intensities to one scale: percentile or nyul.")
    ] = None,
    exclude: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Names of scans to leave out, as the contact sheet saves them.")
    ] = None,
    allow_gaps: AllowGaps = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Build a datalist: scans divided by patient, checked for leakage, prepared once, shown on a contact sheet."""
    with guarded(
        as_json=as_json, debug=debug, when_stopped=lambda: "what is prepared is kept; the same command takes it over"
    ):
        from data_prep.cohort.steps import Steps
        from pipelines.prepare import numbers, one_of
        from pipelines.prepare import prepare as run_prepare

        steps = Steps(
            n4=n4,
            skull_strip=skull_strip,
            spacing=None if spacing is None else numbers("--spacing", spacing, at_least=0.05, at_most=50.0),
            standardise=one_of("--standardise", standardise, ("percentile", "nyul")),
        )
        train, validate, test = numbers("--split", split, at_least=0.0, at_most=100.0)
        total = train + validate + test or 1.0
        run = run_prepare(
            sources,
            output,
            steps=steps,
            layout=layout,
            sequence=sequence,
            shares=(train / total, validate / total, test / total),
            seed=seed,
            exclude=exclude,
            allow_gaps=allow_gaps,
        )
    if as_json:
        typer.echo(run.model_dump_json(indent=2))
    else:
        from pipelines import console

        console.print_scans(run)
        typer.echo(
            f"datalist: {run.datalist}" if run.datalist else "nothing found: no scan at all", err=not run.datalist
        )
        if run.contact_sheet:
            typer.echo(f"contact sheet, to be looked at: {Path(run.contact_sheet).resolve()}")
    raise typer.Exit(int(run.exit_code))


@app.command()
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


@app.command()
def train(
    datalist: Annotated[
        Path, typer.Argument(metavar="DATALIST", help="dataset.json or its folder, or a folder of healthy scans.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="BUNDLE", help="Folder of the bundle to make.")],
    like: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Take preparation and anomalies from this bundle, not from the scans."),
    ] = None,
    start_from: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Go on from this bundle's weights; their licence then binds yours."),
    ] = None,
    encoder_weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="MedicalNet weights for the encoder, or hub:owner/repo/file.")
    ] = None,
    families: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Anomalies to plant; twice named, twice as often."),
    ] = None,
    held_out_families: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Anomalies to plant in validation, to choose the checkpoint.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Validations, and rests to resume from.")] = 10,
    steps: Annotated[int, typer.Option(min=1, help="Steps of an epoch.")] = 140,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows in one step.")] = 3,
    patience: Annotated[int, typer.Option(min=1, help="End after so many validations without a better one.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Two trainings with one seed give the same weights.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted training.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Train and calibrate a bundle on healthy scans alone; no label, no config to edit."""

    def when_stopped() -> str:
        from pipelines.train import can_resume

        if can_resume(output):
            return "the same command with --resume goes on after the last whole epoch"
        return "no epoch was whole yet; the same command begins again"

    with guarded(as_json=as_json, debug=debug, when_stopped=when_stopped):
        from pipelines.train import train as run_train

        settings = {
            "epochs": epochs,
            "steps": steps,
            "batch_size": batch_size,
            "patience": patience,
            "seed": seed,
            "families": _names(families),
            "held_out_families": _names(held_out_families),
        }
        run = run_train(
            datalist,
            output,
            like=like,
            start_from=start_from,
            encoder_weights=encoder_weights,
            settings={key: value for key, value in settings.items() if value is not None},
            resume=resume,
        )
    if as_json:
        typer.echo(run.model_dump_json(indent=2))
    else:
        for scan in run.refused:
            typer.echo(f"left out: {scan.reason}", err=True)
        for note in (*run.notes, run.promise):
            typer.echo(f"note: {note}")
        best = "not measured" if run.voxel_ap is None else f"{run.voxel_ap:.3f}"
        typer.echo(
            f"\n{run.training} scans trained on, {run.validation} kept back; voxel AP on planted anomalies {best}; "
            f"{run.seconds / 60:.1f} min"
        )
        typer.echo(f"pictures of the training: {run.pictures}\nbundle: {run.bundle}")
    raise typer.Exit(int(run.exit_code))


@app.command()
def pretrain(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Datalists or folders: any volumes, healthy or not.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The encoder's weights, a .pth file.")],
    depth: Annotated[int, typer.Option(help="Layers of the encoder: 10, 18, 34 or 50.")] = 10,
    steps: Annotated[int, typer.Option(min=1, help="Steps of the optimiser.")] = 600,
    batch_size: Annotated[int, typer.Option(min=1, help="Windows in one step.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Two runs with one seed give the same weights.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make an encoder for `train --encoder-weights` from all the volumes there are, in MedicalNet's file layout."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.pretrain import pretrain as run_pretrain
        from pipelines.problems import CommandError

        if depth not in (10, 18, 34, 50):
            msg = f"--depth must be 10, 18, 34 or 50, got {depth}"
            raise CommandError(msg)
        run = run_pretrain(sources, output, depth=depth, steps=steps, batch_size=batch_size, seed=seed)
    if as_json:
        typer.echo(run.model_dump_json(indent=2))
    else:
        for volume in run.refused:
            typer.echo(f"left out: {volume.reason}", err=True)
        if run.damage is not None:
            typer.echo(
                f"error under the damage of {run.held_out} volumes that were not trained on: {run.damage:.3f}, "
                f"{run.restored:.3f} once restored"
            )
        typer.echo(f"encoder: {run.output}")
    raise typer.Exit(int(run.exit_code))


@app.command()
def plant(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Healthy scans: dataset.json or its folder, or a folder of scans.")
    ],
    output: Output,
    families: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="What to plant; for an honest test, none that was trained on.")
    ] = "poisson,swap,scattered",
    section: Annotated[
        str | None, typer.Option(help="Section of the datalist. [default: the first with cases]")
    ] = None,
    copies: Annotated[int, typer.Option(min=1, help="With lesions, of each scan.")] = 1,
    radius: Annotated[
        tuple[float, float], typer.Option(metavar="MM MM", help="Smallest and largest half width of a lesion.")
    ] = (6.0, 30.0),
    seed: Annotated[int, typer.Option(min=0, help="Another seed plants other lesions.")] = 0,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a labelled test cohort from healthy scans: each as it is, and again with lesions planted into it."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.plant import plant as run_plant

        run = run_plant(
            source,
            output,
            families=_names(families) or [],
            section=section,
            copies=copies,
            radius=radius,
            seed=seed,
        )
    if as_json:
        typer.echo(run.model_dump_json(indent=2))
    else:
        for scan in run.refused:
            typer.echo(f"left out: {scan.reason}", err=True)
        for name in run.bare:
            typer.echo(f"left out: {name}: no lesion could be seen", err=True)
        typer.echo(f"{run.healthy} healthy scans, {run.planted} with lesions, in {run.seconds:.0f} s\n{run.datalist}")
    raise typer.Exit(int(run.exit_code))


@app.command()
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


app.command()(benchmark)
app.command()(calibrate)
app.command()(doctor)
app.command()(label)
archive_cli.register(app)


def main() -> None:
    """Entry point; raises SystemExit with an `ExitCode`."""
    app()


def _names(text: str | None) -> list[str] | None:
    """Words between commas; None where nothing was said."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


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
