"""`CheckedDataset`: a dataset in which one bad file does not stop the rest."""

from __future__ import annotations

import logging
from typing import Any

from monai.data import Dataset

from data_prep.errors import InputError, without_folders

_logger = logging.getLogger(__name__)


class CheckedDataset(Dataset):
    """MONAI's `Dataset`, but an item that cannot be read comes as `{"case": ..., "failure": reason, "code": ...}`.

    `anomaly.engines.AnomalyEvaluator` lists such items as failures. Only bad input is caught; an error in a
    transform is an error.
    """

    def __getitem__(self, index: Any) -> Any:
        """The transformed item, or why it could not be read."""
        try:
            return super().__getitem__(index)
        except RuntimeError as error:
            cause = _input_error(error)
            if cause is None:
                raise
        except InputError as error:
            cause = error
        case, why = str(self.data[index].get("case", index)), without_folders(cause.reason, cause.path)
        _logger.warning("left out: %s: %s [%s]", case, why, cause.code)
        return {"case": case, "failure": why, "code": cause.code}


def _input_error(error: BaseException | None) -> InputError | None:
    """The `InputError` that a MONAI transform wrapped, if that is what it was."""
    while error is not None:
        if isinstance(error, InputError):
            return error
        error = error.__cause__
    return None
