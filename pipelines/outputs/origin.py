"""`Origin`: which study, series and kind of image a case comes from, without a word that may name a patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_prep import Case


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a case comes from.

    Args:
        study: StudyInstanceUID; "" where there is none.
        series: SeriesInstanceUID; "" where there is none.
        sequence: known words of the series' description, or codes of its pulse sequence; "" where none is known.
        voxel_mm: distances between voxels; () where they are not known.
        slices: how many; 0 where that is not known.
    """

    study: str = ""
    series: str = ""
    sequence: str = ""
    voxel_mm: tuple[float, ...] = ()
    slices: int = 0

    @classmethod
    def of(cls, case: Case) -> Origin:
        """The origin of a case, accepted or not; what no header told is left empty."""
        series = case.series
        if series is None:
            return cls()
        counted = series.files if series.kind == "dicom" else 0
        return cls(
            study=series.study_uid,
            series=series.uid or "",
            sequence=series.sequence,
            voxel_mm=tuple(round(float(length), 3) for length in series.spacing or ()),
            slices=series.shape[2] if series.shape is not None and len(series.shape) == 3 else counted,
        )

    @property
    def size(self) -> str:
        """Size of a voxel in words.

        >>> Origin(voxel_mm=(0.898, 0.898, 6.0)).size
        '0.898 x 0.898 x 6 mm'
        """
        return " x ".join(f"{length:g}" for length in self.voxel_mm) + " mm" if self.voxel_mm else ""
