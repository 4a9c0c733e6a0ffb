"""Pictures: PNG, JPEG, TIFF and BMP, each a volume of one slice."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import numpy as np

from data_prep.errors import InputError
from data_prep.formats.layout import LPS, Header, is_pointer
from data_prep.formats.source import UNREADABLE, Source, unreadable
from data_prep.volume import NO_ORIENTATION, NO_SIZE, Volume, check_affine, check_size, check_values

if TYPE_CHECKING:
    from PIL.Image import Image

Channel = Literal["grey", "red", "green", "blue"]
CHANNELS: tuple[Channel, ...] = ("grey", "red", "green", "blue")
_BEGIN = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"BM")
_PLUGINS = ("PNG", "JPEG", "TIFF", "BMP")  # no other decoder is offered a file
_PLAIN = ("L", "I", "F", "I;16", "I;16L", "I;16B", "I;16N")  # one number a pixel
_MM_PER_INCH = 25.4
_ON_ITS_SIDE = (5, 6, 7, 8)
_OF_SCREENS = (72, 96)  # pixels an inch that programs write where nobody has measured


def is_picture(source: Source) -> bool:
    """Does a file begin as a picture does, or stand for one that is not on this disk?"""
    try:
        with source.open() as stream:
            begin = stream.read(64)
    except UNREADABLE as error:
        raise unreadable(source, error) from error
    return begin.startswith(_BEGIN) or is_pointer(begin)


def picture_header(source: Source) -> Header:
    """What a picture says before its pixels are decoded.

    Raises:
        InputError: as of `read_picture`, but for what only the pixels tell.
    """
    with _opened(source, source_bytes(source)) as image:
        affine, flags = _placed(source, image)
        return Header((*_turned(image), 1), affine, flags, (source,))


def read_picture(source: Source, *, allow_constant: bool = False, channel: Channel = "grey") -> Volume:
    """Read a picture as `(columns, rows, 1)`.

    Its place is the one that ITK gives it: columns run to the patient's left, rows to the back, and as nothing says
    so, it has the flag `orientation_unknown`. Pixel sizes are those of the file; where there is none, or the 72 or 96
    pixels an inch of a screen, a pixel counts as 1 mm and the flag is `pixel_size_unknown`.

    Args:
        source: the file.
        allow_constant: accept one value throughout, as the mask of a healthy case has.
        channel: of a colour picture; "grey" is the luma of ITU-R 601. A picture whose channels are alike is grey.

    Returns:
        uint8 or uint16 as stored, int32 or float32 of a TIFF. What is turned by EXIF is turned.

    Raises:
        InputError: MISSING_FILE, UNREADABLE, NOT_AN_IMAGE, TRUNCATED, TOO_LARGE, WRONG_DIMENSION for several pages,
            BAD_SPACING, NAN or EMPTY.
    """
    from PIL import ImageOps

    content = source_bytes(source)
    with _opened(source, content) as image:
        affine, flags = _placed(source, image)
        is_upright = _orientation(image) == 1
        try:
            image.load()
            turned = image if is_upright else ImageOps.exif_transpose(image)
        except Exception as error:  # Pillow's decoders raise many types
            why = f"{source.name} ends too early or is damaged ({error})"
            raise InputError(str(source), "TRUNCATED", why) from error
        array = np.ascontiguousarray(_grey(turned, channel).T)[..., None]
    check_values(str(source), array, allow_constant=allow_constant)
    digest = hashlib.sha256(content).hexdigest()
    return Volume(array, affine, str(source), None, digest, flags)


def source_bytes(source: Source) -> bytes:
    """All bytes of a file; raises `InputError` where it cannot be read, or stands for another that is not here."""
    try:
        content = source.read()
    except UNREADABLE as error:
        raise unreadable(source, error) from error
    if is_pointer(content[:64]):
        why = f"{source.name} stands for a file that is not on this disk; fetch it (datalad get, git lfs pull)"
        raise InputError(str(source), "MISSING_FILE", why)
    return content


@contextmanager
def _opened(source: Source, content: bytes) -> Iterator[Image]:
    from PIL import Image, TiffImagePlugin  # noqa: F401  (the others are loaded by `open` itself)

    place, name = str(source), source.name
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes, which are checked here, and of odd EXIF
            image = Image.open(io.BytesIO(content), formats=_PLUGINS)
    except Image.DecompressionBombError as error:
        raise InputError(place, "TOO_LARGE", f"{name} claims more pixels than are read") from error
    except Exception as error:  # Pillow raises many types
        raise InputError(place, "NOT_AN_IMAGE", f"{name} is not a picture that can be read") from error
    with image:
        check_size(place, (*image.size, 1))
        if min(image.size) < 2:
            raise InputError(place, "WRONG_DIMENSION", f"{name} has {image.size[0]} x {image.size[1]} pixels")
        if image.format == "TIFF" and (pages := getattr(image, "n_frames", 1)) > 1:
            raise InputError(place, "WRONG_DIMENSION", f"{name} holds {pages} pages, one picture a file is needed")
        yield image


def _turned(image: Image) -> tuple[int, int]:
    """Columns and rows once the picture is upright."""
    width, height = image.size
    return (height, width) if _orientation(image) in _ON_ITS_SIDE else (width, height)


def _orientation(image: Image) -> int:
    """EXIF's, 1 to 8, as far as it stands before the pixels."""
    from PIL.ExifTags import Base

    if image.format == "PNG" and "exif" not in image.info:  # Pillow would decode all of it to look behind the pixels
        return 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = image.getexif().get(Base.Orientation)
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _placed(source: Source, image: Image) -> tuple[np.ndarray, tuple[str, ...]]:
    """The affine, voxel to RAS+ mm, and the flags."""
    size = _pixel_size(image)
    across, down = size or (1.0, 1.0)
    affine = LPS @ np.diag([*((down, across) if _orientation(image) in _ON_ITS_SIDE else (across, down)), 1.0, 1.0])
    check_affine(str(source), affine, flat=True)
    return affine, (NO_ORIENTATION,) if size else (NO_ORIENTATION, NO_SIZE)


def _pixel_size(image: Image) -> tuple[float, float] | None:
    """Millimetres between columns and between rows; None where the file does not say."""
    resolution = image.info.get("dpi")  # Pillow's, of PNG, JPEG, TIFF and BMP, where they name a unit of length
    try:
        across, down = (float(number) for number in resolution or ())
    except (TypeError, ValueError):
        return None
    if not (np.isfinite([across, down]).all() and min(across, down) > 0):
        return None
    if any(abs(across - usual) < 0.6 and abs(down - usual) < 0.6 for usual in (1, *_OF_SCREENS)):
        return None
    return _MM_PER_INCH / across, _MM_PER_INCH / down


def _grey(image: Image, channel: Channel) -> np.ndarray:
    """One number a pixel, `(rows, columns)`."""
    if image.mode in _PLAIN:
        array = np.asarray(image)
        return array.astype(array.dtype.newbyteorder("="), copy=False)
    if image.mode in ("1", "LA", "La"):
        return np.asarray(image.convert("L"))
    colours = np.asarray(image.convert("RGB"))
    if (colours == colours[..., :1]).all():
        return colours[..., 0]
    return (
        np.asarray(image.convert("RGB").convert("L"))
        if channel == "grey"
        else colours[..., CHANNELS.index(channel) - 1]
    )
