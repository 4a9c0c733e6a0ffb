"""`Runner`: inputs given to a child process that may crash, hang or eat memory, and what became of them."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz.seeds import Files

SECONDS = 10.0  # for one input
MIB = 1536.0  # of resident memory, of any process
_START_SECONDS = 60.0


@dataclass(frozen=True)
class Outcome:
    """What became of one input.

    Args:
        codes: how many series got each reason code, or were read.
        error: what must not happen; "" where it did not.
        seconds: until the answer.
        peak_mib: highest resident memory of the processes so far.
    """

    codes: dict[str, int]
    error: str
    seconds: float
    peak_mib: float


class Runner:
    """A child process, replaced when it breaks."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        self._child: subprocess.Popen[str] | None = None
        self._count = 0

    def run(self, files: Files, *, allow_gaps: bool = False) -> Outcome:
        """Write a small folder, have it read, and remove it."""
        self._count += 1
        place = self.folder / f"{self._count}"
        place.mkdir()
        for name, content in files.items():
            (place / name).write_bytes(content)
        try:
            return self._ask(place, allow_gaps=allow_gaps)
        finally:
            shutil.rmtree(place)

    def close(self) -> None:
        """End the child and remove what was written."""
        self._stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ask(self, place: Path, *, allow_gaps: bool) -> Outcome:
        child = self._child or self._start()
        assert child.stdin is not None
        assert child.stdout is not None
        started = time.perf_counter()
        child.stdin.write(json.dumps({"folder": str(place), "allow_gaps": allow_gaps}) + "\n")
        child.stdin.flush()
        ready, _, _ = select.select([child.stdout], [], [], 3 * SECONDS)
        line = child.stdout.readline() if ready else ""
        seconds = time.perf_counter() - started
        if not line:
            self._stop()
            error = f"the process ended with {child.returncode}" if ready else f"no answer in {seconds:.0f} s"
            return Outcome({}, error, seconds, 0.0)
        reply: dict[str, Any] = json.loads(line)
        error = reply.get("error", "")
        if not error and seconds > SECONDS:
            error = f"took {seconds:.1f} s"
        if not error and reply["peak_mib"] > MIB:
            error = f"a process of {reply['peak_mib']:.0f} MiB"
            self._stop()
        return Outcome(reply.get("codes", {}), error, seconds, reply["peak_mib"])

    def _start(self) -> subprocess.Popen[str]:
        """A child that has everything imported: its first answer is waited for."""
        command = [sys.executable, "-m", "tests.fuzz.child"]
        root = Path(__file__).resolve().parent.parent.parent
        found = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))}
        self._child = subprocess.Popen(
            command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=found
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        empty = self.folder / "empty"
        empty.mkdir(exist_ok=True)
        self._child.stdin.write(json.dumps({"folder": str(empty), "allow_gaps": False}) + "\n")
        self._child.stdin.flush()
        if not select.select([self._child.stdout], [], [], _START_SECONDS)[0] or not self._child.stdout.readline():
            msg = "the fuzzer's child does not start"
            raise RuntimeError(msg)
        return self._child

    def _stop(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    pipe.close()
            self._child = None
