"""Who holds a lease: a process that can be told from every other, and may be known to be dead."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_PROC = Path("/proc")


def identity(pid: int | None = None) -> str:
    """This machine's start, the process namespace, a process and when it began, parted by colons.

    Args:
        pid: None: this process.
    """
    pid = os.getpid() if pid is None else pid
    return f"{_boot()}:{_namespace()}:{pid}:{_began(pid)}"


def is_dead(owner: str, *, one_machine: bool) -> bool:
    """Is it certain that this owner does nothing any more? False also where it cannot be known.

    Args:
        owner: of `identity`.
        one_machine: all owners share one machine, so that one from before its last start is dead.
    """
    boot, namespace, pid, began = owner.split(":")
    if boot != _boot():
        return one_machine and not boot.startswith("host-")
    if namespace != _namespace() or not pid.isdigit() or not _PROC.is_dir():
        return False
    return _began(int(pid)) != began


def _boot() -> str:
    """A number that changes when the machine starts; its name where there is no such number."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"host-{platform.node().replace(':', '-')}"


def _namespace() -> str:
    try:
        return os.readlink(_PROC / "self/ns/pid").strip("pid:[]")
    except OSError:
        return "0"


def _began(pid: int) -> str:
    """Start of a process in clock ticks after the machine's; "" where there is none, or it is a zombie."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
