"""`read_instance`: the header of a DICOM file as an `Instance`."""

from __future__ import annotations

import hashlib
import math
import re
from functools import lru_cache
from typing import Any

from data_prep.budget import DEFAULT_BUDGET, Budget
from data_prep.dicom.component import component
from data_prep.dicom.encapsulated import encapsulated_fault, why_not
from data_prep.dicom.header import NATIVE, UNDEFINED_LENGTH, Header, read_header
from data_prep.dicom.instance import Instance, NoImage, decimals, plain
from data_prep.dicom.sequence import sequence_words
from data_prep.errors import InputError
from data_prep.formats.source import Source

SUFFIXES = (".dcm", ".dicom", ".ima")
TAGS = {
    "ImageType": 0x00080008,
    "SOPClassUID": 0x00080016,
    "SOPInstanceUID": 0x00080018,
    "Modality": 0x00080060,
    "SeriesDescription": 0x0008103E,
    "PatientName": 0x00100010,
    "PatientID": 0x00100020,
    "ComplexImageComponent": 0x00089208,
    "ScanningSequence": 0x00180020,
    "SequenceVariant": 0x00180021,
    "SequenceName": 0x00180024,
    "SliceThickness": 0x00180050,
    "KVP": 0x00180060,
    "EchoTime": 0x00180081,
    "InversionTime": 0x00180082,
    "EchoNumbers": 0x00180086,
    "ProtocolName": 0x00181030,
    "TriggerTime": 0x00181060,
    "PatientPosition": 0x00185100,
    "DiffusionBValue": 0x00189087,
    "DiffusionGradientOrientation": 0x00189089,
    "StudyInstanceUID": 0x0020000D,
    "SeriesInstanceUID": 0x0020000E,
    "AcquisitionNumber": 0x00200012,
    "ImagePositionPatient": 0x00200032,
    "ImageOrientationPatient": 0x00200037,
    "FrameOfReferenceUID": 0x00200052,
    "TemporalPositionIdentifier": 0x00200100,
    "ConcatenationUID": 0x00209161,
    "InConcatenationNumber": 0x00209162,
    "InConcatenationTotalNumber": 0x00209163,
    "ConcatenationFrameOffsetNumber": 0x00209228,
    "SamplesPerPixel": 0x00280002,
    "PhotometricInterpretation": 0x00280004,
    "NumberOfFrames": 0x00280008,
    "Rows": 0x00280010,
    "Columns": 0x00280011,
    "PixelSpacing": 0x00280030,
    "BitsAllocated": 0x00280100,
    "BitsStored": 0x00280101,
    "HighBit": 0x00280102,
    "PixelRepresentation": 0x00280103,
    "PixelPaddingValue": 0x00280120,
    "PixelPaddingRangeLimit": 0x00280121,
    "RescaleIntercept": 0x00281052,
    "RescaleSlope": 0x00281053,
    "ModalityLUTSequence": 0x00283000,
    "Units": 0x00541001,
}
_WANTED = list(TAGS.values())
_NAMES = {tag: name for name, tag in TAGS.items()}
_MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_NO_LETTERS = {ord(mark): None for mark in "^=,. "}  # which one name has, and the same name elsewhere has not
_MAX_UID = 64  # characters, PS3.5 section 9.1
_INTEGER_PIXELS = 0x7FE00010


def read_instance(source: Source, *, budget: Budget = DEFAULT_BUDGET) -> Instance | NoImage | None:
    """What the header of a file says.

    Returns:
        None for what does not begin as DICOM does, and for a DICOMDIR.

    Raises:
        InputError: NOT_DICOM where only the name says DICOM, UNREADABLE, TRUNCATED where the header is cut short,
            TOO_LARGE or BAD_HEADER.
    """
    if source.name.upper() == "DICOMDIR":
        return None
    header = read_header(source, _WANTED, budget=budget)
    if header is None:
        _check_name(source)
        return None
    return _Parser(source, header, budget).parse()


