"""`Budget`: how much of one input is read before it counts as hostile or unusable."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits that are checked before memory is asked for.

    Args:
        voxels: of one volume; 2**29 is a CT of 512 x 512 x 2048.
        side: rows or columns of one image.
        slices: instances or frames of one volume.
        header_bytes: of one DICOM header, inflated.
        file_bytes: of one file, inflated.
        archive_bytes: of all members of one zip archive, unpacked.
        archive_members: of one zip archive.
    """

    voxels: int = 2**29
    side: int = 8192
    slices: int = 8192
    header_bytes: int = 64 * MIB
    file_bytes: int = 2048 * MIB
    archive_bytes: int = 64 * 1024 * MIB
    archive_members: int = 60_000


DEFAULT_BUDGET = Budget()
