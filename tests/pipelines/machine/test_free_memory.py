"""What is free: of the machine, or of a container's control group."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.machine.free_memory import free_bytes

MEMINFO = "MemTotal:       16000 kB\nMemFree:          100 kB\nMemAvailable:    2000 kB\n"
STAT = "anon 5\ninactive_file 700\ntotal_inactive_file 300\n"


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    (tmp_path / "meminfo").write_text(MEMINFO)
    return tmp_path / "meminfo"


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 2_048_000),
        ({"memory.max": "max", "memory.current": "1000", "memory.stat": STAT}, 2_048_000),
        ({"memory.max": "50000", "memory.current": "10000", "memory.stat": STAT}, 40_700),
        ({"memory.max": "9000000", "memory.current": "10000", "memory.stat": STAT}, 2_048_000),
        ({"memory.max": "500", "memory.current": "10000", "memory.stat": STAT}, 0),
        (
            {
                "memory/memory.limit_in_bytes": "50000",
                "memory/memory.usage_in_bytes": "10000",
                "memory/memory.stat": STAT,
            },
            40_300,
        ),
    ],
)
def test_the_smaller_of_machine_and_group(tmp_path: Path, meminfo: Path, files: dict[str, str], free: int) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert free_bytes(meminfo=meminfo, groups=tmp_path) == free


def test_nothing_is_known_where_nothing_tells(tmp_path: Path) -> None:
    assert free_bytes(meminfo=tmp_path / "meminfo", groups=tmp_path) is None


@pytest.mark.skipif(not Path("/proc/meminfo").is_file(), reason="Linux alone tells")
def test_of_this_machine() -> None:
    free = free_bytes()
    assert free is not None
    assert 0 < free <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
