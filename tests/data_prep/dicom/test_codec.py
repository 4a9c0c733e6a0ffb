"""Compressed pixels: exact, and a file that harms a decoder harms nothing else."""

import multiprocessing
import os
import signal
import struct
import threading
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_maker import write_series
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from data_prep import InputError, Verdict, discover, read_volume
from data_prep.dicom import codec

SYNTAXES = {"rle": RLELossless, "jpeg-ls": JPEGLSLossless, "jpeg 2000": JPEG2000Lossless}


def compress(syntax):
    def change(k, dataset):
        dataset.compress(syntax, generate_instance_uid=False)

    return change


def rle_frame(segments):
    """An RLE frame (PS3.5 G.5) of segments that are already encoded."""
    offsets = np.cumsum([64, *map(len, segments)])[: len(segments)]
    header = struct.pack("<16L", len(segments), *offsets, *[0] * (15 - len(segments)))
    return header + b"".join(segments)


def with_frame(frame, syntax, **values):
    """A series whose slices all hold one compressed frame."""

    def change(k, dataset):
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([frame])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        for name, value in values.items():
            setattr(dataset, name, value)

    return change


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_round_trips_are_exact(tmp_path, syntax, signed):
    def change(k, dataset):
        if signed:
            pixels = np.frombuffer(dataset.PixelData, np.uint16).astype(np.int16) - 400
            dataset.PixelData, dataset.PixelRepresentation = pixels.tobytes(), 1
        compress(syntax)(k, dataset)

    array, affine = write_series(tmp_path, angle=0.0, change=change, shape=(64, 80))
    volume = read_volume(tmp_path)
    np.testing.assert_array_equal(volume.array, array.astype(int) - 400 * signed)
    np.testing.assert_allclose(volume.affine, affine, atol=1e-6)


def test_a_child_that_crashed_is_replaced(tmp_path):
    array, _ = write_series(tmp_path, angle=0.0, change=compress(RLELossless))
    read_volume(tmp_path)
    child = codec._CHILDREN[-1].process
    os.kill(child.pid, signal.SIGSTOP)
    threading.Timer(0.3, child.kill).start()
    with pytest.raises(InputError, match=r"crashed.*DECODE_FAILED"):
        read_volume(tmp_path)
    np.testing.assert_array_equal(read_volume(tmp_path).array, array)
    assert codec._CHILDREN[-1].process.pid != child.pid


def test_a_child_that_hangs_is_replaced(tmp_path, monkeypatch):
    array, _ = write_series(tmp_path, angle=0.0, change=compress(RLELossless))
    read_volume(tmp_path)
    child = codec._CHILDREN[-1].process
    monkeypatch.setattr(codec, "_SECONDS", 0.3)
    os.kill(child.pid, signal.SIGSTOP)
    with pytest.raises(InputError, match=r"did not come to an end.*DECODE_FAILED"):
        read_volume(tmp_path)
    monkeypatch.undo()
    np.testing.assert_array_equal(read_volume(tmp_path).array, array)
    assert child.returncode is not None  # killed and waited for


def _sum(folder, queue):
    queue.put(int(read_volume(folder).array.sum()))


def test_in_a_forked_daemon_as_a_data_loader_has(tmp_path):
    array, _ = write_series(tmp_path, angle=0.0, change=compress(RLELossless))
    read_volume(tmp_path)  # this process has a child; the forked one must not use it
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    worker = context.Process(target=_sum, args=(tmp_path, queue), daemon=True)
    worker.start()
    worker.join(60)
    assert queue.get() == int(array.sum(dtype=int))
    np.testing.assert_array_equal(read_volume(tmp_path).array, array)


def test_an_rle_bomb_dies_in_the_child(tmp_path):
    """Segments that expand to 512 MiB each, where 140 pixels are announced."""
    bomb = b"\x81\x00" * (2**22)  # each pair is 128 zeros
    write_series(tmp_path, slices=2, change=with_frame(rle_frame([bomb, bomb]), RLELossless))
    with pytest.raises(InputError, match="DECODE_FAILED"):
        read_volume(tmp_path)
    child = codec._CHILDREN[-1].process if codec._CHILDREN else None
    if child is not None:
        peak = next(
            line for line in Path(f"/proc/{child.pid}/status").read_text().splitlines() if line.startswith("VmHWM")
        )
        assert int(peak.split()[1]) < 1.5 * 2**20  # kB


def j2k_claiming(rows, columns):
    siz = struct.pack(">HHLLLLLLLLHBBB", 41, 0, columns, rows, 0, 0, columns, rows, 0, 0, 1, 15, 1, 1)
    return b"\xff\x4f\xff\x51" + siz + b"\0" * 64


def jpeg_claiming(rows, columns):
    return b"\xff\xd8\xff\xc3" + struct.pack(">HBHHB", 11, 16, rows, columns, 1) + b"\x01\x11\0" + b"\0" * 64


HOSTILE = {
    "J2K of another size": (j2k_claiming(60000, 60000), JPEG2000Lossless, "DECODE_FAILED"),
    "JPEG of another size": (jpeg_claiming(65000, 65000), "1.2.840.10008.1.2.4.70", "DECODE_FAILED"),
    "JPEG-LS of another size": (jpeg_claiming(9, 9).replace(b"\xc3", b"\xf7"), JPEGLSLossless, "DECODE_FAILED"),
    "RLE with too many segments": (rle_frame([b"\0\0"] * 9), RLELossless, "DECODE_FAILED"),
    "RLE without a header": (b"\0" * 40, RLELossless, "DECODE_FAILED"),
    "nothing of the kind": (b"garbage " * 40, JPEG2000Lossless, "DECODE_FAILED"),
    "a video": (b"\0\0\1\xb3" * 20, "1.2.840.10008.1.2.4.100", "UNSUPPORTED_SYNTAX"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_codestream_claims_is_checked_before_it_is_decoded(tmp_path, name):
    frame, syntax, code = HOSTILE[name]
    write_series(tmp_path, slices=3, change=with_frame(frame, syntax))
    (series,) = discover(tmp_path)
    assert (series.verdict, series.code) == (Verdict.QUARANTINE, code)
    assert "1.2.3-001" in series.reason


def test_twelve_bit_jpeg_names_the_extra(tmp_path):
    frame = jpeg_claiming(10, 14).replace(b"\xc3", b"\xc1")
    write_series(tmp_path, change=with_frame(frame, "1.2.840.10008.1.2.4.51", BitsStored=12, HighBit=11))
    (series,) = discover(tmp_path)
    assert series.code == "UNSUPPORTED_SYNTAX"
    assert "pip install healthytwin[gpl-codecs]" in series.reason


def test_damage_that_only_the_decoder_sees(tmp_path):
    def change(k, dataset):
        compress(JPEG2000Lossless)(k, dataset)
        if k == 4:
            data = bytearray(dataset.PixelData)
            data[150:] = bytes(len(data) - 150 - 8) + data[-8:]
            dataset.PixelData = bytes(data)

    write_series(tmp_path, change=change, shape=(64, 80))
    (series,) = discover(tmp_path)
    assert series.verdict is Verdict.ACCEPT
    checked = series.checked()
    assert (checked.verdict, checked.code) == (Verdict.QUARANTINE, "DECODE_FAILED")


def test_no_pixel_is_read_from_a_header_with_impossible_sizes(tmp_path):
    write_series(tmp_path, slices=3, change=with_frame(b"\0" * 64, RLELossless, Rows=65535, Columns=65535))
    (series,) = discover(tmp_path)
    assert series.code == "TOO_LARGE"
    assert pydicom.dcmread(series.sources[0].path).Rows == 65535
