"""The process that reads what the fuzzer made: one folder a line in, one line of JSON out."""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from collections import Counter
from pathlib import Path
from typing import Any


def examine(folder: str, *, allow_gaps: bool) -> dict[str, Any]:
    """Find what is in a folder and read what is accepted: counts of codes, or the traceback of a wrong exception."""
    from data_prep import InputError, discover

    codes: Counter[str] = Counter()
    try:
        for series in discover(folder, allow_gaps=allow_gaps):
            leak = next((word for word in ("CANARYID", "CANARY^NAME") if word in series.reason + series.name), "")
            if leak:
                return {"error": f"a patient's name in {series.reason!r}"}
            if series.code:
                codes[series.code] += 1
                continue
            try:
                volume = series.volume()
            except InputError as error:
                codes[f"{error.code} on reading"] += 1
            else:
                if volume.array.ndim != 3:
                    return {"error": f"a volume of {volume.array.ndim} dimensions"}
                codes["read"] += 1
    except InputError as error:
        return {"error": f"discover raised {error!r}"}
    except Exception:
        return {"error": traceback.format_exc()}
    return {"codes": codes}


def peak_mib() -> float:
    """The highest resident memory so far of this process, of its living children and of those that ended."""
    kilobytes = [_high_water("self"), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]
    for children in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
        kilobytes += [_high_water(pid) for pid in children.read_text().split()]
    return max(kilobytes) / 1024


def _high_water(pid: str) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)


def main() -> None:
    """Serve until standard input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        reply = examine(request["folder"], allow_gaps=request["allow_gaps"])
        print(json.dumps({**reply, "peak_mib": peak_mib()}), flush=True)


if __name__ == "__main__":
    main()
