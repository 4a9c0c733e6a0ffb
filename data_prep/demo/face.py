"""What surrounds the skull, drawn from simple solids in MNI millimetres: skin, eyes, nose, sinuses, muscles."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

Array = np.ndarray
Points = tuple[Array, Array, Array]
MIXES = 8  # steps from muscle (0) to fat (MIXES - 1)
AIR, BONE, MARROW, VITREOUS, CSF, CORD, MUCOSA = range(MIXES, MIXES + 7)
TISSUES = MIXES + 7
_VAULT_MM = 9.8  # skull and scalp together
_TEXTURE_SEED = 152

# what, centre (|x|, y, z), radii in mm; both sides alike; a later solid covers an earlier one
_SOLIDS: tuple[tuple[int, tuple[float, float, float], tuple[float, float, float]], ...] = (
    (0, (63, 18, -22), (9, 30, 32)),  # temporal muscle
    (0, (50, 22, -72), (11, 22, 26)),  # masseter
    (1, (30, 12, -66), (12, 18, 16)),  # pterygoid muscles
    (2, (22, -88, -78), (22, 14, 24)),  # muscles of the neck
    (BONE, (52, -40, -50), (15, 20, 17)),  # mastoid
    (AIR, (50, -38, -46), (8, 10, 8)),
    (MARROW, (0, 6, -32), (15, 16, 15)),  # body of the sphenoid bone
    (1, (0, 14, -56), (24, 14, 14)),  # roof of the pharynx
    (MARROW, (0, -8, -46), (11, 9, 15)),  # clivus
    (2, (0, 4, -24), (6, 5, 6)),  # pituitary gland
    (AIR, (7, 22, -36), (8, 12, 9)),  # sphenoid sinus
    (BONE, (30, 48, -37), (19, 33, 17)),  # walls of the orbit
    (4, (32, 57, -38), (16, 13, 14)),  # its fat, a cone towards the apex
    (5, (27, 43, -37), (12, 15, 10.5)),
    (4, (21, 29, -36), (7.5, 13, 7)),
    (1, (17, 40, -37), (3, 20, 5)),  # medial and lateral rectus muscle, optic nerve
    (1, (37, 43, -38), (3, 17, 5)),
    (1, (27, 42, -37), (3, 18, 3)),
    (2, (30, 44, -29), (6, 20, 2.5)),  # superior and inferior rectus muscle
    (2, (30, 46, -46), (6, 18, 2.5)),
    (BONE, (27, 52, -66), (16, 20, 17)),  # maxillary sinus and its wall
    (AIR, (27, 52, -66), (14, 18, 15)),
    (MARROW, (52, 48, -58), (8, 12, 7)),  # cheekbone
    (AIR, (14, 78, -2), (9, 5, 9)),  # frontal sinus
    (AIR, (0, 20, -78), (11, 9, 26)),  # pharynx
    (BONE, (32, 62, -38), (13.5, 13.5, 13.5)),  # sclera
    (VITREOUS, (32, 62, -38), (12, 12, 12)),
)


def outer_surface(points: Points, skull_mm: Array) -> Array:
    """Distance from the skin in mm, negative inside, `(x, y, z)` float32.

    Args:
        points: MNI coordinates in mm, to be broadcast.
        skull_mm: distance from the inner table of the skull.
    """
    x, y, z = points
    temple = 5 * np.exp(-(((np.abs(x) - 72) / 25) ** 2) - ((y - 20) / 30) ** 2 - ((z + 18) / 28) ** 2)
    vault = skull_mm - (_VAULT_MM + temple)
    lean = np.clip(z + 40, -60, 0)  # below the occiput the neck recedes
    centre, reach = -8 - 0.18 * lean, 95 + 0.12 * lean
    width = 75 + 0.1 * lean
    ring = ((np.abs(x) / width) ** 2.3 + (np.abs(y - centre) / reach) ** 2.3) ** (1 / 2.3)
    column = np.maximum((ring - 1) * width, z + 18)
    nose = solid(points, (0, 84, -56), (15, 29, 30))
    ear = solid(points, (81, -30, -38), (6, 13, 26))
    surface = _join(_join(_join(vault, column, 14.0), nose, 10.0), ear, 3.0)
    return np.asarray(surface, dtype=np.float32)


def soft_tissue(points: Points, step: int) -> Array:
    """Tissue at each point, were it neither skull, brain nor scalp; `(x, y, z)` uint8, index into `TISSUES`."""
    x, y, z = points
    texture = _texture((x.size, y.size, z.size), step) * np.clip((18 - z) / 20, 0, 1)  # over the vault only galea
    tissue = np.clip(MIXES / 2 + 3.6 * texture - 1.2, 0, MIXES - 1).astype(np.uint8)
    for label, centre, radii in _SOLIDS:
        _fill(tissue, points, label, centre, radii)
    _nasal_cavity(tissue, points, texture)
    canal = np.hypot(x, y + 46 - 0.1 * (z + 70))
    tissue[(canal < 11) & (z < -60)] = CSF
    tissue[(canal < 6.5) & (z < -60)] = CORD
    return tissue


def solid(points: Points, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Array:
    """About the distance in mm from an ellipsoid on both sides of the midline, negative inside."""
    x, y, z = points
    scaled = ((np.abs(x) - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2
    return np.asarray((np.sqrt(scaled + ((z - centre[2]) / radii[2]) ** 2) - 1) * min(radii))


def _fill(
    tissue: Array, points: Points, label: int, centre: tuple[float, float, float], radii: tuple[float, float, float]
) -> None:
    """Paint an ellipsoid, looking only at the slab of `tissue` that holds it."""
    _, y, z = points
    ys = slice(*np.searchsorted(y.ravel(), (centre[1] - radii[1], centre[1] + radii[1])))
    zs = slice(*np.searchsorted(z.ravel(), (centre[2] - radii[2], centre[2] + radii[2])))
    near = (points[0], y[:, ys], z[:, :, zs])
    tissue[:, ys, zs][solid(near, centre, radii) < 0] = label


def _nasal_cavity(tissue: Array, points: Points, texture: Array) -> None:
    """Septum, turbinates and air between them, and the air cells of the ethmoid."""
    x = points[0]
    cavity = solid(points, (0, 58, -56), (13, 34, 25)) < 0
    folded = np.cos(np.abs(x) * 2 * np.pi / 6.5) + 0.5 * texture > -0.2
    tissue[cavity] = np.where(folded, MUCOSA, AIR)[cavity]
    cells = solid(points, (0, 46, -31), (12, 26, 10)) < 0
    tissue[cells] = np.where(texture > 0.1, MUCOSA, AIR)[cells]


def _texture(shape: tuple[int, int, int], step: int) -> Array:
    """Smooth noise of unit variance, streaks of about 5 mm, the same at every call."""
    rng = np.random.default_rng(_TEXTURE_SEED)
    cells = [-(-size // 2) for size in shape] if step == 1 else shape
    noise = ndimage.gaussian_filter(rng.standard_normal(cells).astype(np.float32), (1.2, 1.5, 2.0))
    noise /= noise.std()
    if step == 1:
        noise = noise.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    return np.asarray(noise[: shape[0], : shape[1], : shape[2]])


def _join(first: Array, second: Array, rounding: float) -> Array:
    """Union of two distance fields whose seam is rounded over `rounding` mm (Quilez, polynomial smooth minimum)."""
    blend = np.maximum(rounding - np.abs(first - second), 0) / rounding
    return np.asarray(np.minimum(first, second) - blend**2 * rounding / 4)
