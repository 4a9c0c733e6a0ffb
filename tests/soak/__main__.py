"""`make soak`: 2,000 studies under 1,000 kills; prints what was lost, doubled or left in part as JSON."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from pipelines.provenance import provenance
from tests.soak.campaign import lay_out, soak
from tests.soak.invariants import count


def main() -> int:
    """Soak; 1 where anything was lost, done twice or left in part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--chance", type=float, default=0.05, help="that a worker kills itself at the end of a stage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pace", type=float, default=1.0, help="multiplies the times between kills; more if busy")
    parser.add_argument("--folder", type=Path, help="kept afterwards; by default a temporary one")
    told = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="healthytwin-soak-") as scratch:
        folder = told.folder or Path(scratch)
        lay_out(folder, told.studies)
        kills = soak(folder, kills=told.kills, chance=told.chance, seed=told.seed, pace=told.pace)
        found = asdict(count(folder / "archive", told.studies))
    seconds = round(time.perf_counter() - started, 1)
    print(
        json.dumps(
            {"studies": told.studies, "kills": kills, **found, "seconds": seconds, "provenance": provenance()}, indent=2
        )
    )
    return int(any(found[name] for name in ("lost", "twice", "partial", "leftovers", "doubled")))


if __name__ == "__main__":
    sys.exit(main())
