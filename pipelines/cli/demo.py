"""`healthytwin demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.detect import show_run
from pipelines.cli.guard import guarded
from pipelines.cli.options import Bundle, Debug, Json, Output
from pipelines.cli.tell import tell


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
        from pipelines.detect.demo import demo as run_demo

        run = run_demo(output, bundle=bundle, seed=seed)
    if show and run.report:
        typer.launch(Path(run.report).resolve().as_uri())
    tell(run, as_json, show_run)
