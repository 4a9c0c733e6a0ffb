"""`Steps`: what is done to every scan of a cohort, once, before it is learnt from."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np

from data_prep.errors import InputError
from data_prep.files import atomically
from data_prep.volume import NO_ORIENTATION, NO_SIZE, Volume, is_flat

VERSION = 1  # raise it when a step gives something else than before
_SHRUNK = 40  # voxels along an axis are enough to fit a bias field
_STRIP_SECONDS = 3600


class ToolError(RuntimeError):
    """An installed tool is missing or fails."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """What to do, in this order.

    Args:
        n4: N4 bias field correction (Tustison 2010).
        skull_strip: command of a brain extraction tool, called as `hd-bet -i IN -o OUT`; what it sets to 0 is 0.
        spacing: millimetres between voxels along the source's axes; linear for images, nearest for masks.
        standardise: "percentile": the 1st and 99th within the head become 0 and 1; "nyul": see `data_prep.cohort.nyul`.
    """

    n4: bool = False
    skull_strip: str | None = None
    spacing: tuple[float, float, float] | None = None
    standardise: Literal["percentile", "nyul"] | None = None

    def settings(self) -> dict[str, Any]:
        """For the datalist, and for the key under which results are kept."""
        return {"version": VERSION, **asdict(self)}

    def check(self) -> None:
        """Raise ToolError where the brain extraction tool is not installed."""
        if self.skull_strip is not None and shutil.which(self.skull_strip) is None:
            msg = f"there is no command {self.skull_strip}; HD-BET comes with pip install 'healthytwin[skull-strip]'"
            raise ToolError(msg)

    def image(self, volume: Volume) -> Volume:
        """A scan after every step but Nyul's, which needs the whole cohort; of several sequences each."""
        if volume.sequences:
            moved = [None if one is None else self.image(one) for one in volume.each()]
            first = next(one for one in moved if one is not None)
            return replace(first, sequences=tuple(None if one is None else one.array for one in moved))
        if self.n4:
            volume = replace(volume, array=correct_bias(volume))
        if self.skull_strip is not None:
            volume = replace(volume, array=strip_skull(volume, self.skull_strip))
        if self.spacing is not None:
            volume = resample(volume, self.spacing, nearest=False)
        if self.standardise == "percentile":
            volume = replace(volume, array=stretch(volume.array))
        return volume

    def label(self, volume: Volume) -> Volume:
        """A mask after the steps that move voxels."""
        volume = replace(volume, array=(volume.array > 0).astype(np.uint8))
        return volume if self.spacing is None else resample(volume, self.spacing, nearest=True)


def moved_runs(runs: Sequence[Sequence[int]], before: np.ndarray, after: np.ndarray) -> list[list[int]]:
    """Runs of slices `[start, stop)` along the third axis in another spacing: what lies in them wholly.

    Args:
        runs: before.
        before: affine 4 x 4.
        after: affine of the same axes at another spacing.
    """
    to_after = np.linalg.inv(after) @ before
    scale, offset = to_after[2, 2], to_after[2, 3]
    ends = [(scale * start + offset, scale * (stop - 1) + offset) for start, stop in runs]
    inner = [[int(np.ceil(start - 1e-6)), int(np.floor(end + 1e-6)) + 1] for start, end in ends]
    return [run for run in inner if run[0] < run[1]]


