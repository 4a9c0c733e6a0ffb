"""The process that decodes compressed pixels, so that a hostile file can crash, hang or fill nothing but this.

`python -m data_prep.dicom.codec_child` reads requests on standard input, each a line of JSON and then as many bytes
as that says, and answers on standard output with the frames; see `data_prep.dicom.codec`.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from typing import Any, BinaryIO

ERROR = 2**64 - 1  # instead of a frame's length
LENGTH = struct.Struct("<Q")


def main() -> None:
    """Answer requests until standard input ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)  # decoders print; that must not get between the frames
    os.dup2(silence, 2)
    import pydicom.pixels  # noqa: F401  # before the limit, so that it does not count

    while line := requests.readline():
        request = json.loads(line)
        content = requests.read(request.pop("length"))
        try:
            _limit_memory(request.pop("memory"))
            _answer(content, request, answers)
        except BaseException as error:  # a decoder raises what it likes, MemoryError among it
            text = f"{type(error).__name__}: {error}".encode(errors="replace")[:500]
            answers.write(LENGTH.pack(ERROR) + LENGTH.pack(len(text)) + text)
        answers.flush()


def _answer(content: bytes, request: dict[str, Any], answers: BinaryIO) -> None:
    """Decode one frame after the other; each answer is a length and then the bytes of the frame."""
    from pydicom.pixels import get_decoder

    decoder = get_decoder(request.pop("syntax"))
    indices = request.pop("indices")
    for frame, _ in decoder.iter_array(content, indices=indices, raw=True, pixel_keyword="PixelData", **request):
        answers.write(LENGTH.pack(frame.nbytes))
        answers.write(frame.astype(frame.dtype.newbyteorder("<"), order="C", copy=False).data.cast("B"))


def _limit_memory(more: int) -> None:
    """Let the address space grow by `more` bytes and no further, where the system can do that."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            used = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (used + more, hard))
    except (ImportError, OSError, ValueError):
        return


if __name__ == "__main__":
    main()
