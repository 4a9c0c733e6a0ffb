"""What the numbers of `metrics.json` mean, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

_WORDS = {
    "voxel_ap": ("Voxel AP", "average precision over all voxels of all cases, background included"),
    "best_dice": ("Best Dice", "pooled Dice at the best threshold for these very cases: an oracle, not a promise"),
    "best_dice_threshold": ("Best threshold", "where that Dice was reached; for comparison only"),
    "dice_at_threshold": ("Dice at the threshold", "pooled Dice of the masks, at the healthy-calibrated threshold"),
    "mean_dice_at_threshold": ("Mean Dice", "the same, averaged over the cases that have a lesion"),
    "slice_auroc": ("Slice AUROC", "slices with a lesion told from slices without"),
    "image_auroc": ("Image AUROC", "cases with a lesion told from healthy cases, by the score"),
    "image_ap": ("Image AP", "average precision of the cases' scores"),
    "image_auroc_in_box": ("Image AUROC, box", "the same, by the scores inside the organ's box"),
    "sensitivity": ("Sensitivity", "part of the cases with a lesion that are called abnormal"),
    "false_alarm_rate": ("False alarms", "part of the healthy cases that are called abnormal"),
    "aupro": ("AUPRO", "area under the per-region overlap curve up to a false-positive rate of 0.3"),
    "lesion_sensitivity": ("Lesion sensitivity", "part of the lesions that are hit at one false alarm a volume"),
    "voxel_threshold": ("Voxel threshold", "scores from here on are in the mask; from healthy calibration cases"),
    "alpha": ("Alpha", "promised rate of false alarms on healthy cases"),
}


class Measure(NamedTuple):
    """One line of the table."""

    name: str
    value: str
    interval: str
    meaning: str


def measures(metrics: Mapping[str, Any]) -> list[Measure]:
    """The numbers among `metrics`, known ones first, each with its 95 % interval where there is one."""
    intervals = metrics.get("intervals") or {}
    numbers = {key: value for key, value in metrics.items() if _is_number(value)}
    known = [key for key in _WORDS if key in metrics and (key in numbers or metrics[key] is None)]
    return [
        Measure(
            name=_WORDS.get(key, (key.replace("_", " "), ""))[0],
            value=f"{numbers[key]:.3f}" if key in numbers else "not defined",
            interval="{:.3f} to {:.3f}".format(*intervals[key]) if intervals.get(key) else "",
            meaning=_WORDS.get(key, ("", ""))[1],
        )
        for key in (*known, *(key for key in numbers if key not in _WORDS and key not in ("cases", "seed")))
    ]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
