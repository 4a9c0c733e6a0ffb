"""Batch inference that a bad study does not end, and that runs without a GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from fastapi import HTTPException
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.batch_infer import BatchInferTask

_log = logging.getLogger(__name__)


class Batch(BatchInferTask):
    """MONAI Label's, but a refused study is a result with a reason, and clients may ask for GPUs that are not there."""

    def __call__(
        self, request: dict[str, Any], datastore: Datastore, infer: Callable[..., dict[str, Any]]
    ) -> dict[str, Any]:
        """Examine the images asked for; gives the result, or `{"refused": reason}`, by image."""

        def one(single: dict[str, Any], store: Datastore) -> dict[str, Any]:
            try:
                return infer(single, store)
            except HTTPException as error:
                _log.warning("refused: %s", error.detail)
                return {"refused": error.detail}

        several = bool(request.get("multi_gpu", True)) and torch.cuda.is_available()
        return super().__call__({**request, "multi_gpu": several}, datastore, one)
