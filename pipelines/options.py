"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1. [default: cuda where there is one]")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", envvar="HEALTHYTWIN_DEBUG", help="Print tracebacks.")]
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
