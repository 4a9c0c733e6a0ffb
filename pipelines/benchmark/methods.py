"""The rows of a benchmark: how each method comes from healthy scans to a network."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.benchmark import anomalib_row
from pipelines.benchmark.record import TRAINED_HERE
from pipelines.benchmark.trainer import Trainer
from pipelines.machine.files import printable

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Method:
    """One row.

    Args:
        title: its name for people.
        source: what it goes back to.
        fit: from a trainer to a network that maps `(B, 1, i, j, k)` to a score map of the same shape.
        package: that it needs beyond ours; where that is missing, it runs only when asked for by name, to say so.
        made_of: what it is made of in this run, where that can differ; stands behind the title.
        of_twin: a HealthyTwin bundle is a part of it; another bundle makes another run.
    """

    title: str
    source: str
    fit: Callable[[Trainer], nn.Module]
    package: str | None = None
    made_of: Callable[[Trainer], str] | None = None
    of_twin: bool = False

    @property
    def available(self) -> bool:
        """Whether the package that it needs is there."""
        return self.package is None or importlib.util.find_spec(self.package) is not None


def _intensity(_: Trainer) -> nn.Module:
    from anomaly.methods.intensity import IntensityThreshold

    return IntensityThreshold()


def _equalised(_: Trainer) -> nn.Module:
    from anomaly.methods.intensity import IntensityThreshold

    return IntensityThreshold(equalise=True)


def _autoencoder(trainer: Trainer) -> nn.Module:
    from anomaly.methods.autoencoder import Autoencoder
    from anomaly.networks import SliceWise

    network = Autoencoder(channels=trainer.settings.channels)
    trainer.fit(
        network, network.parameters(), size=trainer.settings.window, steps=trainer.settings.steps, what="autoencoder"
    )
    return SliceWise(network)


def _denoising(trainer: Trainer) -> nn.Module:
    from anomaly.methods.denoising import DenoisingAutoencoder
    from anomaly.networks import SliceWise

    network = DenoisingAutoencoder(features=trainer.settings.features)
    steps = trainer.settings.steps
    trainer.fit(network, network.parameters(), size=trainer.settings.window, steps=steps, what="denoising autoencoder")
    return SliceWise(network)


def _anogan(trainer: Trainer) -> nn.Module:
    from anomaly.methods.anogan import AnoGan
    from anomaly.networks import SliceWise

    method = AnoGan(trainer.gan(), iterations=trainer.settings.iterations, overlap=trainer.settings.overlap)
    return SliceWise(method)


def _fanogan(trainer: Trainer) -> nn.Module:
    from anomaly.methods.fanogan import FastAnoGan
    from anomaly.networks import SliceWise

    settings = trainer.settings
    method = FastAnoGan(trainer.gan(), channels=settings.gan_channels, overlap=settings.overlap)
    weights = method.encoder.parameters()
    trainer.fit(
        method, weights, size=settings.patch, steps=settings.encoder_steps, what="f-AnoGAN's encoder", rate=5e-4
    )
    return SliceWise(method)


def _inpainting(trainer: Trainer) -> nn.Module:
    from anomaly.methods.inpainting import SemanticInpainting
    from anomaly.networks import SliceWise

    method = SemanticInpainting(trainer.gan(), iterations=trainer.settings.iterations, overlap=trainer.settings.overlap)
    return SliceWise(method)


def _proxyano(trainer: Trainer) -> nn.Module:
    import torch

    from anomaly.methods.proxyano import ProxyAno, ProxyAnoTrainer
    from anomaly.networks import SliceDiscriminator, SliceWise

    settings = trainer.settings
    network = ProxyAno(channels=settings.channels[1:], features=settings.features).to(trainer.device)
    judge = SliceDiscriminator(spatial_dims=2).to(trainer.device)
    engine = ProxyAnoTrainer(
        device=trainer.device,
        max_epochs=1,
        train_data_loader=trainer.loader(settings.window, settings.steps, proxies=True),
        network=network,
        optimizer=torch.optim.Adam(network.parameters(), 1e-3),
        discriminator=judge,
        d_optimizer=torch.optim.Adam(judge.parameters(), 2e-4, (0.5, 0.99)),
        decollate=False,
    )
    trainer.run(engine, "ProxyAno")
    return SliceWise(network)


def _patchcore(trainer: Trainer) -> nn.Module:
    from anomaly.methods.patchcore import PatchCore
    from anomaly.networks import SliceWise

    generator: Any = _network_of(trainer.twin()).generator
    dims, size, device = generator.spatial_dims, trainer.settings.bank, trainer.device
    stride = 2 if dims == 3 and generator.halved == 3 else 1
    method = PatchCore(generator.encoder, spatial_dims=dims, slice_stride=stride, size=size).to(device)
    images = (volume["image"].as_tensor()[None].to(device) for volume in trainer.cohort.volumes("training"))
    method.fill((image[..., 0] for image in images) if dims == 2 else images, seed=trainer.seed)
    return SliceWise(method) if dims == 2 else method


def _reverse_distillation(trainer: Trainer) -> nn.Module:
    from anomaly.methods.reverse_distillation import ReverseDistillation
    from anomaly.networks import SliceWise, load_medicalnet, medicalnet_encoder, save_medicalnet

    twin: Any = _network_of(trainer.twin())
    kept = trainer.folder / "encoder.pth"
    save_medicalnet(twin.generator.encoder, kept)
    teacher = medicalnet_encoder(10, spatial_dims=2)
    load_medicalnet(teacher, kept)  # 3-D kernels, summed along the slices
    network = ReverseDistillation(teacher)
    weights = [*network.bottleneck.parameters(), *network.student.parameters()]
    trainer.fit(
        network, weights, size=trainer.settings.window, steps=trainer.settings.steps, what="reverse distillation"
    )
    return SliceWise(network)


def _healthy_twin(trainer: Trainer) -> nn.Module:
    return _network_of(trainer.twin())


def _whose_twin(trainer: Trainer) -> str:
    """Which bundle HealthyTwin is, for the title."""
    from anomaly.bundle import load_metadata

    if trainer.bundle is None:
        return TRAINED_HERE
    metadata = load_metadata(trainer.bundle)
    return printable(f"{metadata.get('name', trainer.bundle.name)} {metadata.get('version', '')}".strip())


def _network_of(bundle: Path) -> Any:
    from anomaly import load_detector

    return load_detector(bundle, device="cpu").network


METHODS = {
    "intensity": Method("Intensity", "brightness inside the body", _intensity),
    "equalised_intensity": Method("Intensity, equalised", "Meissen 2021", _equalised),
    "autoencoder": Method("Autoencoder", "Baur 2021", _autoencoder),
    "denoising": Method("Denoising autoencoder", "Kascenas 2022", _denoising),
    "anogan": Method("AnoGAN", "Schlegl 2017", _anogan),
    "fanogan": Method("f-AnoGAN", "Schlegl 2019", _fanogan),
    "inpainting": Method("Semantic inpainting, M searched", "Yeh 2017, Mou 2023", _inpainting),
    "proxyano": Method("ProxyAno", "Zhou 2021, from its abstract", _proxyano),
    "patchcore": Method("PatchCore, HealthyTwin's encoder", "Roth 2022", _patchcore, of_twin=True),
    "anomalib_patchcore": Method(
        "anomalib 2.7's PatchCore",
        "Roth 2022, Akcay 2022",
        anomalib_row.patchcore,
        package="anomalib",
        made_of=anomalib_row.backbone_of,
    ),
    "reverse_distillation": Method("Reverse distillation", "Deng 2022", _reverse_distillation, of_twin=True),
    "healthy_twin": Method("HealthyTwin", "this project", _healthy_twin, made_of=_whose_twin, of_twin=True),
}
"""Every method that a benchmark knows, in the order in which they run."""
