"""Where methods are trained: the same healthy slices for all, and a progress bar."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_prep.files import atomically
from pipelines.benchmark.cohort import Cohort
from pipelines.benchmark.hashes import short_hash
from pipelines.benchmark.settings import Settings
from pipelines.terminal.progress import progress_bar

if TYPE_CHECKING:
    import torch

    from anomaly.networks import LatentGan


@dataclass
class Trainer:
    """What a method needs to be trained.

    Args:
        cohort: to learn from.
        settings: how hard.
        device: where.
        folder: for what several methods share.
        seed: of every training.
        bundle: a ready HealthyTwin bundle, or None.
        margin: see `PostProcessed`.
        box_key: see `measure`.
        backbone: a timm checkpoint for methods with a backbone of photographs; None: their backbone is random.
        shared: seconds that went into parts that several methods share, by name.
        earlier: seconds that went into parts of this method that an earlier run had made, by name.
    """

    cohort: Cohort
    settings: Settings
    device: torch.device
    folder: Path
    seed: int = 0
    bundle: Path | None = None
    margin: float = 0.0
    box_key: str | None = None
    backbone: Path | None = None
    shared: dict[str, float] = field(default_factory=dict)
    earlier: dict[str, float] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """Stands for all that a trained network depends on; those of another cohort, split or setting have another."""
        return short_hash([self.cohort.learned, asdict(self.settings), self.seed])

    def kept(self, what: str) -> Path:
        """Where a network that several methods share lies, or is to lie."""
        return self.folder / f"{what}-{self.settings.name}-{self.seed}-{self.key}"

    def loader(self, size: int, steps: int, *, proxies: bool = False) -> Any:
        """Batches of healthy slices `(B, 1, size, size)` under `image`: random crops, mirrored and scaled a little.

        Args:
            size: of the crops.
            steps: batches.
            proxies: the same crop of the superpixel image comes under `proxy`.
        """
        import torch
        from monai.data import DataLoader, Dataset
        from monai.transforms import (
            Compose,
            RandFlipd,
            RandScaleIntensityd,
            RandSpatialCropd,
            ScaleIntensityRanged,
            SpatialPadd,
        )

        keys = ["image", "proxy"] if proxies else ["image"]
        transform = Compose(
            [
                SpatialPadd(keys=keys, spatial_size=(size, size)),
                RandSpatialCropd(keys=keys, roi_size=(size, size), random_size=False),
                RandFlipd(keys=keys, prob=0.5, spatial_axis=0),
                RandScaleIntensityd(keys=keys, prob=0.5, factors=0.1),
                ScaleIntensityRanged(keys=keys, a_min=0, a_max=1, b_min=0, b_max=1, clip=True),
            ]
        ).set_random_state(seed=self.seed)
        columns = [self.cohort.slices, *([self.cohort.proxies] if proxies else [])]
        items = [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]
        dataset = Dataset(items, transform)
        draws = torch.Generator().manual_seed(self.seed)
        sampler = torch.utils.data.RandomSampler(
            dataset, replacement=True, num_samples=steps * self.settings.batch, generator=draws
        )
        return DataLoader(dataset, batch_size=self.settings.batch, sampler=sampler, num_workers=0)

    def fit(self, network: Any, parameters: Any, *, size: int, steps: int, what: str, rate: float = 1e-3) -> None:
        """Train a method that states its own loss, by Adam."""
        import torch

        from anomaly.engines import MethodTrainer

        trainer = MethodTrainer(
            device=self.device,
            max_epochs=1,
            train_data_loader=self.loader(size, steps),
            network=network.to(self.device),
            optimizer=torch.optim.Adam(parameters, lr=rate),
            decollate=False,
        )
        self.run(trainer, what)

    def gan(self) -> LatentGan:
        """The GAN of healthy patches that several methods share, trained once and kept in a file."""
        import time

        import torch
        from monai.utils import set_determinism

        from anomaly.methods.anogan import LatentGanTrainer
        from anomaly.networks import LatentGan

        settings, path = self.settings, Path(f"{self.kept('gan')}.pt")
        set_determinism(self.seed)
        gan = LatentGan(patch=settings.patch, latent=settings.latent, channels=settings.gan_channels).to(self.device)
        if path.is_file():
            kept = torch.load(path, map_location=self.device, weights_only=True)
            gan.load_state_dict(kept["gan"])
            self.shared["gan"] = self.earlier["gan"] = kept["seconds"]
            return gan
        started = time.perf_counter()
        trainer = LatentGanTrainer(
            device=self.device,
            max_epochs=1,
            train_data_loader=self.loader(settings.patch, settings.gan_steps),
            gan=gan,
            optimizer=torch.optim.Adam(gan.generator.parameters(), 2e-4, (0.0, 0.9)),
            critic_optimizer=torch.optim.Adam(gan.critic.parameters(), 2e-4, (0.0, 0.9)),
            decollate=False,
        )
        self.run(trainer, "GAN of healthy patches")
        self.shared["gan"] = time.perf_counter() - started
        with atomically(path) as partial, partial.open("wb") as stream:
            torch.save({"gan": gan.state_dict(), "seconds": self.shared["gan"]}, stream)
        return gan

    def twin(self) -> Path:
        """The HealthyTwin bundle: the given one, or one that is trained once, on the same scans."""
        from pipelines.train.run import train

        if self.bundle is not None:
            return self.bundle
        root = self.kept("healthy_twin")
        if not (root / "models" / "model.pt").is_file():
            changes = {"epochs": self.settings.epochs, "steps": self.settings.epoch_steps, "seed": self.seed}
            resume = (root / "training" / "resume.pt").is_file()
            record = train(self.cohort.listed, root, settings=changes, resume=resume)
            self.shared["healthy_twin"] = record.seconds
        else:
            seconds = json.loads((root / "training" / "training.json").read_text())["seconds"]
            self.shared["healthy_twin"] = self.earlier["healthy_twin"] = seconds
        return root

    def run(self, trainer: Any, what: str) -> None:
        """Run a trainer of one epoch behind a progress bar."""
        from ignite.engine import Events

        from pipelines.terminal.quiet import without_step_lines

        with without_step_lines(), progress_bar() as bar:
            task = bar.add_task(what, total=None)

            def step(engine: Any) -> None:
                state = engine.state
                words = f"{what}, loss {state.output['loss']:.4f}"
                bar.update(task, completed=state.iteration, total=state.epoch_length, description=words)

            trainer.add_event_handler(Events.ITERATION_COMPLETED, step)
            trainer.run()


def parameters_of(networks: Sequence[Any]) -> int:
    """How many numbers the networks have learned or could learn."""
    return sum(parameter.numel() for network in networks for parameter in network.parameters())
