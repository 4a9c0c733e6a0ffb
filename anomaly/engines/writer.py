"""Writing results back: mask and score map as NIfTI in the source's geometry, the `Finding` as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from ignite.engine import Engine, Events

from anomaly.bundle import bundle_id, load_calibration
from anomaly.engines.examination import appearance_of, lesions_in, scores_of
from anomaly.files import atomically
from anomaly.precision import name_of
from anomaly.scoring.assess import Examination, Subject, assess

Array = np.ndarray
_SAME_PLACE_MM = 0.05
_SCORE_STEPS = 65535  # the score map is stored as uint16 with the slope 1 / 65535


def write_examination(examination: Examination, affine: Array, out_dir: str | Path) -> dict[str, Path]:
    """Write `<case>_mask.nii.gz`, `<case>_score.nii.gz` and `<case>.json`.

    Args:
        examination: of one case.
        affine: 4 x 4, voxel to RAS+ mm, of the source.
        out_dir: made if it is not there.

    Returns:
        The paths under `mask`, `score` and `finding`. The JSON is written last: where it is, the rest is too.
    """
    folder, case = Path(out_dir), examination.finding.case
    folder.mkdir(parents=True, exist_ok=True)
    paths = {
        "mask": folder / f"{case}_mask.nii.gz",
        "score": folder / f"{case}_score.nii.gz",
        "finding": folder / f"{case}.json",
    }
    _save(examination.mask.astype(np.uint8), affine, paths["mask"])
    steps = np.rint(np.clip(examination.score, 0, 1) * _SCORE_STEPS).astype(np.uint16)
    _save(steps, affine, paths["score"], slope=1 / _SCORE_STEPS)
    _replace(paths["finding"], (examination.finding.model_dump_json(indent=2) + "\n").encode())
    return paths


class FindingWriter:
    """Write the results of an `AnomalyEvaluator` whose `pred` is back on the source's grid.

    Reads from each item `case`, and from its image's meta `input_hash`, `series_uid` and `flags` (words with blanks
    between) where they are. Leaves the `Examination` in the evaluator's output, under `examination`.

    Cases that could not be read are listed in `failed.json`.

    Args:
        bundle_root: the bundle, for its calibration and its name.
        output_dir: where to write.
    """

    def __init__(self, bundle_root: str | Path, output_dir: str | Path) -> None:
        self.calibration = load_calibration(bundle_root)
        self.bundle = bundle_id(bundle_root, self.calibration)
        self.output_dir = Path(output_dir)

    def attach(self, engine: Engine) -> None:
        """Register with an evaluator."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self)
        engine.add_event_handler(Events.COMPLETED, self._write_failures)

    def __call__(self, engine: Engine) -> None:
        """Write the cases of one iteration."""
        batch: Any = engine.state.batch
        output: Any = engine.state.output
        for item, result in zip(batch, output, strict=True):
            meta = result["image"].meta
            subject = Subject(
                case=item["case"],
                input_hash=meta.get("input_hash", ""),
                series_uid=meta.get("series_uid") or None,
                flags=meta.get("flags", "").split(),
            )
            affine = result["pred"].affine.numpy()
            result["examination"] = assess(
                scores_of(result),
                affine,
                score=float(result["score"]),
                subject=subject,
                calibration=self.calibration,
                bundle=self.bundle,
                timings={"network": float(result["seconds"])},
                precision=name_of(getattr(engine, "dtype", None)),
                appearance=appearance_of(result),
                found=lesions_in(result, self.calibration),
            )
            write_examination(result["examination"], affine, self.output_dir)

    def _write_failures(self, engine: Engine) -> None:
        """List the cases that could not be read in `failed.json`; no such file means that there were none."""
        path = self.output_dir / "failed.json"
        path.unlink(missing_ok=True)
        if failures := getattr(engine, "failures", []):
            self.output_dir.mkdir(parents=True, exist_ok=True)
            _replace(path, (json.dumps(failures, indent=2) + "\n").encode())


def _moved(qform: Array, affine: Array, shape: tuple[int, ...]) -> float:
    """How far the qform, which knows no shear, puts a corner of the image from its place, mm."""
    corners = np.stack(np.meshgrid(*[(0, size - 1) for size in shape], indexing="ij"), axis=-1).reshape(-1, 3)
    off = corners @ (qform - affine)[:3, :3].T + (qform - affine)[:3, 3]
    return float(np.linalg.norm(off, axis=1).max())


def _save(array: Array, affine: Array, path: Path, *, slope: float | None = None) -> None:
    """Write an integer array as NIfTI-1; with a slope, the stored numbers times it are the values."""
    image = nib.Nifti1Image(array, affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = b"HealthyTwin"
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    if _moved(image.get_qform(), affine, array.shape) > _SAME_PLACE_MM:
        image.set_qform(None, code=0)
    if slope is not None:
        image.header.set_slope_inter(slope, 0)
    with atomically(path) as partial:
        nib.save(image, partial)


def _replace(path: Path, content: bytes) -> None:
    with atomically(path) as partial:
        partial.write_bytes(content)
