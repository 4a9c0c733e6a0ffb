"""How much memory a process may still take."""

from __future__ import annotations

from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_GROUPS = Path("/sys/fs/cgroup")
# Of a control group, version 2 and version 1: the limit, what is used, and the line of `memory.stat` with what of it
# are files that can be let go.
_LIMITS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def free_bytes(*, meminfo: Path = _MEMINFO, groups: Path = _GROUPS) -> int | None:
    """What the machine has left, or the control group of a container if that is less; None where neither tells.

    Args:
        meminfo: of Linux.
        groups: where this container's control group is mounted.
    """
    known = [left for left in (_available(meminfo), *(_left(groups, *names) for names in _LIMITS)) if left is not None]
    return min(known, default=None)


def _available(meminfo: Path) -> int | None:
    try:
        return 1024 * _line(meminfo, "MemAvailable:")
    except (OSError, ValueError):
        return None


def _left(groups: Path, limit: str, used: str, stat: str, files: str) -> int | None:
    try:
        most, now = int((groups / limit).read_text()), int((groups / used).read_text())
        return max(0, most - now + _line(groups / stat, files))
    except (OSError, ValueError):  # no such group, or "max"
        return None


def _line(path: Path, name: str) -> int:
    """The number behind a word at the start of a line; raises `ValueError` where there is none."""
    for line in path.read_text().splitlines():
        if line.split()[:1] == [name]:
            return int(line.split()[1])
    raise ValueError(name)
