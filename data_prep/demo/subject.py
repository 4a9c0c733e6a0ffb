"""One made-up person: every number that a scan of them depends on, drawn once and then fixed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KINDS = ("bright", "core", "dark")
_RATIO_OF_TEMPLATE = 0.93  # the MNI152 brain is larger than the people in it
_TISSUE_SPREAD = (0.015, 0.015) + (0.05,) * 8  # grey against white matter varies least


@dataclass(frozen=True)
class Lesion:
    """A planted lesion.

    Args:
        kind: "bright" (FLAIR hyperintense), "core" (bright with a dark middle) or "dark".
        volume_ml: of its true mask.
        centre_mm: in MNI space, RAS.
        stretch: relative radii along x, y and z.
        level: intensity relative to brain.
        softness: width of its edge, relative to its radius.
        seed: of its outline.
    """

    kind: str
    volume_ml: float
    centre_mm: tuple[float, float, float]
    stretch: tuple[float, float, float]
    level: float
    softness: float
    seed: int


@dataclass(frozen=True)
class Subject:
    """Anatomy and scanner of one person.

    Args:
        size: subject over template along x, y and z.
        turn_deg: of the head in the scanner about x, y and z.
        shift_mm: of the head in the scanner, RAS.
        warp_mm: standard deviation of the coarse and the fine deformation.
        atrophy: width of the fluid spaces, 1 as in the template.
        skull_mm: thickness of the skull.
        scalp_mm: thickness of the scalp.
        tissue: factor on the intensity of each tissue of `contrast.Contrast`, in its order.
        bias: size of the coefficients of the bias field (MONAI's RandBiasField).
        noise: standard deviation of the noise in each channel, relative to brain.
        level: stored intensity of brain.
        lesions: none for a healthy person.
        seed: of the deformation, texture, bias field and noise.
    """

    size: tuple[float, float, float]
    turn_deg: tuple[float, float, float]
    shift_mm: tuple[float, float, float]
    warp_mm: tuple[float, float]
    atrophy: float
    skull_mm: float
    scalp_mm: float
    tissue: tuple[float, ...]
    bias: float
    noise: float
    level: float
    lesions: tuple[Lesion, ...]
    seed: int


def draw_subject(rng: np.random.Generator, lesions: tuple[Lesion, ...] = ()) -> Subject:
    """Draw a person; the same numbers for the same state of `rng`, whatever the lesions."""
    size = _RATIO_OF_TEMPLATE * rng.normal(1, 0.025) * rng.normal(1, 0.015, 3)
    return Subject(
        size=_triple(size),
        turn_deg=_triple(rng.normal((4, 0, 0), (4, 2, 3))),
        shift_mm=_triple(rng.normal(0, (2, 4, 2))),
        warp_mm=(float(rng.uniform(2.0, 3.2)), float(rng.uniform(0.6, 1.0))),
        atrophy=float(rng.uniform(0.9, 1.5)),
        skull_mm=float(rng.uniform(3.5, 5.0)),
        scalp_mm=float(rng.uniform(2.8, 4.4)),
        tissue=tuple(float(factor) for factor in np.exp(rng.normal(0, _TISSUE_SPREAD))),
        bias=float(rng.uniform(0.03, 0.08)),
        noise=float(rng.uniform(0.02, 0.04)),
        level=float(rng.uniform(180, 320)),
        lesions=lesions,
        seed=int(rng.integers(2**31)),
    )


def draw_lesion(rng: np.random.Generator, kind: str, volume_ml: float) -> Lesion:
    """Draw a lesion in the deep white matter of one hemisphere.

    Raises:
        ValueError: an unknown kind, or a volume not above 0.
    """
    if kind not in KINDS:
        msg = f"kind must be one of {', '.join(KINDS)}, got {kind!r}"
        raise ValueError(msg)
    if not volume_ml > 0:
        msg = f"volume_ml must be above 0, got {volume_ml}"
        raise ValueError(msg)
    centre = rng.uniform((24, -50, 14), (34, 34, 36)) * (rng.choice([-1, 1]), 1, 1)
    stretch = np.exp(rng.normal((-0.1, 0.1, 0), 0.15))
    level = rng.uniform(1.65, 2.2)
    return Lesion(
        kind=kind,
        volume_ml=float(volume_ml),
        centre_mm=_triple(centre),
        stretch=_triple(stretch / np.prod(stretch) ** (1 / 3)),
        level=float(0.4 * level - 0.25 if kind == "dark" else level),
        softness=float(rng.uniform(0.04, 0.1)),
        seed=int(rng.integers(2**31)),
    )


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third
