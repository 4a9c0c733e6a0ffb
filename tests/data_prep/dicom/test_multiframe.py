"""Frames of enhanced images: one pool over all files of a series, split into sound volumes, refused where they mix."""

import numpy as np
import pydicom
import pytest
from dicom_maker import frame, slices, write_frames, write_series
from pydicom import uid as uids

from data_prep import Verdict, discover, read_volume

GAP = 3.0
HEIGHTS = 30 + GAP * np.arange(8)


def kind(component):
    return {"FrameType": ["ORIGINAL", "PRIMARY", "OTHER", "NONE"], "ComplexImageComponent": component}


def part_of(number, total, offset):
    def change(dataset):
        dataset.ConcatenationUID, dataset.InConcatenationNumber = "1.2.99", number
        dataset.ConcatenationFrameOffsetNumber = offset
        if total:
            dataset.InConcatenationTotalNumber = total

    return change


def found(folder):
    return [(one.code, one.shape and one.shape[2]) for one in discover(folder)]


def three_parts(folder, *, total=3, order=(0, 1, 2), drop=None):
    """A volume of nine slices in three files, whose names and frames are in any order."""
    pixels = slices(9)
    for name, part in enumerate(order):
        if part != drop:
            here = list(range(3 * part, 3 * part + 3))[::-1]
            frames = [frame(30 + GAP * k) for k in here]
            change = part_of(part + 1, total, 3 * part)
            write_frames(folder / f"{name}.dcm", frames, pixels[here], number=part + 1, change=change)
    return pixels


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
@pytest.mark.parametrize("total", [3, 0])
def test_a_concatenation_in_any_order_is_one_volume(tmp_path, order, total):
    pixels = three_parts(tmp_path, total=total, order=order)
    np.testing.assert_array_equal(read_volume(tmp_path).array, pixels.transpose(2, 1, 0))


@pytest.mark.parametrize(("total", "drop"), [(3, 0), (3, 1), (3, 2), (0, 0), (0, 1)])
@pytest.mark.parametrize("allow_gaps", [False, True])
def test_a_concatenation_without_a_part_is_refused_by_name(tmp_path, total, drop, allow_gaps):
    three_parts(tmp_path, total=total, drop=drop)
    (series,) = discover(tmp_path, allow_gaps=allow_gaps)
    assert series.code == "MISSING_SLICES"
    assert "missing" in series.reason


def test_odd_and_even_frames_in_two_files_are_one_volume(tmp_path):
    pixels = slices(8)
    for odd in (0, 1):
        write_frames(tmp_path / f"{odd}", [frame(z) for z in HEIGHTS[odd::2]], pixels[odd::2], number=odd)
    volume = read_volume(tmp_path)
    assert volume.spacing[2] == pytest.approx(GAP)
    np.testing.assert_array_equal(volume.array, pixels.transpose(2, 1, 0))


@pytest.mark.parametrize("names", ["ab", "ba"])
def test_phase_first_by_name_makes_no_difference(tmp_path, names):
    for seed, (name, component) in enumerate(zip(names, ("MAGNITUDE", "PHASE"), strict=True)):
        groups = {"MRImageFrameTypeSequence": kind(component)}
        write_frames(tmp_path / name, [frame(z, **groups) for z in HEIGHTS], slices(8, seed=seed), number=seed)
    first, second = discover(tmp_path)
    assert (first.flags, second.flags) == ((), ("phase",))
    assert "-" not in first.name
    np.testing.assert_array_equal(first.volume().array, slices(8, seed=0).transpose(2, 1, 0))
    np.testing.assert_array_equal(read_volume(second.place).array, slices(8, seed=1).transpose(2, 1, 0))


