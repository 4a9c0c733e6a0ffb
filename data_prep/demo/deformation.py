"""From the voxels of a scan to the template: the pose and the smooth deformation of one head."""

from __future__ import annotations

import numpy as np

from data_prep.demo.fields import nodes_for, resize, sample, smooth_noise
from data_prep.demo.grid import HEAD_CENTRE_MM, Grid
from data_prep.demo.subject import Subject

Array = np.ndarray
_BOX_MM = 320.0  # cube around the head in which deformations are drawn, whatever the grid
_APART_MM = (50.0, 14.0)  # nodes of the coarse and the fine deformation
_EVERY_MM = 5.0  # the deformation is computed at points this far apart and interpolated between them


def template_points(subject: Subject, grid: Grid, subslices: int) -> Array:
    """Where in MNI space each sample of a scan lies.

    Every slice is sampled at `subslices` evenly spaced depths. A free-form deformation on two lattices
    (Rueckert 1999), so that one head has one anatomy on every grid.

    Returns:
        `(3, columns, rows, slices * subslices)` float32, RAS mm.
    """
    fine = (grid.shape[0], grid.shape[1], grid.shape[2] * subslices)
    inset = 0.5 - 0.5 / subslices
    ends = [(0, grid.shape[0] - 1), (0, grid.shape[1] - 1), (-inset, grid.shape[2] - 1 + inset)]
    nodes = np.minimum(nodes_for(grid.extent_mm, _EVERY_MM), fine)
    index = np.meshgrid(*[np.linspace(*end, count) for end, count in zip(ends, nodes, strict=True)], indexing="ij")
    affine = grid.affine
    world = np.tensordot(affine[:3, :3], np.stack(index), 1) + affine[:3, 3].reshape(3, 1, 1, 1)
    return resize(_to_template(subject, world), fine)


def _to_template(subject: Subject, world: Array) -> Array:
    """RAS mm in the scanner to MNI mm, both `(3, ...)`."""
    from scipy.spatial.transform import Rotation

    centre = np.reshape(HEAD_CENTRE_MM, (3, 1, 1, 1))
    turn = Rotation.from_euler("xyz", subject.turn_deg, degrees=True).as_matrix()
    inverse = np.diag(1 / np.array(subject.size)) @ turn.T
    moved = world - centre - np.reshape(subject.shift_mm, (3, 1, 1, 1))
    points = np.tensordot(inverse, moved, 1) + centre
    return np.asarray(points + _displacement(subject, points - centre))


def _displacement(subject: Subject, offset: Array) -> Array:
    """Deformation in mm at points `(3, ...)` given from the middle of the head."""
    rng = np.random.default_rng([subject.seed, 1])
    total = np.zeros_like(offset)
    for size_mm, apart in zip(subject.warp_mm, _APART_MM, strict=True):
        lattice = smooth_noise(rng, nodes_for((_BOX_MM,) * 3, apart), channels=3)
        index = (offset / _BOX_MM + 0.5) * (lattice.shape[1] - 1)
        total += size_mm * np.stack([sample(part, index) for part in lattice])
    return total
