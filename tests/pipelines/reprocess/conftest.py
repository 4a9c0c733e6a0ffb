"""A source with named patients, an archive, and the worker of this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from archive import FAMILY_NAME, Bench, dicom_series
from bright import head, write_nifti

from pipelines.reprocess.ledger import Ledger
from pipelines.reprocess.site import Site


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A DICOM series with a lesion, one without, and a NIfTI file with one; all named after their patient."""
    dicom_series(tmp_path / "source" / f"{FAMILY_NAME}_JANE" / "flair", lesion=True)
    dicom_series(tmp_path / "source" / "b", seed=1, patient=f"{FAMILY_NAME}^RICK")
    write_nifti(tmp_path / "source" / "c" / f"{FAMILY_NAME}.nii.gz", head(lesion=True))
    return tmp_path / "source"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    (tmp_path / "archive").mkdir()
    ledger = Ledger.of(tmp_path / "archive", wait=5)
    yield ledger
    ledger.close()


@pytest.fixture
def bench(tmp_path: Path, ledger: Ledger, fake_bundle: Path) -> Bench:
    """`bench.work(source)` does all that is in a source."""
    return Bench(tmp_path / "archive", ledger, fake_bundle, Site())
