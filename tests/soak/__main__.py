"""`make soak`: 2,000 studies under 1,000 kills; prints what was lost, doubled or left in part as JSON.

Besides, workers hang for ever, some of them with their coordinator gone; reading gives I/O errors; and the source
vanishes and comes back.

Where there is an Orthanc that can have a network of its own, the results are sent to it, the coordinator is also killed
while it sends, and every object is looked for in Orthanc.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipelines.machine.provenance import provenance
from tests import orthanc
from tests.soak.campaign import EVERY, lay_out, soak
from tests.soak.invariants import count
from tests.soak.sending import Sending
from tests.soak.stored import look

_SENDING = 25  # of so many kills, one hits the coordinator while it sends


def arguments() -> argparse.Namespace:
    """What is told on the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--every", type=int, default=EVERY, help="one study in so many is a DICOM series")
    parser.add_argument("--chance", type=float, default=0.05, help="that a worker kills itself at the end of a stage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="kept afterwards; by default a temporary one")
    parser.add_argument("--orthanc", action=argparse.BooleanOptionalAction, help="default: where there is one")
    told = parser.parse_args()
    why = "" if told.orthanc is False or orthanc.is_isolated() else orthanc.missing()
    if why and told.orthanc:
        parser.error(why)
    if why:
        print(f"NOTHING IS SENT TO ORTHANC IN THIS SOAK: {why}", file=sys.stderr)
    told.orthanc = told.orthanc is not False and not why
    return told


def run(told: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], bool]:
    """Soak and count; what was found, and whether all of it is as it must be."""
    lay_out(folder, told.studies, every=told.every, stow=orthanc.WEB if told.orthanc else "")
    sending = _sending(told, folder) if told.orthanc else None
    usual = told.kills - (sending.kills if sending else 0)
    with orthanc.running(folder) if sending else nullcontext():
        kills = soak(folder, kills=usual, chance=told.chance, seed=told.seed, sending=sending)
        counted = count(folder / "archive", told.studies)
        found, clean = {"kills": kills, **asdict(counted)}, counted.clean and _kills(kills) >= told.kills
        if sending:
            stored = look(folder / "archive", orthanc.stored())
            found["orthanc"] = {**asdict(stored), "in_doubt_at_kills": sending.in_doubt}
            clean = clean and stored.clean
    return found, clean


def _kills(told: dict[str, int]) -> int:
    """Of all that was done to a soak, the kills; workers that hang are among the stages."""
    return sum(told.get(name, 0) for name in ("workers", "coordinator", "stages", "sending"))


def _sending(told: argparse.Namespace, folder: Path) -> Sending:
    """So many kills that there is something left to be sent for each."""
    kills, objects = max(1, told.kills // _SENDING), 2 * told.studies // told.every
    most = max(1, objects // kills - 2)
    return Sending(archive=folder / "archive", instances=orthanc.instances, kills=kills, most=most, seed=told.seed)


def main() -> int:
    """Soak; 1 where anything is not as it must be, or fewer kills hit than were asked for."""
    told = arguments()
    if told.orthanc and not orthanc.is_isolated():
        os.execvp(orthanc.ISOLATED[0], [*orthanc.ISOLATED, sys.executable, "-m", "tests.soak", *sys.argv[1:]])
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="healthytwin-soak-") as scratch:
        found, clean = run(told, told.folder or Path(scratch))
    seconds = round(time.perf_counter() - started, 1)
    print(json.dumps({"studies": told.studies, **found, "seconds": seconds, "provenance": provenance()}, indent=2))
    return int(not clean)


if __name__ == "__main__":
    sys.exit(main())
