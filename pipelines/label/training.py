"""Training from studies that were declared healthy: that word is their label."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.tasks.train import TrainTask

from pipelines.label.examiner import place_of, study_of
from pipelines.label.refusals import refusals
from pipelines.machine.files import writable_folder, write_whole

HEALTHY = "healthy"  # key of an image's info
_NAME = "trained-{}"


class TrainHealthy(TrainTask):
    """Makes a bundle out of the healthy studies; the server then offers it as a model of its own.

    Args:
        folder: for the bundles, `trained-1`, `trained-2`, ...
    """

    options: ClassVar[dict[str, int]] = {"epochs": 10, "steps": 140, "batch_size": 3, "patience": 100, "seed": 0}

    def __init__(self, folder: Path) -> None:
        super().__init__("Train and calibrate a bundle on the studies that were declared healthy")
        self.folder = folder

    def config(self) -> dict[str, int]:
        """Options that viewers show."""
        return dict(self.options)

    def stats(self) -> dict[str, Any]:
        """Of each bundle trained here: scans, voxel AP on planted anomalies, and what its calibration promises."""
        stats = {}
        for bundle in trained_bundles(self.folder):
            trained = json.loads((bundle / "training" / "training.json").read_text(encoding="utf-8"))
            stats[bundle.name] = {key: trained[key] for key in ("training", "validation", "voxel_ap", "promise")}
        return stats

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train; gives the record of `healthytwin train`.

        Raises:
            HTTPException: 422, too few of the studies are healthy and can be read.
        """
        from pipelines.bundles import start_bundle
        from pipelines.train.run import train

        with refusals():
            studies = [str(study_of(place_of(image, datastore))) for image in healthy_images(datastore)]
            bundle = self._next()
            datalist = bundle.with_suffix(".json")
            write_whole(datalist, json.dumps({"training": [{"image": study} for study in studies]}, indent=2) + "\n")
            settings = {name: int(request.get(name) or usual) for name, usual in self.options.items()}
            record = train(datalist, bundle, start_from=start_bundle(), settings=settings)
        return record.model_dump(mode="json")

    def _next(self) -> Path:
        number = 1
        while (bundle := writable_folder(self.folder) / _NAME.format(number)).exists():
            number += 1
        return bundle


def trained_bundles(folder: Path) -> list[Path]:
    """The bundles in a folder whose training has come to its end."""
    return sorted(record.parents[1] for record in folder.glob("*/training/training.json"))


def healthy_images(datastore: Datastore) -> list[str]:
    """Images declared healthy: by `"healthy": true` in their info, or by a final label without a voxel."""
    datastore.refresh()  # its watcher may just have dropped a label whose file is there
    return sorted(image for image in datastore.list_images() if _is_healthy(datastore, image))


def _is_healthy(datastore: Datastore, image: str) -> bool:
    declared = datastore.get_image_info(image).get(HEALTHY)
    if declared is not None:
        return declared is True
    label = datastore.get_label_by_image_id(image, DefaultLabelTag.FINAL)
    return bool(label) and _is_empty(datastore.get_label_uri(label, DefaultLabelTag.FINAL))


def _is_empty(label: str) -> bool:
    """Has a label map no voxel?"""
    import SimpleITK as sitk  # noqa: N813

    return not sitk.GetArrayFromImage(sitk.ReadImage(label)).any()
