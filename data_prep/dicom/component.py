"""`component`: is an MR image magnitude, phase, real or imaginary?"""

from __future__ import annotations

from functools import lru_cache

MAGNITUDE, PHASE, REAL, IMAGINARY, MIXED = "M", "P", "R", "I", "MIXED"
FLAGS = {PHASE: "phase", REAL: "real_part", IMAGINARY: "imaginary_part"}  # of an accepted volume that is no magnitude
_STATED = {"MAGNITUDE": MAGNITUDE, "PHASE": PHASE, "REAL": REAL, "IMAGINARY": IMAGINARY, "MIXED": MIXED}
_WORDS = {
    **_STATED,
    **{letter: letter for letter in (MAGNITUDE, PHASE, REAL, IMAGINARY)},
    "MAG": MAGNITUDE,
    "PHASE MAP": PHASE,
    "VELOCITY MAP": PHASE,
    "IMAG": IMAGINARY,
}


@lru_cache(maxsize=64)
def component(stated: str, image_type: tuple[str, ...]) -> str:
    """M, P, R, I or MIXED; "" where nothing says it.

    Args:
        stated: ComplexImageComponent (PS3.3 C.8.13.3.1.1); it comes before the image type.
        image_type: ImageType or FrameType, whose values from the third on name it in the field, as `M` or `M_FFE`.

    >>> component("PHASE", ()), component("", ("ORIGINAL", "PRIMARY", "M_FFE", "M")), component("", ("ORIGINAL",))
    ('P', 'M', '')
    """
    if stated.upper() in _STATED:
        return _STATED[stated.upper()]
    for word in image_type[2:]:
        start, mark, _ = word.partition("_")
        if found := _WORDS.get(word) or (_WORDS.get(start) if mark and len(start) == 1 else None):
            return found
    return ""
