"""`Found`: one scan of a cohort, as a layout found it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_prep.series import Series


@dataclass(frozen=True, kw_only=True)
class Found:
    """One scan.

    Args:
        name: of the case.
        image: a file, or the place of a DICOM series; of several sequences the first that is not missing.
        images: of several sequences of one visit; None: missing. Empty: there is one.
        patient: who must not be in two sections; scans of one patient share it.
        label: a mask of what is abnormal, or None.
        site: where it was scanned; "" where not known.
        healthy: False: ill, or not known and from a set of the ill; None: nothing says so, and a folder that is
            given to be learnt from is taken to be healthy.
        section: given by the source, and kept; None: to be drawn.
        series: of a DICOM folder.
        meta: the other keys of a datalist's entry, kept.
    """

    name: str
    image: Path
    patient: str
    images: tuple[Path | None, ...] = ()
    label: Path | None = None
    site: str = ""
    healthy: bool | None = None
    section: str | None = None
    series: Series | None = field(default=None, repr=False, compare=False)
    meta: dict[str, Any] = field(default_factory=dict)
