"""A scan as a classic MR DICOM series, one file for each slice (PS3.3 A.4, MR Image IOD)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_prep.demo.render import Scan
from data_prep.files import atomically

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataset import FileDataset
    from pydicom.uid import UID

Array = np.ndarray
_RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])
_DATE, _TIME = "20200101", "120000"
# a usual protocol: pulse sequence; repetition, echo and inversion time in ms; echo train length
_PROTOCOL = {"flair": ("SE", (9000, 120, 2500), 16), "t1": ("GR", (2300, 3, 900), 1)}


def write_series(scan: Scan, folder: Path, *, patient: str, seed: int, contrast: str = "flair") -> list[Path]:
    """Write a series whose bytes depend on the arguments alone.

    Args:
        scan: `array` goes into the files as it stands, columns along i, rows along j.
        folder: made if missing.
        patient: PatientName, also PatientID; fictitious.
        seed: with `patient` and `contrast` what the UIDs are derived from.
        contrast: "flair" or "t1", for the acquisition attributes.

    Returns:
        The files, by instance number, which grows along the slice normal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    series = _series(scan, patient=patient, seed=seed, contrast=contrast)
    paths = []
    for index in range(scan.array.shape[2]):
        path = folder / f"IM{index + 1:04d}.dcm"
        with atomically(path) as partial:
            _instance(scan, series, index).save_as(partial, enforce_file_format=True)
        paths.append(path)
    return paths


def _series(scan: Scan, *, patient: str, seed: int, contrast: str) -> Dataset:
    """What all slices share."""
    from pydicom import Dataset
    from pydicom.uid import MRImageStorage

    series = Dataset()
    series.SpecificCharacterSet = "ISO_IR 192"
    series.SOPClassUID = MRImageStorage
    series.Modality, series.Manufacturer = "MR", "HealthyTwin"
    series.ManufacturerModelName, series.SoftwareVersions = "demo cohort", "1"
    series.PatientName, series.PatientID = patient, patient.replace("^", "-")
    series.PatientBirthDate, series.PatientSex, series.PatientPosition = "", "O", "HFS"
    series.PatientIdentityRemoved, series.DeidentificationMethod = "YES", "made by a program, no patient"
    series.StudyInstanceUID, series.SeriesInstanceUID, series.FrameOfReferenceUID = (
        _uid(patient, seed, contrast, what) for what in ("study", "series", "frame of reference")
    )
    series.StudyID, series.AccessionNumber, series.ReferringPhysicianName = "1", "", ""
    series.SeriesNumber, series.PositionReferenceIndicator = 1, ""
    series.StudyDescription, series.SeriesDescription = "HEALTHYTWIN DEMO", f"{contrast.upper()} (synthetic)"
    series.BodyPartExamined = "HEAD"
    series.StudyDate = series.SeriesDate = series.AcquisitionDate = series.ContentDate = _DATE
    series.StudyTime = series.SeriesTime = series.AcquisitionTime = series.ContentTime = _TIME
    _acquisition(series, contrast)
    _plane(series, scan.affine)
    _pixel_format(series, scan.array)
    return series


def _acquisition(series: Dataset, contrast: str) -> None:
    """MR Image Module (PS3.3 C.8.3.1)."""
    pulse, times, train = _PROTOCOL[contrast]
    series.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    series.ScanningSequence, series.SequenceVariant, series.ScanOptions = [pulse, "IR"], "SK", ""
    series.MRAcquisitionType, series.EchoTrainLength = "2D", train
    series.RepetitionTime, series.EchoTime, series.InversionTime = times
    series.MagneticFieldStrength = 3


def _plane(series: Dataset, affine: Array) -> None:
    """Orientation and size of the voxels (PS3.3 C.7.6.2)."""
    step = affine[:3, :3] * _RAS_TO_LPS[:, None]
    lengths = np.linalg.norm(step, axis=0)
    series.ImageOrientationPatient = _decimals((step / lengths)[:, :2].T.ravel())
    series.PixelSpacing = _decimals([lengths[1], lengths[0]])
    series.SliceThickness, series.SpacingBetweenSlices = _decimals([lengths[2], lengths[2]])


def _pixel_format(series: Dataset, array: Array) -> None:
    """Image Pixel Module (PS3.3 C.7.6.3) without the pixels, and a window that shows brain."""
    series.Columns, series.Rows = array.shape[:2]
    series.SamplesPerPixel, series.PhotometricInterpretation = 1, "MONOCHROME2"
    series.BitsAllocated, series.BitsStored, series.HighBit, series.PixelRepresentation = 16, 12, 11, 0
    top = max(2.0, float(np.percentile(array, 99)))
    series.WindowCenter, series.WindowWidth = _decimals([round(top / 2), round(top)])


def _instance(scan: Scan, series: Dataset, index: int) -> FileDataset:
    """One slice."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = series.SOPClassUID
    meta.MediaStorageSOPInstanceUID = _uid(series.SeriesInstanceUID, index)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    image = FileDataset("", series, file_meta=meta, preamble=b"\0" * 128)
    image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    image.InstanceNumber, image.AcquisitionNumber = index + 1, 1
    position = (scan.affine @ [0, 0, index, 1])[:3] * _RAS_TO_LPS
    image.ImagePositionPatient = _decimals(position)
    step = scan.affine[:3, 2] * _RAS_TO_LPS
    image.SliceLocation = _decimals([position @ step / np.linalg.norm(step)])[0]
    image.PixelData = np.ascontiguousarray(scan.array[:, :, index].T, dtype="<u2").tobytes()
    return image


def _decimals(values: Array | list[float]) -> list[str]:
    """Decimal strings of at most 16 characters (PS3.5 6.2, VR DS)."""
    from pydicom.valuerep import format_number_as_ds

    return [format_number_as_ds(round(float(value), 10) + 0.0) for value in values]


def _uid(*sources: object) -> UID:
    """A UID that follows from its sources alone."""
    from pydicom.uid import generate_uid

    return generate_uid(entropy_srcs=["healthytwin demo", *(str(source) for source in sources)])
