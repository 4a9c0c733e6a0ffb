"""Files to volumes: series and NIfTI found, checked and read; transforms that prepare them for a network.

Imports are lazy: `import data_prep` loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "CheckedDataset": "data_prep.cases.dataset",
    "CODES": "data_prep.verdict",
    "InputError": "data_prep.errors",
    "MODALITIES": "data_prep.find.discovery",
    "Series": "data_prep.series",
    "Verdict": "data_prep.verdict",
    "Volume": "data_prep.volume",
    "Case": "data_prep.cases.inputs",
    "discover": "data_prep.find.discovery",
    "list_cases": "data_prep.cases.inputs",
    "volumes_or_pictures": "data_prep.cases.inputs",
    "file_name": "data_prep.series",
    "unique_names": "data_prep.cases.inputs",
    "list_items": "data_prep.cases.inputs",
    "read_volume": "data_prep.cases.read",
    "SeriesReader": "data_prep.cases.reader",
    "CropRund": "data_prep.transforms.crop",
    "BoxRegiond": "data_prep.transforms.regions",
    "HeadRegiond": "data_prep.transforms.regions",
    "MaskOnPictured": "data_prep.transforms.in_plane",
    "ResizeInPlaned": "data_prep.transforms.in_plane",
    "NormalizeHeadd": "data_prep.transforms.regions",
    "NormalizePercentilesd": "data_prep.transforms.intensity",
    "NormalizeTissued": "data_prep.transforms.intensity",
    "NormalizeWindowd": "data_prep.transforms.window",
    "WindowRegiond": "data_prep.transforms.window",
    "TissueRegiond": "data_prep.transforms.intensity",
    "Fingerprint": "data_prep.fingerprint",
    "take_fingerprint": "data_prep.fingerprint",
    "level_weights": "data_prep.cases.healthy_runs",
    "list_runs": "data_prep.cases.healthy_runs",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        msg = f"module 'data_prep' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOME[name]), name)
