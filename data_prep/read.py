"""`read_volume`: the one way from a path to a volume."""

from __future__ import annotations

from pathlib import Path

from data_prep.nifti import is_nifti, read_nifti
from data_prep.volume import Volume


def read_volume(path: str | Path, *, allow_constant: bool = False) -> Volume:
    """Read and check a NIfTI file or a DICOM series.

    Args:
        path: a NIfTI file, a folder (tree) with one DICOM series, or one instance of a series, which stands for
            its series within its folder.
        allow_constant: accept a volume with one value throughout, as the label of a healthy case is.

    Raises:
        InputError: with the reason why this must not be used.
    """
    if is_nifti(path) and not Path(path).is_dir():
        return read_nifti(path, allow_constant=allow_constant)
    from data_prep.dicom_pixels import read_series
    from data_prep.dicom_series import series_at

    return read_series(series_at(path), path, allow_constant=allow_constant)
