"""`discover`: every series in folders, files and zip archives, each with a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from data_prep.budget import DEFAULT_BUDGET, Budget
from data_prep.dicom.picture import PICTURE_MODALITIES
from data_prep.find.gate import Gate
from data_prep.find.index import ScanIndex
from data_prep.find.passed import PassedOver
from data_prep.find.scan import scan
from data_prep.find.walk import walk_all
from data_prep.series import Series

MODALITIES = ("MR", "CT", "PT")  # that make volumes


def discover(
    paths: str | Path | Iterable[str | Path],
    *,
    allow_gaps: bool = False,
    modalities: Iterable[str] | None = None,
    flat: bool | None = None,
    workers: int = 1,
    deep: bool = True,
    budget: Budget = DEFAULT_BUDGET,
    passed: PassedOver | None = None,
) -> Iterator[Series]:
    """Find every series, and say of each whether it can be used.

    DICOM images are grouped by SeriesInstanceUID wherever they lie, and split by what makes one volume: direction,
    grid, complex component, echo, inversion time, time point, b-value, image type (`split_volumes`). What is no slice
    is set aside, and listed. Only headers are read, but for slices that lie in one place; what the pixels alone
    can tell, `Series.volume` raises. What is found is kept in a temporary file, so memory does not grow with the
    number of files.

    Args:
        paths: folders with all that is below them, files, zip archives, folders within zip archives. Hidden files
            are passed over, and so are files that neither are images nor are called so, and links, but for those into
            the store of a data set's manager (DataLad and git-annex, DVC).
        allow_gaps: accept volumes in which whole slices are missing; they get the flag `gaps_allowed`.
        modalities: DICOM modalities that are wanted; None: `MODALITIES`, and with `flat` `PICTURE_MODALITIES` as well.
        flat: True: pictures, images of one slice, are wanted, and volumes are skipped; False: the reverse; None:
            volumes, files of one slice, and DICOM images of `PICTURE_MODALITIES` where `modalities` names them.
        workers: processes that read headers. With more than one, a script must guard its start by
            `if __name__ == "__main__":`, as `multiprocessing` asks for.
        deep: go into subfolders.
        budget: limits for hostile input.
        passed: gets what is passed over: files that are not images, links, pipes.

    Yields:
        Series in natural order of their first file. What is wrong with a path is a series as well: nothing is
        raised.
    """
    places = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    with ScanIndex() as index:
        found = walk_all(places, deep=deep, budget=budget)
        rows = scan(found, workers=workers, named=frozenset(places), pictures=flat is not False)
        index.fill((PassedOver() if passed is None else passed).kept_from(rows))
        wanted = frozenset(modalities or (*MODALITIES, *(PICTURE_MODALITIES if flat else ())))
        gate = Gate(index, wanted, allow_gaps=allow_gaps, budget=budget, flat=flat)
        for kind, uid, row in index.units():
            yield from gate.judge(kind, uid, row)
