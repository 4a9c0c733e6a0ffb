"""`SeriesReader`: MONAI's `ITKReader` behind a gate, so that bundles refuse what the command line refuses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data import ITKReader
from monai.utils import MetaKeys, SpaceKeys, ensure_tuple

from data_prep.dicom_series import Series
from data_prep.errors import InputError
from data_prep.inputs import series_at
from data_prep.nifti import check_affine, check_values, is_nifti, read_nifti
from data_prep.volume import Volume


class SeriesReader(ITKReader):
    """Read one DICOM series through ITK, after its geometry was checked, or a NIfTI file through nibabel.

    Use it by name: `LoadImaged(keys, reader="data_prep.SeriesReader")`. A path is a NIfTI file, a folder with one
    series, or one instance, which stands for its series within its folder. ITK gives a NIfTI's affine back only
    up to float rounding and refuses shears; nibabel gives it exactly.

    The meta data holds geometry, `series_uid` and `input_hash`, and nothing else of the header.
    """

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Every path is this reader's: what it cannot read it refuses with a reason."""
        return True

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> Volume:
        """The checked volume of one path; raises `InputError`."""
        paths = ensure_tuple(data)
        if len(paths) != 1:
            raise InputError(str(paths[0]), "WRONG_DIMENSION", f"one image at a time, got {len(paths)}")
        path = Path(paths[0])
        return read_nifti(path) if is_nifti(path) else self.read_series(series_at(path))

    def read_series(self, series: Series) -> Volume:
        """The volume of a DICOM series; raises `InputError`."""
        import itk

        series = series.checked()
        for file in series.files:
            _check_pixels(file)
        try:
            image = itk.imread([str(file) for file in series.files], itk.F)
        except RuntimeError as error:
            reason = f"its pixels cannot be decoded ({str(error).strip().splitlines()[-1]})"
            raise InputError(series.folder, "DECODE_FAILED", reason) from error
        affine = np.asarray(self._get_affine(image), dtype=np.float64)
        array = np.array(self._get_array_data(image))
        check_affine(series.folder, affine)
        check_values(series.folder, array)
        return Volume(array, affine, str(series.folder), series.uid, series.input_hash())

    def get_data(self, img: Volume) -> tuple[np.ndarray, dict[str, Any]]:
        """The array `(i, j, k)` and MONAI's meta data of what `read` returned."""
        return img.array, {
            MetaKeys.ORIGINAL_AFFINE: img.affine,
            MetaKeys.AFFINE: img.affine.copy(),
            MetaKeys.SPACE: SpaceKeys.RAS,
            MetaKeys.SPATIAL_SHAPE: np.asarray(img.shape),
            MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan"),
            "series_uid": img.series_uid or "",
            "input_hash": img.input_hash,
        }


def read_series(series: Series) -> Volume:
    """The volume of a DICOM series, float32; raises `InputError`."""
    return SeriesReader().read_series(series)


def _check_pixels(file: Path) -> None:
    """Raise TRUNCATED where a file holds fewer pixels than it says; GDCM would fill the rest without a word."""
    import pydicom

    try:
        instance = pydicom.dcmread(file)
        found = len(instance.PixelData)
    except (EOFError, OSError, ValueError, AttributeError) as error:
        raise InputError(file, "TRUNCATED", "the file ends before its pixels") from error
    compressed = instance.file_meta.TransferSyntaxUID.is_compressed
    expected = int(instance.Rows) * int(instance.Columns) * int(instance.BitsAllocated) // 8
    if not compressed and found < expected:
        raise InputError(file, "TRUNCATED", f"the file ends early: {found} of {expected} bytes of pixels")
