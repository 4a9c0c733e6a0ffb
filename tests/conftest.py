"""Fixtures that every test may use: the real data where it is, and small volumes on disk."""

import os
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("any machine", deadline=None)  # a busy machine takes longer than 200 ms for an example
settings.load_profile("any machine")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    """In CI a test that is skipped for want of something fails."""
    return _without_skips((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """So does a file of them."""
    return _without_skips((yield))


def _without_skips(report):
    if report.skipped and not hasattr(report, "wasxfail"):
        from tests.skips import fault

        *_, reason = report.longrepr if isinstance(report.longrepr, tuple) else (str(report.longrepr),)
        if why := fault(str(reason)):
            report.outcome, report.longrepr = "failed", why
    return report


ROOT = Path(__file__).resolve().parent.parent
BUNDLE = ROOT / "bundles" / "brain_flair_healthy_twin"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real patient data (`HEALTHYTWIN_DATA`, default ../shared/data); skips where it is absent."""
    folder = Path(os.environ.get("HEALTHYTWIN_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no patient data at {folder}; set HEALTHYTWIN_DATA")
    return folder


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The shipped bundle."""
    return BUNDLE


@pytest.fixture(scope="session")
def isolated() -> list[str]:
    """Beginning of a command that runs in a network of its own, where Orthanc may be started."""
    from tests.orthanc import ISOLATED, missing

    if why := missing():
        pytest.skip(why)
    return ISOLATED


def phantom(spatial=(64, 64, 8), *, seed=0, lesion=False):
    """An ellipsoid head with structure, `(i, j, k)` int16, and the mask of its lesion."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in spatial], indexing="ij")
    radius = np.sqrt((axes[0] / 0.8) ** 2 + (axes[1] / 0.9) ** 2)
    head = np.where(radius < 1, 300.0, 0.0)
    head[(radius < 1) & (radius > 0.88)] = 700
    head += (radius < 0.85) * 30 * np.sin(6 * axes[0] + seed) * np.cos(5 * axes[1])
    mask = np.sqrt((axes[0] - 0.3) ** 2 + axes[1] ** 2) + 0.3 * np.abs(axes[2]) < (0.3 if lesion else -1)
    head[mask] += 250
    return np.clip(head + rng.normal(0, 6, spatial) * (radius < 1), 0, None).astype(np.int16), mask


def rotated_affine(spacing, *, angle=0.2, flips=(1, 1, 1), order=(0, 1, 2), origin=(10.0, -20.0, 5.0)):
    """An oblique affine: permuted and flipped axes, turned about two axes by `angle`."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.eye(3)[:, list(order)] @ np.diag(np.array(flips) * np.array(spacing))
    affine[:3, 3] = origin
    return affine


@pytest.fixture(scope="session")
def cohort(tmp_path_factory) -> Path:
    """A datalist of phantoms: two to train, two to validate, two to test (one ill, one healthy), as NIfTI."""
    import json

    folder = tmp_path_factory.mktemp("cohort")
    sections = {"training": (2, False), "validation": (2, False), "test": (2, True)}
    datalist = {"name": "phantoms", "modality": {"0": "FLAIR"}}
    affine = rotated_affine((3.0, 3.0, 5.5), angle=0.1)
    for section, (count, labelled) in sections.items():
        datalist[section] = []
        for index in range(count):
            name = f"{section}-{index}.nii.gz"
            array, mask = phantom(seed=len(section) * 10 + index, lesion=labelled and index == 0)
            nib.save(nib.Nifti1Image(array, affine), folder / name)
            entry = {"image": name}
            if labelled:
                nib.save(nib.Nifti1Image(mask.astype(np.uint8), affine), folder / f"label-{index}.nii.gz")
                entry["label"] = f"label-{index}.nii.gz"
            elif index == 0:
                entry["healthy_slices"] = [[0, 6]]
            datalist[section].append(entry)
    (folder / "dataset.json").write_text(json.dumps(datalist))
    return folder
