"""Whether a device that a user names can be had here, known without loading torch."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pipelines.problems import CommandError

_NAMES = re.compile(r"(cpu|mps|cuda)(:\d+)?")
_DRIVERS = tuple(Path("/dev") / name for name in ("nvidiactl", "nvidia0", "dxg", "kfd"))  # NVIDIA, WSL, AMD


def check_device(device: str | None, *, drivers: tuple[Path, ...] = _DRIVERS) -> None:
    """Refuse a device that no machine has, or that cannot be had on this one.

    Args:
        device: "cpu", "cuda", "cuda:1", "mps"; None: what there is.
        drivers: of GPUs, on Linux.

    Raises:
        CommandError: with the reason.
    """
    if device is None:
        return
    if not (named := _NAMES.fullmatch(device)):
        msg = f"--device {device}: not a device; use cpu, cuda, cuda:1 or mps"
        raise CommandError(msg)
    kind = named[1]
    if kind == "mps" and sys.platform != "darwin":
        msg = f"--device {device}: not available here: mps is for Macs"
        raise CommandError(msg)
    if kind == "cuda" and sys.platform == "linux" and not any(driver.exists() for driver in drivers):
        msg = f"--device {device}: not available here: this machine has no GPU driver"
        raise CommandError(msg)
