"""Units of length in headers, to millimetres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_prep.errors import InputError
from data_prep.formats.source import Source


def _spelled(prefix: str) -> list[str]:
    return [f"{prefix}{word}" for word in ("meter", "meters", "metre", "metres")]


_MICRO = ("u", "\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}")
_MM = {
    1.0: ("", "?", "???", "mm", *_spelled("milli")),
    1e-3: (*(f"{sign}m" for sign in _MICRO), "micron", "microns", *_spelled("micro")),
    10.0: ("cm", *_spelled("centi")),
    1e3: ("m", *_spelled("")),
}


def in_mm(source: Source, affine: np.ndarray, units: Sequence[str]) -> np.ndarray:
    """An affine in millimetres.

    Args:
        source: of the affine.
        affine: 4 x 4, voxel indices to lengths in `units`.
        units: of the three axes of the world; "" and "???": not said, and taken to be millimetres.

    Raises:
        InputError: BAD_HEADER where a unit is none of length.
    """
    factors = [_factor(unit) for unit in units]
    if len(factors) != 3 or None in factors:
        said = ", ".join(repr(unit[:16]) for unit in dict.fromkeys(units))
        raise InputError(str(source), "BAD_HEADER", f"{source.name} gives lengths in {said}, which is no unit we know")
    return np.asarray(np.diag([*factors, 1.0]) @ affine)


def _factor(unit: str) -> float | None:
    word = unit.strip().strip('"').lower()
    return next((factor for factor, words in _MM.items() if word in words), None)
