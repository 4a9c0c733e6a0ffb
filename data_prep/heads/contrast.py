"""How bright each tissue is in a sequence: priors from which a contrast is drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.random import Generator

from data_prep.heads.tissues import BRAIN, TISSUES

_Prior = Mapping[str, tuple[float, float]]

# Mean and standard deviation of each tissue's brightness between scans, in units of white matter.
_FLAIR: _Prior = {
    "white": (0.93, 0.06), "cortex": (1.10, 0.07), "deep": (1.00, 0.08), "cerebellar_white": (0.95, 0.07),
    "cerebellar_cortex": (1.05, 0.07), "stem": (0.98, 0.07), "ventricle": (0.22, 0.10), "fluid": (0.28, 0.12),
    "choroid": (1.00, 0.35), "artery": (0.50, 0.30), "vein": (0.60, 0.30), "soft": (1.50, 0.60), "skin": (1.90, 0.50),
    "bone": (0.25, 0.12), "marrow": (1.40, 0.50), "eye": (0.35, 0.15), "mucosa": (1.50, 0.40), "cord": (0.95, 0.10),
}  # fmt: skip
_T1: _Prior = {
    "white": (1.00, 0.04), "cortex": (0.72, 0.07), "deep": (0.84, 0.06), "cerebellar_white": (0.98, 0.06),
    "cerebellar_cortex": (0.73, 0.07), "stem": (0.95, 0.06), "ventricle": (0.22, 0.08), "fluid": (0.26, 0.09),
    "choroid": (0.60, 0.20), "artery": (0.70, 0.50), "vein": (0.60, 0.35), "soft": (0.90, 0.45), "skin": (1.50, 0.50),
    "bone": (0.20, 0.10), "marrow": (1.20, 0.40), "eye": (0.25, 0.08), "mucosa": (0.75, 0.25), "cord": (0.90, 0.08),
}  # fmt: skip
_T2: _Prior = {
    "white": (0.72, 0.08), "cortex": (1.05, 0.09), "deep": (0.82, 0.10), "cerebellar_white": (0.75, 0.08),
    "cerebellar_cortex": (1.05, 0.10), "stem": (0.82, 0.08), "ventricle": (2.20, 0.35), "fluid": (2.10, 0.35),
    "choroid": (1.70, 0.40), "artery": (0.25, 0.15), "vein": (0.40, 0.25), "soft": (0.90, 0.45), "skin": (1.30, 0.50),
    "bone": (0.15, 0.08), "marrow": (0.90, 0.35), "eye": (2.20, 0.40), "mucosa": (1.70, 0.50), "cord": (0.80, 0.10),
}  # fmt: skip
_PD: _Prior = {
    "white": (0.85, 0.05), "cortex": (1.05, 0.06), "deep": (0.98, 0.06), "cerebellar_white": (0.88, 0.06),
    "cerebellar_cortex": (1.05, 0.06), "stem": (0.92, 0.06), "ventricle": (1.10, 0.22), "fluid": (1.15, 0.22),
    "choroid": (1.15, 0.20), "artery": (0.35, 0.20), "vein": (0.50, 0.25), "soft": (0.95, 0.30), "skin": (1.20, 0.35),
    "bone": (0.20, 0.08), "marrow": (0.90, 0.30), "eye": (1.10, 0.20), "mucosa": (1.20, 0.25), "cord": (0.92, 0.08),
}  # fmt: skip
_DWI: _Prior = {
    "white": (0.95, 0.07), "cortex": (1.10, 0.09), "deep": (0.95, 0.10), "cerebellar_white": (1.00, 0.08),
    "cerebellar_cortex": (1.10, 0.09), "stem": (1.05, 0.09), "ventricle": (0.15, 0.08), "fluid": (0.20, 0.10),
    "choroid": (0.70, 0.25), "artery": (0.15, 0.10), "vein": (0.15, 0.10), "soft": (0.25, 0.15), "skin": (0.30, 0.20),
    "bone": (0.08, 0.05), "marrow": (0.15, 0.10), "eye": (0.20, 0.10), "mucosa": (0.60, 0.30), "cord": (1.00, 0.10),
}  # fmt: skip
_PRIORS: Mapping[str, _Prior] = MappingProxyType({"flair": _FLAIR, "t1": _T1, "t2": _T2, "pd": _PD, "dwi": _DWI})
CONTRASTS = (*_PRIORS, "random")
_COARSE = ("soft", "marrow", "mucosa", "skin")  # muscle, fat and glands in one class: several times as uneven


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Brightness of each class of `TISSUES`.

    Args:
        mean: one a class; the brain's are about 1.
        spread: standard deviation of the texture within the class.
        flow: how much the fluid brightens where it moves, as a part of the brain's brightness.
    """

    mean: tuple[float, ...]
    spread: tuple[float, ...]
    flow: float = 0.0


def draw_contrast(rng: Generator, kind: str = "random") -> Contrast:
    """Draw one scan's contrast.

    Args:
        rng: source of randomness.
        kind: of `CONTRASTS`; "random" has no prior but that tissues alike are alike in brightness.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in CONTRASTS:
        msg = f"unknown contrast {kind!r}; there are {', '.join(CONTRASTS)}"
        raise ValueError(msg)
    mean = _random_means(rng) if kind == "random" else _prior_means(rng, _PRIORS[kind])
    spread = {name: rng.uniform(0.01, 0.05) * (6 if name in _COARSE else 1) for name in TISSUES}
    mean["air"] = spread["air"] = 0.0
    flow = float(rng.uniform(0, 0.9)) if kind == "flair" and rng.random() < 0.4 else 0.0
    return Contrast(
        mean=tuple(mean[name] for name in TISSUES), spread=tuple(spread[name] for name in TISSUES), flow=flow
    )


def _prior_means(rng: Generator, prior: _Prior) -> dict[str, float]:
    means = {name: max(0.02, float(rng.normal(*prior[name]))) for name in TISSUES if name in prior}
    means["fluid"] = max(0.02, means["ventricle"] + float(rng.normal(0, 0.06)))
    return means


def _random_means(rng: Generator) -> dict[str, float]:
    means = {name: float(rng.uniform(0.05, 2.2)) for name in TISSUES}
    grey, white = means["cortex"], means["white"]
    if abs(grey - white) < 0.08 * (grey + white):
        means["white"] = white = white * float(rng.choice([0.8, 1.25]))
    means |= {
        "cerebellar_white": white * rng.uniform(0.9, 1.1),
        "stem": (white + 0.3 * (grey - white)) * rng.uniform(0.9, 1.1),
        "cord": white * rng.uniform(0.9, 1.1),
        "cerebellar_cortex": grey * rng.uniform(0.9, 1.1),
        "deep": (grey + rng.uniform(0, 0.7) * (white - grey)) * rng.uniform(0.9, 1.1),
        "fluid": means["ventricle"] * rng.uniform(0.85, 1.15),
    }
    level = float(np.mean([means[name] for name in BRAIN]))
    return {name: value / level for name, value in means.items()}


def as_arrays(contrast: Contrast) -> tuple[np.ndarray, np.ndarray]:
    """Means and spreads as float32, to be indexed by classes."""
    return np.asarray(contrast.mean, dtype=np.float32), np.asarray(contrast.spread, dtype=np.float32)
