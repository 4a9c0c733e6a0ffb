"""Test cohorts made from label maps of heads: `python -m pipelines.figures.made_heads KIND LABELS -o OUT`.

`bleed`: CT heads, some with a bleed 35 HU brighter than what it lies in. `two`: T1 and FLAIR of one visit, with lesions
that either shows and the other does not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray
BLEED_HU = 35.0
_PIXEL, _SLICE = (2.0, 2.0), (6.0, 6.0)  # mm
_RADIUS = (6.0, 18.0)  # mm, of a lesion
_NOISE_HU = 4.0
_HU: Mapping[str, tuple[float, float]] = {  # mean, and what differs from voxel to voxel
    "air": (-1000, 0), "white": (27, 1), "cortex": (37, 1), "deep": (35, 1), "cerebellar_white": (28, 1),
    "cerebellar_cortex": (36, 1), "stem": (30, 1), "ventricle": (6, 1), "fluid": (9, 2), "choroid": (40, 6),
    "artery": (42, 3), "vein": (52, 3), "soft": (10, 40), "skin": (-20, 40), "bone": (900, 150), "marrow": (350, 120),
    "eye": (12, 3), "mucosa": (40, 15), "cord": (32, 2),
}  # fmt: skip
_SECTIONS = ("training", "validation", "test")


def make_cohort(kind: str, labels: Sequence[Path], folder: Path, *, counts: Sequence[int], seed: int = 0) -> Path:
    """Write a cohort, and give its datalist.

    Args:
        kind: "bleed" or "two".
        labels: of heads, of each a person.
        folder: gets `images/`, `labels/` and `dataset.json`.
        counts: of heads to train, to validate, to test; a test head comes once healthy and once ill.
        seed: another one draws other scans.
    """
    from data_prep.cases.datalist import FILE, Datalist
    from data_prep.heads import read_head

    sections = [name for name, count in zip(_SECTIONS, counts, strict=True) for _ in range(count)]
    entries: dict[str, list[dict[str, Any]]] = {name: [] for name in _SECTIONS}
    for number, (path, section) in enumerate(zip(labels, sections, strict=False)):
        head, patient = read_head(path), path.name.split(".")[0]
        for ill in (False, True) if section == "test" else (False,):
            rng = np.random.default_rng([seed, number])
            made = _scans(kind, head, rng, ill=ill, lesion=number % 2)
            entries[section].append(
                _write(made, f"{patient}-{'ill' if ill else 'healthy'}", folder) | {"patient": patient}
            )
    names = {"bleed": ["CT"], "two": ["t1", "flair"]}[kind]
    about = {"name": folder.name, "modality": {str(index): name for index, name in enumerate(names)}, "seed": seed}
    return Datalist(path=folder / FILE, sections=entries, about=about).write()


def _scans(
    kind: str, head: Any, rng: np.random.Generator, *, ill: bool, lesion: int
) -> tuple[list[Array], Array, Array]:
    """The channels of one visit, the mask of the lesion, the voxel size; a head is the same healthy and ill."""
    from data_prep.heads.geometry import draw_whole, places
    from data_prep.heads.head import _across, _sample
    from data_prep.heads.tissues import BRAIN, TISSUES, members

    geometry = draw_whole(rng, head, pixel=_PIXEL, slices=_SLICE)
    classes = _sample(head.tissues, places(geometry, middle=head.middle, voxel=head.spacing))
    brain = _across(members(BRAIN)[classes].astype(np.float32))
    soft = _lesion(rng, brain > 0.9, geometry.spacing) * brain
    mask = (soft > 0.5) & ill

    def picture(means: Array, spread: Array) -> Array:
        return _across(means[classes] + spread[classes] * rng.standard_normal(classes.shape, dtype=np.float32))

    if kind == "bleed":
        means, spread = (np.array([_HU[name][part] for name in TISSUES], np.float32) for part in (0, 1))
        image = _blurred(picture(means + (means > -500) * rng.normal(0, 1), spread)) + ill * BLEED_HU * soft
        return [image + _NOISE_HU * rng.standard_normal(image.shape)], mask, np.array(geometry.spacing)
    return _two(picture, rng, soft, ill=ill, lesion=lesion), mask, np.array(geometry.spacing)


def _two(picture: Any, rng: np.random.Generator, soft: Array, *, ill: bool, lesion: int) -> list[Array]:
    """T1 and FLAIR; a lesion darkens the one or brightens the other, as `lesion` says, and the other shows nothing."""
    from data_prep.heads.contrast import as_arrays, draw_contrast

    channels = []
    for number, (name, change) in enumerate((("t1", -0.35), ("flair", 0.5))):
        image = _blurred(picture(*as_arrays(draw_contrast(rng, name))))
        image = image * (1 + change * soft * (ill and number == lesion))
        noise = 0.03 * rng.standard_normal((2, *image.shape))
        channels.append(400 * np.hypot(image + noise[0], noise[1]))
    return channels


def _blurred(image: Array) -> Array:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, (0.5, 0.5, 0))


def _lesion(rng: np.random.Generator, brain: Array, spacing: Sequence[float]) -> Array:
    """A soft mask in [0, 1], its middle in the brain."""
    from anomaly.synthesis.shapes import draw_shape, render_shape

    radius = (_RADIUS[0] / spacing[0], _RADIUS[1] / spacing[0])
    ratio = spacing[0] / spacing[2]
    return render_shape(draw_shape(rng, brain, radius=radius, slice_ratio=(0.7 * ratio, 1.2 * ratio)), brain.shape)


def _write(made: tuple[list[Array], Array, Array], name: str, folder: Path) -> dict[str, Any]:
    """The files of one visit; gives its entry in the datalist."""
    import nibabel as nib

    channels, mask, spacing = made
    affine = np.diag([*spacing, 1.0])
    several = len(channels) > 1
    images = [f"images/{name}{f'_{number:04d}' if several else ''}.nii.gz" for number in range(len(channels))]
    label = f"labels/{name}.nii.gz"
    arrays = [*(np.rint(channel).astype(np.int16) for channel in channels), mask.astype(np.uint8)]
    for path, array in zip([*images, label], arrays, strict=True):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, affine), folder / path)
    return {"image": images if several else images[0], "label": label}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.figures.made_heads", description=__doc__)
    parser.add_argument("kind", choices=["bleed", "two"])
    parser.add_argument("labels", type=Path, help="folder of label maps, such as ../shared/data/head-labels")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--counts", default="20,10,10", help="heads to train, to validate, to test")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    counts = [int(count) for count in options.counts.split(",")]
    labels = sorted(options.labels.glob("*.nii.gz"))
    sys.stdout.write(f"{make_cohort(options.kind, labels, options.output, counts=counts, seed=options.seed)}\n")


if __name__ == "__main__":
    main()
