"""The command `healthytwin doctor`."""

from __future__ import annotations

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, Json


def doctor(
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check what is installed here: packages, GPU, DICOM decoders, folders, bundles; and say what to mend and how."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.doctor import diagnose

        record = diagnose()
    if as_json:
        typer.echo(record.model_dump_json(indent=2))
    else:
        from pipelines.cli import tables

        tables.print_checks(record)
        broken = sum(check.state == "broken" for check in record.checks)
        typer.echo(f"\n{broken} to mend" if broken else "\nall that is needed works", err=bool(broken))
    raise typer.Exit(int(record.exit_code))
