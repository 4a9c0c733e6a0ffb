"""`read_volume`: the one way from a path to a volume."""

from __future__ import annotations

from pathlib import Path

from data_prep.errors import InputError
from data_prep.formats.source import Source
from data_prep.formats.table import Format, format_of, volume_file
from data_prep.volume import Volume, is_flat


def read_volume(
    path: str | Path, *, allow_constant: bool = False, allow_gaps: bool = False, flat: bool | None = None
) -> Volume:
    """Read and check a file of any format of `data_prep.formats.table`, or a DICOM volume.

    Args:
        path: a file; a folder (tree) or zip archive with one DICOM volume; one of its files, which stands for its
            volume within its folder; or `Series.place`.
        allow_constant: accept a volume with one value throughout, as the label of a healthy case is.
        allow_gaps: accept a DICOM volume with whole slices missing; they are interpolated, and `Volume.flags` says so.
        flat: as for `discover`: True, to read a single DICOM image. A file of one slice is read unless it is False.

    Raises:
        InputError: with the reason why this must not be used.
    """
    if (found := volume_at(path)) is not None:
        kind, source = found
        volume = kind.read(source, allow_constant=allow_constant)
        if flat is not None and is_flat(volume.shape) != flat:
            what = "a picture of one slice, wanted are volumes" if flat is False else "a volume, wanted are pictures"
            raise InputError(path, "WRONG_DIMENSION", f"{source.name} is {what}")
        return volume
    from data_prep.find.series_at import series_at

    return series_at(path, allow_gaps=allow_gaps, flat=flat).volume(allow_constant=allow_constant)


def shape_at(path: str | Path) -> tuple[int, ...] | None:
    """Voxels along each axis of what `read_volume` would read, from headers alone; None where that is not known.

    Raises:
        InputError: as of `read_volume`.
    """
    if (found := volume_at(path)) is not None:
        kind, source = found
        return kind.header(source).shape
    from data_prep.find.series_at import series_at

    series = series_at(path)
    return series.shape if not series.code else series_at(path, flat=True).shape


def files_at(path: str | Path) -> tuple[Source, ...]:
    """All files of the volume at a path: a header's voxels belong to it."""
    from data_prep.find.walk import within_archive

    if (found := volume_at(path)) is not None:
        kind, source = found
        return kind.files(source)
    return (within_archive(Path(path)) or Source(Path(path)),)


def volume_at(path: str | Path) -> tuple[Format, Source] | None:
    """The format of what is at a path and the file by which it is read; None for a folder and for DICOM."""
    from data_prep.find.walk import within_archive

    path = Path(path)
    if path.is_dir():
        return None
    source = volume_file(within_archive(path) or Source(path))
    kind = format_of(source)
    return None if kind is None else (kind, source)