MOMENTS = {
    "real and imaginary": [{"MRImageFrameTypeSequence": kind(one)} for one in ("REAL", "IMAGINARY")],
    "three echoes": [{"MREchoSequence": {"EffectiveEchoTime": one}} for one in (10.0, 30.0, 90.0)],
    "inversion times": [{"MRModifierSequence": {"InversionTimes": one}} for one in (100.0, 900.0)],
    "b-values": [{"MRDiffusionSequence": {"DiffusionBValue": one}} for one in (0.0, 1000.0)],
    "flip angles": [{"MRTimingAndRelatedParametersSequence": {"FlipAngle": one}} for one in (5.0, 15.0)],
    "heart phases": [
        {"CardiacSynchronizationSequence": {"NominalCardiacTriggerDelayTime": one}} for one in (0.0, 400.0)
    ],
    "tube voltages": [{"CTXRayDetailsSequence": {"KVP": one}} for one in ("80", "140")],
    "kernels": [{"CTReconstructionSequence": {"ConvolutionKernel": one}} for one in ("B30f", "B70f")],
    "dimension indices": [
        {"FrameContentSequence": {"StackID": "1", "DimensionIndexValues": [1, one]}} for one in (1, 2)
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", MOMENTS)
@pytest.mark.parametrize("by_slice", [False, True])
def test_frames_of_one_file_are_told_apart(tmp_path, name, by_slice):
    kinds = MOMENTS[name]
    order = [(k, m) for k in range(8) for m in range(len(kinds))]
    order = order if by_slice else sorted(order, key=lambda one: one[1])
    pixels = np.stack([slices(8, seed=m) for m in range(len(kinds))])
    write_frames(tmp_path / "a", [frame(HEIGHTS[k], **kinds[m]) for k, m in order], [pixels[m, k] for k, m in order])
    series = list(discover(tmp_path))
    assert [one.verdict for one in series] == [Verdict.ACCEPT] * len(kinds)
    left = list(range(len(kinds)))
    for one in series:
        array = one.volume().array.transpose(2, 1, 0)
        left.remove(next(m for m in left if np.array_equal(array, pixels[m])))


@pytest.mark.parametrize(
    "name", [name for name in MOMENTS if name not in ("flip angles", "heart phases", "kernels", "dimension indices")]
)
def test_frames_that_alternate_along_the_volume_are_refused(tmp_path, name):
    kinds = MOMENTS[name]
    write_frames(tmp_path / "a", [frame(z, **kinds[k % 2]) for k, z in enumerate(HEIGHTS)], slices(8))
    assert found(tmp_path) == [("MULTI_VOLUME", 8)]


def test_a_file_that_mixes_components_and_does_not_say_which_is_which(tmp_path):
    write_frames(
        tmp_path / "a",
        [frame(z) for z in HEIGHTS],
        slices(8),
        change=lambda dataset: setattr(dataset, "ComplexImageComponent", "MIXED"),
    )
    assert found(tmp_path) == [("MULTI_VOLUME", 8)]


def test_time_points_one_file_each(tmp_path):
    for time in range(3):
        write_frames(tmp_path / f"{time}", [frame(z, time=time) for z in HEIGHTS], slices(8, seed=time), number=time)
    assert found(tmp_path) == [("", 8)] * 3


def test_a_last_time_point_that_broke_off_is_no_volume(tmp_path):
    for time, count in enumerate((8, 8, 5)):
        write_frames(tmp_path / f"{time}", [frame(z, time=time) for z in HEIGHTS[:count]], slices(count), number=time)
    assert found(tmp_path) == [("", 8), ("", 8), ("MISSING_SLICES", 5)]


def test_files_that_only_their_identity_tells_apart(tmp_path):
    for number in range(2):
        write_frames(tmp_path / f"{number}", [frame(z) for z in HEIGHTS], slices(8, seed=number), number=number)
    assert found(tmp_path) == [("", 8)] * 2


def test_a_stack_without_its_first_frame_says_so(tmp_path):
    def numbered(k):
        return frame(HEIGHTS[k], FrameContentSequence={"StackID": "1", "InStackPositionNumber": k + 1})

    write_frames(tmp_path / "b", [numbered(k) for k in range(4, 8)], slices(8)[4:])
    (half,) = discover(tmp_path)
    assert (half.shape[2], half.flags) == (4, ("end_slice_lost",))
    write_frames(tmp_path / "a", [numbered(k) for k in range(4)], slices(8)[:4], number=2)
    (whole,) = discover(tmp_path)
    assert (whole.shape[2], whole.flags) == (8, ())


def test_two_stacks_are_two_volumes_even_side_by_side(tmp_path):
    def stack(z, name):
        return frame(z, FrameContentSequence={"StackID": name})

    frames = [stack(z, "1") for z in HEIGHTS] + [stack(z + 8 * GAP, "2") for z in HEIGHTS]
    write_frames(tmp_path / "a", frames, slices(16))
    assert found(tmp_path) == [("", 8)] * 2


CLASSES = {
    "enhanced PET": uids.EnhancedPETImageStorage,
    "legacy converted CT": uids.LegacyConvertedEnhancedCTImageStorage,
    "legacy converted MR": uids.LegacyConvertedEnhancedMRImageStorage,
    "legacy converted PET": uids.LegacyConvertedEnhancedPETImageStorage,
    "a private class": "1.2.840.113619.4.99",
}


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("each", [1, 8])
def test_functional_groups_count_and_not_the_class(tmp_path, name, each):
    pixels = slices(8)
    for start in range(0, 8, each):
        here = slice(start, start + each)
        write_frames(
            tmp_path / f"{start}",
            [frame(z) for z in HEIGHTS[here]],
            pixels[here],
            number=start,
            sop_class=CLASSES[name],
        )
    np.testing.assert_array_equal(read_volume(tmp_path).array, pixels.transpose(2, 1, 0))


def test_legacy_converted_echoes(tmp_path):
    frames = [
        frame(z, UnassignedPerFrameConvertedAttributesSequence={"EchoTime": echo}) for echo in (10, 90) for z in HEIGHTS
    ]
    write_frames(tmp_path / "a", frames, slices(16), sop_class=uids.LegacyConvertedEnhancedMRImageStorage)
    assert found(tmp_path) == [("", 8)] * 2


def test_slopes_of_frames(tmp_path):
    frames = [
        frame(z, PixelValueTransformationSequence={"RescaleSlope": k + 1, "RescaleIntercept": -k})
        for k, z in enumerate(HEIGHTS)
    ]
    pixels = slices(8)
    write_frames(tmp_path / "a", frames, pixels)
    right = pixels * (np.arange(8)[:, None, None] + 1.0) - np.arange(8)[:, None, None]
    np.testing.assert_allclose(read_volume(tmp_path).array, right.transpose(2, 1, 0))


def test_a_single_frame_enhanced_image_is_a_single_image(tmp_path):
    write_frames(tmp_path / "a", [frame(30.0)], slices(1))
    assert found(tmp_path) == [("SINGLE_SLICE", 1)]


def test_single_frame_inversion_times_of_classic_images(tmp_path):
    for seed, time in enumerate((100, 400, 2500)):
        write_series(tmp_path / "in", seed=seed, change=lambda k, dataset, t=time: setattr(dataset, "InversionTime", t))
        for number, file in enumerate(sorted((tmp_path / "in").iterdir())):
            dataset = pydicom.dcmread(file)
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.7.{seed}.{number}"
            (tmp_path / "all").mkdir(exist_ok=True)
            dataset.save_as(tmp_path / "all" / f"{number}-{seed}")
            file.unlink()
    assert found(tmp_path / "all") == [("", 12)] * 3
