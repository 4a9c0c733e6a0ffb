"""Values of a DICOM header that the standard allows: everything else is left out, so that no writer trips over it."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Sequence
from datetime import datetime
from typing import Any

_TEXT = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})  # in the data set's character set
_PLAIN = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
_ONE = frozenset({"LT", "ST", "UT", "UR"})  # a backslash in these parts nothing
_BREAKS = "\n\r\t\f"  # the control characters that long texts may hold (PS3.5 6.1.3)
# Enumerated Values of PS3.3 C.7.1.1, C.7.2.2 and C.7.5: no library knows them.
_ENUMERATED: dict[str, frozenset[Any]] = {
    "PatientSex": frozenset({"M", "F", "O"}),
    "PatientSexNeutered": frozenset({"ALTERED", "UNALTERED"}),
    "PatientIdentityRemoved": frozenset({"YES", "NO"}),
    "QualityControlSubject": frozenset({"YES", "NO"}),
    "TypeOfPatientID": frozenset({"TEXT", "RFID", "BARCODE"}),
    "SmokingStatus": frozenset({"YES", "NO", "UNKNOWN"}),
    "PregnancyStatus": frozenset({1, 2, 3, 4}),
    "UniversalEntityIDType": frozenset({"DNS", "EUI64", "ISO", "URI", "UUID", "X400", "X500"}),
    "LossyImageCompression": frozenset({"00", "01"}),
}


def encodings(terms: bytes) -> list[str]:
    """Python's names of the encodings that a SpecificCharacterSet names, spelt as the standard does or otherwise.

    >>> encodings(b"\\\\ISO 2022 IR 87 "), encodings(b"utf-8"), encodings(b"ISO_2022_IR_6"), encodings(b"Klingon")
    (['iso8859', 'iso2022_jp'], ['UTF8'], ['iso8859'], ['iso8859'])
    """
    from pydicom.charset import convert_encodings, python_encoding

    spelt = {_letters(term): term for term in python_encoding if term} | {"UTF8": "ISO_IR 192", "LATIN1": "ISO_IR 100"}
    wanted = [term.strip() for term in terms.decode("latin-1").strip(" \0").split("\\")]
    known = [spelt.get(_letters(term), "") for term in wanted]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of terms that may not stand together, of which it takes the first
        return list(convert_encodings(known))


def legal_values(raw: Any, keyword: str, vr: str, names: Sequence[str]) -> list[Any]:
    """The values of an element, none where any of them is not allowed.

    Args:
        raw: the element as it is stored.
        keyword: of the element.
        vr: its value representation in the dictionary; what the file says of it is not believed.
        names: of the encodings of texts.
    """
    from pydicom.config import RAISE
    from pydicom.datadict import dictionary_VM
    from pydicom.valuerep import validate_value

    try:
        values = _texts(raw.value, vr, names) if vr in _TEXT | _PLAIN else _numbers(raw, vr)
        for value in values:
            validate_value(vr, value, RAISE)
    except Exception:  # a damaged value makes pydicom raise almost anything
        return []
    allowed = _ENUMERATED.get(keyword)
    sound = all(_sound(value, vr) and (allowed is None or value in allowed) for value in values)
    return values if sound and _count_is_allowed(len(values), dictionary_VM(raw.tag)) else []


def _texts(value: bytes | str | None, vr: str, names: Sequence[str]) -> list[str]:
    from pydicom.charset import decode_bytes
    from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS

    if isinstance(value, bytes) and vr in _TEXT:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells the text that it cannot decode
            value = decode_bytes(value.rstrip(b" \0"), names, PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS)
    text = value.decode("ascii") if isinstance(value, bytes) else str(value or "")
    parts = [part.strip(" \0") for part in ([text] if vr in _ONE else text.split("\\"))]
    if vr == "DA":
        parts = [re.sub(r"^(\d{4})\.(\d\d)\.(\d\d)$", r"\1\2\3", part) for part in parts]  # of ACR-NEMA
    return parts if any(parts) else []


def _numbers(raw: Any, vr: str) -> list[Any]:
    from pydicom.dataelem import convert_raw_data_element

    value = convert_raw_data_element(raw._replace(VR=vr)).value
    values = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else [value]
    return [one for one in values if one is not None]


def _sound(value: Any, vr: str) -> bool:
    """What a pattern does not tell: is it a day of the calendar, a finite number, free of control characters?"""
    if isinstance(value, int | float):
        return math.isfinite(value)
    if not isinstance(value, str):
        return False
    if vr in ("DA", "TM") and value:
        return "-" not in value and (vr == "TM" or _is_day(value))
    if vr == "DS" and value:
        return math.isfinite(float(value))
    allowed = _BREAKS if vr in _ONE else ""
    return all(sign.isprintable() or sign in allowed for sign in value)


def _is_day(text: str) -> bool:
    try:
        datetime.strptime(text, "%Y%m%d")
    except ValueError:
        return False
    return True


def _count_is_allowed(count: int, multiplicity: str) -> bool:
    """Does a number of values keep to a multiplicity such as `1`, `1-3`, `2-2n` (PS3.5 6.4)?

    >>> _count_is_allowed(2, "1"), _count_is_allowed(2, "1-n"), _count_is_allowed(3, "2-2n"), _count_is_allowed(0, "1")
    (False, True, False, True)
    """
    low, _, high = multiplicity.partition("-")
    high = high or low
    if count == 0 or high == "n":
        return count == 0 or count >= int(low)
    if high.endswith("n"):
        return count >= int(low) and count % int(high[:-1]) == 0
    return int(low) <= count <= int(high)


def _letters(term: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", term.upper())
