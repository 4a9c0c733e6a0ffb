"""What the configs of a bundle of pictures, volumes of one slice, say differently from those of volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_prep import Fingerprint

MOST_OF_PICTURE = 192  # pixels across one training window
_SMALLEST = 25  # pixels of a lesion, at the size that the network sees
_LARGEST = 0.25  # of a picture's longer side: the semi-axis of the largest planted anomaly

SHARED: Mapping[str, Any] = {
    "network_def::spatial_dims": 2,
    "network": "$@network_def.to(@device)",
    "load::0::flat": True,
}
_ITEMS = "$data_prep.list_items(@dataset_dir, {}, flat=True)"
OF: Mapping[str, Mapping[str, Any]] = {
    "train": {
        f"{part}::data": f"$data_prep.list_runs(@dataset_dir, '{section}', flat=True)"
        for part, section in (("train", "training"), ("validate", "validation"))
    },
    "evaluate": {
        "dataset::data": _ITEMS.format("@section"),
        "load::3": {
            "_target_": "data_prep.MaskOnPictured",
            "keys": "label",
            "key_dst": "image",
            "allow_missing_keys": True,
        },
    },
    "inference": {"dataset::data": _ITEMS.format("allow_gaps=@allow_gaps")},
}


def size_step(fingerprint: Fingerprint) -> dict[str, Any]:
    """The transform that brings pictures to one pixel size or, where nobody knows that, to one size in pixels."""
    if not fingerprint.sized and fingerprint.chosen is None:
        return {"_target_": "data_prep.ResizeInPlaned", "keys": "image", "longest": max(fingerprint.shape)}
    steps = [float(f"{step:.4g}") for step in fingerprint.pixdim[:2]]
    return {"_target_": "Spacingd", "keys": "image", "pixdim": [*steps, -1.0], "mode": "bilinear"}


def training(fingerprint: Fingerprint) -> dict[str, Any]:
    """Keys of `train.yaml`: how large anomalies are, and from which size on they count."""
    pixel = fingerprint.pixdim[0] * fingerprint.pixdim[1]
    return {
        "radius": [3.0, round(max(4.0, _LARGEST * max(fingerprint.shape[:2])), 1)],
        "calibration::handlers::1::min_lesion_ml": float(f"{_SMALLEST * pixel / 1000:.3g}"),
    }
