"""Small made-up pictures on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def picture(path: Path, seed: int = 0) -> Path:
    """Noise of 8 x 9 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 8)).astype(np.uint8)).save(path)
    return path


def tree(folder: Path, *files: str) -> Path:
    """A folder with pictures, no two alike."""
    for number, file in enumerate(files):
        picture(folder / file, number)
    return folder


def film(seed: int, *, size: tuple[int, int] = (72, 64), ill: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Something like a chest film, `(rows, columns)` uint8, and the mask of its shadow."""
    rng = np.random.default_rng(seed)
    down, across = np.mgrid[-1 : 1 : size[1] * 1j, -1 : 1 : size[0] * 1j]
    grey = 150 - 80 * np.exp(-((np.abs(across) - 0.45) ** 2 / 0.06 + down**2 / 0.4)) + rng.normal(0, 6, down.shape)
    middle = rng.uniform(-0.4, 0.4, 2)
    mask = ((across - middle[0]) ** 2 + (down - middle[1]) ** 2 < 0.06) & ill
    return np.clip(grey + 80 * mask, 0, 255).astype(np.uint8), mask
