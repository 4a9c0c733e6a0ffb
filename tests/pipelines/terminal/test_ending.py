"""The process ends with its last line, its exit code and what was registered for its end."""

from __future__ import annotations

import subprocess
import sys

import pytest

LATE = "import atexit, sys; from pipelines.terminal.ending import end_process; "


@pytest.mark.parametrize("code", [0, 3])
def test_it_ends_at_once_with_its_code_and_its_words(code: int) -> None:
    slow = "class Slow:\n  def __del__(self): print('taken apart')\n"
    script = f"{slow}kept = Slow(); kept.itself = kept\n{LATE}"
    script += "atexit.register(lambda: print('registered')); print('last', end='')\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}end_process({code})"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (code, "lastregistered\n")


def test_a_thread_at_work_is_waited_for() -> None:
    work = "threading.Thread(target=lambda: (time.sleep(0.2), print('done'))).start()"
    script = f"{LATE}import threading, time; {work}; end_process(3)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "done\n")
