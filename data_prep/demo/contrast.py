"""How bright each tissue is, and the picture of a head that follows from it."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from data_prep.demo import face
from data_prep.demo.atlas import Atlas
from data_prep.demo.subject import Subject

Array = np.ndarray


@dataclass(frozen=True)
class Contrast:
    """Intensities relative to the mean of brain."""

    grey: float
    white: float
    csf: float
    fat: float
    muscle: float
    marrow: float
    bone: float
    air: float
    vitreous: float
    mucosa: float


# set by eye and by the percentiles of rim, skull and brain of real FLAIR heads; T1 as usual at 3 T
CONTRASTS = {
    "flair": Contrast(1.09, 0.94, 0.26, 2.4, 0.55, 1.3, 0.15, 0.0, 0.22, 1.5),
    "t1": Contrast(0.84, 1.12, 0.36, 1.9, 0.7, 1.3, 0.12, 0.0, 0.3, 0.8),
}


def subject_contrast(name: str, subject: Subject) -> Contrast:
    """The contrast of one scan: the name's, times the subject's own factors.

    Raises:
        ValueError: an unknown name.
    """
    if name not in CONTRASTS:
        msg = f"contrast must be one of {', '.join(CONTRASTS)}, got {name!r}"
        raise ValueError(msg)
    middle = CONTRASTS[name]
    grey, white = subject.tissue[:2]
    common = (grey * white) ** 0.5  # brain stays at 1; grey and white move against each other
    factors = (grey / common, white / common, *subject.tissue[2:])
    return Contrast(*(level * factor for level, factor in zip(astuple(middle), factors, strict=True)))


def lesion_level(contrast: str, level: float) -> float:
    """Intensity of a lesion that has `level` in FLAIR: what is bright there is dark in T1; both relative to brain."""
    return level if contrast == "flair" else min(level, 1 - 0.35 * (level - 1))


def paint_head(atlas: Atlas, contrast: Contrast, subject: Subject) -> Array:
    """Intensities `(x, y, z)` float32 on the grid of the atlas, before the scanner and the deformation."""
    picture = _soft_levels(contrast)[atlas.soft]
    rim = (np.abs(atlas.skin_mm) < subject.scalp_mm + 1) & (atlas.soft != face.VITREOUS)
    picture[rim] = _scalp(picture[rim], -atlas.skin_mm[rim], contrast, subject.scalp_mm)
    ring = (atlas.skull_mm >= 0) & (atlas.skull_mm < subject.skull_mm)
    picture[ring] = _skull(picture[ring], atlas.skull_mm[ring], contrast, subject.skull_mm)
    inside = atlas.skull_mm < 0
    picture[inside] = _brain(atlas.grey[inside], atlas.white[inside], contrast, subject.atrophy)
    return np.asarray(picture)


def _brain(grey: Array, white: Array, contrast: Contrast, atrophy: float) -> Array:
    """Mixture of grey and white matter and fluid; the template's blurred borders made steeper."""
    matter = np.maximum(grey + white, 1e-3)
    share = np.clip((white / matter - 0.5) * 2.2 + 0.5, 0, 1)
    fluid = np.clip((1 - matter) * 1.9 * atrophy - 0.22, 0, 1)
    brain = contrast.grey + share * (contrast.white - contrast.grey)
    return np.asarray(brain + fluid * (contrast.csf - brain))


def _soft_levels(contrast: Contrast) -> Array:
    """Intensity of each tissue of `face`."""
    levels = np.empty(face.TISSUES, dtype=np.float32)
    levels[: face.MIXES] = np.linspace(contrast.muscle, contrast.fat, face.MIXES)
    levels[face.AIR], levels[face.BONE], levels[face.MARROW] = contrast.air, contrast.bone, contrast.marrow
    levels[face.VITREOUS], levels[face.CSF], levels[face.MUCOSA] = contrast.vitreous, contrast.csf, contrast.mucosa
    levels[face.CORD] = contrast.white
    return levels


def _scalp(below: Array, depth: Array, contrast: Contrast, thickness: float) -> Array:
    """Skin, then fat, which is less bright in its depth; `depth` in mm from the skin, negative outside."""
    skin = np.clip(1 - depth / 1.2, 0, 1)
    deep = np.clip((depth - 0.55 * thickness) / 2.5, 0, 1)
    fat = contrast.fat * (1 - 0.55 * skin - 0.6 * deep)
    covered = below + np.clip(thickness - depth, 0, 1) * (fat - below)
    return np.asarray(covered + np.clip(0.5 - depth, 0, 1) * (contrast.air - covered))


def _skull(above: Array, depth: Array, contrast: Contrast, thickness: float) -> Array:
    """Two dark tables, between them a little marrow; `depth` in mm from the inner table."""
    middle = np.exp(-((depth / thickness - 0.55) ** 2) / 0.05)
    bone = contrast.bone + 0.55 * (contrast.marrow - contrast.bone) * middle
    return np.asarray(above + np.clip(thickness - depth, 0, 1) * (bone - above))
