"""`SeriesReader`: MONAI's `ITKReader` behind a gate, so that bundles refuse what the command line refuses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data import ITKReader
from monai.utils import MetaKeys, SpaceKeys, ensure_tuple

from data_prep.cases.read import read_volume
from data_prep.cases.visit import MISSING, read_visit
from data_prep.errors import InputError
from data_prep.volume import Volume


class SeriesReader(ITKReader):
    """Read what `data_prep.read_volume` reads: NIfTI, NRRD, DICOM.

    Use it by name: `LoadImaged(keys, reader="data_prep.SeriesReader")`. The affine is the header's own in
    float64, for all alike; meta data hold geometry, `series_uid`, `input_hash` and `flags`, and nothing else of the
    header, so nothing of the patient.

    Args:
        allow_constant: accept a volume with one value throughout: for labels, which are 0 in a healthy case.
        allow_gaps: accept a DICOM volume with whole slices missing; `flags` in the meta data says so.
        flat: of `read_volume`: True in bundles of pictures.
    """

    def __init__(self, *, allow_constant: bool = False, allow_gaps: bool = False, flat: bool | None = None) -> None:
        super().__init__()
        self.options: dict[str, Any] = {"allow_constant": allow_constant, "allow_gaps": allow_gaps, "flat": flat}

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Every path is this reader's: what it cannot read it refuses with a reason."""
        return True

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> Volume | InputError:
        """The volume at one path, or of several sequences of one visit (`n/a` for one that is missing), or why not.

        The reason is returned and not raised: when `read` raises, MONAI's LoadImage goes on to its other readers,
        and plain ITK reads what was refused here. `get_data` raises it.
        """
        calls = [
            None if str(path) == MISSING else partial(read_volume, path, **self.options) for path in ensure_tuple(data)
        ]
        try:
            return read_visit(calls)
        except InputError as error:
            return error

    def get_data(self, img: Volume | InputError) -> tuple[np.ndarray, dict[str, Any]]:
        """The array `(i, j, k)`, of several sequences `(i, j, k, C)` with 0 for what is missing.

        And MONAI's meta data of what `read` returned.

        Raises:
            InputError: the one that `read` returned.
        """
        if isinstance(img, InputError):
            raise img
        several = bool(img.sequences)
        channels = [np.zeros_like(img.array) if one is None else one for one in img.sequences]
        return np.stack(channels, axis=-1) if several else img.array, {
            MetaKeys.ORIGINAL_AFFINE: img.affine,
            MetaKeys.AFFINE: img.affine.copy(),
            MetaKeys.SPACE: SpaceKeys.RAS,
            MetaKeys.SPATIAL_SHAPE: np.asarray(img.shape),
            MetaKeys.ORIGINAL_CHANNEL_DIM: -1 if several else float("nan"),
            "series_uid": img.series_uid or "",
            "input_hash": img.input_hash,
            "flags": " ".join(img.flags),  # text, as lists of unequal length cannot be collated
        }
