"""A header `.hdr` with its voxels in `.img` beside it: a NIfTI pair, or Analyze 7.5."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from data_prep.errors import InputError
from data_prep.formats.content import Content
from data_prep.formats.layout import Layout, check_voxels
from data_prep.formats.nifti import header_block, layout_of, not_nifti
from data_prep.formats.source import Source, is_kept

_NIFTI_PAIR = (b"ni1\0", b"n+1\0")
_UNFLIPPED = 0  # `orient`: transverse slices, the first axis to the left, the second to the front
_ORIENT = 252  # byte of it


def pair_layout(content: Content) -> Layout:
    """What a `.hdr` file says of the voxels in `.img`; both may be compressed, with `.gz` behind their names.

    Analyze 7.5 (Mayo Clinic, 1989) does not say which side is left: its slices count as radiological ones, as in SPM,
    FSL and nibabel, and the volume gets the flag `orientation_assumed`.

    Raises:
        InputError: MISSING_FILE without the `.img`; as of `layout_of`; NO_GEOMETRY for other slices than transverse
            ones, and where SPM put the orientation into a `.mat` file.
    """
    source = content.source
    data = _voxels_of(source)
    block = header_block(content)
    if len(block) == 540 or block[344:348] in _NIFTI_PAIR:
        layout = layout_of(content, block, data)
    else:
        layout = _analyze(content, block, data)
    return replace(layout, packing="gzip" if _is_gzip(data) else "raw")


def is_header(source: Source) -> bool:
    """Does a file called `.hdr` begin as one of these headers does? Other programs use that ending as well."""
    with Content(source) as content:
        return bool(header_block(content))


def header_beside(source: Source) -> Source | None:
    """The `.hdr` beside an `.img`, where there is one."""
    return next(_swapped(source, ".img", ".hdr"), None)


def _voxels_of(source: Source) -> Source:
    found = next(_swapped(source, ".hdr", ".img"), None)
    if found is None:
        stem = source.name[: source.name.lower().rfind(".hdr")]
        raise InputError(str(source), "MISSING_FILE", f"{stem}.img, the voxels of {source.name}, is not beside it")
    return found


def _swapped(source: Source, old: str, new: str) -> Iterator[Source]:
    """The files beside one that are called the same but for the ending."""
    at = source.name.lower().rfind(old)
    stem, ending = source.name[:at], source.name[at:]
    if not stem or ending.lower() not in (old, f"{old}.gz"):
        return
    endings = (new, f"{new}.gz", new.upper(), f"{new.upper()}.GZ")
    for other in sorted(endings, key=lambda other: other.isupper() != ending.isupper()):
        if (file := source.beside(stem + other)).is_file and is_kept(file):
            yield file


def _is_gzip(data: Source) -> bool:
    if not data.name.lower().endswith(".gz"):
        return False
    with Content(data) as content:
        return content.packed


def _analyze(content: Content, block: bytes, data: Source) -> Layout:
    import nibabel as nib

    source = content.source
    try:
        header = nib.Spm2AnalyzeHeader(block)
        dtype, shape = header.get_data_dtype(), tuple(int(size) for size in header.get_data_shape())
        affine, offset = np.array(header.get_origin_affine(), np.float64), int(header.get_data_offset())
        slope, intercept = header.get_slope_inter()
    except Exception as error:  # nibabel raises many types
        raise not_nifti(content, error) from error
    check_voxels(source, dtype, shape)
    moved = source.beside(f"{data.name[: data.name.lower().rfind('.img')]}.mat").is_file
    if block[_ORIENT] != _UNFLIPPED or moved:
        why = "in a .mat file of SPM" if moved else "in slices that are not transverse"
        raise InputError(str(source), "NO_GEOMETRY", f"{source.name} lies {why}; convert it to NIfTI")
    return Layout(
        dtype=dtype,
        shape=shape,
        affine=affine,
        data=data,
        offset=offset,
        slope=slope,
        intercept=intercept,
        flags=("orientation_assumed",),
    )
