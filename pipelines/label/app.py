"""The app: what MONAI Label's server finds in the `main.py` that `healthytwin label --print-app` names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from monailabel.config import settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.scoring import ScoringMethod
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask

from data_prep import InputError
from pipelines.bundles import find_bundle, modalities
from pipelines.label.batch import Batch
from pipelines.label.checks import IMAGES, check_options
from pipelines.label.choose import least_certain, most_abnormal
from pipelines.label.detect import Detect, Levels
from pipelines.label.examiner import Examiner, place_of
from pipelines.label.locks import check_names
from pipelines.label.process import started_by_the_server, uploads
from pipelines.label.refusals import refusals
from pipelines.label.scores import Score, remember
from pipelines.label.store import StudyFolder
from pipelines.label.training import TrainHealthy, trained_bundles
from pipelines.machine.parent import end_with_parent

_IMAGES = tuple(f"*{extension}" for extension in IMAGES)
_CT_ALONE = {"Modality": "CT"}  # MONAI Label's own filter, where nobody set another


class HealthyTwinApp(MONAILabelApp):
    """Models, training, strategies and scoring around one bundle.

    Args:
        app_dir: with `main.py`; bundles trained here go to its `model` folder.
        studies: a folder of NIfTI or NRRD files, or a DICOMweb address.
        conf: `bundle`, a folder (else `$HEALTHYTWIN_BUNDLE`, else the shipped one); `device`.
    """

    def __init__(self, app_dir: str, studies: str, conf: Mapping[str, str]) -> None:
        check_names()
        self.uploads = uploads()
        if started_by_the_server():
            end_with_parent(os.getppid())
        bundle = find_bundle(Path(conf["bundle"]) if conf.get("bundle") else None)
        self._device = conf.get("device") or None
        self.examiner = Examiner(bundle, device=self._device)
        self.trained = Path(app_dir) / "model"
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=dict(conf),
            name="HealthyTwin",
            description="What is abnormal in a scan, learned from healthy ones alone. For research only.",
            version=self.examiner.id.version,
        )

    def init_datastore(self) -> Datastore:
        """Studies in a folder or behind DICOMweb; of DICOM only the bundle's modality."""
        if self.studies.startswith(("http://", "https://")):
            wanted = modalities(self.examiner.bundle)
            if wanted and settings.MONAI_LABEL_DICOMWEB_SEARCH_FILTER == _CT_ALONE:
                settings.MONAI_LABEL_DICOMWEB_SEARCH_FILTER = {"Modality": wanted[0]}
            return super().init_datastore()
        return StudyFolder(
            self.studies,
            extensions=_IMAGES,
            auto_reload=settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD,
            read_only=settings.MONAI_LABEL_DATASTORE_READ_ONLY,
        )

    def init_infers(self) -> dict[str, InferTask]:
        """`detect` and `levels`; a bundle trained here joins them under its own name."""
        return {"detect": Detect(self.examiner), "levels": Levels(self.examiner)}

    def init_trainers(self) -> dict[str, TrainTask]:
        """`train`."""
        return {"train": TrainHealthy(self.trained)}

    def init_strategies(self) -> dict[str, Strategy]:
        """`most_abnormal` and `least_certain`."""
        bundle, threshold = self.examiner.id, self.examiner.calibration.image_threshold
        return {"most_abnormal": most_abnormal(bundle), "least_certain": least_certain(bundle, threshold)}

    def init_scoring_methods(self) -> dict[str, ScoringMethod]:
        """`score`."""
        return {"score": Score(self.examiner.id, self._examine)}

    def init_batch_infer(self) -> Callable[..., Any]:
        """Of the images in the datastore."""
        return Batch()

    def info(self) -> dict[str, Any]:
        """What the server says of itself."""
        self._offer_trained()
        return super().info()

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Examine an image of the datastore, an uploaded file, or a path in the folder of the studies.

        Raises:
            HTTPException: 422, the image is refused, or lies elsewhere on this machine.
        """
        self._offer_trained()
        store, image = datastore or self.datastore(), request["image"]
        ours = image in store.list_images()
        with refusals():
            check_options(request)
        scores = ours and request.get("model") in ("detect", "levels")
        with refusals():
            if ours:
                place_of(image, store)
            request = {**request, "image": image if ours else self._path(image)}
            try:
                result: dict[str, Any] = super().infer(request, store)
            except InputError as error:
                if scores:
                    remember(store, image, self.examiner.id, refused=error.code)
                raise
        if scores:
            result_of_image = {key: result["params"][key] for key in ("score", "p_value", "abnormal")}
            remember(store, image, self.examiner.id, **result_of_image)
        return result

    def async_scoring(self, method: str | None, params: dict[str, Any] | None = None) -> Any:
        """Begin scoring in another process, where an image waits for its score or the method was asked for by name."""
        if method or any(score.waiting(self.datastore()) for score in self._scoring_methods.values()):
            return super().async_scoring(method, params)
        return {}

    def _examine(self, image: str, datastore: Datastore) -> None:
        """Examine an image of the datastore for its score alone."""
        Path(self.infer({"model": "detect", "image": image}, datastore)["file"]).unlink()

    def _offer_trained(self) -> None:
        """Take up bundles that were trained since, by another process."""
        for bundle in trained_bundles(self.trained):
            if bundle.name not in self._infers:
                self._infers[bundle.name] = Detect(Examiner(bundle, device=self._device))

    def _path(self, image: str) -> str:
        """The path of an image outside the datastore.

        A client may name what is in the folder of the studies, and what it has uploaded; not every file here.

        Raises:
            InputError: there is no such image, or it lies elsewhere.
        """
        if not isinstance(image, str):
            raise InputError("", "MISSING_FILE", "an image is named by a text")
        places = [Path(self.studies), self.uploads]
        if self.sessions() is not None:
            places.append(Path(self.sessions().store_path))
        path = Path(self.studies, image).resolve()
        if path.exists() and any(path.is_relative_to(place.resolve()) for place in places):
            return str(path)
        raise InputError(
            image, "MISSING_FILE", "this is neither an image of the datastore nor a path in the studies folder"
        )

    def _download_dcmqi_tools(self) -> None:
        """Download nothing: `itkimage2segimage` comes with the package dcmqi."""
