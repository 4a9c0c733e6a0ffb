"""What an image archive must hold once all results were sent to it: every object once, and no other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
from pydicom import dcmread
from sqlalchemy import select

from pipelines.reprocess.archive.deliver import SENT
from pipelines.reprocess.archive.store import Store
from pipelines.reprocess.ledger.ledger import Ledger, State
from pipelines.reprocess.ledger.tables import deliveries

if TYPE_CHECKING:
    from pydicom import Dataset

_KINDS = {"SEG": "seg", "SR": "sr"}  # by modality, as the ledger names them
Wanted = dict[tuple[str, str], tuple[str, Path]]  # modality and source series -> job, and the file in the archive


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What was found; all but `segmentations` and `reports` must be 0.

    Args:
        segmentations: source series that have a SEG.
        reports: source series that have an SR.
        missing: SEG and SR that a source series should have and has not.
        doubled: SEG and SR beyond the first of a source series, whatever their UIDs.
        strangers: objects that are no SEG or SR of exactly one source series that should have one.
        altered: objects that are not equal to the file that the archive of results has.
        unconfirmed: SEG and SR of which the ledger does not say that they were sent.
    """

    segmentations: int
    reports: int
    missing: int
    doubled: int
    strangers: int
    altered: int
    unconfirmed: int

    @property
    def clean(self) -> bool:
        """Is everything there once?"""
        return not (self.missing or self.doubled or self.strangers or self.altered or self.unconfirmed)


def look(archive: Path, objects: Iterable[Dataset]) -> Stored:
    """Compare what an image archive holds with what the jobs of an archive of results ask for.

    Objects are grouped by the series that they refer to, and not by their SOPInstanceUID: one that was made twice under
    two UIDs is there twice.

    Args:
        archive: of results; all its jobs are done.
        objects: all that the image archive holds.
    """
    ledger = Ledger.of(archive)
    wanted, confirmed = _wanted(archive, ledger), _confirmed(ledger)
    ledger.close()
    found = list(objects)
    made = {one.SeriesInstanceUID for one in found if one.Modality == "SEG"}
    keys = [(str(one.Modality), _source(one, made)) for one in found]
    numbers = Counter(keys)
    return Stored(
        segmentations=sum(modality == "SEG" for modality, _ in numbers.keys() & wanted.keys()),
        reports=sum(modality == "SR" for modality, _ in numbers.keys() & wanted.keys()),
        missing=len(wanted.keys() - numbers.keys()),
        doubled=sum(numbers[key] - 1 for key in numbers.keys() & wanted.keys()),
        strangers=sum(number for key, number in numbers.items() if key not in wanted),
        altered=sum(one != dcmread(wanted[key][1]) for key, one in zip(keys, found, strict=True) if key in wanted),
        unconfirmed=sum((job, _KINDS[modality]) not in confirmed for (modality, _), (job, _) in wanted.items()),
    )


def _wanted(archive: Path, ledger: Ledger) -> Wanted:
    """A report for every job of a DICOM series, and a segmentation where its mask is not empty."""
    wanted: Wanted = {}
    for row in ledger.rows(State.DONE):
        if row["kind"] != "dicom":
            continue
        folder, case = Store(archive).place(row["key"]), row["name"]
        series = json.loads((folder / f"{case}.json").read_text())["series_uid"]
        wanted["SR", series] = (row["key"], folder / f"{case}_sr.dcm")
        if np.asarray(nib.load(folder / f"{case}_mask.nii.gz").dataobj).any():
            wanted["SEG", series] = (row["key"], folder / f"{case}_seg.dcm")
    return wanted


def _confirmed(ledger: Ledger) -> set[tuple[str, str]]:
    query = select(deliveries.c.key, deliveries.c.kind).where(deliveries.c.state == SENT)
    with ledger.read() as connection:
        return {(row.key, row.kind) for row in connection.execute(query)}


def _source(one: Dataset, made: set[str]) -> str:
    """The one series that an object refers to; those of the segmentations that are there do not count."""
    groups = one.get("CurrentRequestedProcedureEvidenceSequence", []) if one.Modality == "SR" else [one]
    series = {item.SeriesInstanceUID for group in groups for item in group.get("ReferencedSeriesSequence", [])} - made
    return str(series.pop()) if len(series) == 1 else ""
