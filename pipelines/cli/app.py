"""The command line `healthytwin`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pipelines.cli.commands import COMMANDS, GROUPS
from pipelines.cli.grouped import GroupedHelp
from pipelines.problems import CommandError, ExitCode
from pipelines.terminal.ending import end_process

_HELP = {"help_option_names": ["-h", "--help"]}
_PLAIN: dict[str, Any] = {
    "no_args_is_help": True,
    "rich_markup_mode": None,
    "cls": GroupedHelp,
    "context_settings": _HELP,
}
app = typer.Typer(
    name="healthytwin",
    pretty_exceptions_enable=False,
    help="Learn what healthy looks like; outline and score what differs. For research only, not a medical device.\n\n"
    "First: `healthytwin demo --open`. Help on a command: `healthytwin COMMAND -h`.",
    epilog="Exit codes: 0 all done; 1 internal error; 2 usage or configuration; 3 some input failed, the rest is "
    "done; 4 nothing to do was found.",
    **_PLAIN,
)
groups = {"": app}
for path, command in COMMANDS.items():
    group, _, name = path.rpartition(" ")
    if group not in groups:
        groups[group] = typer.Typer(name=group, help=GROUPS[group], **_PLAIN)
        app.add_typer(groups[group], rich_help_panel=command.heading)
    groups[group].command(
        name,
        epilog=f"Example: {command.example}",
        short_help=command.summary,
        rich_help_panel=command.heading,
        context_settings=_HELP,
    )(command.run)


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


def main() -> None:
    """Entry point; ends the process with an `ExitCode`."""
    from data_prep.child import stay_out_of_working_directory
    from pipelines.machine.private import keep_private

    stay_out_of_working_directory()
    code = 0
    try:
        keep_private()
        app()
    except CommandError as error:
        typer.echo(f"error: {error}", err=True)
        code = int(error.code)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    end_process(code)
