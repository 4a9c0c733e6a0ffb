"""Scalar fields in 3-D: resized, sampled, and drawn as smooth noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Array = np.ndarray


def resize(field: Array, shape: Sequence[int]) -> Array:
    """Trilinear; the outermost samples stay where they are.

    Args:
        field: `(a, b, c)` or `(channels, a, b, c)`, float32.
        shape: wanted `(i, j, k)`.

    Returns:
        `(i, j, k)` or `(channels, i, j, k)` float32.
    """
    import torch
    from torch.nn.functional import interpolate

    batch = torch.from_numpy(np.ascontiguousarray(field, dtype=np.float32)).reshape(1, -1, *field.shape[-3:])
    resized = interpolate(batch, size=tuple(shape), mode="trilinear", align_corners=True)
    return resized.numpy().reshape(*field.shape[:-3], *shape)


def sample(field: Array, index: Array, *, nearest: bool = False) -> Array:
    """Values of a field between its voxels, trilinear; its border goes on beyond it.

    Args:
        field: `(x, y, z)` float32.
        index: `(3, i, j, k)` fractional voxel indices.
        nearest: take the nearest voxel instead.

    Returns:
        `(i, j, k)` float32.
    """
    import torch
    from torch.nn.functional import grid_sample

    last = np.asarray(field.shape, dtype=np.float32).reshape(3, 1, 1, 1) - 1
    unit = torch.from_numpy(np.stack([*(index * (2 / last) - 1)][::-1], axis=-1, dtype=np.float32))
    mode = "nearest" if nearest else "bilinear"
    batch = torch.from_numpy(np.ascontiguousarray(field, dtype=np.float32))[None, None]
    values = grid_sample(batch, unit[None], mode=mode, padding_mode="border", align_corners=True)
    return np.asarray(values.numpy()[0, 0])


def smooth_noise(rng: np.random.Generator, nodes: Sequence[int], channels: int = 1) -> Array:
    """Noise of about unit variance on a lattice, neighbouring nodes alike; `(channels, *nodes)` float32."""
    from scipy.ndimage import gaussian_filter

    white = rng.standard_normal((channels, *nodes)).astype(np.float32)
    smooth = gaussian_filter(white, (0, 1, 1, 1), mode="wrap")
    return np.asarray(smooth / max(float(smooth.std()), 1e-6))


def nodes_for(extent_mm: Sequence[float], apart_mm: float) -> tuple[int, ...]:
    """Nodes of a lattice over a box, about `apart_mm` from each other, two at least along each axis."""
    return tuple(max(2, round(extent / apart_mm) + 1) for extent in extent_mm)
