"""`python -m pipelines.figures.precision`: what reduced precision changes on real scans, and what it saves."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.bundles import find_bundle, load
from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug
from pipelines.machine.files import writable_folder, write_whole
from pipelines.machine.provenance import commit, machine

if TYPE_CHECKING:
    from anomaly import Detector
    from data_prep import Case, Volume

_NAMES = ("fp32", "bf16")
_STEPS = 4  # of a training before those that are timed


def bench(
    data: Annotated[Path, typer.Option(metavar="DATALIST", help="Test cases to examine, validation to calibrate.")],
    scans: Annotated[list[Path] | None, typer.Option("--scan", help="Another scan to examine.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Cases of the datalist, of either section.")] = 8,
    steps: Annotated[int, typer.Option(min=0, help="Of training, to be timed; 0: none.")] = 20,
    bundle: Annotated[Path | None, typer.Option(help="The bundle.")] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON file.")] = Path("bench/precision.json"),
    debug: Debug = False,
) -> None:
    """Examine scans, calibrate and train in float32 and in bfloat16, in turn in one process."""
    with guarded(debug=debug):
        import torch

        from data_prep import list_cases

        torch.set_num_threads(1)  # so that the main thread's CPU seconds are the network's
        root = find_bundle(bundle)
        detectors = {name: load(root, device="cpu", precision=name) for name in _NAMES}
        cases = list_cases(data, "test")[:most]
        cases += [case for scan in scans or [] for case in list_cases(scan)]
        result: dict[str, Any] = {
            "command": " ".join(["python", "-m", "pipelines.figures.precision", *sys.argv[1:]]),
            "commit": commit(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "bundle": detectors["fp32"].bundle.model_dump(),
            "machine": machine(torch.get_num_threads(), "cpu"),
            "examinations": examinations(detectors, cases),
            "calibration": calibrations(detectors, list_cases(data, "validation")[:most]),
        }
        if steps:
            result["training"] = training(root, data, steps=steps)
        writable_folder(output.parent)
        write_whole(output, json.dumps(result, indent=2) + "\n")
    typer.echo(json.dumps({key: result[key] for key in ("examinations", "calibration", "training") if key in result}))


def examinations(detectors: dict[str, Detector], cases: Sequence[Case]) -> dict[str, Any]:
    """The largest changes over all cases, and the ratio of the network's CPU seconds."""
    rows = [_examined(detectors, case.volume()) for case in cases]
    return {
        "cases": len(rows),
        "largest_change_of_score_map": max(row["score_map"] for row in rows),
        "largest_change_of_score": max(row["score"] for row in rows),
        "p_values_changed": sum(row["p_value"] for row in rows),
        "smallest_dice_of_masks": min(row["dice"] for row in rows),
        "network_cpu_seconds": {name: round(sum(row["seconds"][name] for row in rows), 2) for name in _NAMES},
        "network_ratio": round(statistics.median(row["seconds"]["bf16"] / row["seconds"]["fp32"] for row in rows), 3),
    }


def _examined(detectors: dict[str, Detector], volume: Volume) -> dict[str, Any]:
    import numpy as np

    from pipelines.report.truth import dice

    prepared = detectors["fp32"].prepare(volume)
    seconds = {}
    for name, detector in detectors.items():  # the bare network, so that nothing else is in the ratio
        started = time.process_time()
        detector.run(prepared)
        seconds[name] = time.process_time() - started
    one, other = (detectors[name].examine(volume) for name in _NAMES)
    found = [exam.mask > 0 for exam in (one, other)]
    return {
        "seconds": seconds,
        "score_map": float(np.abs(one.score - other.score).max()),
        "score": abs(one.finding.score - other.finding.score),
        "p_value": one.finding.p_value != other.finding.p_value,
        "dice": dice(*found) if any(mask.any() for mask in found) else 1.0,
    }


def calibrations(detectors: dict[str, Detector], cases: Sequence[Case]) -> dict[str, Any]:
    """What the healthy scans give as thresholds in either precision."""
    from anomaly.scoring import HealthyScores
    from pipelines.detect.cases import healthy_part

    healthy = {name: HealthyScores() for name in detectors}
    for case in cases:
        volume = healthy_part(case)
        for name, detector in detectors.items():
            healthy[name].add(case.patient, *detector.healthy(volume))
    own = detectors["fp32"].calibration
    made = {
        name: scores.calibrate(
            weights_sha256=own.weights_sha256,
            voxel_false_positive_rate=own.voxel_false_positive_rate,
            voxel_rule=own.voxel_rule,
            alpha=own.alpha,
            min_lesion_ml=own.min_lesion_ml,
        )
        for name, scores in healthy.items()
    }
    pairs = zip(made["fp32"].image_scores, made["bf16"].image_scores, strict=True)
    return {
        "scans": len(cases),
        "voxel_threshold": {name: one.voxel_threshold for name, one in made.items()},
        "largest_change_of_healthy_score": max(abs(one - other) for one, other in pairs),
    }


def training(root: Path, data: Path, *, steps: int) -> dict[str, Any]:
    """CPU seconds of a training step, and the share of its time that the network waits for data."""
    rows = {name: _trained(root, data, name, steps=steps) for name in _NAMES}
    return {
        **rows,
        "step_ratio": round(rows["bf16"]["network_cpu_seconds"] / rows["fp32"]["network_cpu_seconds"], 3),
    }


def _trained(root: Path, data: Path, precision: str, *, steps: int) -> dict[str, float]:
    """Seconds of a step. The network is what the main thread computes, with one thread of torch."""
    import tempfile

    from ignite.engine import Events
    from monai.bundle import ConfigWorkflow

    from pipelines.terminal.quiet import without_chatter, without_step_lines

    at: list[tuple[float, ...]] = []
    waited: list[float] = []

    def clock(_: Any) -> None:
        at.append((time.perf_counter(), time.thread_time(), time.process_time()))

    with tempfile.TemporaryDirectory() as folder, without_chatter(), without_step_lines():
        workflow = ConfigWorkflow(
            config_file=str(root / "configs" / "train.yaml"),
            workflow_type="train",
            logging_file=False,
            bundle_root=str(root),
            dataset_dir=str(data.resolve()),
            output_dir=folder,
            precision=precision,
            steps=_STEPS + steps,
            epochs=1,
            val_interval=2,
        )
        workflow.initialize()
        trainer = workflow.parser.get_parsed_content("train::trainer")
        begun = [0.0]
        trainer.add_event_handler(Events.GET_BATCH_STARTED, lambda _: begun.__setitem__(0, time.perf_counter()))
        trainer.add_event_handler(Events.GET_BATCH_COMPLETED, lambda _: waited.append(time.perf_counter() - begun[0]))
        trainer.add_event_handler(Events.ITERATION_COMPLETED, clock)
        trainer.run()
    wall, network, process = (one - other for one, other in zip(at[-1], at[_STEPS - 1], strict=True))
    return {
        "network_cpu_seconds": round(network / steps, 3),
        "data_cpu_seconds": round((process - network) / steps, 3),
        "waiting_share": round(sum(waited[_STEPS:]) / wall, 4),
    }


if __name__ == "__main__":
    typer.run(bench)
