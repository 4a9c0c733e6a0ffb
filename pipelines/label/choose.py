"""Which study to look at next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.tasks.strategy import Strategy

from anomaly.finding import BundleId
from pipelines.label.scores import known


class BestFirst(Strategy):
    """Of the images without a final label, the one that comes first by its score.

    An image that was given out already waits until all others were; one without a score comes after those with.

    Args:
        description: for the viewer.
        bundle: whose scores count.
        rank: of a score; lower comes first.
    """

    def __init__(self, description: str, bundle: BundleId, rank: Callable[[float], float]) -> None:
        super().__init__(description)
        self.bundle, self.rank = bundle, rank

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """`id` of the image, with its score; None where every image has its label."""
        images = datastore.get_unlabeled_images(request.get("label_tag"), request.get("labels"))
        # behind DICOMweb that list is hours old
        images = [image for image in images if not datastore.get_label_by_image_id(image, DefaultLabelTag.FINAL)]
        first = min(images, key=lambda image: self._order(image, datastore, request["strategy"]), default=None)
        if first is None:
            return None
        return {"id": first, **known(datastore, first, self.bundle)}

    def _order(self, image: str, datastore: Datastore, strategy: str) -> tuple[float, float, str]:
        given_out = datastore.get_image_info(image).get("strategy", {}).get(strategy, {}).get("ts", 0)
        score = known(datastore, image, self.bundle).get("score")
        return given_out, float("inf") if score is None else self.rank(score), image


def most_abnormal(bundle: BundleId) -> BestFirst:
    """The highest score first."""
    return BestFirst("The most abnormal first", bundle, lambda score: -score)


def least_certain(bundle: BundleId, threshold: float) -> BestFirst:
    """The score nearest to the threshold of the image-level decision first."""
    return BestFirst("The least certain first", bundle, lambda score: abs(score - threshold))
