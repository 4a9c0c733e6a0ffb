"""`decode_frames`: compressed pixels decoded in a child process with a limit on memory and time.

pydicom's decoders stand on native code that hostile files can crash. The child is started once and kept; when it
crashes, hangs or runs out of memory, it is replaced, and the file is refused.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Sequence
from typing import IO

import numpy as np

from data_prep.budget import MIB
from data_prep.child import environment, python
from data_prep.dicom.codec_child import ERROR, LENGTH
from data_prep.dicom.instance import Instance

_SECONDS = 8.0  # for one frame; a decoder takes milliseconds
_START_SECONDS = 60.0  # for the child to start and answer for the first time, on a busy machine
_OVERHEAD = 256 * MIB  # for the decoders' own code and buffers
_CEILING = 1024 * MIB  # of memory beyond what the child needs when idle


class CodecError(RuntimeError):
    """Pixels that could not be decoded; the message says why."""


def decode_frames(content: bytes, instance: Instance, indices: Sequence[int]) -> np.ndarray:
    """Stored values of frames of one file.

    Args:
        content: value of the pixel data: an offset table and fragments (PS3.5 A.4).
        instance: the file's header.
        indices: of the frames, from 0.

    Returns:
        `(len(indices), rows, columns)`, unsigned or signed as the header says.

    Raises:
        CodecError: the decoder failed, crashed, hung, or gave something else than the header says.
    """
    rows, columns = instance.shape
    allocated, stored, signed = instance.bits
    request = {
        "syntax": instance.syntax,
        "indices": list(indices),
        "rows": rows,
        "columns": columns,
        "number_of_frames": instance.frames,
        "samples_per_pixel": instance.samples,
        "photometric_interpretation": instance.photometric or "MONOCHROME2",
        "bits_allocated": allocated,
        "bits_stored": stored,
        "pixel_representation": signed,
        "length": len(content),
        "memory": min(_OVERHEAD + 2 * len(content) + 8 * instance.frame_bytes, _CEILING),
    }
    dtype = np.dtype(f"<{'i' if signed else 'u'}{allocated // 8}")
    frames = np.empty((len(indices), rows, columns), dtype)
    with _LOCK:
        child = _child()
        try:
            child.send(request, content)
            for frame in frames:
                child.receive_into(frame)
        except CodecError:
            if child.broken:
                _close()
            raise
        except BaseException:
            _close()
            raise
    return frames


class _Child:
    """The process and its pipes."""

    def __init__(self) -> None:
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self.owner, self.broken, self.answered = os.getpid(), False, False
        self.process = subprocess.Popen(
            python("data_prep.dicom.codec_child"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment(**threads),
        )

    def send(self, request: dict[str, object], content: bytes) -> None:
        stdin = _pipe(self.process.stdin)
        try:
            for data in (json.dumps(request).encode() + b"\n", content):
                view = memoryview(data)
                while view:
                    view = view[stdin.write(view) :]
        except OSError as error:
            raise self._gone() from error

    def receive_into(self, frame: np.ndarray) -> None:
        """One frame, which must have the size of the array."""
        until = time.monotonic() + (_SECONDS if self.answered else _START_SECONDS)
        (length,) = LENGTH.unpack(self._read(LENGTH.size, until))
        self.answered = True
        if length == ERROR:
            (length,) = LENGTH.unpack(self._read(LENGTH.size, until))
            raise CodecError(self._read(min(length, 500), until).decode(errors="replace"))
        if length != frame.nbytes:
            self.broken = True
            msg = f"a frame of {length} bytes, where the header says {frame.nbytes}"
            raise CodecError(msg)
        self._fill(memoryview(frame.data).cast("B"), until)

    def _read(self, length: int, until: float) -> bytes:
        data = bytearray(length)
        self._fill(memoryview(data), until)
        return bytes(data)

    def _fill(self, view: memoryview, until: float) -> None:
        """Read as many bytes as there is room for, before the time is over."""
        stdout = _pipe(self.process.stdout)
        while view:
            ready, _, _ = select.select([stdout], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                self.broken = True
                msg = "the decoder did not come to an end"
                raise CodecError(msg)
            count = stdout.readinto(view)  # type: ignore[attr-defined]
            if not count:
                raise self._gone()
            view = view[count:]

    def _gone(self) -> CodecError:
        self.broken = True
        return CodecError("the decoder crashed")

    def close(self) -> None:
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.wait()


_LOCK = threading.Lock()
_CHILDREN: list[_Child] = []  # the last one is in use; those of a process that this one was forked from come before


def _child() -> _Child:
    """The child of this process, started where there is none."""
    if not _CHILDREN or _CHILDREN[-1].owner != os.getpid() or _CHILDREN[-1].process.poll() is not None:
        _close()
        _CHILDREN.append(_Child())
    return _CHILDREN[-1]


@atexit.register
def _close() -> None:
    """End the child of this process; one of another process is left alone."""
    if _CHILDREN and _CHILDREN[-1].owner == os.getpid():
        _CHILDREN.pop().close()


def _after_fork() -> None:
    """A lock that another thread held is held for ever in the forked process."""
    global _LOCK
    _LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        msg = "the decoder has no pipe"
        raise CodecError(msg)
    return pipe
