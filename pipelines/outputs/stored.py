"""Results read back from their files, and what in them says that an output could not be made."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.outputs.table import FAILED

if TYPE_CHECKING:
    from anomaly import Examination

_PASSING = ("MemoryError", "OSError", "UNREADABLE")  # why an output could not be made, and now perhaps can
_MAKERS = ("highdicom", "matplotlib", "nibabel", "pydicom")  # packages that outputs are made with
_ROOMS = ("outputs", "report")  # of `pipelines`, that make them


def read_examination(folder: Path, names: Mapping[str, str]) -> Examination:
    """An examination as `write_examination` wrote it, without its twin.

    Args:
        folder: of the files.
        names: of mask, score map and finding, by kind.

    Raises:
        OSError, ValueError: a file is not there, or not as it was written.
    """
    import nibabel as nib
    import numpy as np

    from anomaly import Examination, Finding

    return Examination(
        finding=Finding.model_validate_json((folder / names["finding"]).read_text(encoding="utf-8")),
        mask=np.asarray(nib.load(folder / names["mask"]).dataobj).astype(np.uint8),  # type: ignore[attr-defined]
        score=np.asarray(nib.load(folder / names["score"]).dataobj, dtype=np.float32),  # type: ignore[attr-defined]
    )


def failed_rules(flags: Iterable[str], *, passing_only: bool = False) -> set[str]:
    """Which outputs could not be made, as the fields of `OutputRules`.

    Args:
        flags: of a finding.
        passing_only: only those whose reason may have passed.

    >>> flags = ["gantry_tilt", "seg_failed:StudyInstanceUID", "viewer_failed:MemoryError"]
    >>> sorted(failed_rules(flags)), failed_rules(flags, passing_only=True)
    (['seg', 'viewer'], {'viewer'})
    """
    parts = [flag.partition(FAILED) for flag in flags if FAILED in flag]
    return {rule for rule, _, cause in parts if not passing_only or cause in _PASSING}


@cache
def ability() -> str:
    """A stamp of the software that makes outputs: with another one, what could not be made is tried again."""
    digest = hashlib.sha256()
    for package in _MAKERS:
        digest.update(f"{package} {metadata.version(package)}\n".encode())
    root = Path(__file__).parent.parent
    for path in sorted(path for room in _ROOMS for path in (root / room).rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
