"""Made-up heads with made-up results, for pages that are looked at: no patient, no network, and quickly made."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from bright import BrightIsAbnormal
from scipy import ndimage

from anomaly.finding import BundleId
from anomaly.scoring.assess import Examination, Subject, assess
from data_prep import Case, Volume, list_cases, read_volume
from data_prep.demo import make_cohort
from pipelines.detect.case import summarise
from pipelines.report.result import Result


class Knows(BrightIsAbnormal):
    """A detector that looks up the label beside a made-up head, and is not quite sure of its rim."""

    def examine(self, volume: Volume, *, case: str = "") -> Examination:
        """The blurred label as the score; the twin has the lesion smoothed away."""
        image = Path(volume.source)
        label = image.parent.parent / "labels" / image.name
        truth = np.asarray(nib.load(label).dataobj) > 0 if label.is_file() else np.zeros(volume.shape, bool)
        array = volume.array.astype(np.float32)
        near = ndimage.gaussian_filter(truth.astype(np.float32), (2.5, 2.5, 0.4))
        noise = np.random.default_rng(0).random(truth.shape, np.float32) * (array > array.mean())
        wide = ndimage.binary_dilation(truth, iterations=3)
        tissue = np.median(array[ndimage.binary_dilation(wide, iterations=4) & ~wide]) if truth.any() else 0.0
        soft = ndimage.gaussian_filter(wide.astype(np.float32), (2, 2, 0.3))
        score = np.clip(1.15 * near + 0.12 * noise, 0, 1).astype(np.float32)
        return assess(
            score,
            volume.affine,
            score=float(np.quantile(score, 0.9995)),
            subject=Subject(case=case, input_hash="cd" * 32),
            calibration=self.calibration,
            bundle=BundleId(name="made_up", version="0.1.0", weights_sha256=self.calibration.weights_sha256),
            timings={"network": 0.01},
            twin=array * (1 - soft) + tissue * soft,
        )


def cohort(folder: Path) -> Path:
    """Three heads with a lesion and one without, as NIfTI; gives the datalist."""
    return make_cohort(folder, healthy=1, lesions=3, dicom=0, training=2, oblique=False)


def results(datalist: Path) -> list[Result]:
    """Every test case, examined, with picture and volumes for the viewer."""
    return [_result(case) for case in list_cases(datalist, "test")]


def _result(case: Case) -> Result:
    volume = read_volume(case.image)
    exam = Knows().examine(volume, case=case.name)
    return summarise(case, volume, exam, outputs={}, pictures=True, truths=True, volumes=True)
