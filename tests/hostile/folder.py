"""A folder of scans in which every module that a program may import lies as well, and tells when it is imported."""

from __future__ import annotations

import sys
from importlib.metadata import packages_distributions
from pathlib import Path

_OURS = ("anomaly", "bundles", "data_prep", "pipelines", "sitecustomize", "usercustomize")


def make_hostile(folder: Path, mark: Path) -> Path:
    """Lay a module of every known name into a folder: imported, it adds its name to `mark`, and ends its process."""
    folder.mkdir(parents=True, exist_ok=True)
    body = f"import os\nwith open({str(mark)!r}, 'a') as mark: mark.write(__name__ + ' ')\nos._exit(66)\n"
    for name in {*sys.stdlib_module_names, *packages_distributions(), *_OURS}:
        if name.isidentifier():
            (folder / f"{name}.py").write_text(body)
    (folder / "evil_backend.py").write_text(body)
    (folder / "matplotlibrc").write_text("backend: module://evil_backend\ntext.usetex: True\n")
    (folder / ".env").write_text("MONAI_LABEL_AUTH_ENABLE=True\n")
    return folder


def imported(mark: Path) -> list[str]:
    """Names of the modules that were imported from such a folder."""
    return sorted(set(mark.read_text().split())) if mark.exists() else []
