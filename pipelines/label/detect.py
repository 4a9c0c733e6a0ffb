"""MONAI Label's models: `detect` gives the mask at the operating point, `levels` the score map by level."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from monai.data import MetaTensor
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType
from monailabel.transform.writer import Writer

from anomaly.scoring.lesions import find_lesions
from pipelines.label.examiner import Examiner, study_of
from pipelines.problems import CommandError

if TYPE_CHECKING:
    from anomaly import Examination

Array = np.ndarray
_DIGITS = 3  # of options in a viewer


class Detect(InferTask):
    """The mask of what is abnormal, with the finding among the parameters of the answer.

    `threshold` and `smallest_lesion_ml` are options in the viewer; they begin at the operating point.

    Args:
        examiner: of a bundle.
    """

    labels: ClassVar[dict[str, int]] = {"anomaly": 1}
    words: ClassVar[str] = "outlines what is abnormal"

    def __init__(self, examiner: Examiner) -> None:
        self.examiner = examiner
        bundle = examiner.id
        super().__init__(
            type=InferType.SEGMENTATION,
            labels=self.labels,
            dimension=3,
            description=f"{bundle.name} {bundle.version}: {self.words}. For research only.",
            config=self.displayable_configs(),
        )

    def displayable_configs(self) -> dict[str, Any]:
        """Options that viewers show, rounded for people."""
        return {name: round(value, _DIGITS) for name, value in self.operating_point().items()}

    def operating_point(self) -> dict[str, float]:
        """The same options as they are where nobody changes them."""
        calibration = self.examiner.calibration
        return {"threshold": calibration.voxel_threshold, "smallest_lesion_ml": calibration.min_lesion_ml}

    def is_valid(self) -> bool:
        """Are the bundle's files there?"""
        return (self.examiner.bundle / "models" / "model.pt").is_file()

    def __call__(self, request: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        """Answer a request.

        Args:
            request: `image`, a path; and options, as numbers or as text.

        Returns:
            A label map on the image's grid, in a temporary file; and what is said of the case.

        Raises:
            InputError: the image is refused.
            CommandError: an option is out of range.
        """
        options = {name: _number(name, request.get(name), usual) for name, usual in self.operating_point().items()}
        volume, exam = self.examiner(study_of(request["image"]))
        labels, values = self.answer(exam, volume.affine, options)
        data = {
            "result_extension": ".nii.gz",
            "result_dtype": "uint8",
            **{key: value for key, value in request.items() if key.startswith("result_") and value},
            "pred": MetaTensor(torch.as_tensor(labels), affine=torch.as_tensor(volume.affine)),
        }
        file, _ = Writer(label="pred", nibabel=True)(data)
        return file, {"label_names": self.labels, **values}

    def answer(self, exam: Examination, affine: Array, options: dict[str, float]) -> tuple[Array, dict[str, Any]]:
        """Label map `(i, j, k)` uint8 and what is said of it."""
        threshold, smallest = options["threshold"], options["smallest_lesion_ml"]
        mask, lesions = find_lesions(exam.score, affine, threshold=threshold, min_lesion_ml=smallest)
        thresholds = exam.finding.thresholds.model_copy(update={"voxel": threshold, "min_lesion_ml": smallest})
        return mask, _values(exam.finding.model_copy(update={"lesions": lesions, "thresholds": thresholds}))


class Levels(Detect):
    """The score map, by level, in words: from 0.2, from 0.4, from 0.6 and from 0.8."""

    edges = (0.2, 0.4, 0.6, 0.8)
    labels: ClassVar[dict[str, int]] = {
        "slightly unusual": 1,
        "unusual": 2,
        "very unusual": 3,
        "extremely unusual": 4,
    }
    words: ClassVar[str] = "shows the anomaly score by level"

    def operating_point(self) -> dict[str, float]:
        """No options: the levels are fixed, so that two scans can be compared."""
        return {}

    def answer(self, exam: Examination, affine: Array, options: dict[str, float]) -> tuple[Array, dict[str, Any]]:
        """Label map `(i, j, k)` uint8 and what is said of it."""
        return np.digitize(exam.score, self.edges).astype(np.uint8), _values(exam.finding)


def _values(finding: Any) -> dict[str, Any]:
    """A `Finding` for a client: its main figures on top, where scripts look for them."""
    whole = finding.model_dump(mode="json")
    return {**{key: whole[key] for key in ("score", "p_value", "abnormal")}, "finding": whole}


def _number(name: str, value: Any, usual: float) -> float:
    """An option as a number from 0; viewers send text, the usual value as it was rounded, or nothing."""
    if value in (None, ""):
        return usual
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if number == round(usual, _DIGITS):
        return usual
    if not number >= 0:
        msg = f"{name} must be a number from 0, got {value!r}"
        raise CommandError(msg)
    return number
