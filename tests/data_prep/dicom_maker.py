"""DICOM series that the tests write, good and bad."""

from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

SPACING = (0.8, 0.9)  # between rows, between columns


def orientation(angle=0.0):
    """Row and column direction cosines, turned about two axes."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return turn[:, 0], turn[:, 1]


def decimals(values):
    """Numbers as decimal strings of at most 16 characters."""
    return [format_number_as_ds(round(float(value), 12)) for value in values]


def instance(pixels, position, rows_cols, *, uid="1.2.3", number=1, **more):
    """One MR slice; `pixels` is `(rows, columns)`."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[uid, str(number)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID, dataset.Modality = uid, "1.2", "MR"
    dataset.PatientName, dataset.InstanceNumber = "TEST^SERIES", number
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.FrameOfReferenceUID, dataset.PatientID = "1.2.9", "TEST"
    dataset.ImagePositionPatient = decimals(position)
    dataset.ImageOrientationPatient = decimals(np.concatenate(rows_cols))
    dataset.PixelSpacing = list(SPACING)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = pixels.astype(np.uint16).tobytes()
    for name, value in more.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return dataset


def write_series(
    folder: Path, *, slices=12, gap=3.0, angle=0.3, uid="1.2.3", change=None, seed=0, reverse=False, shape=(10, 14)
):
    """Write a series of `shape` rows and columns; `change(index, dataset)` may spoil an instance, or drop it by False.

    Returns:
        The voxels `(columns, rows, slices)` along ascending position, and the affine to RAS+ mm.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    voxels = rng.integers(0, 900, (*shape[::-1], slices)).astype(np.uint16)
    row, column = orientation(angle)
    normal, origin = np.cross(row, column), np.array([-30.0, 12.5, 40.0])
    for k in range(slices):
        number = slices - k if reverse else k + 1
        dataset = instance(voxels[..., k].T, origin + k * gap * normal, (row, column), uid=uid, number=number)
        if change is None or change(k, dataset) is not False:
            pydicom.dcmwrite(folder / f"{uid}-{number:03d}", dataset, enforce_file_format=True)
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2], affine[:3, 3] = (
        row * SPACING[1],
        column * SPACING[0],
        normal * gap,
        origin,
    )
    return voxels, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def write_enhanced(
    path: Path, *, slices=6, echoes=1, gap=3.0, angle=0.3, seed=0, change=None, omit=None, groups=True
) -> tuple[np.ndarray, np.ndarray]:
    """Write an enhanced MR image (PS3.3 A.36), its frames in reverse order, echo by echo.

    Args:
        path: the file.
        slices: of each echo.
        echoes: volumes in the file; the values of each are those of the first, plus its number times 1000.
        gap: mm.
        angle: of the directions.
        seed: of the values.
        change: may spoil the dataset before it is written.
        omit: slice whose frames are left out.
        groups: write the functional groups.

    Returns:
        Voxels `(columns, rows, slices)` of the first echo along ascending position, and the affine to RAS+ mm.
    """
    rng = np.random.default_rng(seed)
    voxels = rng.integers(0, 900, (14, 10, slices)).astype(np.uint16)
    row, column = orientation(angle)
    normal, origin = np.cross(row, column), np.array([-30.0, 12.5, 40.0])
    dataset = instance(voxels[..., 0].T, origin, (row, column))
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(dataset, name)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    frames, pixels = [], []
    for echo in range(echoes):
        for k in reversed(range(slices)):
            if k != omit:
                frames.append(_frame_groups(origin + k * gap * normal, echo))
                pixels.append((voxels[..., k].T + 1000 * echo).astype(np.uint16))
    shared = pydicom.Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=decimals(np.concatenate((row, column))))]
    shared.PixelMeasuresSequence = [_item(PixelSpacing=list(SPACING), SliceThickness=gap)]
    dataset.NumberOfFrames, dataset.PixelData = len(frames), np.stack(pixels).tobytes()
    if groups:
        dataset.SharedFunctionalGroupsSequence, dataset.PerFrameFunctionalGroupsSequence = [shared], frames
    if change is not None:
        change(dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    affine = np.eye(4)
    affine[:3, :] = np.stack([row * SPACING[1], column * SPACING[0], normal * gap, origin], axis=1)
    return voxels, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def _item(**values):
    item = pydicom.Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return item


def _frame_groups(position, echo):
    frame = pydicom.Dataset()
    frame.PlanePositionSequence = [_item(ImagePositionPatient=decimals(position))]
    frame.MREchoSequence = [_item(EffectiveEchoTime=30.0 * (echo + 1))]
    frame.FrameContentSequence = [_item(StackID="1")]
    frame.PixelValueTransformationSequence = [_item(RescaleSlope="2", RescaleIntercept="-5", RescaleType="US")]
    return frame


def frame(z, *, time=1, **groups):
    """Functional groups of an axial frame at height `z` mm; `groups` are sequences with one item each."""
    place = {"PlanePositionSequence": {"ImagePositionPatient": [-10.0, -20.0, z]}}
    plane = {"PlaneOrientationSequence": {"ImageOrientationPatient": [1.0, 0, 0, 0, 1.0, 0]}}
    content = {"FrameContentSequence": {"StackID": "1", "TemporalPositionIndex": time}}
    return {**plane, **place, **content, **groups}


def write_frames(path: Path, frames, pixels, *, uid="1.2.3", number=1, change=None, sop_class=None, shared=None):
    """Write an enhanced image of any kind.

    Args:
        path: the file.
        frames: functional groups of each frame, as `frame` makes them; `{sequence: {keyword: value}}`.
        pixels: `(frames, rows, columns)`.
        uid: SeriesInstanceUID.
        number: InstanceNumber.
        change: may spoil the dataset before it is written.
        sop_class: SOPClassUID; None: enhanced MR.
        shared: groups that all frames share, besides the pixel spacing.
    """
    pixels = np.asarray(pixels, np.uint16)
    dataset = instance(pixels[0], (0, 0, 0), ((1, 0, 0), (0, 1, 0)), uid=uid, number=number)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        delattr(dataset, name)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class or EnhancedMRImageStorage
    dataset.NumberOfFrames, dataset.PixelData = len(pixels), pixels.tobytes()
    measures = {"PixelMeasuresSequence": {"PixelSpacing": list(SPACING)}}
    dataset.SharedFunctionalGroupsSequence = [_groups({**measures, **(shared or {})})]
    dataset.PerFrameFunctionalGroupsSequence = [_groups(groups) for groups in frames]
    if change is not None:
        change(dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)


def _groups(groups):
    return _item(**{name: [_item(**values)] for name, values in groups.items()})


def slices(count, *, seed=0, shape=(10, 14)):
    """Random pixels `(count, rows, columns)`."""
    return np.random.default_rng(seed).integers(0, 900, (count, *shape)).astype(np.uint16)
