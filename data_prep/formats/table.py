"""The table of file formats: to add one is a reader and a row here."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from data_prep.errors import InputError
from data_prep.formats.analyze import header_beside, is_header, pair_layout
from data_prep.formats.layout import Header, Parse, read_header, read_layout
from data_prep.formats.metaimage import metaimage_layout
from data_prep.formats.mgh import mgh_layout
from data_prep.formats.nifti import nifti_layout
from data_prep.formats.nrrd import nrrd_layout
from data_prep.formats.picture import is_picture, picture_header, read_picture
from data_prep.formats.source import Source
from data_prep.volume import Volume


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format of volumes in files; DICOM, which is known by its content and not by its name, is none.

    Args:
        kind: its name, as `inspect` and the archive's ledger give it.
        suffixes: that files of it have, in lower case.
        header: from a file to its shape, affine, flags and files; raises `InputError`.
        read: the volume; takes `allow_constant` as well; raises `InputError`.
        detached: those of the suffixes whose voxels are in another file.
        claims: for a suffix that other programs use as well: is a file of this format?
        pictures: does a file of it always hold one slice?
    """

    kind: str
    suffixes: tuple[str, ...]
    header: Callable[[Source], Header]
    read: Callable[..., Volume]
    detached: tuple[str, ...] = ()
    claims: Callable[[Source], bool] | None = None
    pictures: bool = False

    def files(self, source: Source) -> tuple[Source, ...]:
        """All files of a volume; the one that is named alone, where its header cannot be read."""
        try:
            return self.header(source).files
        except InputError:
            return (source,)


def _of_voxels(kind: str, suffixes: tuple[str, ...], parse: Parse, **options: Any) -> Format:
    """A format whose voxels lie in a file as they are, or compressed as a whole."""

    def read(source: Source, *, allow_constant: bool = False) -> Volume:
        return read_layout(source, parse, allow_constant=allow_constant)

    return Format(kind=kind, suffixes=suffixes, header=lambda source: read_header(source, parse), read=read, **options)


FORMATS = (
    _of_voxels("nifti", (".nii", ".nii.gz"), nifti_layout),
    _of_voxels("nrrd", (".nrrd", ".nhdr"), nrrd_layout, detached=(".nhdr",)),
    _of_voxels("analyze", (".hdr", ".hdr.gz"), pair_layout, detached=(".hdr", ".hdr.gz"), claims=is_header),
    _of_voxels("mgh", (".mgh", ".mgz", ".mgh.gz"), mgh_layout),
    _of_voxels("metaimage", (".mha", ".mhd"), metaimage_layout, detached=(".mhd",)),
    Format(
        kind="picture",
        suffixes=(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"),
        header=picture_header,
        read=read_picture,
        claims=is_picture,
        pictures=True,
    ),
)
SUFFIXES = tuple(
    sorted((suffix for one in FORMATS if not one.pictures for suffix in one.suffixes), key=len, reverse=True)
)
"""Of volumes."""
PICTURES = tuple(suffix for one in FORMATS if one.pictures for suffix in one.suffixes)
SINGLE_FILE = tuple(suffix for suffix in SUFFIXES if not any(suffix in one.detached for one in FORMATS))
PATTERN = "(?:" + "|".join(map(re.escape, SUFFIXES)) + ")$"


def suffix_of(name: str) -> str:
    """What a file's name has of `SUFFIXES` or `PICTURES`, in lower case; "" where it has none.

    >>> suffix_of("scan.NII.GZ"), suffix_of("IM0001.dcm")
    ('.nii.gz', '')
    """
    return next((suffix for suffix in (*SUFFIXES, *PICTURES) if name.lower().endswith(suffix)), "")


def format_of(source: Source) -> Format | None:
    """The format of a file by its name, and by its content where other programs use that name; it need not be there."""
    found = _BY_SUFFIX.get(suffix_of(source.name))
    if found is None or found.claims is None:
        return found
    try:
        return found if found.claims(source) else None
    except InputError:
        return found  # to be refused by its reader, with the reason


def volume_file(source: Source) -> Source:
    """The file by which a volume is read: the header where its voxels are named, else the file itself."""
    return header_beside(source) or source


def has_header(source: Source) -> bool:
    """Does a file hold the voxels of a header beside it, by the names of both?"""
    stem, ending = os.path.splitext(source.name)
    if ending.lower() in _PACKED:
        stem, ending = os.path.splitext(stem)
    endings = [suffix for one in FORMATS for suffix in one.detached]
    return ending.lower() in _VOXELS and any(
        source.beside(stem + other).is_file for suffix in endings for other in (suffix, suffix.upper())
    )


_VOXELS, _PACKED = (".raw", ".zraw", ".img", ".bin", ".dat"), (".gz", ".bz2")
_BY_SUFFIX = {suffix: one for one in FORMATS for suffix in one.suffixes}
