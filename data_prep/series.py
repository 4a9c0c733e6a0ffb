"""`Series`: one volume found, with a verdict and, where it is accepted, its voxels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from data_prep.dicom.geometry import Stack
from data_prep.errors import InputError
from data_prep.formats.source import Source
from data_prep.formats.table import format_of, suffix_of
from data_prep.verdict import Verdict, verdict_of
from data_prep.volume import Volume, check_values


@dataclass(frozen=True, eq=False, kw_only=True)
class Series:
    """One volume, or what should be one.

    Args:
        name: of the case: a NIfTI file's name without extension; for DICOM a short hash of the SeriesInstanceUID,
            with a number where a series holds several volumes. Tells nothing of the patient.
        place: the path by which `read_volume` finds it again.
        kind: "dicom", a format's (`data_prep.formats.table`), or "file", which should be an image and cannot be read.
        code: the reason code, one of `data_prep.verdict.CODES`; "" where it is accepted.
        reason: one sentence that names the file; "" where it is accepted.
        uid: SeriesInstanceUID.
        study_uid: StudyInstanceUID; "" where there is none.
        sequence: known words for what was scanned, see `data_prep.dicom.sequence`; never free text.
        modality: such as MR; "" where not known.
        files: how many belong to it.
        sources: those files; empty where they are too many to list.
        shape: voxels along each axis, as far as it is known.
        spacing: millimetres between voxels along each axis, as far as it is known.
        flags: what is unusual about an accepted one: `orientation_assumed`, or those of `Stack`.
        stack: the sorted slices of an accepted DICOM volume.
    """

    name: str
    place: str
    kind: str
    code: str = ""
    reason: str = ""
    uid: str | None = None
    study_uid: str = ""
    sequence: str = ""
    modality: str = ""
    files: int = 1
    sources: tuple[Source, ...] = ()
    shape: tuple[int, ...] | None = None
    spacing: tuple[float, ...] | None = None
    flags: tuple[str, ...] = ()
    stack: Stack | None = None

    @property
    def verdict(self) -> Verdict:
        """ACCEPT, SKIP (not for us) or QUARANTINE (unsafe)."""
        return verdict_of(self.code)

    def volume(self, *, allow_constant: bool = False) -> Volume:
        """Read the voxels.

        Args:
            allow_constant: accept one value throughout, as the label of a healthy case has.

        Returns:
            Integers as they are stored, or float32 where they are rescaled by fractions; the affine to RAS+ mm.
            Slices that `allow_gaps` let be missing are interpolated linearly between their neighbours.

        Raises:
            InputError: the reason of a series that is not accepted; what only the pixels tell: TRUNCATED,
                DECODE_FAILED, TOO_LARGE, NAN or EMPTY.
        """
        if self.code:
            raise InputError(self.place, self.code, self.reason)
        if self.stack is None:
            return _read_file(self, allow_constant=allow_constant)
        from data_prep.dicom.pixels import read_pixels

        array, digest = read_pixels(self.stack.instances, self.place)
        check_values(self.place, array, allow_constant=allow_constant)
        if len(self.stack.places) < self.stack.shape[2]:
            array = _fill_gaps(array, self.stack.places)
        return Volume(array, self.stack.affine, self.place, self.uid, digest, self.flags)

    def checked(self) -> Series:
        """This series, refused if its pixels cannot be read: for a verdict that the headers alone cannot give."""
        if self.code:
            return self
        try:
            self.volume()
        except InputError as error:
            return replace(self, code=error.code, reason=error.reason)
        return self


def _read_file(series: Series, *, allow_constant: bool) -> Volume:
    source = series.sources[0]
    kind = format_of(source)
    if kind is None:
        raise InputError(series.place, "NOT_AN_IMAGE", f"{source.name} has changed since it was found")
    return kind.read(source, allow_constant=allow_constant)


def _fill_gaps(array: np.ndarray, places: tuple[int, ...]) -> np.ndarray:
    """`(i, j, n)` at the indices `places` to `(i, j, places[-1] + 1)`, float32, linear in between."""
    filled = np.empty((*array.shape[:2], places[-1] + 1), np.float32)
    for index, (low, high) in enumerate(pairwise(places)):
        one, two = array[..., index].astype(np.float32), array[..., index + 1].astype(np.float32)
        for place in range(low, high):
            part = (place - low) / (high - low)
            filled[..., place] = (1 - part) * one + part * two
    filled[..., -1] = array[..., -1]
    return filled


def file_name(path: str | Path) -> str:
    """A file's name without an image's extension."""
    name = str(path).rpartition("/")[2]
    suffix = suffix_of(name) or next((suffix for suffix in _OTHERS if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)] or name


_OTHERS = (".dcm", ".img", ".img.gz")  # of images, and none by which a format is known
