"""A CT head that the tests make."""

import numpy as np
from scipy.ndimage import gaussian_filter


def ct_head(spatial=(64, 64, 12), *, seed=0, bleed=0.0, table=False, padding=None):
    """HU `(i, j, k)` int16 and the mask of a bleed: brain 35, fluid 5, skull 900, scalp fat -90, a table beside it."""
    rng = np.random.default_rng(seed)
    i, j, k = np.meshgrid(*[np.linspace(-1, 1, n) for n in spatial], indexing="ij")
    size = rng.uniform(0.75, 0.8)
    radius = np.hypot(i / size, j / 0.85)
    hu = np.where(radius < 1, -90.0, -1000.0)
    hu[radius < 0.84] = 900
    hu[radius < 0.74] = 35
    hu[np.hypot(i - 0.1, j) < 0.12] = 5
    mask = (np.hypot(i + 0.3, j - rng.uniform(-0.2, 0.2)) < 0.18) & (np.abs(k) < 0.6) & bool(bleed)
    hu[mask] += bleed
    hu = gaussian_filter(hu, (0.6, 0.6, 0)) + rng.normal(0, 4, spatial) * (radius < 1)
    if table:
        hu[:, -1:] = 300
    if padding is not None:
        hu[np.hypot(i, j) > 1.02] = padding
    return np.rint(hu).astype(np.int16), mask
