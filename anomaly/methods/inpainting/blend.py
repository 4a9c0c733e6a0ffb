"""Poisson blending: the gradients of one image inside a mask, the values of another at its edge and outside."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.linalg import cg
from torch import Tensor

Array = np.ndarray
_TOLERANCE = 1e-6  # of the conjugate gradients, relative


def poisson_blend(image: Tensor, generated: Tensor, hole: Tensor) -> Tensor:
    r"""Fill the hole by $\min \| \nabla \hat x - \nabla G(z) \|^2$ with $\hat x = y$ outside it [Yeh 2017, eq. 6].

    The discrete equation [Pérez 2003, eq. 7] by conjugate gradients. pie-torch, which blends planted anomalies,
    solves it in the Fourier domain, and keeps the values at the edge only about.

    Args:
        image: y, `(N, 1, *spatial)`.
        generated: G(z), of the same shape.
        hole: of the same shape; above 0.5 where it is to be filled.

    Returns:
        `(N, 1, *spatial)`, cut to [0, 1]; exactly y outside the hole.
    """
    arrays = [one.detach().cpu().numpy() for one in (image, generated, hole > 0.5)]
    filled = np.stack([_fill(target[0], source[0], mask[0]) for target, source, mask in zip(*arrays, strict=True)])
    return torch.as_tensor(filled[:, None], dtype=image.dtype, device=image.device).clamp(0, 1)


def _fill(target: Array, source: Array, hole: Array) -> Array:
    """One image `(*spatial)`."""
    if hole.all() or not hole.any():
        return source if hole.any() else target
    voxels = np.argwhere(hole)
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(len(voxels))
    degree, right = np.zeros(len(voxels)), np.zeros(len(voxels))
    pairs: list[Array] = []
    for axis in range(hole.ndim):
        for step in (-1, 1):
            beside = voxels.copy()
            beside[:, axis] += step
            inside = np.flatnonzero((beside[:, axis] >= 0) & (beside[:, axis] < hole.shape[axis]))
            here, there = tuple(voxels[inside].T), tuple(beside[inside].T)
            degree[inside] += 1
            right[inside] += source[here] - source[there] + np.where(hole[there], 0, target[there])
            free = hole[there]
            pairs.append(np.stack([inside[free], number[there][free]]))
    rows, columns = np.concatenate(pairs, axis=1)
    every = np.arange(len(voxels))
    matrix = csr_array(
        (
            np.concatenate([-np.ones(len(rows)), degree]),
            (np.concatenate([rows, every]), np.concatenate([columns, every])),
        ),
        shape=(len(voxels), len(voxels)),
    )
    solved, _ = cg(matrix, right, x0=source[hole].astype(np.float64), rtol=_TOLERANCE)
    result = target.copy()
    result[hole] = solved
    return result
