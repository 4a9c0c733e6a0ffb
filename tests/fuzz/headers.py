"""Hypothesis strategies: whole DICOM series and NIfTI headers with values that no scanner writes."""

from __future__ import annotations

import io
import struct
from typing import Any

import pydicom
from hypothesis import strategies as st
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info

from tests.fuzz.seeds import Files, mr_slice

_DECIMALS = st.one_of(
    st.integers(-5, 5).map(str),
    st.floats(allow_nan=True, allow_infinity=True).map(lambda value: repr(value)[:16]),
    st.sampled_from(["", "1e400", "-0", "0.0000001", "abc", "1,5", "99999999999999999999", " 1 "]),
)
_TEXTS = st.one_of(
    st.text("0123456789.", max_size=70),
    st.sampled_from(["../../../evil", "1..2", "1.2.3 ", "\\", "/etc/passwd", "con", "", "LOCALIZER", "MONOCHROME1"]),
    st.text(max_size=12),
)
_SHORTS = st.one_of(st.integers(0, 65535), st.sampled_from([0, 1, 3, 8, 12, 15, 16, 32, 64, 65535]))
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"), _SHORTS),
    **dict.fromkeys(("SamplesPerPixel", "PixelRepresentation", "PlanarConfiguration"), _SHORTS),
    **dict.fromkeys(("RescaleSlope", "RescaleIntercept", "SliceThickness", "EchoTime", "TriggerTime"), _DECIMALS),
    "ImagePositionPatient": st.lists(_DECIMALS, max_size=4),
    "ImageOrientationPatient": st.lists(_DECIMALS, max_size=7),
    "PixelSpacing": st.lists(_DECIMALS, max_size=3),
    "ImageType": st.lists(_TEXTS, max_size=5),
    **dict.fromkeys(("SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID"), _TEXTS),
    **dict.fromkeys(("PatientID", "Modality", "PhotometricInterpretation", "SpecificCharacterSet"), _TEXTS),
    **dict.fromkeys(("NumberOfFrames", "InstanceNumber", "TemporalPositionIdentifier", "EchoNumbers"), _DECIMALS),
    "PixelData": st.binary(max_size=900),
}


@st.composite
def series(draw: st.DrawFn) -> Files:
    """Three slices of which some have some elements set to something else, or left out."""
    files = {}
    spoilt = draw(st.sets(st.integers(0, 2), min_size=1))
    names = draw(st.lists(st.sampled_from(sorted(_VALUES)), min_size=1, max_size=4, unique=True))
    for number in range(3):
        changes = {name: draw(st.none() | _VALUES[name]) for name in names} if number in spoilt else {}
        files[f"IM{number}"] = written(mr_slice(number), changes)
    return files


def written(dataset: pydicom.FileDataset, changes: dict[str, Any]) -> bytes:
    """A file in explicit little endian with elements replaced, unchecked, or left out (None); PS3.5 7.1.2."""
    target = DicomBytesIO(b"\0" * 128 + b"DICM")
    target.seek(0, io.SEEK_END)
    target.is_little_endian, target.is_implicit_VR = True, False
    write_file_meta_info(target, dataset.file_meta, enforce_standard=False)
    changed = {_tag(name): value for name, value in changes.items()}
    for tag in sorted({*dataset.keys(), *changed}):
        if tag not in changed:
            write_data_element(target, dataset[tag])
        elif changed[tag] is not None:
            target.write(_element(tag, changed[tag]))
    return target.getvalue()


def _tag(name: str) -> int:
    tag = tag_for_keyword(name)
    assert tag is not None
    return tag


def _element(tag: int, value: Any) -> bytes:
    kind = "OW" if dictionary_VR(tag).startswith("OB") else dictionary_VR(tag)
    if isinstance(value, list):
        value = "\\".join(str(one) for one in value)
    raw = struct.pack("<H", value) if isinstance(value, int) else value
    raw = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
    raw += b" " * (len(raw) % 2)
    length = struct.pack("<HI", 0, len(raw)) if kind == "OW" else struct.pack("<H", len(raw))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + kind.encode() + length + raw


@st.composite
def nifti(draw: st.DrawFn) -> Files:
    """A NIfTI-1 file with arbitrary sizes, types, scales and affines (layout: nifti1.h)."""
    shorts, floats = st.integers(-32768, 32767), st.floats(width=32)
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    sizes = draw(st.lists(st.one_of(st.integers(0, 12), shorts), min_size=7, max_size=7))
    struct.pack_into("<8h", header, 40, draw(st.one_of(st.just(3), shorts)), *sizes)
    kind, bits = draw(st.sampled_from([(4, 16), (2, 8), (16, 32), (64, 64), (128, 24), (32, 64), (1536, 128)]))
    struct.pack_into("<2h", header, 70, draw(st.one_of(st.just(kind), shorts)), bits)
    struct.pack_into("<8f", header, 76, *draw(st.lists(floats, min_size=8, max_size=8)))
    struct.pack_into("<3f", header, 108, draw(st.one_of(st.just(352.0), floats)), draw(floats), draw(floats))
    struct.pack_into("<2h", header, 252, *draw(st.tuples(st.integers(-1, 5), st.integers(-1, 5))))
    struct.pack_into("<6f", header, 256, *draw(st.lists(floats, min_size=6, max_size=6)))
    struct.pack_into("<12f", header, 280, *draw(st.lists(floats, min_size=12, max_size=12)))
    header[344:348] = b"n+1\0"
    return {"a.nii": bytes(header) + draw(st.binary(max_size=600))}
