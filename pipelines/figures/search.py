"""`python -m pipelines.figures.search`: AnoGAN's search against HealthyTwin's one pass, as both benchmarks set it."""

from __future__ import annotations

import json
import statistics
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.benchmark.settings import FULL, QUICK, Settings
from pipelines.bundles import find_bundle, load
from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, output
from pipelines.figures.inference import timed
from pipelines.machine.files import printable, writable_folder, write_whole
from pipelines.machine.provenance import provenance
from pipelines.problems import CommandError

if TYPE_CHECKING:
    from torch import Tensor, nn

SETTINGS = (QUICK, FULL)
_REPEATS = 5  # of HealthyTwin; a search is too long to be done twice


def searching(settings: Settings) -> nn.Module:
    """AnoGAN as a benchmark with these settings makes it, but for its training, which its time does not depend on."""
    from anomaly.methods.anogan import AnoGan
    from anomaly.networks import LatentGan, SliceWise

    gan = LatentGan(patch=settings.patch, latent=settings.latent, channels=settings.gan_channels)
    return SliceWise(AnoGan(gan, iterations=settings.iterations, overlap=settings.overlap))


def seconds_of(network: nn.Module, image: Tensor, *, repeats: int) -> float:
    """The median time of a network for `image`, `(1, 1, i, j, k)`."""
    import torch

    with torch.inference_mode():
        return statistics.median(timed(lambda: network(image), cuda=image.is_cuda) for _ in range(repeats))


def bench_search(
    scan: Annotated[Path, typer.Argument(metavar="SCAN", help="A volume that the bundle is for.")],
    slices: Annotated[int, typer.Option(min=1, help="From its middle; both take time in proportion.")] = 4,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 2,
    bundle: Annotated[Path | None, typer.Option(help="The bundle to time.")] = None,
    output: Annotated[Path, output("FILE", "JSON file to write.")] = Path("bench/search.json"),
    debug: Debug = False,
) -> None:
    """Time AnoGAN's search, with 100 and with the paper's 500 steps, against HealthyTwin on the same slices."""
    with guarded(debug=debug):
        import torch

        from data_prep import read_volume

        torch.set_num_threads(threads)
        detector = load(find_bundle(bundle), device="cpu")
        image = detector.prepare(read_volume(scan)).as_tensor()[None]
        if image.shape[-1] < slices:
            msg = f"{scan}: has {image.shape[-1]} slices as the bundle prepares it, fewer than {slices}"
            raise CommandError(msg)
        first = (image.shape[-1] - slices) // 2
        image = image[..., first : first + slices]
        seconds_of(detector.network, image, repeats=1)  # warms up
        twin = seconds_of(detector.network, image, repeats=_REPEATS)
        rows: list[dict[str, Any]] = []
        for settings in SETTINGS:
            seconds_of(searching(replace(settings, iterations=1)), image, repeats=1)  # warms up
            rows.append(row_of(settings, seconds_of(searching(settings), image, repeats=1), twin))
            typer.echo(
                f"AnoGAN, {settings.name}: {rows[-1]['seconds']:.1f} s, {rows[-1]['over_healthy_twin']:,.0f} times"
            )
        result = {
            "provenance": provenance(),
            "scan": printable(scan),
            "shape": list(image.shape[2:]),
            "bundle": detector.bundle.model_dump(),
            "healthy_twin_seconds": round(twin, 4),
            "anogan": rows,
        }
        writable_folder(output.parent)
        write_whole(output, json.dumps(result, indent=2) + "\n")
    typer.echo(f"HealthyTwin: {twin:.3f} s; written to {output}")


def row_of(settings: Settings, seconds: float, twin: float) -> dict[str, Any]:
    """The row of one setting of AnoGAN."""
    return {
        "setting": settings.name,
        "iterations": settings.iterations,
        "overlap": settings.overlap,
        "gan_channels": list(settings.gan_channels),
        "seconds": round(seconds, 2),
        "over_healthy_twin": round(seconds / twin, 1),
    }


if __name__ == "__main__":
    typer.run(bench_search)
