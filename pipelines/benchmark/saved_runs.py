"""What a benchmark keeps of each method, so that it can go on where it was stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from anomaly.metrics import CaseMeasures, Detections, RegionOverlap, ScoreHistogram
from data_prep.files import atomically
from pipelines.benchmark.record import MethodRun
from pipelines.machine.files import write_whole

_RUN, _CASES = "run.json", "cases.npz"


def save(folder: Path, run: MethodRun, cases: Sequence[CaseMeasures], pictures: dict[str, np.ndarray]) -> None:
    """Write a method's run; `run.json` comes last, and where it is, the rest is whole."""
    arrays: dict[str, Any] = {
        "healthy": np.stack([case.histogram.healthy for case in cases]),
        "abnormal": np.stack([case.histogram.abnormal for case in cases]),
        "overlap": np.stack([case.regions.overlap for case in cases]),
        "rows": json.dumps([_row(case) for case in cases]),
        **{f"picture_{name}": picture for name, picture in pictures.items()},
    }
    with atomically(folder / _CASES) as partial:
        np.savez_compressed(partial, **arrays)
    write_whole(folder / _RUN, run.model_dump_json(indent=2) + "\n")


def load(folder: Path, key: str) -> tuple[MethodRun, list[CaseMeasures], dict[str, np.ndarray]] | None:
    """A run that was made with the settings that `key` stands for; None where there is none."""
    if not (folder / _RUN).is_file():
        return None
    run = MethodRun.model_validate_json((folder / _RUN).read_text())
    if run.key != key or run.error:
        return None
    with np.load(folder / _CASES, allow_pickle=False) as kept:
        rows = json.loads(str(kept["rows"]))
        counts = zip(kept["healthy"], kept["abnormal"], kept["overlap"], strict=True)
        cases = [_case(row, *arrays) for row, arrays in zip(rows, counts, strict=True)]
        pictures = {name.removeprefix("picture_"): kept[name] for name in kept.files if name.startswith("picture_")}
    return run, cases, pictures


def _row(case: CaseMeasures) -> dict[str, Any]:
    return {
        "case": case.case,
        "patient": case.patient,
        "score": case.score,
        "alarm": case.alarm,
        "regions": case.regions.regions,
        "hits": case.detections.hits.tolist(),
        "false": case.detections.false.tolist(),
        "voxels": list(case.voxels),
        **({"abnormal": True} if case.abnormal else {}),
    }


def _case(row: dict[str, Any], healthy: np.ndarray, abnormal: np.ndarray, overlap: np.ndarray) -> CaseMeasures:
    hit, mask, lesion = row["voxels"]
    return CaseMeasures(
        case=row["case"],
        patient=row["patient"],
        score=row["score"],
        alarm=row["alarm"],
        histogram=ScoreHistogram(healthy, abnormal),
        regions=RegionOverlap(overlap, row["regions"]),
        detections=Detections(hits=np.array(row["hits"]), false=np.array(row["false"])),
        voxels=(hit, mask, lesion),
        abnormal=row.get("abnormal", False),
    )
