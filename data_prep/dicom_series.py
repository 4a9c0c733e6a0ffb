"""DICOM series: instances grouped, checked for one regular grid, sorted by position.

Readers in common use accept a series with a missing or doubled slice and return a volume of the wrong height.
Here such a series is refused (DICOM PS3.3 C.7.6.2 image plane, C.7.6.1 general image).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.errors import InputError

_TAGS = [
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "RescaleSlope",
    "RescaleIntercept",
    "EchoTime",
    "TemporalPositionIdentifier",
    "TransferSyntaxUID",
]
_MIN_TOLERANCE_MM = 0.05  # positions are written with about four digits
_RELATIVE_TOLERANCE = 0.02  # of the distance between slices
_MAX_TILT = 0.01  # sine of the angle between stacking direction and slice normal; more shears the volume


@dataclass(frozen=True, eq=False)
class Series:
    """One DICOM series: its UID and its instances, sorted along the slice normal once `checked`.

    Args:
        uid: SeriesInstanceUID.
        files: the instances' files.
        headers: their headers without pixels, in the same order.
    """

    uid: str
    files: tuple[Path, ...]
    headers: tuple[Any, ...]

    @property
    def name(self) -> str:
        """A short name that tells nothing of the patient: 12 hex digits of the UID's SHA-256."""
        return hashlib.sha256(self.uid.encode()).hexdigest()[:12]

    @property
    def folder(self) -> Path:
        """Where its first instance lies."""
        return self.files[0].parent

    def checked(self) -> Series:
        """Sorted by position, if this is one regular volume.

        Raises:
            InputError: UNSUPPORTED_MULTIFRAME, WRONG_DIMENSION, NO_GEOMETRY, MIXED_GRID, MULTI_VOLUME,
                DUPLICATE_CONFLICT, MISSING_SLICES or VARIABLE_SPACING.
        """
        for file, header in zip(self.files, self.headers, strict=True):
            _check_instance(file, header)
        _check_same(self)
        positions = np.array([h.ImagePositionPatient for h in self.headers], dtype=float)
        order, gaps = _stack(self, positions)
        _check_gaps(self, gaps, [self.files[index] for index in order])
        return Series(self.uid, tuple(self.files[i] for i in order), tuple(self.headers[i] for i in order))

    def input_hash(self) -> str:
        """SHA-256 over the instances' contents, in the order of their SOPInstanceUIDs."""
        pairs = sorted(zip((str(h.SOPInstanceUID) for h in self.headers), self.files, strict=True))
        digest = hashlib.sha256()
        for _, file in pairs:
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()


def find_series(files: Iterable[Path]) -> list[Series]:
    """Group DICOM instances by SeriesInstanceUID; files that are no DICOM images are passed over.

    Returns:
        The series in the order of their first file, unchecked.
    """
    groups: dict[str, list[tuple[Path, Any]]] = {}
    for file in sorted(files):
        if (header := read_header(file)) is not None:
            groups.setdefault(str(header.SeriesInstanceUID), []).append((file, header))
    return [Series(uid, *(tuple(part) for part in zip(*pairs, strict=True))) for uid, pairs in groups.items()]


def read_header(file: Path) -> Any | None:
    """The header of a DICOM image, or None where the file is none (no DICOM, DICOMDIR, a report...)."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    if file.name.upper() == "DICOMDIR" or file.name.startswith("."):
        return None
    try:
        header = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=_TAGS)
    except (InvalidDicomError, OSError, EOFError, ValueError):
        return None
    return header if "SeriesInstanceUID" in header and "Rows" in header else None


def _check_instance(file: Path, header: Any) -> None:
    if int(header.get("NumberOfFrames") or 1) > 1:
        reason = "an enhanced multi-frame file; these are not read yet"
        raise InputError(file, "UNSUPPORTED_MULTIFRAME", reason)
    if int(header.get("SamplesPerPixel") or 1) != 1:
        raise InputError(file, "WRONG_DIMENSION", "a colour picture, not a slice of intensities")
    for tag, count in (("ImageOrientationPatient", 6), ("ImagePositionPatient", 3), ("PixelSpacing", 2)):
        if len(header.get(tag) or ()) != count:
            raise InputError(file, "NO_GEOMETRY", f"the slice does not say where it lies ({tag} is missing)")


def _check_same(series: Series) -> None:
    """One grid, one orientation, one echo, one point in time."""
    first = series.headers[0]
    for file, header in zip(series.files, series.headers, strict=True):
        same_spacing = np.allclose(_floats(header.PixelSpacing), _floats(first.PixelSpacing), rtol=1e-3)
        if (header.Rows, header.Columns) != (first.Rows, first.Columns) or not same_spacing:
            raise InputError(file, "MIXED_GRID", "its pixel grid differs from that of the series' other slices")
        turned = np.abs(_floats(header.ImageOrientationPatient) - _floats(first.ImageOrientationPatient)).max()
        if turned > 1e-3:
            reason = "its orientation differs from that of the series' other slices (a localizer?)"
            raise InputError(file, "MULTI_VOLUME", reason)
        for tag in ("EchoTime", "TemporalPositionIdentifier"):
            if str(header.get(tag, "")) != str(first.get(tag, "")):
                raise InputError(series.folder, "MULTI_VOLUME", f"the series holds several volumes ({tag} differs)")
        if len(series.files) < 2:
            raise InputError(file, "WRONG_DIMENSION", "a single slice is no volume")


def _stack(series: Series, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order along the slice normal, and the gaps between neighbours in mm."""
    row, column = _floats(series.headers[0].ImageOrientationPatient).reshape(2, 3)
    normal = np.cross(row, column)
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    across = positions[order[-1]] - positions[order[0]]
    length = float(np.linalg.norm(across))
    if length > 0 and np.linalg.norm(across - (across @ normal) * normal) / length > _MAX_TILT:
        reason = "the slices are stacked askew (gantry tilt or mixed positions); this is not read yet"
        raise InputError(series.folder, "NO_GEOMETRY", reason)
    return order, np.diff(heights[order])


def _check_gaps(series: Series, gaps: np.ndarray, files: Sequence[Path]) -> None:
    typical = float(np.median(gaps))
    tolerance = max(_MIN_TOLERANCE_MM, _RELATIVE_TOLERANCE * typical)
    if (doubled := np.flatnonzero(gaps < min(_MIN_TOLERANCE_MM, max(typical, 1e-6) / 2))).size:
        pair = f"{files[doubled[0]].name} and {files[doubled[0] + 1].name}"
        raise InputError(series.folder, "DUPLICATE_CONFLICT", f"two slices lie at one place: {pair}")
    wide = np.flatnonzero(np.abs(gaps - typical) > tolerance)
    if not wide.size:
        return
    parts = gaps[wide] / typical
    after = files[wide[0]].name
    if np.allclose(parts, np.rint(parts), atol=0.1) and (np.rint(parts) >= 2).all():
        missing = int((np.rint(parts) - 1).sum())
        reason = f"{missing} slice(s) are missing, the first after {after} (a gap of {gaps[wide[0]]:.2f} mm)"
        raise InputError(series.folder, "MISSING_SLICES", reason)
    reason = f"the distance between slices varies from {gaps.min():.2f} to {gaps.max():.2f} mm (see {after})"
    raise InputError(series.folder, "VARIABLE_SPACING", reason)


def _floats(values: Any) -> np.ndarray:
    return np.array([float(value) for value in values])
