"""The end of the process, as soon as its last line is printed."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from typing import NoReturn


def end_process(code: int) -> NoReturn:
    """End this process without taking apart what torch, MONAI and ITK have loaded, which takes seconds.

    What was registered with `atexit` still runs, and what was printed is written first. Where other threads are
    still at work that must not be cut off, the process ends in Python's own way.

    Args:
        code: of the exit.
    """
    others = [one for one in threading.enumerate() if one is not threading.current_thread() and not one.daemon]
    if others:
        sys.exit(code)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the reader has gone
            stream.flush()
    os._exit(code)
