"""Whatever people hold an image in, as a volume: arrays, tensors, nibabel's and SimpleITK's images, paths, lists."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anomaly.volume import VolumeError, VolumeLike

Array = np.ndarray
_SAME_MM = 0.05  # corners that lie nearer to each other are one
Load = Callable[[Any], Any]


@dataclass(frozen=True, eq=False, kw_only=True)
class Image:
    """A volume made from what a caller holds; see `data_prep.Volume`, whose fields these are."""

    array: Array
    affine: Array
    source: str = ""
    series_uid: str | None = None
    input_hash: str = ""
    flags: tuple[str, ...] = ()
    sequences: tuple[Array | None, ...] = ()


def as_volume(image: Any, *, affine: Any = None, load: Load | None = None) -> VolumeLike:
    """An image as a volume.

    Args:
        image: a volume with `array` and `affine`; a path; an image of nibabel or SimpleITK; a MetaTensor; an array or
            tensor `(i, j, k)`, with `affine`; or a list of these, the sequences of one visit, None for one that is
            missing. A leading axis of a MetaTensor or tensor is its channels, the sequences.
        affine: 4 x 4, voxel to RAS+ mm, of an array or a tensor.
        load: from a path, or a list of paths and None, to a MetaTensor `(C, i, j, k)`.

    Raises:
        VolumeError: it is none of these, has no place in the world, or cannot be read; of a list, the images are not
            on one grid.
    """
    if hasattr(image, "meta") and hasattr(image, "affine"):
        return _of_tensor(image, image.affine, image.meta)
    if hasattr(image, "array") and hasattr(image, "affine"):
        return image  # type: ignore[no-any-return]
    if isinstance(image, list | tuple):
        return _visit(image, affine, load)
    if isinstance(image, str | os.PathLike):
        return _loaded(image, load)
    if hasattr(image, "GetDirection") and hasattr(image, "GetSpacing"):
        return _of_itk(image)
    if hasattr(image, "dataobj"):
        return Image(array=_squeezed(np.asanyarray(image.dataobj)), affine=np.asarray(image.affine, np.float64))
    if hasattr(image, "__array__") or hasattr(image, "numpy"):
        if affine is None:
            raise VolumeError("the array", "NO_GEOMETRY", "an array does not say where it lies; give its affine=...")
        return _of_tensor(image, affine, {})
    kind = f"{type(image).__module__}.{type(image).__qualname__}"
    raise VolumeError("the image", "NOT_AN_IMAGE", f"an image cannot be made of {kind}")


def _visit(images: Sequence[Any], affine: Any, load: Load | None) -> VolumeLike:
    """Several sequences of one visit; paths go to the reader together, which brings them onto one grid."""
    if len(images) == 2 and tuple(getattr(images[1], "shape", ())) == (4, 4):
        return as_volume(images[0], affine=images[1], load=load)
    there = [image for image in images if image is not None]
    if not there:
        raise VolumeError("the list", "NOT_AN_IMAGE", "a list without an image")
    if all(isinstance(image, str | os.PathLike) for image in there):
        return _loaded(images, load)
    volumes = [None if image is None else as_volume(image, affine=affine, load=load) for image in images]
    first = next(volume for volume in volumes if volume is not None)
    for number, volume in enumerate(volumes):
        if volume is not None and not _on_one_grid(volume, first):
            reason = f"image {number} of the list lies on another grid than the first; give paths, which are resampled"
            raise VolumeError("the list", "MIXED_GRID", reason)
    flags = tuple(f"missing_{number}" for number, volume in enumerate(volumes) if volume is None)
    arrays = tuple(None if volume is None else np.asarray(volume.array) for volume in volumes)
    more = arrays if len(arrays) > 1 else ()
    return Image(array=np.asarray(first.array), affine=np.asarray(first.affine), flags=flags, sequences=more)


def _loaded(path: Any, load: Load | None) -> VolumeLike:
    if load is None:
        raise VolumeError(str(path), "NOT_AN_IMAGE", "paths are read by a bundle, and there is none")
    several = isinstance(path, list | tuple)
    name = str(next(one for one in path if one is not None) if several else path)
    try:
        loaded = load(path)
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None and not (hasattr(cause, "code") and hasattr(cause, "reason")):
            cause = cause.__cause__
        if cause is None:
            raise
        raise VolumeError(name.rpartition("/")[2], str(cause.code), str(cause.reason)) from error  # type: ignore[attr-defined]
    volume = _of_tensor(loaded, loaded.affine, loaded.meta)
    return Image(**{**vars(volume), "source": name})


def _of_tensor(image: Any, affine: Any, meta: Any) -> Image:
    """A tensor or array, `(i, j, k)` or with channels before; of `meta` what it says of the source."""
    array = np.asarray(image.detach().cpu() if hasattr(image, "detach") else image)
    flags = tuple(str(meta.get("flags", "")).split())
    missing = {flag for flag in flags if flag.startswith("missing_")}
    sequences: tuple[Array | None, ...] = ()
    if array.ndim == 4:
        channels = [None if f"missing_{number}" in missing else channel for number, channel in enumerate(array)]
        sequences = tuple(channels) if len(channels) > 1 else ()
        array = next(channel for channel in channels if channel is not None)
    return Image(
        array=array,
        affine=np.asarray(affine, dtype=np.float64),
        source=str(meta.get("filename_or_obj", "")),
        series_uid=meta.get("series_uid") or None,
        input_hash=str(meta.get("input_hash", "")),
        flags=flags,
        sequences=sequences,
    )


def _of_itk(image: Any) -> Image:
    """A SimpleITK image: its axes are x, y, z, in LPS mm."""
    import SimpleITK as sitk  # noqa: N813

    size = image.GetDimension()
    affine = np.eye(4)
    affine[:size, :size] = np.reshape(image.GetDirection(), (size, size)) * np.asarray(image.GetSpacing())
    affine[:size, 3] = image.GetOrigin()
    return Image(array=_squeezed(sitk.GetArrayFromImage(image).T), affine=np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)


def _squeezed(array: Array) -> Array:
    """Without axes of one voxel behind the third."""
    return array.reshape(array.shape[:3]) if array.ndim > 3 and set(array.shape[3:]) == {1} else array


def _on_one_grid(one: VolumeLike, other: VolumeLike) -> bool:
    shape = np.shape(one.array)
    if shape != np.shape(other.array):
        return False
    corners = np.array(np.meshgrid(*[(0, size - 1) for size in shape], indexing="ij")).reshape(len(shape), -1)
    change = np.asarray(one.affine, dtype=float) - np.asarray(other.affine, dtype=float)
    return bool(np.linalg.norm(change[:3, : len(shape)] @ corners + change[:3, 3:], axis=0).max() <= _SAME_MM)
