"""Whatever a folder holds: each series with its verdict, each accepted volume in its place."""

import itertools
import os
import subprocess
import sys
import zipfile
import zlib
from collections import Counter

import numpy as np
import pydicom
import pytest
from dicom_maker import SPACING, decimals, write_enhanced, write_series
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import uid as uids
from test_dicom_series import BAD, assert_same_world, put, put_loosely

from data_prep import CODES, InputError, Verdict, discover, read_volume
from tests.data_prep.formats.test_nifti import bad_files

ROW, COLUMN = (1.0, 0, 0), (0, 1.0, 0)


def verdicts(place, **options):
    return Counter((series.verdict.value, series.code) for series in discover(place, **options))


def again(first, **values):
    """The series in the folder `first` once more, at the same places, with other identifiers and values."""
    for number, file in enumerate(sorted(first.iterdir())):
        dataset = pydicom.dcmread(file)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.77.{number}"
        pixels = np.frombuffer(dataset.PixelData, np.uint16) + 1000
        dataset.PixelData = pixels.astype(np.uint16).tobytes()
        for name, value in values.items():
            setattr(dataset, name, value)
        dataset.save_as(first / f"again-{number}")


def every(**values):
    """A change of all slices, past pydicom's checks."""

    def change(k, dataset):
        for name, value in values.items():
            if name in dataset:
                put_loosely(dataset, name, value)
            else:
                setattr(dataset, name, value)

    return change


SPLITS = {
    "two echoes": {"EchoNumbers": 2, "EchoTime": 90},
    "two time points": {"TemporalPositionIdentifier": 2},
    "two b-values": {"DiffusionBValue": 1000.0},
    "magnitude and phase": {"ImageType": ["ORIGINAL", "PRIMARY", "P"]},
    "two acquisitions": {"AcquisitionNumber": 2},
    "two heart phases": {"TriggerTime": 400},
    "magnitude and phase, by its own element": {"ComplexImageComponent": "PHASE"},
    "real and imaginary": {"ImageType": ["ORIGINAL", "PRIMARY", "I"]},
    "two inversion times": {"InversionTime": 900},
    "two gradient directions": {"DiffusionGradientOrientation": [0.0, 0.0, 1.0]},
    "two tube voltages": {"KVP": "140"},
    "two flip angles": {"FlipAngle": "15"},
    "two repetition times": {"RepetitionTime": "15"},
    "two kernels": {"ConvolutionKernel": "B70f"},
    "two frames of a dynamic PET": {"FrameReferenceTime": "60000"},
    "two passes by the clock": {"AcquisitionTime": "121500"},
    "b-values in a Siemens sequence name": {"SequenceName": "*ep_b1000#1"},
    "two sizes": {"Rows": 14, "Columns": 10},
    "two image types": {"ImageType": ["DERIVED", "PRIMARY", "M", "ADC"]},
    "two frames of reference": {"FrameOfReferenceUID": "1.2.10"},
}


@pytest.mark.parametrize("name", SPLITS)
def test_a_series_is_split_by_what_makes_one_volume(tmp_path, name):
    first = {"EchoTime": 30, "ImageType": ["ORIGINAL", "PRIMARY", "M"], "AcquisitionNumber": 1, "TriggerTime": 0}
    array, affine = write_series(tmp_path, change=every(**first))
    again(tmp_path, **SPLITS[name])
    found = list(discover(tmp_path))
    assert [series.verdict for series in found] == [Verdict.ACCEPT] * 2
    assert len({series.name for series in found}) == 2
    for series, offset in zip(sorted(found, key=lambda one: one.volume().array.min()), (0, 1000), strict=True):
        if "Rows" in SPLITS[name] and offset:
            assert series.shape == (10, 14, 12)
            continue
        assert_same_world(series.volume(), array.astype(int) + offset, affine)
        assert_same_world(read_volume(series.place), array.astype(int) + offset, affine)


