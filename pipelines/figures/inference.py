"""`python -m pipelines.figures.inference`: how long an examination takes, next to the bare network."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from pipelines.bundles import find_bundle, load
from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, output
from pipelines.machine.files import writable_folder, write_whole
from pipelines.machine.provenance import commit, machine

if TYPE_CHECKING:
    from anomaly import Detector
    from data_prep import Volume

SHAPE, SPACING = (256, 256, 24), (0.9, 0.9, 5.5)
_STEPS = {
    "network_source": "bare network on the volume's own tensor",
    "network_prepared": "bare network on the prepared tensor",
    "examine": "volume in memory to mask, score and finding",
    "files": "NIfTI file to written mask, score map and finding",
}


def head_volume(*, shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> Volume:
    """A head-like ellipsoid with a bright lesion, noise and 5.5 mm slices; speed does not ask for more."""
    from data_prep import Volume

    axes = [np.linspace(-1, 1, size) for size in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    array = np.where((x / 0.75) ** 2 + (y / 0.9) ** 2 + z**2 < 1, 300.0, 0.0)
    array[(x - 0.3) ** 2 + y**2 + z**2 < 0.03] = 550.0
    array += np.random.default_rng(seed).normal(0, 8, shape) * (array > 0)
    return Volume(array=array.clip(0).astype(np.float32), affine=np.diag([*SPACING, 1.0]), source="bench")


def measure(detector: Detector, volume: Volume, *, repeats: int) -> dict[str, list[float]]:
    """Seconds of every step of `_STEPS`, `repeats` times after one round of warming up, the steps in turn."""
    import nibabel as nib
    import torch

    from anomaly.engines.writer import write_examination
    from data_prep import read_volume

    source = torch.as_tensor(volume.array / volume.array.max())[None, None].to(detector.device)
    prepared = detector.prepare(volume).as_tensor()[None].to(detector.device)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.nii.gz"
        nib.save(nib.Nifti1Image(volume.array.astype(np.int16), volume.affine), path)

        def from_file() -> None:
            read = read_volume(path)
            write_examination(detector.examine(read, case="bench"), read.affine, folder)

        steps: dict[str, Callable[[], object]] = {
            "network_source": lambda: detector.network(source),
            "network_prepared": lambda: detector.network(prepared),
            "examine": lambda: detector.examine(volume, case="bench"),
            "files": from_file,
        }
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        with torch.inference_mode():
            for _ in range(repeats + 1):
                for name, step in steps.items():
                    seconds[name].append(timed(step, cuda=detector.device.type == "cuda"))
    return {name: values[1:] for name, values in seconds.items()}


def bench(
    repeats: Annotated[int, typer.Option("-n", "--repeats", min=1, help="Runs to take the median of.")] = 7,
    threads: Annotated[int, typer.Option(min=1, help="Of torch.")] = 2,
    bundle: Annotated[Path | None, typer.Option(help="The bundle to time.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    output: Annotated[Path, output("FILE", "JSON file to write.")] = Path("bench/inference.json"),
    debug: Debug = False,
) -> None:
    """Time the examination of a 256 x 256 x 24 volume against the bare network, in one run."""
    with guarded(debug=debug):
        import torch

        torch.set_num_threads(threads)
        detector = load(find_bundle(bundle), device=device)
        volume = head_volume()
        seconds = measure(detector, volume, repeats=repeats)
        result = summary(seconds)
        result["shapes"] = {"source": list(SHAPE), "prepared": list(detector.prepare(volume).shape[1:])}
        result["bundle"] = detector.bundle.model_dump()
        result["machine"] = machine(threads, str(detector.device))
        writable_folder(output.parent)
        write_whole(output, json.dumps(result, indent=2) + "\n")
    _print(result, output)


def summary(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Medians, spreads and the ratios to both forward passes, with command, commit and date."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "command": " ".join(["python", "-m", "pipelines.figures.inference", *sys.argv[1:]]),
        "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "repeats": len(seconds["examine"]),
        "median_s": {name: round(value, 4) for name, value in medians.items()},
        "range_s": {name: [round(min(values), 4), round(max(values), 4)] for name, values in seconds.items()},
        "examine_over_network_source": round(medians["examine"] / medians["network_source"], 3),
        "examine_over_network_prepared": round(medians["examine"] / medians["network_prepared"], 3),
        "files_over_network_source": round(medians["files"] / medians["network_source"], 3),
    }


def timed(step: Callable[[], object], *, cuda: bool) -> float:
    """Seconds of one step, with what it has left to do on a GPU."""
    import torch

    started = time.perf_counter()
    step()
    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _print(result: dict[str, Any], output: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("step", no_wrap=True)
    for column in ("median s", "from", "to"):
        table.add_column(column, justify="right")
    for name, words in _STEPS.items():
        low, high = result["range_s"][name]
        table.add_row(words, f"{result['median_s'][name]:.3f}", f"{low:.3f}", f"{high:.3f}")
    Console().print(table)
    shapes = {name: " x ".join(map(str, shape)) for name, shape in result["shapes"].items()}
    typer.echo(f"\nexamination / bare network on {shapes['source']}: {result['examine_over_network_source']:.2f}")
    typer.echo(f"examination / bare network on {shapes['prepared']}: {result['examine_over_network_prepared']:.2f}")
    typer.echo(f"median of {result['repeats']}, {result['machine']['threads']} threads; written to {output}")


if __name__ == "__main__":
    typer.run(bench)
