"""Studies, a bundle and MONAI Label's server; all here is run by `make label-test`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from archive import FAMILY_NAME, dicom_series
from bright import head
from conftest import rotated_affine

from tests.soak.bundle import make_bundle

collect_ignore = [] if find_spec("monailabel") else ["authenticated.py", "dicomweb.py"]  # they import it
AFFINE = rotated_affine((2.0, 2.0, 6.0), flips=(-1, 1, 1))


@pytest.fixture(scope="session", autouse=True)
def monai_label() -> None:
    """MONAI Label, or a word about where it is."""
    pytest.importorskip("monailabel", reason="MONAI Label has an environment of its own: make label-test")


@pytest.fixture(scope="module")
def bright_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped configs around a network that gives back its input: bright is abnormal."""
    return make_bundle(tmp_path_factory.mktemp("bundle") / "bright")


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three heads, of which one has a lesion, as oblique NIfTI; a file that is no image; and a DICOM series."""
    folder = tmp_path_factory.mktemp("studies")
    rng = np.random.default_rng(0)
    for name in ("first", "ill", "last"):
        array = head(lesion=name == "ill") + rng.random((40, 48, 10), dtype=np.float32)
        nib.save(nib.Nifti1Image(array, AFFINE), folder / f"{name}.nii.gz")
    (folder / "broken.nii.gz").write_bytes(b"no image")
    dicom_series(folder / "series", lesion=True, patient=f"{FAMILY_NAME}^JANE")
    return folder


@contextmanager
def serving(studies: Path, bundle: Path, home: Path) -> Iterator[Any]:
    """The real server in this process. It scores nothing by itself, and no thread of it watches the folder."""
    from fastapi.testclient import TestClient
    from monailabel.config import settings

    from pipelines.label.asgi import app
    from pipelines.label.server import app_folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home))
        patch.setattr(settings, "MONAI_LABEL_APP_DIR", str(app_folder()))
        patch.setattr(settings, "MONAI_LABEL_STUDIES", str(studies))
        patch.setattr(settings, "MONAI_LABEL_APP_CONF", {"bundle": str(bundle), "device": "cpu"})
        patch.setattr(settings, "MONAI_LABEL_SESSION_PATH", str(home / "sessions"))
        patch.setattr(settings, "MONAI_LABEL_AUTO_UPDATE_SCORING", False)
        patch.setattr(settings, "MONAI_LABEL_DATASTORE_AUTO_RELOAD", False)
        with TestClient(app, base_url="http://127.0.0.1") as client:
            yield client


@pytest.fixture(scope="module")
def client(studies: Path, bright_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A client of the server in this process."""
    with serving(studies, bright_bundle, tmp_path_factory.mktemp("home")) as client:
        yield client


@pytest.fixture
def served(client: Any) -> Any:
    """The app in that server."""
    from monailabel.interfaces.utils.app import app_instance

    return app_instance()
