"""Which tests may be skipped in CI: those that need patient data, or a machine that CI cannot have."""

from __future__ import annotations

import os
import re

VARIABLE = "HEALTHYTWIN_CI"
MAY_BE_SKIPPED = re.compile(
    r"no patient data at"
    r"|root may write anywhere|root reads everything"
    r"|MONAI Label has an environment of its own"  # `make label-test`, which CI runs as well
    r"|the extra \[anomalib\] is not installed"  # PyPI's torchvision does not load beside the CPU's torch
    r"|has no larger setting"
    r"|this machine has no network"
    r"|the machine is busy"
    r"|not a git checkout"
    r"|on Linux|Linux alone"
)


def is_ci() -> bool:
    """Must everything be there that tests can be given?"""
    return os.environ.get(VARIABLE) == "1"


def fault(reason: str) -> str:
    """What is wrong with a skip in CI; "" where nothing is."""
    if not is_ci() or MAY_BE_SKIPPED.search(reason):
        return ""
    return f"skipped, and in CI nothing may be missing ({VARIABLE}=1): {reason}"
