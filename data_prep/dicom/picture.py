"""Single DICOM images as volumes of one slice: films, ultrasound, photographs, one slice of MR or CT."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from data_prep.dicom.geometry import Stack, affine_of
from data_prep.dicom.instance import Instance
from data_prep.errors import InputError
from data_prep.volume import NO_ORIENTATION, NO_SIZE, check_affine, check_size

if TYPE_CHECKING:
    from pydicom import Dataset

PICTURE_MODALITIES = ("CR", "DX", "MG", "IO", "PX", "US", "OP", "OPT", "XC")
"""Modalities whose images are each a picture of its own."""
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")  # between rows, between columns
_CENTIMETRES = 3  # PhysicalUnitsXDirection of an ultrasound region, PS3.3 C.8.5.5.1.15


def picture_of(image: Instance) -> Stack:
    """The grid of one image, its slice 1 mm thick.

    Where it says how it lies in the patient (MR, CT), so does the grid; else columns run to the patient's left, rows to
    the back, and the flag is `orientation_unknown`. The pixel size is PixelSpacing, ImagerPixelSpacing (at the
    detector, PS3.3 10.7.1.3), NominalScannedPixelSpacing, or that of the one ultrasound region; without any, a pixel
    counts as 1 mm and the flag is `pixel_size_unknown`.

    Raises:
        InputError: the fault of the image, UNSUPPORTED_MULTIFRAME, NO_GEOMETRY, BAD_SPACING or TOO_LARGE; its path is
            empty.
    """
    name = image.source.name
    if image.fault:
        raise InputError("", *image.fault)
    if image.frames > 1 and image.frame is None:
        reason = f"{name} holds {image.frames} frames in one image, which is not supported"
        raise InputError("", "UNSUPPORTED_MULTIFRAME", reason)
    check_size(name, (*image.shape, 1))
    spacing = image.spacing or _spacing(image)
    placed = bool(image.position and image.orientation)
    affine = affine_of(image, spacing or (1.0, 1.0))
    check_affine(name, affine, flat=True)
    flags = {NO_ORIENTATION: not placed, NO_SIZE: not spacing, "inverted": image.inverted}
    return Stack((image,), (0,), affine, tuple(flag for flag, there in flags.items() if there))


def _spacing(image: Instance) -> tuple[float, ...]:
    """Between rows and between columns, mm; `()` where the header does not say."""
    from pydicom import dcmread
    from pydicom.config import disable_value_validation

    with suppress(Exception), disable_value_validation(), image.source.open() as stream:  # of a header of any kind
        header = dcmread(stream, stop_before_pixels=True, force=True)
        return next((found for found in (_numbers(header, word) for word in _SPACINGS) if found), _of_region(header))
    return ()


def _numbers(header: Dataset, keyword: str) -> tuple[float, ...]:
    values: Any = header.get(keyword)
    return (
        tuple(float(value) for value in values) if values is not None and len(values) == 2 and min(values) > 0 else ()
    )


def _of_region(header: Dataset) -> tuple[float, ...]:
    """Of an ultrasound image whose regions agree; several, such as a Doppler curve below, have scales of their own."""
    regions = header.get("SequenceOfUltrasoundRegions") or ()
    sizes = {
        (10 * abs(float(region.PhysicalDeltaY)), 10 * abs(float(region.PhysicalDeltaX)))
        for region in regions
        if {region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection} == {_CENTIMETRES}
    }
    (size,) = sizes if len(sizes) == 1 and len(regions) >= 1 else ((),)
    return size if size and min(size) > 0 else ()
