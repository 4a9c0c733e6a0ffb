"""`healthytwin inspect`: the series found, whether each would be accepted, and if not, why."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from pipelines.machine.cores import default_workers
from pipelines.machine.files import printable
from pipelines.problems import CommandError, ExitCode
from pipelines.terminal.progress import counting

if TYPE_CHECKING:
    from data_prep import Series


class SeriesRecord(BaseModel):
    """One series and its verdict."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="name of the case that `detect` would make of it")
    place: str = Field(description="path that `detect` takes")
    kind: str = Field(description="dicom, a format such as nifti, or file: should be an image and cannot be read")
    verdict: str
    code: str = ""
    reason: str = ""
    modality: str = ""
    files: int = 1
    shape: list[int] | None = Field(default=None, description="voxels along each axis")
    spacing_mm: list[float] | None = None
    flags: list[str] = Field(default_factory=list)


class PassedRecord(BaseModel):
    """Files of one kind that were found and not used."""

    model_config = ConfigDict(extra="forbid")

    why: str
    suffix: str
    files: int
    first: str = Field(description="the name of one")


class InspectRecord(BaseModel):
    """One run of `healthytwin inspect`."""

    model_config = ConfigDict(extra="forbid")

    schema_version: str = "1.0"
    command: str = "inspect"
    paths: list[str]
    allow_gaps: bool = False
    pixels_checked: bool = False
    seconds: float = 0.0
    series: list[SeriesRecord] = Field(default_factory=list)
    passed_over: list[PassedRecord] = Field(default_factory=list)
    remark: str = Field(default="", description="what was passed over, in words")

    @property
    def counts(self) -> Counter[str]:
        """How many series of each verdict."""
        return Counter(series.verdict for series in self.series)

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with."""
        if not self.series:
            return ExitCode.NOTHING_FOUND
        return ExitCode.SOME_FAILED if self.counts["QUARANTINE"] else ExitCode.DONE


def inspect(
    paths: Sequence[Path],
    *,
    allow_gaps: bool = False,
    modalities: Iterable[str] | None = None,
    pixels: bool = False,
    workers: int | None = None,
) -> InspectRecord:
    """Look at every series at `paths`.

    Args:
        paths: files, folders, zip archives.
        allow_gaps: accept volumes in which whole slices are missing.
        modalities: that are wanted; None: MR, CT, PT and those of pictures. Single images of MR or CT are accepted
            where there is nothing else.
        pixels: decode every accepted series, for what headers do not tell.
        workers: processes that read headers; None: one for each core, at most 8.

    Raises:
        CommandError: none of the paths exists.
    """
    from data_prep import discover, unique_names
    from data_prep.dicom.picture import PICTURE_MODALITIES
    from data_prep.find.discovery import MODALITIES
    from data_prep.find.passed import PassedOver

    started = time.perf_counter()
    if not any(Path(path).exists() for path in paths) and all(".zip" not in str(path).lower() for path in paths):
        msg = "; ".join(f"{path}: there is no such file or folder" for path in paths)
        raise CommandError(msg)
    run = InspectRecord(paths=[printable(path) for path in paths], allow_gaps=allow_gaps, pixels_checked=pixels)
    wanted = list(modalities or (*MODALITIES, *PICTURE_MODALITIES))
    for flat in (None, True):
        passed, before = PassedOver(), run.series
        options: dict[str, Any] = {"allow_gaps": allow_gaps, "modalities": wanted, "flat": flat, "passed": passed}
        found = discover(paths, workers=workers or default_workers(), **options)
        run.series = list(counting(_records(unique_names(found), pixels=pixels), "looking"))
        if run.counts["ACCEPT"] or not any(series.code == "SINGLE_SLICE" for series in run.series):
            break
    run.series = run.series if run.counts["ACCEPT"] else before or run.series
    run.passed_over = [PassedRecord(**one._asdict() | {"first": printable(one.first)}) for one in passed]
    run.remark = printable(passed.sentence())
    run.seconds = round(time.perf_counter() - started, 3)
    return run


def _records(found: Iterable[Series], *, pixels: bool) -> Iterator[SeriesRecord]:
    for series in found:
        known = series.checked() if pixels else series
        yield SeriesRecord(
            name=known.name,
            place=printable(known.place),
            kind=known.kind,
            verdict=known.verdict.value,
            code=known.code,
            reason=printable(known.reason),
            modality=known.modality,
            files=known.files,
            shape=None if known.shape is None else list(known.shape),
            spacing_mm=None if known.spacing is None else [round(length, 4) for length in known.spacing],
            flags=list(known.flags),
        )
