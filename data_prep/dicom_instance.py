"""`Instance`: what the header of one DICOM image says of its place in a volume."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.errors import InputError

SUFFIXES = (".dcm", ".dicom", ".ima")
_KEYWORDS = (
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "PatientID",
    "EchoTime",
    "EchoNumbers",
    "SeriesInstanceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "TemporalPositionIdentifier",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "PixelRepresentation",
    "RescaleIntercept",
    "RescaleSlope",
    "ModalityLUTSequence",
)
_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
# An old file without the 128 bytes and "DICM" begins with an element of group 0002 or 0008 (PS3.10 section 7.1).
_BARE_STARTS = tuple(bytes([2, 0, e, 0]) for e in range(3)) + tuple(bytes([8, 0, e, 0]) for e in (0, 1, 5, 8, 18, 22))


@dataclass(frozen=True)
class Instance:
    """One DICOM image without its pixels. Geometry that is absent or unreadable is `()`.

    Args:
        path: its file.
        series_uid: SeriesInstanceUID.
        sop_uid: SOPInstanceUID.
        patient: PatientID; compared, never shown.
        shape: (Rows, Columns).
        orientation: ImageOrientationPatient, six cosines, LPS.
        position: ImagePositionPatient, mm, LPS.
        spacing: PixelSpacing (between rows, between columns), mm.
        frames: NumberOfFrames, or more than 1 for a mosaic.
        intensities: one grey value per pixel, mapped by slope and intercept alone.
        photometric: PhotometricInterpretation.
        bits: (BitsAllocated, PixelRepresentation).
        rescale: (RescaleSlope, RescaleIntercept) as written; compared, applied by the decoder.
        moment: echo and temporal position; slices of one volume share it.
    """

    path: Path
    series_uid: str
    sop_uid: str
    patient: str
    shape: tuple[int, int]
    orientation: tuple[float, ...]
    position: tuple[float, ...]
    spacing: tuple[float, ...]
    frames: int
    intensities: bool
    photometric: str
    bits: tuple[int, int]
    rescale: tuple[str, str]
    moment: tuple[str, ...]


def read_instance(path: Path) -> Instance | None:
    """The header of a DICOM image.

    Returns:
        None for what is no DICOM image: other files, DICOMDIR, reports, presentation states.

    Raises:
        InputError: NOT_DICOM where only the name says DICOM, TRUNCATED where the header is cut short, UNREADABLE.
    """
    import pydicom

    try:
        dicom = _looks_like_dicom(path)
    except OSError as error:
        raise InputError(path, "UNREADABLE", f"the file cannot be opened ({error.strerror})") from error
    if not dicom:
        if path.suffix.lower() in SUFFIXES:
            raise InputError(path, "NOT_DICOM", "the file is called DICOM but is none")
        return None
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_KEYWORDS), force=True)
        return _parse(path, header)
    except InputError:
        raise
    except Exception as error:  # a damaged file makes pydicom raise almost anything
        raise InputError(path, "TRUNCATED", f"the header cannot be read ({type(error).__name__})") from error


def _looks_like_dicom(path: Path) -> bool:
    if path.name.upper() == "DICOMDIR":
        return False
    with path.open("rb") as file:
        head = file.read(132)
    return head[128:] == b"DICM" or head.startswith(_BARE_STARTS)


def _parse(path: Path, header: Any) -> Instance | None:
    kind = _text(header, "SOPClassUID") or str(header.file_meta.get("MediaStorageSOPClassUID", ""))
    uid, shape = _text(header, "SeriesInstanceUID"), (_number(header, "Rows"), _number(header, "Columns"))
    if kind == _MEDIA_DIRECTORY:
        return None
    if not uid or 0 in shape:
        _check_no_image(path, kind, uid)
        return None
    mosaic = "MOSAIC" in _text(header, "ImageType").upper().split("\\")
    photometric = _text(header, "PhotometricInterpretation")
    grey = _number(header, "SamplesPerPixel", 1) == 1 and photometric in ("", "MONOCHROME1", "MONOCHROME2")
    return Instance(
        path=path,
        series_uid=uid,
        sop_uid=_text(header, "SOPInstanceUID"),
        patient=_text(header, "PatientID"),
        shape=shape,
        orientation=_decimals(header, "ImageOrientationPatient", 6),
        position=_decimals(header, "ImagePositionPatient", 3),
        spacing=_decimals(header, "PixelSpacing", 2),
        frames=2 if mosaic else int(_text(header, "NumberOfFrames") or 1),
        intensities=grey and "ModalityLUTSequence" not in header,
        photometric=photometric,
        bits=(_number(header, "BitsAllocated"), _number(header, "PixelRepresentation")),
        rescale=(_text(header, "RescaleSlope"), _text(header, "RescaleIntercept")),
        moment=tuple(_text(header, tag) for tag in ("EchoNumbers", "EchoTime", "TemporalPositionIdentifier")),
    )


def _check_no_image(path: Path, kind: str, uid: str) -> None:
    """Pass a report and its like; raise where an image's header breaks off."""
    from pydicom.uid import UID

    if not uid or "Image Storage" in UID(kind).name:
        raise InputError(path, "TRUNCATED", "the header breaks off before it describes an image")


def _text(header: Any, keyword: str) -> str:
    """An element's characters as stored: pydicom's own conversion warns of, or rejects, over-long numbers."""
    if keyword not in header:
        return ""
    value = header.get_item(keyword).value
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value or "")
    return text.strip(" \0")


def _decimals(header: Any, keyword: str, count: int) -> tuple[float, ...]:
    """A decimal string's `count` finite numbers, or nothing."""
    try:
        values = tuple(float(part) for part in _text(header, keyword).split("\\"))
    except ValueError:
        return ()
    return values if len(values) == count and all(map(math.isfinite, values)) else ()


def _number(header: Any, keyword: str, default: int = 0) -> int:
    return int(header[keyword].value) if keyword in header else default
