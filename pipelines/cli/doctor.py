"""The command `healthytwin doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, Json
from pipelines.cli.tell import tell

if TYPE_CHECKING:
    from pipelines.doctor import DoctorRecord


def doctor(
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check what is installed here: packages, GPU, DICOM decoders, folders, bundles; and say what to mend and how."""
    with guarded(as_json=as_json, debug=debug):
        from pipelines.doctor import diagnose

        record = diagnose()
    tell(record, as_json, _show)


def _show(record: DoctorRecord) -> None:
    from pipelines.cli import tables

    tables.print_checks(record)
    broken = sum(check.state == "broken" for check in record.checks)
    typer.echo(f"\n{broken} to fix" if broken else "\neverything required works", err=bool(broken))
