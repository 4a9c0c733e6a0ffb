"""The pixels of a DICOM series, decoded by ITK's GDCM."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from data_prep.dicom_geometry import stack
from data_prep.dicom_instance import Instance
from data_prep.dicom_series import Series
from data_prep.errors import InputError
from data_prep.volume import Volume, check_values


def read_series(series: Series, place: str | Path, *, allow_constant: bool = False) -> Volume:
    """The volume of a DICOM series.

    Args:
        series: as found; it is checked here.
        place: file or folder that the volume and errors name.
        allow_constant: accept a volume with one value throughout.

    Returns:
        Rescaled values `(column, row, slice)`, slices along the slice normal: integers where slope and intercept
        are whole and the same in all slices, else float32.

    Raises:
        InputError: of `stack`, and TRUNCATED, DECODE_FAILED or EMPTY.
    """
    place = Path(place)
    stacked = stack(series, place)
    digest = _input_hash(stacked.instances)
    array = _decode(stacked.instances, place)
    check_values(place, array, allow_constant=allow_constant)
    return Volume(array, stacked.affine, str(place), series.uid, digest)


def _input_hash(instances: Sequence[Instance]) -> str:
    """SHA-256 over the files' SHA-256 in the order of their SOPInstanceUIDs; each file is checked on the way."""
    digest = hashlib.sha256()
    for instance in sorted(instances, key=lambda instance: instance.sop_uid):
        content = instance.path.read_bytes()
        _check_complete(instance, content)
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def _check_complete(instance: Instance, content: bytes) -> None:
    """Raise TRUNCATED where a file holds fewer pixels than its header says."""
    import pydicom

    try:
        dataset = pydicom.dcmread(BytesIO(content), specific_tags=["PixelData"], force=True)
        found = len(dataset.get_item("PixelData").value) if "PixelData" in dataset else 0
        compressed = dataset.file_meta.get("TransferSyntaxUID", pydicom.uid.ImplicitVRLittleEndian).is_compressed
    except Exception as error:  # a damaged file makes pydicom raise almost anything
        raise InputError(instance.path, "TRUNCATED", "the file breaks off in its pixels") from error
    expected = 1 if compressed else instance.shape[0] * instance.shape[1] * instance.bits[0] // 8
    if found < expected:
        reason = f"the file breaks off in its pixels ({found} of {expected} bytes)" if found else "it holds no pixels"
        raise InputError(instance.path, "TRUNCATED", reason)


def _decode(instances: Sequence[Instance], place: Path) -> np.ndarray:
    """The rescaled values `(column, row, slice)`.

    SimpleITK and not itk: the same GDCM, loaded in half a second instead of six. ITK gives all slices the number
    type that suits the first, which cuts the fractions of a second slope; hence float64 where slices differ.
    """
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames([str(instance.path) for instance in instances])
    if len({(instance.bits, instance.rescale) for instance in instances}) > 1:
        reader.SetOutputPixelType(SimpleITK.sitkFloat64)
    try:
        array = SimpleITK.GetArrayFromImage(reader.Execute()).T
    except RuntimeError as error:
        detail = str(error).strip().splitlines()[-1].rpartition(": ")[-1]
        raise InputError(place, "DECODE_FAILED", f"the pixels cannot be decoded ({detail})") from error
    rows, columns = instances[0].shape
    if array.shape != (columns, rows, len(instances)):
        reason = f"the pixels decode to {array.shape}, the header says {(columns, rows, len(instances))}"
        raise InputError(place, "DECODE_FAILED", reason)
    return array if array.dtype.kind in "iu" else array.astype(np.float32)
