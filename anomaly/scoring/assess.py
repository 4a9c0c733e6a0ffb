"""From a score map in the source's geometry to the mask and the `Finding` of a case."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from anomaly.finding import BundleId, Finding, Lesion, Thresholds
from anomaly.precision import Arithmetic
from anomaly.scoring.calibration import Calibration
from anomaly.scoring.lesions import find_lesions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray
NO_ORIENTATION, NO_SIZE = "orientation_unknown", "pixel_size_unknown"
"""Flags of pictures, as `data_prep.volume` has them."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Examination:
    """What a detector gives for one volume; arrays are on the source's grid `(i, j, k)`.

    Args:
        finding: the result in words and numbers.
        mask: uint8, 1 where abnormal.
        score: float32 in [0, 1].
        twin: float32 in the source's intensity units: the image with the abnormal part made healthy; None where
            the method draws none, or nobody asked for it.
        window: lowest and highest intensity that the network tells apart, such as HU of a CT; None: it follows from
            the image.
        image: of the source, to draw; None: not at hand.
        affine: 4 x 4, voxel to RAS+ mm, of the source.
    """

    finding: Finding
    mask: Array
    score: Array
    twin: Array | None = None
    window: tuple[float, float] | None = None
    image: Array | None = None
    affine: Array | None = None

    def __repr__(self) -> str:
        """In one line, without arrays."""
        finding = self.finding
        volume = sum(lesion.volume_ml for lesion in finding.lesions)
        count = len(finding.lesions)
        found = f"{count} region{'s' if count > 1 else ''} of {volume:.3g} ml" if count else "no region"
        word = "abnormal" if finding.abnormal else "not abnormal"
        scores = f"score {finding.score:.3f}, p {finding.p_value:.3f}, {word}"
        return f"<Examination {finding.case!r}: {scores}, {found}, {' x '.join(map(str, self.mask.shape))}>"

    def plot(self, *, slices: int = 4) -> Figure:
        """A figure of the most abnormal slices; see `anomaly.scoring.plot.plot_examination`."""
        from anomaly.scoring.plot import plot_examination

        return plot_examination(self, slices=slices)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Who a score map belongs to: what a `Finding` repeats of its input."""

    case: str
    input_hash: str = ""
    series_uid: str | None = None
    flags: Sequence[str] = ()


def assess(
    score_map: Array,
    affine: Array,
    *,
    score: float,
    subject: Subject,
    calibration: Calibration,
    bundle: BundleId,
    timings: Mapping[str, float],
    appearance: Mapping[str, float] | None = None,
    twin: Array | None = None,
    window: tuple[float, float] | None = None,
    image: Array | None = None,
    found: tuple[Array, list[Lesion]] | None = None,
    precision: Arithmetic = "fp32",
) -> Examination:
    """Threshold, clean and describe a score map.

    Args:
        score_map: `(i, j, k)` in [0, 1], on the source's grid.
        affine: 4 x 4, voxel to RAS+ mm.
        score: the image-level score.
        subject: the input.
        calibration: the bundle's.
        bundle: who speaks.
        timings: seconds by step.
        appearance: of the prepared scan.
        twin: passed through.
        window: passed through.
        image: passed through.
        precision: of the network's arithmetic.
        found: mask and lesions, where `find_lesions` has given them already.
    """
    mask, lesions = found or find_lesions(
        score_map, affine, threshold=calibration.voxel_threshold, min_lesion_ml=calibration.min_lesion_ml
    )
    lesions = [_known(lesion, subject.flags) for lesion in lesions]
    finding = Finding(
        case=subject.case,
        input_hash=subject.input_hash,
        series_uid=subject.series_uid,
        bundle=bundle,
        score=score,
        p_value=calibration.p_value(score),
        abnormal=calibration.is_abnormal(score),
        lesions=lesions,
        thresholds=_thresholds(calibration),
        calibration_cases=len(calibration.cases),
        flags=list(subject.flags),
        appearance=dict(appearance or {}),
        timings={step: round(seconds, 4) for step, seconds in timings.items()},
        precision=precision,
        versions=software_versions(),
    )
    score_map, place = score_map.astype(np.float32), np.asarray(affine, dtype=np.float64)
    return Examination(finding=finding, mask=mask, score=score_map, twin=twin, window=window, image=image, affine=place)


def _thresholds(calibration: Calibration) -> Thresholds:
    return Thresholds(
        voxel=calibration.voxel_threshold,
        image=min(calibration.image_threshold, 1.0),
        alpha=calibration.alpha,
        min_lesion_ml=calibration.min_lesion_ml,
    )


def _known(lesion: Lesion, flags: Sequence[str]) -> Lesion:
    """A lesion without what nobody knows of its picture: on which side it is, how large a pixel is."""
    unknown: dict[str, None] = {"side": None} if NO_ORIENTATION in flags else {}
    unknown |= {"area_mm2": None, "diameter_mm": None} if NO_SIZE in flags else {}
    return lesion.model_copy(update=unknown) if unknown else lesion


@cache
def software_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a result."""
    versions = {"python": platform.python_version()}
    for package in ("healthytwin", "monai", "torch", "numpy"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "unknown"
    return versions
