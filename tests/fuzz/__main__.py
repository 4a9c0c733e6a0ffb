"""`python -m tests.fuzz`: damaged inputs by the thousand; nothing may crash, hang, swell or raise anything else."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from pipelines.machine.provenance import commit, machine
from tests.fuzz.campaign import run_campaign


def main() -> int:
    """Run, print and write a summary; 1 where anything was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other inputs")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--data", type=Path, default=_data(), help="real patient data; default: $HEALTHYTWIN_DATA")
    parser.add_argument("--output", type=Path, default=Path("bench/fuzz.json"))
    options = parser.parse_args()
    report = run_campaign(options.inputs, seed=options.seed, workers=options.workers, data=options.data, progress=True)
    summary = {
        "command": " ".join(["python", "-m", "tests.fuzz", *sys.argv[1:]]),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **report.summary(),
        "machine": machine(1, "cpu"),
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(summary, indent=2) + "\n")
    for finding in report.findings:
        saved = finding.save(options.output.parent / "findings")
        print(f"{finding.name}: {finding.error.strip().splitlines()[-1]} -> {saved}")
    print(
        f"{report.inputs} inputs, {len(report.findings)} findings, slowest {report.slowest_s:.1f} s: {options.output}"
    )
    return 1 if report.findings else 0


def _data() -> Path | None:
    folder = Path(os.environ.get("HEALTHYTWIN_DATA", "../shared/data"))
    return folder if folder.is_dir() else None


if __name__ == "__main__":
    raise SystemExit(main())
