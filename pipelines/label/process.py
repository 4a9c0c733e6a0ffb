"""What every process of the server does at its start."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from functools import cache
from pathlib import Path

_TASKS = "monailabel.interfaces.utils.app"  # the module that MONAI Label's own children run


@cache
def uploads() -> Path:
    """A folder of this process alone: what clients upload and what is made for them lies in it, and goes with it.

    MONAI Label asks `tempfile` where to put such files; by itself they are in `/tmp`, with everybody else's.
    """
    os.umask(0o077)
    folder = Path(tempfile.mkdtemp(prefix="healthytwin-label-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    tempfile.tempdir = str(folder)
    return folder


def started_by_the_server() -> bool:
    """Is this a process in which the server trains, scores or infers a batch?"""
    main = sys.modules["__main__"]
    return getattr(main.__spec__, "name", "") == _TASKS if main.__spec__ is not None else False
