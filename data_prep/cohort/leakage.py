"""`check_leakage`: no patient and no scan in two sections."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import nibabel as nib
import numpy as np

from data_prep.errors import InputError
from data_prep.volume import Volume


class Entry(NamedTuple):
    """What is compared of one scan.

    Args:
        image: where it came from.
        section: of the datalist.
        patient: who it is.
        voxels: `voxel_hash`.
    """

    image: str
    section: str
    patient: str
    voxels: str


def voxel_hash(volume: Volume) -> str:
    """SHA-256 of the values in RAS+ order: the same for a copy under another name, type, compression or axis order."""
    orientation = nib.orientations.io_orientation(volume.affine)  # type: ignore[no-untyped-call]
    array = nib.orientations.apply_orientation(volume.array, orientation)  # type: ignore[no-untyped-call]
    digest = hashlib.sha256(str(array.shape).encode())
    digest.update(np.ascontiguousarray(array, dtype="<f4").data)
    return digest.hexdigest()


def check_leakage(entries: Iterable[Entry]) -> None:
    """Compare all scans of a datalist.

    Raises:
        InputError: LEAKAGE, naming both scans, where two sections share a patient or a scan's voxels.
    """
    patients: dict[str, Entry] = {}
    voxels: dict[str, Entry] = {}
    for entry in entries:
        for seen, key, what in ((patients, entry.patient, "the patient"), (voxels, entry.voxels, "the voxels")):
            other = seen.setdefault(key, entry)
            if other.section != entry.section:
                reason = f"{entry.section} has {what} of {other.image}, which is in {other.section}"
                raise InputError(entry.image, "LEAKAGE", reason)
