"""`sequence_words`: what a header says of its sequence, in known words only, for free text may name a patient."""

from __future__ import annotations

import re
from functools import lru_cache

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
_MOST = 64  # characters


def known_words(text: str) -> str:
    """The words of a series' description that are known to say what was scanned.

    >>> known_words("t2_tirm_tra_dark-fluid ZAPHODSON 2mm"), known_words("Jane Doe 1980")
    ('T2 TIRM TRA DARK FLUID', '')
    """
    words = re.findall(r"[A-Z0-9]+\*?", text.upper())
    return " ".join(dict.fromkeys(word for word in words if word in _WORDS))


@lru_cache(maxsize=64)
def sequence_words(descriptions: tuple[str, ...], codes: tuple[str, ...]) -> str:
    r"""Known words of the first description that has any, else the codes of the pulse sequence; "" without either.

    Args:
        descriptions: SeriesDescription, ProtocolName, SequenceName: free text.
        codes: ScanningSequence, SequenceVariant; several values are parted by a backslash.

    >>> sequence_words(("Jane Doe", "AX FLAIR"), ("SE",)), sequence_words(("", ""), ("GR", "SP\\MP"))
    ('AX FLAIR', 'GR SP MP')
    """
    described = next(filter(None, map(known_words, descriptions)), "")
    coded = " ".join(codes).replace("\\", " ").split()
    return (described or " ".join(code for code in coded if re.fullmatch(r"[A-Z0-9_]{2,4}", code)))[:_MOST]