def test_volumes_that_a_vendor_tells_apart_in_an_element_of_its_own(tmp_path):
    """GE: 0 magnitude, 1 phase, in (0043,102F)."""

    def change(k, dataset):
        dataset.add_new(0x00430010, "LO", "GEMS_PARM_01")
        dataset.add_new(0x0043102F, "SS", 0)

    write_series(tmp_path, change=change)
    again(tmp_path)
    for file in tmp_path.glob("again-*"):
        dataset = pydicom.dcmread(file)
        dataset[0x0043102F].value = 1
        dataset.save_as(file)
    assert verdicts(tmp_path) == {("ACCEPT", ""): 2}


def test_volumes_that_nothing_tells_apart_are_refused(tmp_path):
    write_series(tmp_path)
    again(tmp_path)
    (series,) = discover(tmp_path)
    assert series.code in ("MULTI_VOLUME", "DUPLICATE_CONFLICT")


def test_three_planes_in_one_localizer(tmp_path):
    planes = ((ROW, COLUMN), (ROW, (0, 0, -1.0)), (COLUMN, (0, 0, -1.0)))

    def turn(k, dataset):
        dataset.ImageOrientationPatient = decimals(np.concatenate(planes[k % 3]))

    write_series(tmp_path, slices=9, angle=0.0, change=turn)
    assert set(verdicts(tmp_path)) == {("SKIP", "LOCALIZER")}


def test_a_scout_with_the_series_that_it_is_for(tmp_path):
    array, affine = write_series(tmp_path / "series", uid="1.2.3", angle=0.0)
    scout = [["ORIGINAL", "PRIMARY", "LOCALIZER"], [*COLUMN, 0, 0, -1]]
    change = {"ImageType": scout[0], "ImageOrientationPatient": scout[1]}
    write_series(
        tmp_path / "scout", slices=2, change=lambda k, ds: [setattr(ds, *item) for item in change.items()] and None
    )
    for number, file in enumerate(sorted((tmp_path / "scout").iterdir())):
        dataset = pydicom.dcmread(file)
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.88.{number}"
        dataset.save_as(file)
    found = {series.verdict: series for series in discover(tmp_path)}
    assert found[Verdict.SKIP].code == "LOCALIZER"
    assert_same_world(found[Verdict.ACCEPT].volume(), array, affine)


def compressed_as(syntax):
    """Claims a transfer syntax; the pixels are one fragment of nothing."""

    def change(k, dataset):
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = pydicom.encaps.encapsulate([b"\0" * 64])
        dataset["PixelData"].is_undefined_length = True

    return change


