"""The contact sheet: three slices of every scan on one page, and a list of those to throw out."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data_prep.errors import without_folders
from pipelines.machine.files import write_whole
from pipelines.report.page import render
from pipelines.report.slices import View

if TYPE_CHECKING:
    from data_prep.cohort.cache import Cache
    from pipelines.cohort.record import PrepareRecord, ScanRecord

_PLACES = (0.35, 0.5, 0.65)  # along the slices
_HEIGHT = 150  # pixels


def write_contact_sheet(path: Path, run: PrepareRecord, cache: Cache) -> Path:
    """Write the page: no network; a small script makes `exclude.txt` from the boxes that are ticked.

    Args:
        path: the HTML file, in the folder that the images of `run` are in.
        run: what was prepared.
        cache: keeps the pictures.
    """
    scans = [scan for scan in run.scans if scan.status == "prepared"]
    html = render(
        "contact_sheet.html.j2",
        run=run,
        sections={
            name: [scan for scan in scans if scan.section == name] for name in ("training", "validation", "test")
        },
        pictures={scan.name: _picture(path.parent, scan, cache) for scan in scans},
        others=[_public(scan) for scan in run.scans if scan.status != "prepared"],
        excluded=[scan.name for scan in run.scans if scan.code == "EXCLUDED"],
        patients=len({scan.patient for scan in scans}),
    )
    return write_whole(path, html)


def _public(scan: ScanRecord) -> ScanRecord:
    return scan.model_copy(update={"reason": without_folders(scan.reason)})


def _picture(folder: Path, scan: ScanRecord, cache: Cache) -> bytes:
    """Three slices side by side as a PNG, made once for each content."""
    image, label = folder / scan.image, folder / scan.label if scan.label else None
    status = [(part.stat().st_ino, part.stat().st_mtime_ns, part.stat().st_size) for part in (image, label) if part]
    return cache.keep(
        cache.key("picture", 2, status), ".png", lambda partial: partial.write_bytes(_drawn(image, label))
    ).read_bytes()


def _window(array: np.ndarray) -> tuple[float, float] | None:
    """Of CT, HU."""
    from data_prep.transforms.hounsfield import Hounsfield, looks_like_hu

    if not looks_like_hu(array):
        return None
    units = Hounsfield()
    units.add(array, "CT")
    return units.judged("CT")[1]


def _drawn(image: Path, label: Path | None) -> bytes:
    from PIL import Image

    from data_prep import read_volume

    volume = read_volume(image)
    view = View.of(volume.shape, volume.affine, volume.flags)
    shown = view.show(volume.array)
    chosen = [round(place * (shown.shape[-1] - 1)) for place in (_PLACES if shown.shape[-1] > 1 else _PLACES[:1])]
    if label is not None and (mask := view.show(read_volume(label, allow_constant=True).array) > 0).any():
        chosen[len(chosen) // 2] = int(mask.sum(axis=(0, 1)).argmax())  # where the lesion is widest
    low, high = _window(volume.array) or np.percentile(shown[..., chosen], (0.5, 99.7))
    strip = np.concatenate([shown[..., index] for index in chosen], axis=1).astype(np.float32)
    grey = np.clip((strip - low) / max(float(high - low), 1e-6), 0, 1)
    picture = Image.fromarray(np.rint(255 * grey).astype(np.uint8))
    width = round(strip.shape[1] * _HEIGHT / (strip.shape[0] * view.aspect))
    target = io.BytesIO()
    picture.resize((width, _HEIGHT), Image.Resampling.BILINEAR).save(target, format="png", optimize=True)
    return target.getvalue()
