"""`healthytwin pretrain`: any volumes in, an encoder in MedicalNet's layout out."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipelines.detect.cases import refusing, without_voxels
from pipelines.machine.files import writable_folder, write_whole
from pipelines.machine.provenance import provenance
from pipelines.problems import CommandError
from pipelines.record import CaseRecord, LearningRecord
from pipelines.terminal.progress import progress
from pipelines.terminal.quiet import without_chatter, without_step_lines
from pipelines.train.configs import plan_for

if TYPE_CHECKING:
    from data_prep import Case, Fingerprint, Volume

_WINDOW = (96, 96, 8)
_FAMILIES = ("shift", "plateau", "foreign", "poisson", "blur", "swap", "coarse_noise", "displace")
_HELD_OUT = 10  # one volume in so many only measures


class PretrainRecord(LearningRecord):
    """One run of `healthytwin pretrain`."""

    command: str = "pretrain"
    output: str
    depth: int = 10
    steps: int = 0
    sources: dict[str, dict[str, int]] = Field(default_factory=dict, description="volumes and label classes of each")
    held_out: int = Field(default=0, description="volumes that were not trained on")
    damage: float | None = Field(default=None, description="mean error under the damage of held-out volumes")
    restored: float | None = Field(default=None, description="the same, once restored")
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class _Source:
    """One data set: its good volumes, and how they are prepared."""

    name: str
    cases: list[Case]
    fingerprint: Fingerprint
    classes: int

    def transform(self, *, train: bool) -> Any:
        """From a case to `image`, `healthy`, `mask` and perhaps `label`."""
        from monai.bundle import ConfigParser
        from monai.transforms import Compose

        parser = ConfigParser({"steps": self._steps(train=train)}, globals={"data_prep": "data_prep", "torch": "torch"})
        return Compose(parser.get_parsed_content("steps"))

    def _steps(self, *, train: bool) -> list[dict[str, Any]]:
        keys = ["image", "label"] if self.classes else ["image"]
        around = [*keys, "region"]
        prepare = [{**step, "keys": "image"} for step in plan_for(self.fingerprint).prepare]
        match = [{"_target_": "ResampleToMatchd", "keys": "label", "key_dst": "image", "mode": "nearest"}]
        reader = "$data_prep.SeriesReader(allow_constant=True)"
        load_label = [{"_target_": "LoadImaged", "keys": "label", "reader": reader}]
        steps: list[dict[str, Any]] = [
            {"_target_": "LoadImaged", "keys": "image", "reader": "data_prep.SeriesReader"},
            *(load_label if self.classes else []),
            {"_target_": "EnsureChannelFirstd", "keys": keys},
            *prepare,
            *(match if self.classes else []),
            {"_target_": "EnsureTyped", "keys": keys, "dtype": "$torch.float32"},
            {"_target_": "data_prep.TissueRegiond", "keys": "image"},
            {"_target_": "SpatialPadd", "keys": around, "spatial_size": list(_WINDOW)},
        ]
        crop = {"_target_": "RandSpatialCropd", "keys": around, "roi_size": list(_WINDOW), "random_size": False}
        moves = [
            {"_target_": "RandAxisFlipd", "keys": around, "prob": 0.5},
            {"_target_": "RandAdjustContrastd", "keys": "image", "prob": 0.5, "gamma": [0.7, 1.5]},
        ]
        plant = {
            "_target_": "anomaly.synthesis.PlantAnomalyd",
            "keys": "image",
            "region_key": "region",
            "families": list(_FAMILIES),
            "prob": 1.0,
            "radius": [3.0, 20.0],
            "most": 4,
            **({} if train else {"seed_keys": ["case"]}),
        }
        wanted = ["image", "healthy", "mask", "source", *(["label"] if self.classes else [])]
        middle = {"_target_": "CenterSpatialCropd", "keys": around, "roi_size": list(_WINDOW)}
        return [*steps, *([crop, *moves] if train else [middle]), plant, {"_target_": "SelectItemsd", "keys": wanted}]

    def items(self, *, held_out: bool) -> list[dict[str, Any]]:
        """The volumes that are trained on, or those that only measure."""
        chosen = [case for number, case in enumerate(self.cases) if (number % _HELD_OUT == _HELD_OUT - 1) == held_out]
        labels = [{"label": case.label} if self.classes else {} for case in chosen]
        return [
            {"image": case.image, "case": case.name, "source": self.name, **label}
            for case, label in zip(chosen, labels, strict=True)
        ]


def pretrain(
    sources: Sequence[Path], output: Path, *, depth: int = 10, steps: int = 600, batch_size: int = 3, seed: int = 0
) -> PretrainRecord:
    """Train MedicalNet's ResNet on every volume there is, and write its encoder.

    Args:
        sources: datalists (their section "training") or folders of volumes; a datalist's labels are segmented as well.
        output: the file, in the official layout; beside it `<file>.json` tells how it came about.
        depth: 10, 18, 34 or 50.
        steps: of the optimiser.
        batch_size: windows of 96 x 96 x 8 voxels in one step.
        seed: of everything that is drawn.

    Raises:
        InputError: a source is missing.
        CommandError: there is not one volume.
    """
    import torch
    from monai.utils import set_determinism

    from anomaly.bundle import sha256_of
    from anomaly.methods.pretraining import MultiTaskNetwork
    from anomaly.networks import save_medicalnet

    started = time.perf_counter()
    writable_folder(output.resolve().parent)
    set_determinism(seed=seed)
    refused: list[CaseRecord] = []
    found = [source for source in _gather(sources, refused) if source.cases]
    if not found:
        msg = f"no volume can be read in {', '.join(map(str, sources))}"
        raise CommandError(msg)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = MultiTaskNetwork(depth=depth, classes={one.name: one.classes for one in found if one.classes}).to(device)
    with without_chatter():
        batches = _Batches(found, batch_size=batch_size, steps=steps, seed=seed)
        _fit(network, batches, device, steps)
        damage, restored, count = _measure(network, found, device)
    save_medicalnet(network.encoder, output)
    record = PretrainRecord(
        output=str(output),
        seconds=round(time.perf_counter() - started, 1),
        depth=depth,
        steps=steps,
        sources={one.name: {"volumes": len(one.cases), "classes": one.classes} for one in found},
        held_out=count,
        damage=damage,
        restored=restored,
        refused=refused,
        sha256=sha256_of(output),
    )
    document = {"provenance": provenance(), **record.model_dump()}
    write_whole(Path(f"{output}.json"), json.dumps(document, indent=2) + "\n")
    return record


class _Batches:
    """Endless batches, each of one source; a source is drawn as often as the root of its number of volumes."""

    def __init__(self, sources: Sequence[_Source], *, batch_size: int, steps: int, seed: int) -> None:
        import numpy as np
        from monai.data import CacheDataset

        self.steps, self.batch_size, self.rng = steps, batch_size, np.random.default_rng(seed)
        self.datasets = []
        for source in sources:
            data = source.items(held_out=False)
            data = CacheDataset(data, source.transform(train=True), num_workers=None, progress=False)
            data.transform.set_random_state(seed=seed)
            self.datasets.append(data)
        weights = np.sqrt([len(data) for data in self.datasets])
        self.weights = weights / weights.sum()

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Any]:
        from monai.data import list_data_collate

        for _ in range(self.steps):
            data = self.datasets[self.rng.choice(len(self.datasets), p=self.weights)]
            yield list_data_collate([data[int(index)] for index in self.rng.integers(len(data), size=self.batch_size)])


def _gather(sources: Sequence[Path], refused: list[CaseRecord]) -> Iterator[_Source]:
    """Read every volume once; the bad ones are listed."""
    from data_prep import list_cases, read_volume, take_fingerprint
    from data_prep.cases.datalist import Datalist

    for number, place in enumerate(sources):
        datalist = Datalist.at(place)
        listed = list_cases(place) if datalist is None else list_cases(datalist, "training")
        cases = [case for case in listed if not case.skipped]
        good: list[Case] = []
        volumes: list[Volume] = []
        highest = 0
        with progress(len(cases), f"checking {place.name}") as begin:
            for case in cases:
                begin(case.name)
                with refusing(case, refused):
                    volume = without_voxels(case.volume())
                    if case.label:
                        highest = max(highest, int(read_volume(case.label, allow_constant=True).array.max()))
                    volumes.append(volume)
                    good.append(case)
        labelled = bool(good) and all(case.label for case in good) and highest > 0
        if good:
            yield _Source(
                name=f"source{number}",
                cases=good,
                fingerprint=take_fingerprint(volumes),
                classes=highest + 1 if labelled else 0,
            )


def _fit(network: Any, batches: _Batches, device: Any, steps: int) -> None:
    import torch
    from ignite.engine import Events
    from monai.handlers import LrScheduleHandler

    from anomaly.methods.pretraining import PretrainingTrainer

    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-4, fused=True)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-3, total_steps=steps + 1, pct_start=0.1)
    trainer = PretrainingTrainer(
        device=device,
        max_epochs=1,
        train_data_loader=batches,
        network=network,
        optimizer=optimizer,
        train_handlers=[LrScheduleHandler(cycle, print_lr=False, epoch_level=False)],
        amp=device.type == "cuda",
        decollate=False,
    )
    with without_step_lines(), progress(steps, "pre-training") as begin:
        trainer.add_event_handler(
            Events.ITERATION_COMPLETED,
            lambda engine: begin(", ".join(f"{name} {value:.3f}" for name, value in engine.state.output.items())),
        )
        trainer.run()


def _measure(network: Any, sources: Sequence[_Source], device: Any) -> tuple[float | None, float | None, int]:
    """Mean error under the damage of volumes that were not trained on, before and after restoration; how many."""
    import torch

    before, after, voxels, count = 0.0, 0.0, 0.0, 0
    network.eval()
    for source in sources:
        transform = source.transform(train=False)
        for item in source.items(held_out=True):
            done = transform(item)
            image, healthy, mask = (torch.as_tensor(done[key])[None].to(device) for key in ("image", "healthy", "mask"))
            with torch.inference_mode():
                restored = network(image)["restored"]
            before += float(((image - healthy).abs() * mask).sum())
            after += float(((restored - healthy).abs() * mask).sum())
            voxels += float(mask.sum())
            count += 1
    return (before / voxels, after / voxels, count) if voxels else (None, None, count)