WHOLE = {
    "an identifier that climbs out": (every(SeriesInstanceUID="../../../evil"), "BAD_UID"),
    "an identifier too long": (every(SeriesInstanceUID="1." + "2" * 70), "BAD_UID"),
    "an empty identifier": (every(SeriesInstanceUID=""), "BAD_UID"),
    "an image identifier that is none": (every(SOPInstanceUID="1..2"), "BAD_UID"),
    "65535 x 65535 pixels": (every(Rows=65535, Columns=65535), "TOO_LARGE"),
    "2,000,000,000 frames": (every(NumberOfFrames="2000000000"), "TOO_LARGE"),
    "a slope that is no number": (every(RescaleSlope="nan"), "BAD_HEADER"),
    "a slope of 0": (every(RescaleSlope="0", RescaleIntercept="0"), "BAD_HEADER"),
    "more bits than there are": (every(BitsStored=17, HighBit=16), "BAD_HEADER"),
    "no bits": (every(BitsStored=0), "BAD_HEADER"),
    "no values a pixel": (every(SamplesPerPixel=0), "NOT_GREYSCALE"),
    "values in the upper bits": (every(BitsStored=12), "DECODE_FAILED"),
    "MPEG": (compressed_as(uids.MPEG2MPML), "UNSUPPORTED_SYNTAX"),
    "JPEG that is none": (compressed_as(uids.JPEGLosslessSV1), "DECODE_FAILED"),
    "ultrasound": (every(Modality="US"), "OUT_OF_DOMAIN"),
    "a colour cine": (every(Modality="US", PhotometricInterpretation="RGB", SamplesPerPixel=3), "OUT_OF_DOMAIN"),
    "a palette": (every(PhotometricInterpretation="PALETTE COLOR"), "NOT_GREYSCALE"),
    "another frame of reference": (put(3, FrameOfReferenceUID="1.2.10"), "MIXED_GRID"),
    "a photograph": (every(SOPClassUID="1.2.840.10008.5.1.4.1.1.7", Modality="OT"), "OUT_OF_DOMAIN"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Invalid value for VR")  # of pydicom, while the test writes them
@pytest.mark.parametrize("name", WHOLE)
def test_verdicts_of_whole_series(tmp_path, name):
    change, code = WHOLE[name]
    write_series(tmp_path / "series", angle=0.0, change=change)
    found = list(discover(tmp_path))
    assert {series.code for series in found} == {code}, [series.reason for series in found]
    for series in found:
        assert not code or "1.2.3-0" in series.reason or "series" in series.reason
        assert "TEST" not in series.reason + series.name
        assert "evil" not in series.name


def test_every_code_that_was_asked_for_has_a_case():
    asked = {"NOT_DICOM", "TRUNCATED", "TOO_LARGE", "BAD_UID", "DECODE_FAILED", "MISSING_SLICES", "VARIABLE_SPACING"}
    asked |= {"DUPLICATE_CONFLICT", "MULTI_VOLUME", "NO_GEOMETRY", "MIXED_GRID", "MIXED_PATIENTS", "OUT_OF_DOMAIN"}
    asked |= {"UNSUPPORTED_MULTIFRAME"}
    tables = [code for _, code in (*BAD.values(), *WHOLE.values(), *bad_files(None).values())]
    assert asked - set(tables) == {"NOT_DICOM"}  # test_inputs, test_inspect
    assert set(tables) - {""} <= set(CODES)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_series_with_a_hole_is_never_accepted(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("series")
    slices = data.draw(st.integers(3, 14))
    gone = data.draw(st.sets(st.integers(1, slices - 2), min_size=1))
    write_series(folder, slices=slices, gap=data.draw(st.floats(0.7, 3.5)), change=lambda k, _: k not in gone)
    regular = len({b - a for a, b in itertools.pairwise(k for k in range(slices) if k not in gone)}) == 1
    (series,) = discover(folder)
    if regular:  # every second slice of a series is a series, and nothing tells
        assert series.verdict is Verdict.ACCEPT
    else:
        assert series.code in ("MISSING_SLICES", "VARIABLE_SPACING")


@settings(max_examples=40, deadline=None)
@given(st.floats(-0.02, 0.02), st.floats(1.0, 8.0), st.integers(1, 6))
def test_jitter_is_accepted_and_a_step_is_not(tmp_path_factory, jitter, gap, index):
    def push(by):
        def change(k, dataset):
            if k == index:
                x, y, z = (float(value) for value in dataset.ImagePositionPatient)
                dataset.ImagePositionPatient = decimals([x, y, z + by])

        return change

    folder = tmp_path_factory.mktemp("series")
    array, affine = write_series(folder / "a", slices=8, gap=gap, angle=0.0, change=push(jitter))
    volume = read_volume(folder / "a")
    assert np.abs(volume.affine - affine).max() < 0.03
    np.testing.assert_array_equal(volume.array, array)
    write_series(folder / "b", slices=8, gap=gap, angle=0.0, change=push(0.2 * gap))
    (series,) = discover(folder / "b")
    assert series.verdict is Verdict.QUARANTINE


@pytest.mark.parametrize("gone", [{5}, {3, 4}, {2, 7}])
def test_gaps_that_are_allowed_are_filled_between_neighbours_and_flagged(tmp_path, gone):
    array, affine = write_series(tmp_path, change=lambda k, _: k not in gone)
    with pytest.raises(InputError, match="MISSING_SLICES"):
        read_volume(tmp_path)
    volume = read_volume(tmp_path, allow_gaps=True)
    assert volume.flags == ("gaps_allowed",)
    there = [k for k in range(12) if k not in gone]
    expected = np.stack([[np.interp(range(12), there, array[i, j, there]) for j in range(10)] for i in range(14)])
    assert_same_world(volume, expected, affine)


# --- pixels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", ["ImplicitVRLittleEndian", "ExplicitVRBigEndian", "DeflatedExplicitVRLittleEndian"])
def test_plain_transfer_syntaxes_are_exact(tmp_path, syntax):
    array, affine = write_series(tmp_path / "in")
    (tmp_path / "out").mkdir()
    target = getattr(uids, syntax)
    for file in (tmp_path / "in").iterdir():
        dataset = pydicom.dcmread(file)
        if not target.is_little_endian:
            dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()
        dataset["PixelData"].VR = "OW"
        dataset.file_meta.TransferSyntaxUID = target
        fresh = pydicom.dataset.FileDataset("", dataset, file_meta=dataset.file_meta, preamble=b"\0" * 128)
        pydicom.dcmwrite(
            tmp_path / "out" / file.name,
            fresh,
            implicit_vr=target.is_implicit_VR,
            little_endian=target.is_little_endian,
            force_encoding=True,
        )
    assert_same_world(read_volume(tmp_path / "out"), array, affine)


def test_overlays_in_the_upper_bits_are_no_values(tmp_path):
    def overlay(k, dataset):
        values = np.frombuffer(dataset.PixelData, np.uint16) | 0x3000
        dataset.PixelData, dataset.BitsStored, dataset.HighBit = values.tobytes(), 12, 11

    array, affine = write_series(tmp_path, change=overlay)
    assert_same_world(read_volume(tmp_path), array, affine)


@pytest.mark.parametrize(("signed", "turned"), [(False, lambda x: 4095 - x), (True, lambda x: -1 - x)])
def test_inverted_and_rescaled(tmp_path, signed, turned):
    def change(k, dataset):
        dataset.PhotometricInterpretation, dataset.BitsStored, dataset.HighBit = "MONOCHROME1", 12, 11
        dataset.PixelRepresentation = int(signed)
        dataset.RescaleSlope, dataset.RescaleIntercept = "2", "-7"

    array, affine = write_series(tmp_path, change=change)
    assert_same_world(read_volume(tmp_path), 2 * turned(array.astype(int)) - 7, affine)


def peak_mib(place):
    """Peak memory of a fresh process that finds and reads what is at `place`; codes found."""
    script = (
        "import re, sys\nfrom data_prep import InputError, discover\nfound = []\n"
        "for series in discover(sys.argv[1]):\n"
        "    found.append(series.code)\n"
        "    try:\n        series.volume()\n    except InputError as error:\n        found[-1] = error.code\n"
        "status = open('/proc/self/status').read()\n"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) / 1024, *sorted(set(found)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(place)], capture_output=True, text=True, check=True)
    peak, *codes = done.stdout.split()
    return float(peak), codes


def test_a_deflate_bomb_is_not_inflated(tmp_path):
    write_series(tmp_path / "in", slices=1)
    dataset = pydicom.dcmread(next((tmp_path / "in").iterdir()))
    dataset.file_meta.TransferSyntaxUID = uids.DeflatedExplicitVRLittleEndian
    (tmp_path / "bomb").mkdir()
    pydicom.dcmwrite(tmp_path / "bomb" / "IM1", dataset)
    content = (tmp_path / "bomb" / "IM1").read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(wbits=-15)
    body = zlib.decompress(content[start:], wbits=-15)
    packed = packer.compress(body) + b"".join(packer.compress(b"\0" * 2**20) for _ in range(500)) + packer.flush()
    (tmp_path / "bomb" / "IM1").write_bytes(content[:start] + packed)
    peak, codes = peak_mib(tmp_path / "bomb")
    assert codes == ["SINGLE_SLICE"]
    assert peak < 250


# --- archives and links --------------------------------------------------------------------------------------------


def packed(folder, archive, *, prefix="study/"):
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for file in sorted(folder.iterdir()):
            target.write(file, f"{prefix}{file.name}")
    return archive


def test_a_series_in_an_archive_is_the_series_on_disk(tmp_path):
    array, affine = write_series(tmp_path / "in")
    packed(tmp_path / "in", tmp_path / "study.zip")
    (series,) = discover(tmp_path / "study.zip")
    assert_same_world(series.volume(), array, affine)
    assert series.volume().input_hash == read_volume(tmp_path / "in").input_hash
    for place in ("study.zip", "study.zip/study", f"study.zip/study/{next((tmp_path / 'in').iterdir()).name}"):
        assert_same_world(read_volume(tmp_path / place), array, affine)


@pytest.mark.parametrize("prefix", ["../../", "/etc/", "C:\\", "a/./b/../../"])
def test_names_within_an_archive_lead_nowhere(tmp_path, prefix):
    array, affine = write_series(tmp_path / "in")
    (tmp_path / "box").mkdir()
    packed(tmp_path / "in", tmp_path / "box" / "study.zip", prefix=prefix)
    before = sorted(tmp_path.rglob("*"))
    (series,) = discover(tmp_path / "box")
    assert_same_world(series.volume(), array, affine)
    assert sorted(tmp_path.rglob("*")) == before


def test_archives_that_are_not_read(tmp_path):
    write_series(tmp_path / "in", slices=3)
    inner = packed(tmp_path / "in", tmp_path / "inner.zip")
    (tmp_path / "drive").mkdir()
    with zipfile.ZipFile(tmp_path / "drive" / "nested.zip", "w") as target:
        target.write(inner, "inner.zip")
    content = bytearray(inner.read_bytes())
    (tmp_path / "drive" / "cut.zip").write_bytes(content[:-30])
    for signature, flag in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # the encryption bit of each member
        at = content.find(signature)
        while at >= 0:
            content[at + flag] |= 1
            at = content.find(signature, at + 1)
    (tmp_path / "drive" / "locked.zip").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "drive" / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("IM1", b"DICM")
    bomb = bytearray((tmp_path / "drive" / "bomb.zip").read_bytes())
    at = bomb.find(b"PK\1\2")
    bomb[at + 24 : at + 28] = (0xFFFFFFFE).to_bytes(4, "little")
    (tmp_path / "drive" / "bomb.zip").write_bytes(bomb)
    found = {series.place.removeprefix(f"{tmp_path}/drive/"): series for series in discover(tmp_path / "drive")}
    codes = {place.split(".zip")[0]: series.code for place, series in found.items()}
    assert codes == {"nested": "UNREADABLE", "cut": "TRUNCATED", "locked": "UNREADABLE", "bomb": "TOO_LARGE"}
    assert all(
        ".zip" in series.reason or "IM1" in series.reason or "1.2.3" in series.reason for series in found.values()
    )


def test_links_lead_nowhere_and_hidden_files_are_passed_over(tmp_path):
    write_series(tmp_path / "outside", uid="1.2.9")
    write_series(tmp_path / "drive" / "a")
    write_series(tmp_path / "drive" / ".trash", uid="1.2.8")
    (tmp_path / "drive" / "out").symlink_to(tmp_path / "outside")
    (tmp_path / "drive" / "loop").symlink_to(tmp_path / "drive")
    (tmp_path / "drive" / "file").symlink_to(next((tmp_path / "outside").iterdir()))
    assert [series.uid for series in discover(tmp_path / "drive")] == ["1.2.3"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_files_without_permission_are_told(tmp_path):
    write_series(tmp_path)
    next(tmp_path.iterdir()).chmod(0)
    assert ("QUARANTINE", "UNREADABLE") in verdicts(tmp_path)


# --- enhanced multi-frame ------------------------------------------------------------------------------------------


def test_enhanced_frames_become_volumes(tmp_path):
    array, affine = write_enhanced(tmp_path / "IM1", echoes=2)
    found = sorted(discover(tmp_path), key=lambda series: series.volume().array.max())
    assert [series.verdict for series in found] == [Verdict.ACCEPT] * 2
    for echo, series in enumerate(found):
        assert_same_world(series.volume(), 2 * (array.astype(int) + 1000 * echo) - 5, affine)


def test_enhanced_as_highdicom_reads_it(tmp_path):
    import highdicom

    write_enhanced(tmp_path / "IM1", angle=0.2)
    other = highdicom.imread(tmp_path / "IM1").get_volume(apply_real_world_transform=False)
    volume = read_volume(tmp_path)
    assert_same_world(volume, np.asarray(other.array), np.diag([-1, -1, 1, 1]) @ other.affine)


def test_real_enhanced_series_lies_where_its_frames_say(shared_data):
    (file,) = (shared_data / "dicom" / "philips_enhanced" / "anatomical" / "001").iterdir()
    with pydicom.config.disable_value_validation():
        dataset = pydicom.dcmread(file)
        frames = [
            (np.array(group.PlanePositionSequence[0].ImagePositionPatient, float), pixels)
            for group, pixels in zip(dataset.PerFrameFunctionalGroupsSequence, dataset.pixel_array, strict=True)
        ]
    volume = read_volume(file)
    assert volume.array.shape[2] == len(frames) == 8
    for position, pixels in frames:
        place = np.linalg.inv(volume.affine) @ [*(position * [-1, -1, 1]), 1]
        np.testing.assert_allclose(place[:2], 0, atol=1e-3)
        assert abs(place[2] - round(place[2])) < 1e-2
        values = volume.array[..., round(place[2])]
        np.testing.assert_allclose(np.corrcoef(values.T.ravel(), pixels.ravel())[0, 1], 1, atol=1e-9)


def spoil(name, value):
    def change(dataset):
        groups = dataset.PerFrameFunctionalGroupsSequence
        sequence, keyword = name.split(".")
        setattr(groups[2][sequence].value[0], keyword, value)

    return change


ENHANCED = {
    "a frame is missing": ({"omit": 3}, "MISSING_SLICES"),
    "no functional groups": ({"groups": False}, "UNSUPPORTED_MULTIFRAME"),
    "fewer frames described": (
        {"change": lambda dataset: dataset.PerFrameFunctionalGroupsSequence.pop()},
        "TRUNCATED",
    ),
    "a frame out of line": (
        {"change": spoil("PlanePositionSequence.ImagePositionPatient", [0, 0, 0])},
        "VARIABLE_SPACING",
    ),
    "a frame without a place": (
        {"change": lambda dataset: delattr(dataset.PerFrameFunctionalGroupsSequence[1], "PlanePositionSequence")},
        "NO_GEOMETRY",
    ),
    "a slope of 0": ({"change": spoil("PixelValueTransformationSequence.RescaleSlope", "0")}, "BAD_HEADER"),
    "pixels break off": (
        {"change": lambda dataset: setattr(dataset, "PixelData", dataset.PixelData[:500])},
        "TRUNCATED",
    ),
}


@pytest.mark.parametrize("name", ENHANCED)
def test_enhanced_files_that_are_unsafe(tmp_path, name):
    options, code = ENHANCED[name]
    write_enhanced(tmp_path / "IM1", **options)
    (series,) = discover(tmp_path)
    assert series.code == code, series.reason


# --- many files ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """Thirty series of ten slices, some of them bad."""
    root = tmp_path_factory.mktemp("drive")
    for number in range(30):
        change = (lambda k, _: k != 5) if number % 7 == 3 else None
        write_series(root / f"s{number}", uid=f"1.2.{number + 3}", slices=10, seed=number, change=change)
    return root


def test_several_processes_give_the_same_in_the_same_order(drive):
    one, two = (
        [(series.name, series.place, series.code, series.reason, series.shape) for series in discover(drive, workers=n)]
        for n in (1, 2)
    )
    assert len(one) == 30
    assert one == two
    assert [place for _, place, *_ in one] == [str(drive / f"s{number}") for number in range(30)]


def test_memory_does_not_grow_with_the_number_of_files(drive, tmp_path):
    for copy in range(10):
        for folder in drive.iterdir():
            (tmp_path / f"{copy}" / folder.name).mkdir(parents=True)
            for file in folder.iterdir():
                os.link(file, tmp_path / f"{copy}" / folder.name / file.name)
    from pipelines.figures.scanning import measure_memory

    few, many = measure_memory(drive), measure_memory(tmp_path)
    assert few[0] == many[0]  # copies that are equal count once
    assert many[1] < 1.1 * few[1]


def test_one_process_holds_one_file_at_a_time(drive):
    from data_prep.find.scan import scan
    from data_prep.find.walk import walk_all

    seen = []
    rows = scan((seen.append(source) or source for source in walk_all([drive])), named=frozenset())
    next(rows)
    assert len(seen) == 1
    assert sum(1 for _ in rows) == len(seen) - 1 > 10


def test_spacing_and_shape_are_told_without_reading_pixels(tmp_path):
    write_series(tmp_path)
    (series,) = discover(tmp_path)
    assert series.shape == (14, 10, 12)
    np.testing.assert_allclose(series.spacing, (SPACING[1], SPACING[0], 3.0))
