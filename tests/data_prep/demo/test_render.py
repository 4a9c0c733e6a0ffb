"""A rendered head: replayable, one anatomy on every grid, with the contrasts of a real scan."""

from dataclasses import replace

import numpy as np
import pytest

from data_prep.demo import TINY, Grid, draw_lesion, draw_subject, render
from data_prep.demo.subject import KINDS

MIDDLE = Grid((128, 128, 10), (1.8, 1.8, 9.0))


@pytest.fixture(scope="module")
def subject():
    return draw_subject(np.random.default_rng(5))


@pytest.fixture(scope="module")
def flair(subject):
    return render(subject, MIDDLE)


def with_lesion(subject, kind="bright", volume_ml=20.0):
    return replace(subject, lesions=(draw_lesion(np.random.default_rng(1), kind, volume_ml),))


def level_at(scan, subject, template_mm):
    """Median intensity, relative to brain, of 3 x 3 x 1 voxels at a place of the undeformed template."""
    offset = np.array(template_mm) - (0, -8, 14)
    world = offset * subject.size + (0, -8, 14) + subject.shift_mm
    i, j, k = np.rint(np.linalg.solve(scan.affine, [*world, 1])[:3]).astype(int)
    return np.median(scan.array[i - 1 : i + 2, j - 1 : j + 2, k]) / subject.level


def test_a_subject_can_be_replayed(subject):
    first, second = (render(subject, TINY) for _ in range(2))
    np.testing.assert_array_equal(first.array, second.array)
    np.testing.assert_array_equal(first.affine, second.affine)


def test_a_lesion_changes_only_its_surroundings(subject):
    healthy, ill = render(subject, TINY), render(with_lesion(subject), TINY)
    changed = np.abs(healthy.array.astype(int) - ill.array) > 2
    assert (changed & (ill.mask > 0)).sum() > 0.8 * ill.mask.sum()
    assert changed.sum() < 4 * ill.mask.sum()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("volume_ml", [5.0, 40.0])
def test_lesions_look_like_their_kind_and_are_one_piece(subject, flair, kind, volume_ml):
    from scipy.ndimage import label

    scan = render(with_lesion(subject, kind, volume_ml), MIDDLE)
    inside = scan.array[scan.mask > 0] / np.median(flair.array[scan.mask > 0])
    assert scan.mask.sum() * MIDDLE.voxel_ml == pytest.approx(volume_ml, abs=MIDDLE.voxel_ml)
    assert label(scan.mask, np.ones((3, 3, 3)))[1] == 1
    assert (np.median(inside) < 0.8) == (kind == "dark")
    assert (np.percentile(inside, 90) > 1.35) == (kind != "dark")
    assert (np.percentile(inside, 5) < 0.75) == (kind != "bright")


def test_a_lesion_that_is_bright_in_flair_is_dark_in_t1(subject):
    healthy, ill = (render(who, TINY, contrast="t1") for who in (subject, with_lesion(subject)))
    inside = ill.mask > 0
    assert np.median(ill.array[inside] / healthy.array[inside]) < 0.85


def test_flair_has_dark_air_and_fluid_and_bright_scalp(flair):
    air = flair.array[:6, :6]
    brain = np.median(flair.array[45:83, 40:90, 5])
    assert np.percentile(air, 99) < 0.2 * brain
    assert np.percentile(flair.array[:, :, 5], 99) > 1.5 * brain
    assert np.percentile(flair.array[45:83, 40:90, 5], 1) < 0.7 * brain


def test_white_matter_is_darker_than_grey_in_flair_and_brighter_in_t1(subject):
    still = replace(subject, warp_mm=(0.0, 0.0), turn_deg=(0.0, 0.0, 0.0), noise=0.0, bias=0.0)
    white, grey = (24, -20, 34), (26, 2, 0)  # centrum semiovale, putamen
    flair, t1 = (render(still, MIDDLE, contrast=name) for name in ("flair", "t1"))
    assert level_at(flair, still, white) < level_at(flair, still, grey) - 0.03
    assert level_at(t1, still, white) > level_at(t1, still, grey) + 0.1


@pytest.mark.parametrize("plane", ["sagittal", "coronal"])
def test_the_anatomy_does_not_depend_on_the_plane(subject, flair, plane):
    from scipy.ndimage import map_coordinates

    quiet = replace(subject, noise=0.0, bias=0.0)
    axial, other = (render(quiet, Grid((64, 64, 64), (3.5, 3.5, 3.5), name)) for name in ("axial", plane))
    to_axial = np.linalg.inv(axial.affine) @ other.affine
    index = np.stack(np.meshgrid(*[np.arange(16, 48)] * 3, indexing="ij")).reshape(3, -1)
    where = to_axial[:3, :3] @ index + to_axial[:3, 3:]
    same = map_coordinates(axial.array.astype(float), where, order=1)
    assert np.corrcoef(same, other.array[tuple(index)])[0, 1] > 0.9


def test_an_unknown_contrast_and_a_lesion_off_the_grid_are_refused(subject):
    with pytest.raises(ValueError, match="contrast must be one of flair, t1, got 'pd'"):
        render(subject, TINY, contrast="pd")
    with pytest.raises(ValueError, match=r"no slice passes|no room"):
        render(with_lesion(subject), Grid((48, 48, 2), (4.8, 4.8, 1.0), "sagittal"))
