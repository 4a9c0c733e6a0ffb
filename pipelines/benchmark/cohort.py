"""The cohort of a benchmark: one division, one preparation, for every method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.benchmark.hashes import stamps
from pipelines.cohort.healthy import TrainingData, gather
from pipelines.problems import CommandError
from pipelines.terminal.progress import progress

if TYPE_CHECKING:
    from torch import Tensor

LEAST_BODY = 0.05  # part of a slice that must be body for a method to learn from it, or to rank it


@dataclass(frozen=True)
class Cohort:
    """Healthy scans to learn from and to calibrate on, labelled ones to measure on.

    Args:
        data: the healthy scans, divided.
        listed: a datalist of them with absolute paths.
        test: items with `image`, `case` and, where something may be abnormal, `label`.
        prepare: configs of the invertible transforms from a volume to what every method sees.
    """

    data: TrainingData
    listed: Path
    test: Sequence[dict[str, Any]]
    prepare: Sequence[dict[str, Any]]

    @property
    def flat(self) -> bool:
        """Are the scans pictures, volumes of one slice?"""
        return self.data.fingerprint.flat

    @cached_property
    def learned(self) -> list[Any]:
        """What a training depends on: the healthy scans, their division, their preparation."""
        listed = self.data.datalist(self.listed.parent).sections
        return [
            listed,
            stamps(path for entries in listed.values() for entry in entries for path in _paths(entry["image"])),
            list(self.prepare),
        ]

    @cached_property
    def tested(self) -> list[Any]:
        """What a measurement depends on beside the training: the test cases."""
        places = [path for item in self.test for key in ("image", "label") if key in item for path in _paths(item[key])]
        return [list(self.test), stamps(places)]

    @cached_property
    def slices(self) -> list[Tensor]:
        """The healthy slices to learn from, each `(1, h, w)` in [0, 1], without those that are nearly empty."""
        from monai.utils import set_determinism

        from anomaly.scoring import foreground

        set_determinism(0)
        kept = []
        for volume in self.volumes("training"):
            image = volume["image"].as_tensor()
            slices = [one for channel in image.split(1) for one in channel.unbind(-1)]  # of every sequence
            kept += [one.clone() for one in slices if foreground(one.numpy()).mean() >= LEAST_BODY]
        return kept

    @cached_property
    def spacing(self) -> tuple[float, ...]:
        """Voxel size in mm of a prepared scan."""
        return tuple(float(step) for step in self.volumes("validation")[0]["image"].pixdim)

    @cached_property
    def proxies(self) -> list[Tensor]:
        """The superpixel image of each of the `slices`, made once."""
        from anomaly.networks import superpixel_image

        made = []
        with progress(len(self.slices), "superpixels") as begin:
            for image in self.slices:
                begin("")
                made.append(superpixel_image(image))
        return made

    def volumes(self, section: str) -> Any:
        """A dataset of the prepared healthy runs of "training" or "validation"."""
        from monai.data import Dataset

        from data_prep import CropRund, list_runs

        transform = self.transform([CropRund(keys="image")])
        return Dataset(list_runs(self.listed, section, flat=self.flat), transform)

    def examined(self) -> tuple[Any, Any]:
        """A dataset of the prepared test scans, and the transform that takes maps back to their grids."""
        from anomaly.engines import ToSourced
        from data_prep import CheckedDataset

        back = ToSourced(keys=["pred", "body"], nearest=[False, True])
        return CheckedDataset(list(self.test), self.transform(labels=True)), back

    def transform(self, more: Sequence[Any] = (), *, labels: bool = False) -> Any:
        """From an item of a datalist to a prepared one."""
        import torch
        from monai.transforms import Compose, EnsureChannelFirstd, EnsureTyped, LoadImaged, ResampleToMatchd

        from data_prep import MaskOnPictured, SeriesReader

        load: list[Any] = [LoadImaged(keys="image", reader=SeriesReader(flat=self.flat or None))]
        keys = ["image"]
        if labels:
            keys = ["image", "label"]
            reader = SeriesReader(allow_constant=True)
            load.append(LoadImaged(keys="label", reader=reader, allow_missing_keys=True))
        load.append(EnsureChannelFirstd(keys=keys, allow_missing_keys=True))
        if labels:
            match = MaskOnPictured if self.flat else partial(ResampleToMatchd, mode="nearest")
            load.append(match(keys="label", key_dst="image", allow_missing_keys=True))
        load.append(EnsureTyped(keys="image", dtype=torch.float32))
        return Compose([*load, *_instantiate(self.prepare), *more])


def gather_cohort(
    datalist: Path, folder: Path, *, bundle: Path | None = None, section: str = "test", box_key: str | None = None
) -> Cohort:
    """Read and divide a datalist; the preparation follows from the scans, or is a bundle's.

    Args:
        datalist: the datalist or its folder.
        folder: where the division is written down.
        bundle: whose preparation is to be used.
        section: of the labelled cases.
        box_key: of a box that a test case must have.

    Raises:
        InputError: the datalist is missing, or has no such section.
        CommandError: there are too few healthy scans, no case to measure on, or no box of that name.
    """
    from monai.bundle import ConfigParser

    from data_prep import list_items
    from pipelines.train.configs import plan_for

    data = gather(datalist)
    test = list_items(datalist, section, flat=data.fingerprint.flat or None)
    if not test:
        msg = f"{datalist}: the section {section!r} is empty; a benchmark measures on labelled cases"
        raise CommandError(msg)
    if box_key is not None and not any(box_key in item for item in test):
        msg = f"{datalist}: no test case has a box {box_key!r}"
        raise CommandError(msg)
    listed = data.datalist(folder).write()
    prepare = plan_for(data.fingerprint, window=data.window, sequences=data.sequences).prepare
    if bundle is not None:
        prepare = ConfigParser.load_config_file(bundle / "configs" / "inference.yaml")["prepare"]
    return Cohort(data, listed, test, prepare)


def _paths(image: str | Sequence[str | None]) -> list[str]:
    """The paths of a scan or of several sequences, without those that are missing."""
    from data_prep.cases.visit import MISSING

    several = [image] if isinstance(image, str) else image
    return [path for path in several if path and path != MISSING]


def _instantiate(configs: Sequence[dict[str, Any]]) -> list[Any]:
    from monai.bundle import ConfigParser

    parser = ConfigParser({"prepare": list(configs)})
    parser.parse()
    made: list[Any] = parser.get_parsed_content("prepare")
    return made
