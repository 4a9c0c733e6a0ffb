"""What a training will do, in words, before it begins: voxels, window, anomalies, memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from pipelines.cohort.healthy import TrainingData

_BASE_GB = 0.6  # of the process and its libraries
_STEP_BYTES = 7000  # for each voxel of a batch, with its gradients
_EXAMINED_BYTES = 700  # for each voxel of a whole scan that is validated
_CACHED_BYTES = 4  # for each voxel and channel of every scan, and one for where anomalies may lie


def outlook(config: Mapping[str, Any], data: TrainingData, *, free: int | None = None) -> list[str]:
    """The plan of a training, one sentence a line.

    Memory is an estimate, from trainings of the shipped network.

    Args:
        config: of `train.yaml`, with what was set on the command line.
        data: the scans.
        free: bytes of memory that may still be taken; None: not known.
    """
    fingerprint, slab = data.fingerprint, [int(size) for size in config["slab"]]
    pixdim = next((step["pixdim"] for step in config["prepare"] if "pixdim" in step), list(fingerprint.pixdim))
    extent = [length * size for length, size in zip(fingerprint.pixdim, fingerprint.shape, strict=True)]
    shape = [max(1, round(length / step)) for length, step in zip(extent, pixdim, strict=True)]
    channels = int(config["network_def"].get("channels", 1))
    scans = sum(map(len, data.sections.values()))
    memory = needed_bytes(slab, shape, scans=scans, channels=channels, batch=int(config["batch_size"]))
    return [
        f"voxel size: {_times(pixdim)} mm, of the scans {_times(fingerprint.spacing)} mm; up to {_times(shape)} voxels",
        _intensity(config, data),
        f"anomalies: {_counted(config['families'])}; {_dark(config)}",
        f"{_size(config, pixdim)}; the checkpoint is chosen on {_counted(config['held_out_families'])}",
        f"memory: about {memory / 1e9:.1f} GB, with {scans} scans kept in it" + _short(memory, free),
    ]


def needed_bytes(slab: Sequence[int], shape: Sequence[int], *, scans: int, channels: int, batch: int) -> int:
    """Memory of a training, roughly.

    Args:
        slab: voxels of a training window.
        shape: voxels of the largest scan.
        scans: that are kept in memory.
        channels: of the network.
        batch: windows in a step.
    """
    kept = scans * prod(shape) * (_CACHED_BYTES * channels + 1)
    return round(_BASE_GB * 1e9 + kept + max(batch * prod(slab) * _STEP_BYTES, prod(shape) * _EXAMINED_BYTES))


def read_config(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """A bundle's `train.yaml`, with some of its keys set otherwise."""
    import yaml

    return {**yaml.safe_load(path.read_text(encoding="utf-8")), **settings}


def _intensity(config: Mapping[str, Any], data: TrainingData) -> str:
    windows: list[list[float]] = next((step["windows"] for step in config["prepare"] if "windows" in step), [])
    if windows:
        return f"window: {' and '.join(f'{low:g} to {high:g}' for low, high in windows)} HU"
    kind = config["prepare"][-1]["_target_"].rpartition(".")[2]
    several = f" of each of {', '.join(data.sequences)}" if data.sequences else ""
    return f"intensity: the median of the tissue becomes 0.35{several} ({kind})"


def _counted(families: Sequence[str]) -> str:
    return ", ".join(
        f"{name}{f' x {families.count(name)}' if families.count(name) > 1 else ''}" for name in dict.fromkeys(families)
    )


def _dark(config: Mapping[str, Any]) -> str:
    planting: dict[str, Any] = next(
        (step for step in config["train"]["slabs"] if step["_target_"].endswith("PlantAnomalyd")), {}
    )
    return f"{float(planting.get('darker') or 0.25):.0%} of those that can be either are dark"


def _size(config: Mapping[str, Any], pixdim: Sequence[float]) -> str:
    low, high = (float(length) * pixdim[0] for length in config["radius"])
    least = next(
        (step.get("min_lesion_ml") for step in config["calibration"]["handlers"] if "min_lesion_ml" in step), 0
    )
    return f"half width {low:.3g} to {high:.3g} mm; regions below {least:g} ml are not reported"


def _times(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.3g}" if value < 100 else str(round(value)) for value in values)


def _short(memory: int, free: int | None) -> str:
    if free is None or memory <= free:
        return ""
    return f", and {free / 1e9:.1f} GB are free: choose a coarser --voxel-size or a smaller --batch-size"
