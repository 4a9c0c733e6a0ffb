"""Scores kept in the datastore: written by every examination, read by the strategies."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from fastapi import HTTPException
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod

from anomaly.finding import BundleId

KEY = "healthytwin"  # of an image's info in `datastore_v2.json`
_log = logging.getLogger(__name__)


def known(datastore: Datastore, image: str, bundle: BundleId) -> dict[str, Any]:
    """What a bundle said of an image; empty where it has not seen it."""
    kept: dict[str, Any] = datastore.get_image_info(image).get(KEY, {})
    return kept if kept.get("weights_sha256") == bundle.weights_sha256 else {}


def remember(datastore: Datastore, image: str, bundle: BundleId, **score: Any) -> None:
    """Keep what a bundle said of an image. Another process may have written since: its changes are taken over first."""
    datastore.refresh()
    datastore.update_image_info(image, {KEY: {**score, "weights_sha256": bundle.weights_sha256}})


class Score(ScoringMethod):
    """Examines every image that the bundle has not seen; score and p-value, or why it was refused, are kept.

    Args:
        bundle: that examines.
        examine: an image of the datastore; it remembers the result.
    """

    def __init__(self, bundle: BundleId, examine: Callable[[str, Datastore], Any]) -> None:
        super().__init__("Anomaly score and p-value of every image")
        self.bundle, self.examine = bundle, examine

    def waiting(self, datastore: Datastore) -> list[str]:
        """Images that the bundle has not seen."""
        return sorted(image for image in datastore.list_images() if not known(datastore, image, self.bundle))

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, int]:
        """Examine what is waiting; gives how many were scored, and how many refused."""
        counts = {"scored": 0, "refused": 0}
        for image in self.waiting(datastore):
            try:
                self.examine(image, datastore)
                counts["scored"] += 1
            except HTTPException as error:
                _log.warning("refused: %s", error.detail)
                counts["refused"] += 1
        return counts