def correct_bias(volume: Volume) -> np.ndarray:
    """N4 (Tustison et al. 2010), fitted on a shrunken copy within Otsu's foreground, `(i, j, k)` float32."""
    import SimpleITK as sitk  # noqa: N813

    image = sitk.GetImageFromArray(volume.array.astype(np.float32).T)
    image.SetSpacing([float(length) for length in volume.spacing])
    mask = sitk.OtsuThreshold(image, 0, 1, 200)
    shrink = [max(1, size // _SHRUNK) for size in image.GetSize()]
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetNumberOfThreads(1)  # the same result on every machine
    try:
        corrector.Execute(sitk.Shrink(image, shrink), sitk.Shrink(mask, shrink))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise InputError(volume.source, "STEP_FAILED", f"N4 bias correction gave up ({reason})") from error
    small = corrector.GetLogBiasFieldAsImage(sitk.Shrink(image, shrink))
    resampler = sitk.ResampleImageFilter()
    resampler.SetReferenceImage(image)
    resampler.UseNearestNeighborExtrapolatorOn()  # the outermost voxels lie beyond the centres of the shrunken ones
    field = sitk.GetArrayFromImage(resampler.Execute(small)).T
    corrected: np.ndarray = (volume.array / np.exp(field)).astype(np.float32)
    return corrected


def strip_skull(volume: Volume, command: str) -> np.ndarray:
    """What an installed tool leaves of a head, on the same grid.

    Raises:
        InputError: STEP_FAILED where it fails, or gives another grid.
    """
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name, "head.nii.gz"), Path(name, "brain.nii.gz")
        save(volume, source)
        try:
            done = subprocess.run(
                [command, "-i", str(source), "-o", str(target)], capture_output=True, text=True, timeout=_STRIP_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise InputError(volume.source, "STEP_FAILED", f"{command} does not come to an end ({error})") from error
        if done.returncode or not target.is_file():
            said = (done.stderr or done.stdout).strip().splitlines()
            reason = f"{command} failed ({said[-1] if said else f'exit code {done.returncode}'})"
            raise InputError(volume.source, "STEP_FAILED", reason)
        brain: np.ndarray = np.asarray(nib.load(target).dataobj)  # type: ignore[attr-defined]
    if brain.shape != volume.shape:
        raise InputError(volume.source, "STEP_FAILED", f"{command} gave {brain.shape} voxels for {volume.shape}")
    return np.where(brain != 0, volume.array, 0).astype(volume.array.dtype)


def resample(volume: Volume, spacing: tuple[float, float, float], *, nearest: bool) -> Volume:
    """Another voxel size along the same axes; right angles where they were sheared."""
    import torch
    from monai.data import MetaTensor
    from monai.transforms import Spacing

    values, affine = torch.as_tensor(volume.array.astype(np.float32)), torch.as_tensor(volume.affine)
    mode, padding = ("nearest", "zeros") if nearest else ("bilinear", "border")
    moved = Spacing(spacing, mode=mode, padding_mode=padding)(MetaTensor(values[None], affine=affine))
    array = moved[0].numpy()
    if min(array.shape[:2] if is_flat(volume.shape) else array.shape) < 2:
        raise InputError(volume.source, "STEP_FAILED", f"at {spacing} mm only {array.shape} voxels are left")
    kind = volume.array.dtype if nearest else np.dtype(np.float32)
    return replace(volume, array=array.astype(kind), affine=moved.affine.numpy().astype(np.float64))


def stretch(array: np.ndarray) -> np.ndarray:
    """The 1st and 99th percentile within the head to 0 and 1, nothing cut off, `(i, j, k)` float32."""
    from data_prep.cohort.nyul import landmarks

    marks = landmarks(array)
    return ((array - marks[0]) / max(marks[-1] - marks[0], 1e-12)).astype(np.float32)


def save_all(volume: Volume, folder: Path, name: str) -> list[str | None]:
    """Write a scan, of several sequences one file each, numbered as nnU-Net does.

    Args:
        volume: of one or several sequences.
        folder: that `name` is in.
        name: of the file, ending in `.nii.gz`.

    Returns:
        The names, of several sequences None for one that is missing.
    """
    if not volume.sequences:
        save(volume, folder / name)
        return [name]
    names: list[str | None] = []
    for number, array in enumerate(volume.sequences):
        names.append(None if array is None else numbered(name, number))
        if array is not None:
            save(replace(volume, array=array, sequences=()), folder / numbered(name, number))
    return names


def numbered(name: str, number: int) -> str:
    """The name of one sequence's file.

    >>> numbered("images/a.nii.gz", 1)
    'images/a_0001.nii.gz'
    """
    return f"{name.removesuffix('.nii.gz')}_{number:04d}.nii.gz"


def save(volume: Volume, path: Path) -> None:
    """Write a NIfTI file: the affine as sform, which holds shear; a picture without a place gets none, nor a unit."""
    placed = NO_ORIENTATION not in volume.flags
    image = nib.Nifti1Image(volume.array, volume.affine if placed else None)  # type: ignore[no-untyped-call]
    if not placed:
        image.header.set_zooms(volume.spacing)
        image.header.set_xyzt_units("unknown" if NO_SIZE in volume.flags else "mm")
    with atomically(path) as partial:
        nib.save(image, partial)  # type: ignore[no-untyped-call]
