"""The elements of a DICOM file one by one, each to be taken out, emptied or made illegal where it stands."""

from __future__ import annotations

import copy
import io
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

Path_ = tuple[int, ...]  # tags from the root to an element; of sequences, all items are meant
REMOVED, EMPTIED = "removed", "emptied"
_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "UC", "UN", "UR", "UT", "SV", "UV"})  # PS3.5 7.1.2
_PIXELS = 0x7FE00000
_ILLEGAL = {
    "AE": b"\x01" * 20,
    "AS": b"42",
    "CS": b"0000 lower-case and long",
    "DA": b"20249931",
    "DS": b"1,5e",
    "DT": b"yesterday",
    "IS": b"one",
    "LO": b"\x07" + b"x" * 80,
    "PN": b"a=b=c=d^" + b"e" * 90,
    "SH": b"x" * 40,
    "TM": b"25:99:61",
    "UI": b"1.2..3.evil",
    "UR": b"\\\\ \x01",
}
_MANY = b"1\\2\\3\\4\\5\\6\\7\\8\\9"  # values where one is asked for
_FOREIGN = b"\xff\xfe\x1b$B\xd0\xcf"  # bytes of no character set


@dataclass(frozen=True)
class Encoded:
    """A file as the bytes of its parts.

    Args:
        start: preamble and file meta information.
        parts: the elements at the root by tag, in explicit little endian.
        dataset: as pydicom reads it, for what lies in sequences.
    """

    start: bytes
    parts: dict[int, bytes]
    dataset: pydicom.FileDataset

    @classmethod
    def of(cls, path: Path) -> Encoded:
        """The parts of a file."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is odd in real headers
            dataset = pydicom.dcmread(path)
            if dataset.file_meta.TransferSyntaxUID in (ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
                dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            target = _stream(b"\0" * 128 + b"DICM")
            write_file_meta_info(target, dataset.file_meta, enforce_standard=False)
            parts = {int(tag): _encoded(dataset[tag]) for tag in list(dataset.keys()) if tag.element != 0}
        return cls(target.getvalue(), parts, dataset)

    def paths(self) -> list[Path_]:
        """All elements but the pixels."""
        return [path for path in _paths(self.dataset) if path[0] < _PIXELS]

    def with_change(self, path: Path_, way: str | bytes) -> bytes:
        """The file with an element changed, in all items of the sequences that it lies in."""
        tag, *rest = path
        parts = dict(self.parts)
        if not rest and way == REMOVED:
            parts.pop(tag, None)
        elif not rest:
            parts[tag] = _raw(tag, b"" if way == EMPTIED else way)  # type: ignore[arg-type]
        elif tag in parts:
            parts[tag] = _raw(tag, _items(self.dataset[tag].value, tuple(rest), way))
        return self.start + b"".join(parts[tag] for tag in sorted(parts))


def illegal_values(tag: int) -> list[bytes]:
    """Values that an element must not have: of another kind, too many, too long, of no character set, no text."""
    vr = _vr(tag)
    return [_ILLEGAL.get(vr, b"\xff\xff\xff"), _MANY, b"x" * 70 + b"\x00" * 3, _FOREIGN, b"\\", b"\xff" * 8]


def _paths(dataset: pydicom.Dataset) -> Iterator[Path_]:
    for tag in list(dataset.keys()):
        if tag.element == 0 or tag.group == 2:
            continue
        yield (int(tag),)
        if dataset[tag].VR == "SQ":
            inner = {path: None for item in dataset[tag].value for path in _paths(item)}
            yield from ((int(tag), *path) for path in inner)


def _items(sequence: pydicom.Sequence, path: Path_, way: str | bytes) -> bytes:
    """The bytes of a sequence's items, each with the change."""
    content = b""
    for item in sequence:
        encoded = b""
        for tag in sorted(item.keys()):
            if int(tag) != path[0]:
                encoded += _encoded(item[tag])
            elif len(path) > 1:
                encoded += _raw(int(tag), _items(item[tag].value, path[1:], way))
            elif way != REMOVED:
                encoded += _raw(int(tag), b"" if way == EMPTIED else way)  # type: ignore[arg-type]
        content += struct.pack("<HHI", 0xFFFE, 0xE000, len(encoded)) + encoded
    return content


def _raw(tag: int, value: bytes) -> bytes:
    """An element of explicit little endian with any bytes."""
    vr = _vr(tag)
    value += (b"\0" if vr in ("UI", "SQ", "UN", "OB") else b" ") * (len(value) % 2)
    length = struct.pack("<HI", 0, len(value)) if vr in _LONG else struct.pack("<H", len(value))
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode() + length + value


def _vr(tag: int) -> str:
    return dictionary_VR(tag)[:2] if dictionary_has_tag(tag) else "UN"


def _encoded(element: pydicom.DataElement) -> bytes:
    target = _stream(b"")
    write_data_element(target, copy.copy(element), ["utf-8"])
    return target.getvalue()


def _stream(start: bytes) -> DicomBytesIO:
    target = DicomBytesIO(start)
    target.seek(0, io.SEEK_END)
    target.is_little_endian, target.is_implicit_VR = True, False
    return target