@lru_cache(maxsize=64)
def _hash_of_letters(name: str) -> str:
    letters = name.casefold().translate(_NO_LETTERS)
    return _hash(letters) if letters else ""


@lru_cache(maxsize=512)  # most of what the files of a series say is the same
def _characters(value: bytes) -> str:
    return value.decode("latin-1").strip(" \0")


@lru_cache(maxsize=64)
def _upper_values(text: str) -> tuple[str, ...]:
    return tuple(part.strip().upper() for part in text.split("\\"))


@lru_cache(maxsize=64)
def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def valid_uid(uid: str) -> bool:
    """Is this a UID (PS3.5 section 9.1)? Components with leading zeros, which the field has, are let through."""
    return len(uid) <= _MAX_UID and _UID.fullmatch(uid) is not None


def _check_name(source: Source) -> None:
    if source.name.lower().endswith(SUFFIXES):
        if not source.size:
            raise InputError(str(source), "TRUNCATED", f"{source.name} is an empty file")
        raise InputError(str(source), "NOT_DICOM", f"{source.name} is called DICOM but is none")


class _Parser:
    """Raw elements to an `Instance`."""

    def __init__(self, source: Source, header: Header, budget: Budget) -> None:
        self.source, self.header, self.budget = source, header, budget
        found = header.elements.items()
        self.raw: dict[str, Any] = {_NAMES[tag]: element.value for tag, element in found if tag in _NAMES}

    def parse(self) -> Instance | NoImage | None:
        kind = self.text("SOPClassUID") or self.header.media_class
        uid, shape = self.text("SeriesInstanceUID"), (self.number("Rows"), self.number("Columns"))
        if kind == _MEDIA_DIRECTORY:
            return None
        if not self.header.pixel_tag and 0 in shape and not self.cut_image(kind, uid):
            return NoImage(self.source, uid, self.text("Modality"), self.text("StudyInstanceUID"))
        return self.instance(kind, uid, shape)

    def instance(self, kind: str, uid: str, shape: tuple[int, int]) -> Instance:
        bits = self.number("BitsAllocated")
        slope, intercept = self.rescale()
        return Instance(
            source=self.source,
            frame=None,
            frames=max(self.whole("NumberOfFrames", 1), 1),
            series_uid=uid,
            study_uid=self.text("StudyInstanceUID"),
            sop_uid=self.text("SOPInstanceUID"),
            sop_class=kind,
            patient=self.patient(),
            patient_name=self.patient_name(),
            modality=self.text("Modality").upper(),
            image_type=self.image_type(),
            shape=shape,
            orientation=self.decimals("ImageOrientationPatient", 6),
            position=self.decimals("ImagePositionPatient", 3),
            spacing=self.decimals("PixelSpacing", 2),
            reference_frame=self.text("FrameOfReferenceUID"),
            samples=self.number("SamplesPerPixel", 1),
            photometric=self.text("PhotometricInterpretation").upper(),
            bits=(bits, self.number("BitsStored", bits), self.number("PixelRepresentation")),
            rescale=(slope, intercept),
            lookup="ModalityLUTSequence" in self.raw,
            moment=self.moment(),
            pass_=(plain(self.text("AcquisitionNumber")), plain(self.text("TriggerTime"))),
            padding=self.padding(),
            grouped=self.header.grouped,
            stack_id="",
            in_stack=0,
            concatenation=self.concatenation(),
            posture=self.text("PatientPosition").upper(),
            swapped=self.header.big_pixels and bits == 8 and self.header.pixel_vr in ("OW", ""),
            syntax=self.header.syntax,
            pixels=(self.header.pixel_tag, self.header.pixel_offset, self.header.pixel_length),
            fault=self.fault(shape, slope, intercept),
            sequence=self.sequence(),
            thickness=next(iter(self.decimals("SliceThickness", 1)), 0.0),
        )

    def cut_image(self, kind: str, uid: str) -> bool:
        """Without size and pixels: an image whose header breaks off (raised where its series is lost), or no image?"""
        from pydicom.uid import UID

        image = not valid_uid(kind) or "Image Storage" in UID(kind, validation_mode=0).name
        if not uid:
            reason = f"the header of {self.source.name} breaks off before it describes an image"
            raise InputError(str(self.source), "TRUNCATED", reason)
        return image

    def fault(self, shape: tuple[int, int], slope: float, intercept: float) -> tuple[str, str] | None:
        """What the header alone tells against the image."""
        name, frames = self.source.name, self.whole("NumberOfFrames", 1)
        if not valid_uid(self.text("SeriesInstanceUID")):
            return "BAD_UID", f"the series identifier of {name} is missing or malformed"
        if not valid_uid(self.text("SOPInstanceUID")):
            return "BAD_UID", f"the image identifier of {name} is missing or malformed"
        if (
            frames > self.budget.slices
            or max(shape) > self.budget.side
            or math.prod(shape) * max(frames, 1) > self.budget.voxels
        ):
            return "TOO_LARGE", f"{name} claims {shape[0]} x {shape[1]} pixels in {frames} frames"
        if not (math.isfinite(slope) and math.isfinite(intercept)) or slope == 0:
            return "BAD_HEADER", f"the rescale slope or intercept of {name} is no usable number"
        return self.pixel_fault(shape, max(frames, 1))

    def bits_fault(self) -> tuple[str, str] | None:
        """Are the values stored in the lowest bits, as PS3.5 8.1.1 asks for? PS3.3 C.7.6.3 has the elements."""
        name, allocated = self.source.name, self.number("BitsAllocated")
        stored, kind = self.number("BitsStored", allocated), self.number("PixelRepresentation")
        if allocated not in (8, 16, 32):
            return "DECODE_FAILED", f"{name} stores {allocated} bits a pixel, which is not supported"
        if not 1 <= stored <= allocated or kind > 1:
            return "BAD_HEADER", f"{name} claims {stored} of {allocated} bits a pixel in representation {kind}"
        if self.number("SamplesPerPixel", 1) == 0:
            return "BAD_HEADER", f"{name} claims 0 values a pixel"
        if self.number("HighBit", stored - 1) != stored - 1:
            highest = self.number("HighBit")
            return "DECODE_FAILED", f"the values of {name} end at bit {highest} instead of {stored - 1}"
        return None

    def pixel_fault(self, shape: tuple[int, int], frames: int) -> tuple[str, str] | None:
        """Does the file hold as many bytes as its header asks for?"""
        name, header = self.source.name, self.header
        if 0 in shape or not header.pixel_tag:
            return "TRUNCATED", f"{name} holds no pixels"
        if header.pixel_tag != _INTEGER_PIXELS:
            return "DECODE_FAILED", f"the pixels of {name} are stored as floating-point numbers, which is not supported"
        if fault := self.bits_fault():
            return fault
        if header.pixel_length == UNDEFINED_LENGTH:
            return self.compressed_fault(shape, frames)
        if header.syntax not in NATIVE:
            if why_not(header.syntax, 8):
                return "UNSUPPORTED_SYNTAX", f"{name} names a transfer syntax that is not known"
            return "DECODE_FAILED", f"the pixels of {name} should be compressed and are not"
        bits = self.number("BitsAllocated") * self.number("SamplesPerPixel", 1)
        expected = math.prod(shape) * frames * bits // 8
        held = header.pixel_length
        if header.size >= 0:
            held = min(held, header.size - header.pixel_offset)
        if held < expected:
            return "TRUNCATED", f"{name} breaks off in its pixels ({max(held, 0)} of {expected} bytes)"
        return None

    def compressed_fault(self, shape: tuple[int, int], frames: int) -> tuple[str, str] | None:
        """Are compressed pixels whole, and of the size that the header says?"""
        allocated = self.number("BitsAllocated")
        with self.source.open() as stream:
            return encapsulated_fault(
                stream,
                name=self.source.name,
                syntax=self.header.syntax,
                offset=self.header.pixel_offset,
                shape=shape,
                samples=self.number("SamplesPerPixel", 1),
                bits=(allocated, self.number("BitsStored", allocated)),
                frames=frames,
            )

    def patient(self) -> str:
        return _hash(self.text("PatientID") or self.text("PatientName"))

    def patient_name(self) -> str:
        return _hash_of_letters(self.text("PatientName"))

    def image_type(self) -> tuple[str, ...]:
        return _upper_values(self.text("ImageType"))

    def sequence(self) -> str:
        free, codes = ("SeriesDescription", "ProtocolName", "SequenceName"), ("ScanningSequence", "SequenceVariant")
        return sequence_words(tuple(map(self.text, free)), tuple(map(self.text, codes)))

    def moment(self) -> tuple[str, ...]:
        modality = self.text("Modality").upper()
        stated = self.text("ComplexImageComponent")
        return (
            component(stated, self.image_type()) if modality == "MR" else "",
            plain(self.text("EchoNumbers")),
            plain(self.text("EchoTime")),
            plain(self.text("InversionTime")),
            plain(self.text("TemporalPositionIdentifier")),
            self.doubles("DiffusionBValue"),
            self.doubles("DiffusionGradientOrientation"),
            plain(self.text("KVP")),
            self.text("Units"),
        )

    def doubles(self, keyword: str) -> str:
        """Binary doubles, as where the VR is FD, in digits."""
        import struct

        raw = self.raw.get(keyword)
        if not isinstance(raw, bytes) or not raw or len(raw) % 8:
            return ""
        order = ">" if self.header.big_endian else "<"
        return "/".join(f"{value:g}" for value in struct.unpack(f"{order}{len(raw) // 8}d", raw))

    def padding(self) -> tuple[int, ...]:
        """PixelPaddingValue and PixelPaddingRangeLimit as stored values, whatever VR a writer gave them."""
        ends = [self.stored(name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit") if self.raw.get(name)]
        return (min(ends), max(ends)) if "PixelPaddingValue" in self.raw and ends else ()

    def stored(self, keyword: str) -> int:
        """A number of 16 bits, signed where the pixels are."""
        value = self.number(keyword)
        return value - 2**16 if self.number("PixelRepresentation") and value >= 2**15 else value

    def concatenation(self) -> tuple[str, int, int, int]:
        uid = self.text("ConcatenationUID")
        if not uid:
            return "", 0, 0, 0
        raw = self.raw.get("ConcatenationFrameOffsetNumber")
        offset = int.from_bytes(raw, "big" if self.header.big_endian else "little") if isinstance(raw, bytes) else 0
        return uid, self.number("InConcatenationNumber"), self.number("InConcatenationTotalNumber"), offset

    def rescale(self) -> tuple[float, float]:
        slope, intercept = self.text("RescaleSlope"), self.text("RescaleIntercept")
        try:
            return float(slope or 1), float(intercept or 0)
        except ValueError:
            return math.nan, math.nan

    def text(self, keyword: str) -> str:
        """An element's characters as stored: pydicom's own conversion warns of, or rejects, over-long numbers."""
        value = self.raw.get(keyword)
        if not value:
            return ""
        return _characters(value) if isinstance(value, bytes) else str(value).strip(" \0")

    def decimals(self, keyword: str, count: int) -> tuple[float, ...]:
        """A decimal string's `count` finite numbers, or nothing."""
        return decimals(self.text(keyword), count)

    def whole(self, keyword: str, default: int) -> int:
        """An integer string."""
        text = self.text(keyword)
        try:
            return int(text) if text else default
        except ValueError as error:
            raise InputError(str(self.source), "BAD_HEADER", f"{keyword} of {self.source.name} is no number") from error

    def number(self, keyword: str, default: int = 0) -> int:
        """An unsigned 16-bit number."""
        value = self.raw.get(keyword)
        if not isinstance(value, bytes) or len(value) < 2:
            return default
        return int.from_bytes(value[:2], "big" if self.header.big_endian else "little")
