"""`python -m pipelines.figures.study`: what transfer and each part of the method are worth, by many small trainings.

Every run trains a bundle from the same scans at the same small setting, and measures it on anomalies planted in the
validation scans and on the test section. No run is chosen by anything: all of them are reported.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from data_prep.cases.datalist import Entries
from pipelines.bundles import find_bundle
from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, output
from pipelines.cohort.healthy import gather
from pipelines.evaluate.run import evaluate
from pipelines.machine.files import writable_folder, write_whole
from pipelines.machine.provenance import commit, provenance
from pipelines.train.configs import Plan, write_bundle
from pipelines.train.run import train

_PIXDIM = 2.7  # mm in-plane: coarse, so that a run takes minutes
_SLAB = [64, 64, 8]
_EPOCHS = 4
_MEASURES = ("voxel_ap", "best_dice", "dice_at_threshold", "slice_auroc", "image_auroc")


class Question(StrEnum):
    """What is asked."""

    transfer = "transfer"
    ablation = "ablation"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training.

    Args:
        name: of its folder and row.
        patients: how many are trained on; None: all.
        transferred: begin with the pre-trained encoder.
        settings: keys of `train.yaml` and their values.
        shared: keys of all three configs and their values.
        weights_of: the run whose weights are measured, where only the inference differs.
    """

    name: str
    patients: int | None = None
    transferred: bool = True
    weights_of: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    shared: Mapping[str, Any] = field(default_factory=dict)


def transfer_runs(counts: Sequence[int]) -> list[Run]:
    """Scratch against transferred at each number of patients, and with all of them."""
    return [
        Run(
            name=f"{'transferred' if transferred else 'scratch'}-{count or 'all'}",
            patients=count,
            transferred=transferred,
        )
        for count in (*counts, None)
        for transferred in (False, True)
    ]


def ablation_runs() -> list[Run]:
    """The whole method, and the method without each of its parts."""

    def without(*parts: str) -> dict[str, Any]:
        return {f"loss_weights::{part}": 0.0 for part in parts}

    return [
        Run(name="transferred-all"),
        Run(name="scratch-all", transferred=False),
        Run(name="lesions-end-at-edges", settings={"reach": 0.0}),
        Run(name="without-evidence", settings={"evidence": False}, shared={"network_def::evidence": False}),
        Run(name="without-twin-and-composite", settings=without("twin", "composite")),
        Run(name="two-passes", weights_of="transferred-all", shared={"network_def::passes": 2}),
        Run(name="without-adversary", settings={"adversarial_weight": 0.0}),
        Run(name="without-composite", settings=without("composite")),
        Run(name="without-area", settings=without("area")),
    ]


def study(
    source: Path, output: Path, runs: Sequence[Run], *, encoder: Path, like: Path | None = None, steps: int = 75
) -> Iterator[dict[str, Any]]:
    """Do every run that is not done yet; gives one row for each, as soon as it is done.

    Args:
        source: a datalist with training, validation and a labelled test section.
        output: a folder for each run; a `row.json` in it says that it is done.
        runs: what to do.
        encoder: the pre-trained encoder.
        like: the bundle whose preparation, region and families are taken.
        steps: of each of four epochs.
    """
    data = gather(source)
    for run in runs:
        folder = writable_folder(output / run.name)
        if not (folder / "row.json").is_file():
            whole = data.datalist(folder)
            few = {**whole.sections, "training": fewer(whole.sections["training"], run.patients)}
            replace(whole, sections=few).write()
            row = _done(run, source, folder, encoder=encoder, template=find_bundle(like), steps=steps)
            write_whole(folder / "row.json", json.dumps(row, indent=2) + "\n")
        yield json.loads((folder / "row.json").read_text(encoding="utf-8"))


