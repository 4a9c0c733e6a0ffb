"""`Origin`: which study, series and kind of image a case comes from, without a word that may name a patient."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_prep import Case
    from data_prep.series import Series

_STUDY, _SERIES = 0x0020000D, 0x0020000E
_NAMES = (0x0008103E, 0x00181030, 0x00180024)  # SeriesDescription, ProtocolName, SequenceName: free text
_PIXEL_SPACING, _THICKNESS = 0x00280030, 0x00180050
_CODED = (0x00180020, 0x00180021)  # ScanningSequence, SequenceVariant
# What free text may say of a sequence; all else in it is left out, for it may name a patient.
_WORDS = frozenset(
    word
    for words in (
        "T1 T1W T2 T2W T2* PD PDW FLAIR DARK FLUID STIR TIRM DIR PSIR IR SE TSE FSE GRE FFE FGRE EPI HASTE SPACE CUBE",
        "VISTA MPRAGE MP2RAGE SPGR FSPGR BRAVO TFE VIBE LAVA THRIVE DIXON WATER FAT SAT FS SPAIR CISS FIESTA BTFE",
        "TRUFI DESS DWI DTI ADC TRACE SWI SWAN MIP MINIP PHASE MAG TOF MRA MRV PC ASL CBF CBV MTT TMAX PWI DSC DCE",
        "PERF BOLD FMRI LGE DE CINE QSM CT CTA ANGIO NATIVE CONTRAST CE GD GAD POST PRE KM PET PT AC NAC BONE LUNG",
        "SOFT TISSUE 2D 3D AX AXIAL TRA TRANSVERSE COR CORONAL SAG SAGITTAL OBL BRAIN HEAD NECK SPINE CSPINE TSPINE",
        "LSPINE THORAX CHEST ABDOMEN PELVIS HEART CARDIAC KNEE HIP LIVER PROSTATE BREAST",
    )
    for word in words.split()
)


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a case comes from.

    Args:
        study: StudyInstanceUID; "" where there is none.
        series: SeriesInstanceUID; "" where there is none.
        sequence: known words of the series' description, or codes of its pulse sequence; "" where none is known.
        voxel_mm: distances between voxels; () where they are not known.
        slices: how many; 0 where that is not known.
    """

    study: str = ""
    series: str = ""
    sequence: str = ""
    voxel_mm: tuple[float, ...] = ()
    slices: int = 0

    @classmethod
    def of(cls, case: Case) -> Origin:
        """The origin of a case, accepted or not; what a header does not tell is left empty."""
        series = case.series
        if series is None:
            return cls()
        elements = _elements(case) if series.kind == "dicom" else {}
        return cls(
            study=_text(elements, _STUDY),
            series=series.uid or _text(elements, _SERIES),
            sequence=_sequence(elements),
            voxel_mm=tuple(round(float(length), 3) for length in series.spacing or _spacing(elements)),
            slices=series.shape[2] if series.shape is not None and len(series.shape) == 3 else _files(series),
        )

    @property
    def size(self) -> str:
        """Size of a voxel in words.

        >>> Origin(voxel_mm=(0.898, 0.898, 6.0)).size
        '0.898 x 0.898 x 6 mm'
        """
        return " x ".join(f"{length:g}" for length in self.voxel_mm) + " mm" if self.voxel_mm else ""


def known_words(text: str) -> str:
    """The words of a series' description that are known to say what was scanned.

    >>> known_words("t2_tirm_tra_dark-fluid ZAPHODSON 2mm"), known_words("Jane Doe 1980")
    ('T2 TIRM TRA DARK FLUID', '')
    """
    words = re.findall(r"[A-Z0-9]+\*?", text.upper())
    return " ".join(dict.fromkeys(word for word in words if word in _WORDS))


def _sequence(elements: Mapping[int, Any]) -> str:
    described = next(filter(None, (known_words(_text(elements, tag)) for tag in _NAMES)), "")
    if described:
        return described[:64]
    coded = " ".join(_text(elements, tag).replace("\\", " ") for tag in _CODED).split()
    return " ".join(code for code in coded if re.fullmatch(r"[A-Z0-9_]{2,4}", code))[:64]


def _spacing(elements: Mapping[int, Any]) -> list[float]:
    """Of a series that is refused, as far as its first header tells."""
    try:
        down, across = map(float, _text(elements, _PIXEL_SPACING).split("\\"))
        return [across, down, float(_text(elements, _THICKNESS))]
    except ValueError:
        return []


def _files(series: Series) -> int:
    return series.files if series.kind == "dicom" else 0


def _elements(case: Case) -> dict[int, Any]:
    """Of the first file of a series that can be read."""
    from data_prep.dicom.header import read_header
    from data_prep.errors import InputError

    assert case.series is not None
    try:
        header = read_header(
            case.series.sources[0], sorted((_STUDY, _SERIES, _PIXEL_SPACING, _THICKNESS, *_NAMES, *_CODED))
        )
    except (InputError, OSError, IndexError):
        return {}
    return header.elements if header is not None else {}


def _text(elements: Mapping[int, Any], tag: int) -> str:
    value = getattr(elements.get(tag), "value", None) or b""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return text.strip(" \0")
