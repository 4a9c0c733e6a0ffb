"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from pipelines.problems import CommandError

Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1. [default: cuda where there is one]")]
Precision = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Of the network's arithmetic: fp32, bf16, or auto, bf16 where the processor has it."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", envvar="HEALTHYTWIN_DEBUG", help="Print tracebacks.")]


def output(metavar: str, about: str) -> Any:
    """`--output`, `-o`, for `Annotated[Path, output("FILE", "...")]`."""
    return typer.Option("--output", "-o", metavar=metavar, help=about)


Output = Annotated[Path, output("DIR", "Folder for the results.")]
Bundle = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="The bundle to run. [default: $HEALTHYTWIN_BUNDLE or the one that is shipped]"),
]
BundleSha256 = Annotated[
    str | None,
    typer.Option(
        "--bundle-sha256",
        metavar="SHA256",
        envvar="HEALTHYTWIN_BUNDLE_SHA256",
        help="Take the bundle only if all its files together have this SHA-256; `doctor` tells it.",
    ),
]
AllowGaps = Annotated[
    bool,
    typer.Option("--allow-gaps", help="Take DICOM volumes with slices missing, fill the gaps in, and say so."),
]
SiteCalibration = Annotated[
    Path | None,
    typer.Option(
        "--calibration", metavar="FILE", help="Site calibration written by `calibrate`. [default: the bundle's own]"
    ),
]
Archive = Annotated[Path, typer.Argument(metavar="ARCHIVE", help="Folder that `reprocess -o` made.")]
SiteFile = Annotated[Path | None, typer.Option(metavar="FILE", help="Site settings, a YAML file.")]


def names(text: str | None) -> list[str] | None:
    """Words between commas; None where nothing was said."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


_Choice = TypeVar("_Choice", bound=str)


def numbers(option: str, text: str, *, at_least: float, at_most: float) -> tuple[float, float, float]:
    """Three numbers of a command line, between commas.

    Raises:
        CommandError: they are not three, or out of range.
    """
    try:
        one, two, three = (float(part) for part in text.split(","))
    except ValueError as error:
        msg = f"{option} needs three numbers such as 1,1,3, got {text!r}"
        raise CommandError(msg) from error
    if not all(at_least <= value <= at_most for value in (one, two, three)):
        msg = f"{option} needs numbers from {at_least:g} to {at_most:g}, got {text!r}"
        raise CommandError(msg)
    return one, two, three


def one_of(option: str, text: str | None, choices: Sequence[_Choice]) -> _Choice | None:
    """One of several words of a command line.

    Raises:
        CommandError: it is none of them.
    """
    if text is None:
        return None
    for choice in choices:
        if text == choice:
            return choice
    msg = f"{option} is one of {', '.join(choices)}, got {text!r}"
    raise CommandError(msg)
