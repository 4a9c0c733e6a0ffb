"""`read_volume`: the one way from a path to a volume."""

from __future__ import annotations

from pathlib import Path

from data_prep.formats.nifti import is_nifti, read_nifti
from data_prep.volume import Volume


def read_volume(path: str | Path, *, allow_constant: bool = False, allow_gaps: bool = False) -> Volume:
    """Read and check a NIfTI or NRRD file or a DICOM volume.

    Args:
        path: a file; a folder (tree) or zip archive with one DICOM volume; one of its files, which stands for its
            volume within its folder; or `Series.place`.
        allow_constant: accept a volume with one value throughout, as the label of a healthy case is.
        allow_gaps: accept a DICOM volume with whole slices missing; they are interpolated, and `Volume.flags` says so.

    Raises:
        InputError: with the reason why this must not be used.
    """
    from data_prep.find.walk import within_archive
    from data_prep.formats.nrrd import is_nrrd, read_nrrd

    path = Path(path)
    if is_nifti(path) and not path.is_dir():
        return read_nifti(within_archive(path) or path, allow_constant=allow_constant)
    if is_nrrd(path) and not path.is_dir():
        return read_nrrd(within_archive(path) or path, allow_constant=allow_constant)
    from data_prep.find.locate import series_at

    return series_at(path, allow_gaps=allow_gaps).volume(allow_constant=allow_constant)
