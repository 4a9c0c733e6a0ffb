"""`healthytwin demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.detect import show_run
from pipelines.cli.guard import guarded
from pipelines.cli.options import Bundle, Debug, Json, Output
from pipelines.cli.tell import tell

if TYPE_CHECKING:
    from pipelines.record import RunRecord


def demo(
    output: Output = Path("healthytwin-demo"),
    bundle: Bundle = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed makes other heads and lesions.")] = 0,
    show: Annotated[bool, typer.Option("--open", help="Open the report in a browser.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Try it: make a few heads with and without lesions, examine them, write a report. Needs no data, no network."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.detect.demo import demo as run_demo

        run = run_demo(output, bundle=bundle, seed=seed)
    if show and run.report and typer.launch(Path(run.report).resolve().as_uri()):
        typer.echo("No browser could be started here. Open the report yourself.", err=True)
    tell(run, as_json, _show)


def _show(run: RunRecord) -> None:
    from pipelines.detect.demo import summary

    show_run(run)
    typer.echo(f"\n{summary(run)}")
    typer.echo("Next, examine your own scans: healthytwin detect my-study -o out")
