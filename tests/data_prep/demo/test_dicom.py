"""The DICOM series: valid for other toolkits, and voxel for voxel where the NIfTI twin says."""

import tempfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import read_volume
from data_prep.demo import Grid, Scan
from data_prep.demo.dicom import write_series

# type 1 of the modules that an MR image must have (PS3.3 A.4.3)
REQUIRED = """
    StudyInstanceUID SeriesInstanceUID SOPInstanceUID SOPClassUID FrameOfReferenceUID Modality ImageType
    ImagePositionPatient ImageOrientationPatient PixelSpacing Rows Columns SamplesPerPixel BitsAllocated BitsStored
    HighBit PixelRepresentation PhotometricInterpretation PixelData ScanningSequence SequenceVariant
""".split()  # noqa: SIM905
# type 2: there, maybe empty
PRESENT = """
    PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime AccessionNumber ReferringPhysicianName
    StudyID SeriesNumber InstanceNumber Manufacturer PositionReferenceIndicator SliceThickness ScanOptions
    MRAcquisitionType EchoTime EchoTrainLength RepetitionTime InversionTime PatientPosition
""".split()  # noqa: SIM905


def a_scan(grid, seed=0):
    array = np.random.default_rng(seed).integers(0, 4096, grid.shape).astype(np.uint16)
    return Scan(array, np.zeros(grid.shape, np.uint8), grid.affine)


@pytest.fixture
def scan():
    return a_scan(Grid((7, 9, 5), (0.7, 0.9, 4.4), "axial", (7.3, -4.1, 11.9)))


@pytest.fixture
def paths(scan, tmp_path):
    return write_series(scan, tmp_path / "series", patient="DEMO^01", seed=0)


angles = st.floats(-40, 40)
spacings = st.floats(0.3, 9)


@settings(max_examples=25, deadline=None)
@given(
    plane=st.sampled_from(["axial", "sagittal", "coronal"]),
    tilt=st.tuples(angles, angles, angles),
    spacing=st.tuples(spacings, spacings, spacings),
)
def test_itk_reads_the_array_and_the_affine(plane, tilt, spacing):
    scan = a_scan(Grid((6, 5, 4), spacing, plane, tilt))
    with tempfile.TemporaryDirectory() as folder:
        write_series(scan, Path(folder), patient="DEMO^01", seed=1)
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder)
        image = sitk.ReadImage(names)
        ours = read_volume(folder)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).transpose(2, 1, 0), scan.array)
    direction = np.reshape(image.GetDirection(), (3, 3)) @ np.diag(image.GetSpacing())
    lps = np.diag([-1, -1, 1])
    np.testing.assert_allclose(lps @ direction, scan.affine[:3, :3], atol=1e-4)
    np.testing.assert_allclose(lps @ image.GetOrigin(), scan.affine[:3, 3], atol=1e-3)
    np.testing.assert_array_equal(ours.array, scan.array)
    np.testing.assert_allclose(ours.affine, scan.affine, atol=1e-3)


def test_highdicom_reads_the_same_volume(scan, paths):
    import highdicom

    volume = highdicom.get_volume_from_series([pydicom.dcmread(path) for path in paths])
    corner = np.array([2, 3, 1, 1])
    position = np.diag([-1, -1, 1]) @ (scan.affine @ corner)[:3]
    k, j, i = np.rint(volume.map_reference_to_indices(position[None])[0]).astype(int)
    assert volume.array[k, j, i] == scan.array[2, 3, 1]
    there = volume.map_indices_to_reference(np.array([[k, j, i]]))[0]
    np.testing.assert_allclose(there, position, atol=1e-3)


def test_required_attributes_are_there(paths):
    for path in paths:
        dataset = pydicom.dcmread(path)
        assert not [name for name in REQUIRED if dataset.get(name) in (None, "")]
        assert not [name for name in PRESENT if name not in dataset]
        assert dataset.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
        assert dataset.SOPClassUID == dataset.file_meta.MediaStorageSOPClassUID == pydicom.uid.MRImageStorage
        assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID
        assert dataset.PatientName == "DEMO^01"


def test_uids_are_valid_and_distinct(paths):
    datasets = [pydicom.dcmread(path) for path in paths]
    instances = {dataset.SOPInstanceUID for dataset in datasets}
    assert len(instances) == len(paths)
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert len({dataset[name].value for dataset in datasets}) == 1
    first = datasets[0]
    shared = {first.StudyInstanceUID, first.SeriesInstanceUID, first.FrameOfReferenceUID}
    assert len(shared) == 3
    assert all(uid.is_valid and len(uid) <= 64 for uid in shared | instances)


def test_patients_and_seeds_do_not_share_a_series(scan, tmp_path):
    def series(patient, seed):
        path = write_series(scan, tmp_path / f"{patient}{seed}", patient=patient, seed=seed)[0]
        return pydicom.dcmread(path).SeriesInstanceUID

    assert len({series("DEMO^01", 0), series("DEMO^02", 0), series("DEMO^01", 1)}) == 3


def test_decimal_strings_fit_and_values_are_conformant(paths):
    with pydicom.config.disable_value_validation():
        dataset = pydicom.dcmread(paths[0])
    texts = [
        str(getattr(value, "original_string", value))
        for element in dataset
        if element.VR == "DS"
        for value in (element.value if element.VM > 1 else [element.value])
    ]
    assert len(texts) > 10
    assert max(map(len, texts)) <= 16
