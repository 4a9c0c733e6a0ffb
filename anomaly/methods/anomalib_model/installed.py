"""Whether anomalib can be used here, and what to do where it cannot."""

from __future__ import annotations

import importlib


def require_anomalib() -> None:
    """Import anomalib.

    Raises:
        ImportError: it is missing, or its torchvision was not built for the torch that is installed; the message
            says what to install.
    """
    if reason := _trouble():
        msg = (
            "anomalib cannot be used here: pip install 'healthytwin[anomalib]', with a torchvision that was built for "
            f"the installed torch ({reason})"
        )
        raise ImportError(msg)


def _trouble() -> str:
    """Why it cannot be imported; empty where it can."""
    try:
        importlib.import_module("anomalib.models")
    except Exception as error:  # a torchvision of another torch fails with a RuntimeError
        return " ".join(str(error).split())
    return ""
