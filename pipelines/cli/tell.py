"""`tell`: how every command ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import typer
from pydantic import BaseModel

from pipelines.problems import ExitCode

_Run = TypeVar("_Run", bound="BaseModel | dict[str, Any]")


def tell(run: _Run, as_json: bool, show: Callable[[_Run], object]) -> NoReturn:
    """Print what a command gave, and end it.

    Args:
        run: its record, or what else it gave, by name.
        as_json: as one JSON document on standard output.
        show: prints it for a person.

    Raises:
        typer.Exit: with the record's `exit_code`; 0 where it has none.
    """
    if not as_json:
        show(run)
    elif isinstance(run, BaseModel):
        typer.echo(run.model_dump_json(indent=2))
    else:
        typer.echo(json.dumps(run, indent=2))
    raise typer.Exit(int(getattr(run, "exit_code", ExitCode.DONE)))
