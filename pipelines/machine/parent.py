"""Processes that end with the one that started them, however that one ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def end_with_parent(parent: int, *, signal_number: int = signal.SIGTERM) -> None:
    """Let the kernel send this process a signal once its parent has ended, also by `kill -9`; Linux alone can.

    It is the thread of the parent that started this process whose end counts (prctl(2)): start it from one that stays.

    Args:
        parent: the parent's process number, as the parent knows it: where it is another one now, it has ended already.
        signal_number: to be sent.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal_number)
