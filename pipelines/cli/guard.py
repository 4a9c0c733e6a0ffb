"""Errors of a command turned into one line and an exit code."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import typer

from data_prep.errors import without_folders
from pipelines.machine.files import printable
from pipelines.problems import CommandError, ExitCode, causes, one_line


@contextmanager
def guarded(
    *, as_json: bool = False, debug: bool = False, when_stopped: Callable[[], str] | None = None
) -> Iterator[None]:
    """Run a command's body: whatever goes wrong in it becomes one sentence and an exit code.

    What libraries print goes to standard error, so that standard output holds only results.

    Args:
        as_json: also print `{"error": {"code", "message"}}` on standard output.
        debug: also print the traceback.
        when_stopped: says after Ctrl-C what is kept and how to go on.

    Raises:
        typer.Exit: with an `ExitCode`.
    """
    try:
        with redirect_stdout(sys.stderr):
            yield
    except typer.Exit:
        raise
    except (Exception, KeyboardInterrupt) as error:
        code, message = _explain(error)
        message = without_folders(printable(message))
        if code is ExitCode.INTERRUPTED and when_stopped is not None:
            message = f"{message} {when_stopped()}"
        if debug:
            traceback.print_exc()
        if code is not ExitCode.INTERRUPTED:
            typer.secho("error: ", err=True, nl=False, fg=typer.colors.RED, bold=True)
        typer.echo(message, err=True)
        if as_json:
            typer.echo(json.dumps({"error": {"code": int(code), "message": message}}, indent=2))
        raise typer.Exit(int(code)) from None


def _explain(error: BaseException) -> tuple[ExitCode, str]:
    from anomaly import BundleError
    from data_prep import InputError

    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED, "Stopped."
    for cause in causes(error):
        if isinstance(cause, CommandError):
            return cause.code, str(cause)
        if isinstance(cause, InputError):
            return ExitCode.USAGE, f"{Path(cause.path).name}: {cause.reason} [{cause.code}]"
        if isinstance(cause, BundleError):
            return ExitCode.USAGE, str(cause)
    hint = "this is a fault of healthytwin, not yours; run with --debug for the traceback"
    return ExitCode.INTERNAL, f"{one_line(error)} ({hint})"
