"""`Verdict`, and every reason code with what it means and what a person can do."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """What becomes of a series."""

    ACCEPT = "ACCEPT"
    SKIP = "SKIP"
    QUARANTINE = "QUARANTINE"


class Code(NamedTuple):
    """One reason code.

    Args:
        verdict: SKIP for what is not for us, QUARANTINE for what could be used if it were whole.
        meaning: of the code, in one clause.
        remedy: what a person can do.
    """

    verdict: Verdict
    meaning: str
    remedy: str


_SKIP, _STOP = Verdict.SKIP, Verdict.QUARANTINE
_AGAIN = "Export or copy the series again."
_NONE = "Nothing. It is not for this tool."

CODES = {
    "NO_PIXELS": Code(_SKIP, "a report, a presentation state or another DICOM object without pixels", _NONE),
    "LOCALIZER": Code(_SKIP, "a localizer or scout, not a volume", _NONE),
    "SINGLE_SLICE": Code(_SKIP, "images of one place only, not a volume", "Nothing, or name a bundle of pictures."),
    "MANY_SLICES": Code(_SKIP, "a volume, where a bundle of pictures of one slice is run", "Name a bundle of volumes."),
    "NOT_GREYSCALE": Code(_SKIP, "colour, complex or looked-up values instead of grey values", _NONE),
    "OUT_OF_DOMAIN": Code(_SKIP, "another modality than the one wanted", "Name the modality, or another bundle."),
    "MISSING_FILE": Code(_STOP, "there is no such file or folder", "Check the path."),
    "UNREADABLE": Code(_STOP, "the file or folder cannot be opened", "Check the permissions, the disk, the password."),
    "BAD_DATALIST": Code(_STOP, "the datalist does not say what a datalist must", "Fix the datalist."),
    "NOT_AN_IMAGE": Code(
        _STOP,
        "a file that was named, or has the name of an image, is not an image",
        "Export it again, or remove it from the source.",
    ),
    "NOT_DICOM": Code(
        _STOP, "a file has a DICOM name but is not DICOM", "Export it again, or remove it from the source."
    ),
    "TRUNCATED": Code(_STOP, "a file ends too early or is damaged", _AGAIN),
    "TOO_LARGE": Code(_STOP, "more voxels, frames or bytes than any scanner makes", "Check where the file comes from."),
    "BAD_UID": Code(
        _STOP, "a series or image identifier is missing or malformed", "Export the series again from the PACS."
    ),
    "BAD_HEADER": Code(_STOP, "a header value makes no sense", _AGAIN),
    "DECODE_FAILED": Code(_STOP, "the pixels cannot be decoded as the header describes them", _AGAIN),
    "UNSUPPORTED_SYNTAX": Code(
        _STOP,
        "the transfer syntax is not known or not supported",
        "Install the extra named, or export it uncompressed.",
    ),
    "MISSING_SLICES": Code(
        _STOP,
        "slices of the volume, or files of the image, are missing",
        "Export the whole series again, or allow gaps: they are filled in and flagged.",
    ),
    "VARIABLE_SPACING": Code(_STOP, "the slices do not lie at equal distances on one line", _AGAIN),
    "DUPLICATE_CONFLICT": Code(_STOP, "two different images claim one place or one identity", _AGAIN),
    "MULTI_VOLUME": Code(
        _STOP, "several volumes, and nothing that tells them apart safely", "Export each volume as a series of its own."
    ),
    "NO_GEOMETRY": Code(_STOP, "nothing says where the image lies in the patient", "Export the original series."),
    "MIXED_GRID": Code(_STOP, "slices of different size, spacing or direction in one volume", _AGAIN),
    "MIXED_PATIENTS": Code(
        _STOP, "images of more than one patient in one series", "Do not use the series; tell your PACS team."
    ),
    "UNSUPPORTED_MULTIFRAME": Code(
        _STOP, "a mosaic, or frames without a place of their own", "Export as single-frame or enhanced DICOM."
    ),
    "WRONG_DIMENSION": Code(_STOP, "neither one volume nor one slice", "Write one file per volume."),
    "NAN": Code(_STOP, "voxels that are not numbers", "Fix the step that wrote the file."),
    "EMPTY": Code(_STOP, "all voxels have the same value", "Export it again; this is not a scan."),
    "SINGULAR_AFFINE": Code(_STOP, "the axes of the image are not independent", "Fix the step that wrote the file."),
    "AFFINE_CONFLICT": Code(
        _STOP,
        "qform and sform put the image in two places",
        "Keep the right one in the header, and set the other to 0.",
    ),
    "DUPLICATE": Code(_SKIP, "`prepare`: the same voxels as another scan", "Nothing: one of them is used."),
    "ABNORMAL_VALIDATION": Code(
        _SKIP, "`prepare`: an abnormal case of a benchmark's validation", "Nothing: nothing is chosen on these."
    ),
    "EXCLUDED": Code(_SKIP, "`prepare`: thrown out by a person, by `--exclude`", "Take its name from that file."),
    "LEAKAGE": Code(
        _STOP, "`prepare`: one patient or scan is in two sections, or an ill one in training", "Fix the datalist."
    ),
    "NOT_HEALTHY": Code(
        _STOP, "`calibrate`, `train`: abnormal by label or datalist, and no healthy slices are named", "Leave it out."
    ),
    "STEP_FAILED": Code(_STOP, "`prepare`: a step, such as skull stripping, failed", "Look at the scan and the tool."),
    "BAD_SPACING": Code(_STOP, "a voxel size that no scanner makes", "Fix the header."),
    "UNKNOWN_LABELS": Code(_STOP, "`synthesise`: numbers that stand for no tissue", "See the page on synthetic heads."),
    "NO_BRAIN": Code(_STOP, "`synthesise`: a label map without brain", "Leave it out."),
}


def verdict_of(code: str) -> Verdict:
    """What becomes of an input with this reason code; "" is no reason.

    >>> verdict_of("MISSING_SLICES").value, verdict_of("").value
    ('QUARANTINE', 'ACCEPT')
    """
    return CODES[code].verdict if code else Verdict.ACCEPT
