"""Files to volumes: series and NIfTI found, checked and read; transforms that prepare them for a network.

Imports are lazy: `import data_prep` loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "CheckedDataset": "data_prep.dataset",
    "CODES": "data_prep.verdict",
    "InputError": "data_prep.errors",
    "MODALITIES": "data_prep.discovery",
    "Series": "data_prep.series",
    "Verdict": "data_prep.verdict",
    "Volume": "data_prep.volume",
    "Case": "data_prep.inputs",
    "discover": "data_prep.discovery",
    "list_cases": "data_prep.inputs",
    "file_name": "data_prep.series",
    "unique_names": "data_prep.inputs",
    "list_items": "data_prep.inputs",
    "read_volume": "data_prep.read",
    "SeriesReader": "data_prep.reader",
    "CropRund": "data_prep.transforms",
    "BoxRegiond": "data_prep.transforms",
    "HeadRegiond": "data_prep.transforms",
    "NormalizeHeadd": "data_prep.transforms",
    "NormalizePercentilesd": "data_prep.intensity",
    "NormalizeTissued": "data_prep.intensity",
    "TissueRegiond": "data_prep.intensity",
    "Fingerprint": "data_prep.fingerprint",
    "take_fingerprint": "data_prep.fingerprint",
    "level_weights": "data_prep.runs",
    "list_runs": "data_prep.runs",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        msg = f"module 'data_prep' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOME[name]), name)