def fewer(entries: Entries, count: int | None) -> Entries:
    """The entries of `count` patients, the first by their names' hash, so that five are among ten."""

    def patient(entry: Mapping[str, Any]) -> str:
        return str(entry.get("patient", Path(entry["image"]).name))

    names = sorted({patient(entry) for entry in entries}, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    kept = set(names[:count])
    return [entry for entry in entries if patient(entry) in kept]


def _done(run: Run, source: Path, folder: Path, *, encoder: Path, template: Path, steps: int) -> dict[str, Any]:
    """Train and measure one run."""
    like, bundle = folder / "like", folder / "bundle"
    shutil.rmtree(bundle, ignore_errors=True)  # of a run that was interrupted
    write_bundle(like, template, _small(template, run), metadata={"name": "small"})
    if run.weights_of is not None:
        trained = json.loads((folder.parent / run.weights_of / "row.json").read_text(encoding="utf-8"))
        shutil.copytree(folder.parent / run.weights_of / "bundle" / "models", bundle / "models")
        shutil.copytree(like / "configs", bundle / "configs")
        learned = {key: trained[key] for key in ("patients", "steps")}
    else:
        record = train(
            folder / "dataset.json",
            bundle,
            like=like,
            encoder_weights=str(encoder) if run.transferred else None,
            settings={"epochs": _EPOCHS, "steps": steps, **run.settings},
        )
        learned = {
            "patients": record.training,
            "steps": _EPOCHS * steps,
            "seconds": record.seconds,
            "planted_voxel_ap": record.voxel_ap,
            "planted_history": [round(row["voxel_ap"], 4) for row in record.history],
        }
    metrics = evaluate(source, folder / "test", bundle=bundle, report=False).metrics or {}
    return {
        "run": run.name,
        "commit": commit(),
        "transferred": run.transferred,
        "changed": {**run.settings, **run.shared},
        **learned,
        **{name: metrics.get(name) for name in _MEASURES},
        **{name: metrics.get(name) for name in ("intervals", "subtraction", "gain")},
    }


def _small(template: Path, run: Run) -> Plan:
    """The template's plan on a coarser grid, with a run's changes of the network."""
    import yaml

    config = yaml.safe_load((template / "configs" / "train.yaml").read_text(encoding="utf-8"))
    prepare = config["prepare"]
    scale = 1.0
    for step in prepare:
        if step["_target_"] == "Spacingd":
            scale = step["pixdim"][0] / _PIXDIM
            for key in ("pixdim", "min_pixdim", "max_pixdim"):
                step[key][:2] = [_PIXDIM, _PIXDIM]
    radius = [max(2.0, round(size * scale, 1)) for size in config["radius"]]
    return Plan(prepare=prepare, train={"slab": _SLAB, "radius": radius}, shared=run.shared)


def main(
    question: Annotated[Question, typer.Argument(help="What to ask.")],
    source: Annotated[Path, typer.Argument(metavar="DATALIST", help="With training, validation and a labelled test.")],
    encoder: Annotated[Path, typer.Option(help="What `healthytwin pretrain` made of other data.")],
    output: Annotated[Path, output("DIR", "For the runs, and the JSON file.")],
    patients: Annotated[str, typer.Option(help="Numbers of patients, for transfer.")] = "5,10,20",
    steps: Annotated[int, typer.Option(min=1, help="Of each of four epochs.")] = 75,
    like: Annotated[Path | None, typer.Option(metavar="DIR", help="The bundle to vary.")] = None,
    debug: Debug = False,
) -> None:
    """Train and measure every variant; what is done already is not done again."""
    with guarded(debug=debug):
        counts = [int(part) for part in patients.split(",")]
        runs = transfer_runs(counts) if question is Question.transfer else ablation_runs()
        rows = []
        for row in study(source, output, runs, encoder=encoder, like=like, steps=steps):
            rows.append(row)
            typer.echo("{run}: voxel AP {voxel_ap:.3f}".format(**row), err=True)
            answer = {"provenance": provenance(), "question": question.value, "runs": rows}
            write_whole(output / f"{question.value}.json", json.dumps(answer, indent=2) + "\n")
    typer.echo(str(output / f"{question.value}.json"))


if __name__ == "__main__":
    typer.run(main)
