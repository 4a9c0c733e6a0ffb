"""`Choices`: what a person wants otherwise than it follows from the scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.problems import CommandError

_SPACING_MM = (0.05, 50.0)


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Settings of `healthytwin train` that go into the configs of the bundle; None: they follow from the scans.

    Args:
        voxel_size: mm that every scan is brought to, along the bundle's axes.
        windows: of CT, HU, lower end first; each is one channel of the network.
        radius: smallest and largest half width of planted anomalies, mm.
        min_lesion: ml of the smallest region that is reported.
        darker: part of the planted anomalies that are darker than their surroundings, 0 to 1.
    """

    voxel_size: tuple[float, float, float] | None = None
    windows: Sequence[tuple[float, float]] = ()
    radius: tuple[float, float] | None = None
    min_lesion: float | None = None
    darker: float | None = None

    def __post_init__(self) -> None:
        """Raise `CommandError` for what cannot be."""
        low, high = _SPACING_MM
        if self.voxel_size is not None and not all(low <= step <= high for step in self.voxel_size):
            msg = f"--voxel-size needs lengths from {low:g} to {high:g} mm, got {self.voxel_size}"
            raise CommandError(msg)
        if self.radius is not None and not 0 < self.radius[0] <= self.radius[1]:
            msg = f"--radius needs two lengths in mm, the smaller one first, got {self.radius}"
            raise CommandError(msg)


def sizes_of(text: str | None) -> tuple[float, float, float] | None:
    """A voxel size of a command line: one length for all axes, or three with commas between; None: nothing was said.

    >>> sizes_of("1"), sizes_of("1,1,3")
    ((1.0, 1.0, 1.0), (1.0, 1.0, 3.0))

    Raises:
        CommandError: it is neither.
    """
    if text is None:
        return None
    try:
        sizes = [float(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if len(sizes) not in (1, 3):
        msg = f"--voxel-size needs one length in mm or three such as 1,1,3, got {text!r}"
        raise CommandError(msg)
    one, two, three = sizes * 3 if len(sizes) == 1 else sizes
    return one, two, three
