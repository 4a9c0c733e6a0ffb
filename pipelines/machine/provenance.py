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
        "command": " ".join([Path(sys.argv[0]).name, *map(_own_name, sys.argv[1:])]),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(torch.get_num_threads(), "cuda" if torch.cuda.is_available() else "cpu"),
    }


def _own_name(argument: str) -> str:
    """An argument in which a path is named without the folders on its way: they may bear patients' names.

    >>> _own_name("/data/cohort"), _own_name("--bundle=bundles/site"), _own_name("--quick")
    ('cohort', '--bundle=site', '--quick')
    """
    option, equals, value = argument.rpartition("=") if argument.startswith("-") else ("", "", argument)
    return f"{option}{equals}{Path(value).name or value}"


def commit(file: Path = Path(__file__)) -> str:
    """The commit of this project's checkout, `-dirty` behind it where files differ; "unknown" outside one.

    An installed package may lie within a repository of its user's, whose commit says nothing about it: the checkout
    counts only where it holds this very file at this place.

    Args:
        file: this one.
    """
    root = file.resolve().parents[2]
    try:
        if Path(_git(root, "rev-parse", "--show-toplevel")).resolve() != root:
            return "unknown"
        _git(root, "ls-files", "--error-unmatch", file.resolve().relative_to(root).as_posix())
        return _git(root, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(root: Path, *words: str) -> str:
    """What git says in a folder, whatever repository a hook or a shell has set in the environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(["git", *words], cwd=root, env=environment, capture_output=True, text=True, check=True)
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
