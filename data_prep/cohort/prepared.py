"""`Preparer`: one scan after the other through the steps, each once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.cases.read import read_volume
from data_prep.cases.visit import read_visit
from data_prep.cohort.cache import Cache
from data_prep.cohort.content import content_hash
from data_prep.cohort.found import Found
from data_prep.cohort.leakage import voxel_hash
from data_prep.cohort.nyul import landmarks, standardise
from data_prep.cohort.steps import Steps, moved_runs, save
from data_prep.errors import InputError
from data_prep.volume import Volume, is_flat


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A scan that is ready.

    Args:
        scan: as it was found.
        key: in the cache: `<key>.nii.gz`, `<key>-label.nii.gz` where there is a mask.
        voxels: `voxel_hash` of the source.
        shape: of the result.
        spacing: of the result, mm.
        abnormal: voxels of the mask above 0; None without a mask.
        runs: healthy runs of slices, in the result's slices.
        marks: Nyul landmarks, where that is asked for.
        flags: of the volume.
    """

    scan: Found
    key: str
    voxels: str
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    abnormal: int | None
    runs: list[list[int]]
    marks: list[float]
    flags: tuple[str, ...]

    @property
    def ill(self) -> bool:
        """Is it known, or shown by its mask, to be abnormal?"""
        return self.scan.healthy is False or bool(self.abnormal)


class Preparer:
    """Applies steps and keeps what they give.

    Args:
        cache: where results are kept.
        steps: what to do.
        allow_gaps: accept DICOM volumes in which whole slices are missing.
    """

    def __init__(self, cache: Cache, steps: Steps, *, allow_gaps: bool = False) -> None:
        self.cache = cache
        self.steps = steps
        self.allow_gaps = allow_gaps

    def prepare(self, scan: Found) -> Prepared:
        """Prepare one scan, or find it prepared.

        Raises:
            InputError: why the scan, or its mask, cannot be used; STEP_FAILED where a step fails.
        """
        runs = [list(run) for run in scan.meta.get("healthy_slices", ())]
        key = Cache.key(content_hash(scan), self.steps.settings(), self.allow_gaps, runs)
        facts = self.cache.facts(key)
        if facts is None or not all(path.is_file() for path in self._paths(scan, key) if path):
            facts = self._make(scan, key, runs)
            self.cache.note(key, facts)
        facts |= {"shape": tuple(facts["shape"]), "spacing": tuple(facts["spacing"]), "flags": tuple(facts["flags"])}
        return Prepared(scan=scan, key=key, **facts)

    def _make(self, scan: Found, key: str, runs: list[list[int]]) -> dict[str, Any]:
        before = self._read(scan)
        label = None if scan.label is None else _label(scan.label, before)
        after = self.steps.image(before)
        arrays = after.sequences or (after.array,)
        for suffix, array in zip(_suffixes(scan), arrays, strict=True):
            if array is not None:
                one = replace(after, array=array, sequences=())
                self.cache.keep(key, suffix, partial(save, one))
        if label is not None:
            mask = self.steps.label(label)
            self.cache.keep(key, "-label.nii.gz", lambda path: save(mask, path))
        return {
            "voxels": voxel_hash(before),
            "shape": after.shape,
            "spacing": [round(length, 4) for length in after.spacing],
            "abnormal": None if label is None else int(np.count_nonzero(label.array)),
            "runs": moved_runs(runs, before.affine, after.affine),
            "marks": landmarks(after.array).tolist() if self.steps.standardise == "nyul" else [],
            "flags": before.flags,
        }

    def _read(self, scan: Found) -> Volume:
        if scan.images:
            read = partial(read_volume, allow_gaps=self.allow_gaps)
            return read_visit([None if one is None else partial(read, one) for one in scan.images])
        return scan.series.volume() if scan.series else read_volume(scan.image, allow_gaps=self.allow_gaps)

    def _paths(self, scan: Found, key: str) -> list[Path | None]:
        images = scan.images or (scan.image,)
        return [self.cache.path(key, end) if one else None for end, one in zip(_suffixes(scan), images, strict=True)]

    def standardise(self, prepared: Prepared, scale: np.ndarray) -> Path:
        """The image on the cohort's scale of intensities."""
        key = Cache.key(prepared.key, "nyul", scale.tolist())

        def write(path: Path) -> None:
            volume = read_volume(self.cache.path(prepared.key, ".nii.gz"))
            save(replace(volume, array=standardise(volume.array, np.array(prepared.marks), scale)), path)

        return self.cache.keep(key, ".nii.gz", write)

    def image(self, prepared: Prepared) -> Path:
        """The image as the steps left it; of several sequences the first that is not missing."""
        return next(path for path in self.images(prepared) if path)

    def images(self, prepared: Prepared) -> list[Path | None]:
        """Every sequence as the steps left it; None: missing."""
        return self._paths(prepared.scan, prepared.key)

    def label(self, prepared: Prepared) -> Path:
        """The mask; an empty one for a scan that has none."""

        def write(path: Path) -> None:
            volume = read_volume(self.image(prepared))
            save(replace(volume, array=np.zeros(volume.shape, np.uint8)), path)

        return self.cache.keep(prepared.key, "-label.nii.gz", write)


def _suffixes(scan: Found) -> list[str]:
    """What the files of a scan end with in the cache."""
    return [f"_{number:04d}.nii.gz" for number in range(len(scan.images))] or [".nii.gz"]


def _label(path: Path, image: Volume) -> Volume:
    label = read_volume(path, allow_constant=True)
    if is_flat(image.shape) and label.shape == image.shape:  # whatever either file says of the pixels' size
        return replace(label, affine=image.affine, flags=image.flags)
    if label.shape != image.shape or not np.allclose(label.affine, image.affine, atol=1e-2):
        reason = f"the mask {path.name} has another grid ({label.shape}) than its image ({image.shape})"
        raise InputError(path, "MIXED_GRID", reason)
    return label
