"""The command line `healthytwin`."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli import archive as archive_cli
from pipelines.cli.benchmark import benchmark
from pipelines.cli.calibrate import calibrate
from pipelines.cli.demo import demo
from pipelines.cli.detect import detect
from pipelines.cli.doctor import doctor
from pipelines.cli.evaluate import evaluate
from pipelines.cli.examples import WithExamples
from pipelines.cli.inspect import inspect
from pipelines.cli.label import label
from pipelines.cli.plant import plant
from pipelines.cli.prepare import prepare
from pipelines.cli.pretrain import pretrain
from pipelines.cli.train import train
from pipelines.problems import ExitCode

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


for command in (demo, inspect, prepare, detect, train, pretrain, plant, evaluate, benchmark, calibrate, doctor, label):
    app.command()(command)
archive_cli.register(app)


def main() -> None:
    """Entry point; raises SystemExit with an `ExitCode`."""
    app()
