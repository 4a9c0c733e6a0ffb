"""A small label map of a head: shells of scalp, bone, fluid, cortex and white matter around two ventricles."""

import numpy as np

STEP = 4.0  # mm
SHELLS = ((1.0, 511), (0.92, 515), (0.85, 24), (0.8, 3), (0.68, 2), (0.2, 4))


def labels(shape=(40, 48, 44)):
    grid = np.meshgrid(*(np.linspace(-1.1, 1.1, n) for n in shape), indexing="ij")
    distance = np.sqrt(sum(axis**2 for axis in grid))
    array = np.zeros(shape, dtype=np.int16)
    for radius, number in SHELLS:
        array[distance < radius] = number
    array[(grid[2] < -0.55) & (array == 3)] = 8
    array[(grid[2] < -0.45) & (array == 2)] = 16
    return array


def affine(step=STEP):
    return np.diag([step, step, step, 1.0])
