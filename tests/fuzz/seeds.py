"""The whole inputs that the fuzzer damages: real files, and small ones of every kind that is read."""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

Files = dict[str, bytes]  # a small folder: names and contents
_SLICES = 3  # enough for a volume


def make_seeds(data: Path | None) -> dict[str, Files]:
    """Small folders by name, each of which is accepted, or refused for a known reason, as it stands.

    Args:
        data: the folder of real patient data; None: made-up files only.
    """
    seeds = {**_volumes(), **_series()}
    if data is not None:
        seeds |= _real(data)
    return seeds | {f"{name}_zip": {"study.zip": _zipped(seeds[name])} for name in ("plain", "nii", "rle")}


def _real(data: Path) -> dict[str, Files]:
    """A few neighbouring files of each real series; multi-frame files alone."""
    seeds = {}
    for folder in sorted({file.parent for file in (data / "dicom").rglob("*.dcm")} | {data / "brainix" / "FLAIR"}):
        files = sorted(file for file in folder.glob("*") if file.is_file() and not file.name.endswith(".nii.gz"))
        picked = [file for file in files[:_SLICES] if file.stat().st_size < 2**21]
        if picked:
            name = "real_" + "_".join(folder.relative_to(data).parts)
            seeds[name] = {file.name: file.read_bytes() for file in picked}
    return seeds


def _volumes() -> dict[str, Files]:
    """NIfTI-1 and NIfTI-2, compressed and not; NRRD, attached and detached."""
    import nibabel as nib
    import SimpleITK as sitk  # noqa: N813

    rng = np.random.default_rng(0)
    array = rng.integers(0, 900, (12, 10, 6)).astype(np.int16)
    affine = np.diag([1.0, 1.2, 3.0, 1.0])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nib.save(nib.Nifti1Image(array, affine), folder / "a.nii")
        nib.save(nib.Nifti1Image(array.astype(np.float32), affine), folder / "a.nii.gz")
        nib.save(nib.Nifti2Image(array, affine), folder / "b.nii")
        image = sitk.GetImageFromArray(array)
        sitk.WriteImage(image, str(folder / "a.nrrd"), useCompression=True)
        sitk.WriteImage(image, str(folder / "b.nrrd"), useCompression=False)
        sitk.WriteImage(image, str(folder / "c.nhdr"), useCompression=False)
        content = {file.name: file.read_bytes() for file in folder.iterdir()}
    detached = {name: value for name, value in content.items() if name.startswith("c.")}
    single = {"nii": "a.nii", "nii_gz": "a.nii.gz", "nii2": "b.nii", "nrrd_gz": "a.nrrd", "nrrd": "b.nrrd"}
    return {kind: {name: content[name]} for kind, name in single.items()} | {"nhdr": detached}


def _series() -> dict[str, Files]:
    """A DICOM series in every transfer syntax that pydicom writes, and an enhanced multi-frame file."""
    from pydicom import uid

    plain = {
        "plain": uid.ExplicitVRLittleEndian,
        "implicit": uid.ImplicitVRLittleEndian,
        "deflated": uid.DeflatedExplicitVRLittleEndian,
        "big_endian": uid.ExplicitVRBigEndian,
    }
    packed = {"rle": uid.RLELossless, "jpegls": uid.JPEGLSLossless, "j2k": uid.JPEG2000Lossless}
    seeds = {name: _encoded(syntax, compress=False) for name, syntax in plain.items()}
    return seeds | {name: _encoded(syntax, compress=True) for name, syntax in packed.items()}


def _encoded(syntax: Any, *, compress: bool) -> Files:
    import pydicom

    files = {}
    for number in range(_SLICES):
        dataset = mr_slice(number)
        if compress:
            dataset.compress(syntax, generate_instance_uid=False)
        elif syntax.is_little_endian:
            dataset.file_meta.TransferSyntaxUID = syntax
        else:
            dataset.file_meta.TransferSyntaxUID = syntax
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        target = io.BytesIO()
        pydicom.dcmwrite(
            target,
            dataset,
            enforce_file_format=True,
            implicit_vr=syntax.is_implicit_VR,
            little_endian=syntax.is_little_endian,
        )
        files[f"IM{number}"] = target.getvalue()
    return files


def mr_slice(number: int) -> Any:
    """One slice of a small MR series, as a pydicom dataset."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, f"1.2.3.{number + 1}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, f"1.2.3.{number + 1}"
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.Modality = "1.2.3", "1.2", "MR"
    dataset.PatientName, dataset.PatientID, dataset.FrameOfReferenceUID = "CANARY^NAME", "CANARYID", "1.2.9"
    dataset.InstanceNumber, dataset.EchoTime, dataset.EchoNumbers = number + 1, 30, 1
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    dataset.ImagePositionPatient = [-10, 5, 3 * number]
    dataset.ImageOrientationPatient, dataset.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.8, 0.9]
    dataset.SliceThickness, dataset.SpacingBetweenSlices = 3, 3
    dataset.Rows, dataset.Columns = 40, 48
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    pixels = np.random.default_rng(number).integers(0, 900, (40, 48)).astype(np.uint16)
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def _zipped(files: Files) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"study/{name}", content)
    return target.getvalue()
