"""The demo cohort on disk: scans as NIfTI and DICOM, true masks, and the datalist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.cases.datalist import FILE, SECTIONS, Datalist
from data_prep.demo.dicom import write_series
from data_prep.demo.grid import AXIAL_THICK, Grid
from data_prep.demo.render import render
from data_prep.demo.subject import KINDS, Subject, draw_lesion, draw_subject
from data_prep.files import atomically

LESION_ML = (9.0, 24.0, 14.0, 3.0, 40.0, 5.0)
_TILT_DEG = (9.0, 5.0, 7.0)  # largest turn of an oblique scan about x, y and z


@dataclass(frozen=True)
class _Order:
    """One scan to be made."""

    section: str
    name: str
    subject: Subject
    grid: Grid
    dicom: bool
    labelled: bool


def make_cohort(
    out_dir: str | Path,
    *,
    seed: int = 0,
    healthy: int = 2,
    lesions: int = 3,
    dicom: int = 2,
    training: int = 0,
    validation: int = 0,
    contrast: str = "flair",
    grid: Grid = AXIAL_THICK,
    oblique: bool = True,
    lesion_ml: Sequence[float] = LESION_ML,
    kinds: Sequence[str] = KINDS,
) -> Path:
    """Make heads from the MNI152 template, plant lesions in some, and write them as a site would have them.

    Args:
        out_dir: gets `dataset.json`, `images/*.nii.gz`, `dicom/<case>/*.dcm` and `labels/*.nii.gz`; made if missing.
        seed: two calls with one seed and the same other arguments write the same bytes.
        healthy: scans without a lesion in the section "test"; their labels are all zero.
        lesions: scans with a lesion in the section "test".
        dicom: how many test scans are DICOM series, taken in turn from those with and without a lesion.
        training: healthy NIfTI scans without label in the section "training".
        validation: the same in the section "validation".
        contrast: "flair" or "t1".
        grid: of every scan.
        oblique: tilt every second scan, in each section, by an angle of its own.
        lesion_ml: volumes of the lesions, repeated as often as needed.
        kinds: kinds of the lesions ("bright", "core", "dark"), repeated as often as needed.

    Returns:
        The path of `dataset.json`.

    Raises:
        ValueError: a negative number of scans, more DICOM than test scans, an unknown contrast or kind.
    """
    counts = {"healthy": healthy, "lesions": lesions, "dicom": dicom, "training": training, "validation": validation}
    if min(counts.values()) < 0 or dicom > healthy + lesions:
        msg = f"numbers of scans must be 0 or more, and dicom at most healthy + lesions, got {counts}"
        raise ValueError(msg)
    folder = Path(out_dir)
    lists: dict[str, list[dict[str, Any]]] = {name: [] for name in SECTIONS}
    plan = [
        *_healthy_sections(seed, {"training": training, "validation": validation}, grid, oblique),
        *_test_section(seed, healthy, dicom, grid, oblique, _planned(kinds, lesion_ml, lesions)),
    ]
    for order in plan:
        lists[order.section].append(_make(order, folder, seed=seed, contrast=contrast))
    folder.mkdir(parents=True, exist_ok=True)
    return Datalist(path=folder / FILE, sections=lists, about=_header(contrast, seed)).write()


def _planned(kinds: Sequence[str], lesion_ml: Sequence[float], count: int) -> list[tuple[str, float]]:
    """Kind and volume of each lesion."""
    return [(kinds[index % len(kinds)], lesion_ml[index % len(lesion_ml)]) for index in range(count)]


def _healthy_sections(seed: int, sections: dict[str, int], grid: Grid, oblique: bool) -> Iterator[_Order]:
    for number, (section, count) in enumerate(sections.items()):
        for index in range(count):
            rng = np.random.default_rng([seed, 2 + number, index])
            subject = draw_subject(rng)
            tilted = _tilted(rng, grid) if oblique and index % 2 else grid
            yield _Order(section, f"{section}-{index + 1:02d}", subject, tilted, dicom=False, labelled=False)


def _test_section(
    seed: int, healthy: int, dicom: int, grid: Grid, oblique: bool, planned: Sequence[tuple[str, float]]
) -> Iterator[_Order]:
    """Lesions and healthy in turn for the DICOM series, then listed by name."""
    names = [("lesion", index) for index in range(len(planned))] + [("healthy", index) for index in range(healthy)]
    in_turn = sorted(names, key=lambda name: (name[1], name[0] == "healthy"))
    for kind, index in names:
        rng = np.random.default_rng([seed, int(kind == "lesion"), index])
        subject = draw_subject(rng)
        if kind == "lesion":
            subject = replace(subject, lesions=(draw_lesion(rng, *planned[index]),))
        tilted = _tilted(rng, grid) if oblique and index % 2 == 0 else grid
        is_dicom = in_turn.index((kind, index)) < dicom
        yield _Order("test", f"{kind}-{index + 1:02d}", subject, tilted, dicom=is_dicom, labelled=True)


def _tilted(rng: np.random.Generator, grid: Grid) -> Grid:
    x, y, z = (round(float(angle), 2) for angle in rng.uniform(0.3, 1, 3) * _TILT_DEG * rng.choice([-1, 1], 3))
    return replace(grid, tilt_deg=(x, y, z))


def _make(order: _Order, folder: Path, *, seed: int, contrast: str) -> dict[str, Any]:
    """Render and write one scan; its entry in the datalist."""
    scan = render(order.subject, order.grid, contrast=contrast)
    entry: dict[str, Any] = {"image": f"images/{order.name}.nii.gz"}
    if order.dicom:
        entry["image"] = f"dicom/{order.name}"
        patient = f"DEMO^{order.name.upper()}"
        write_series(scan, folder / entry["image"], patient=patient, seed=seed, contrast=contrast)
    else:
        _write_nifti(scan.array.astype(np.int16), scan.affine, folder / entry["image"])
    if order.labelled:
        entry["label"] = f"labels/{order.name}.nii.gz"
        _write_nifti(scan.mask, scan.affine, folder / entry["label"])
    return entry


def _write_nifti(array: np.ndarray, affine: np.ndarray, path: Path) -> None:
    """Write with the affine as both qform and sform, in scanner coordinates; nibabel sets no time in the gzip."""
    import nibabel as nib

    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    image.set_qform(affine, code="scanner")
    image.set_sform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    with atomically(path) as partial:
        nib.save(image, partial)


def _header(contrast: str, seed: int) -> dict[str, Any]:
    return {
        "name": "HealthyTwin demo cohort",
        "modality": {"0": {"flair": "FLAIR", "t1": "T1"}[contrast]},
        "description": "Heads made by a program from the MNI152 template, some with a planted lesion. No patient.",
        "reference": "Fonov et al. 2011, ICBM 152 nonlinear symmetric template, 2009a, as shipped by nilearn",
        "licence": "as the template: free to use, copy, modify and distribute with this notice: Copyright (C) 1993-2009"
        " Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological Institute, McGill University",
        "seed": seed,
    }
