"""Where a figure comes from: the command, the commit and the machine that made it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def provenance() -> dict[str, Any]:
    """Command, commit, date and machine of this process, to stand beside its figures."""
    import torch

    return {
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(torch.get_num_threads(), "cuda" if torch.cuda.is_available() else "cpu"),
    }


def commit() -> str:
    """The commit of this checkout, `-dirty` behind it where files differ; "unknown" outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def machine(threads: int, device: str) -> dict[str, Any]:
    """Processor, cores, threads in use, device, system and versions."""
    import torch

    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "threads": threads,
        "device": device,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
