"""`healthytwin train`: healthy scans in, a calibrated bundle out, no config edited."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from pipelines.bundles import find_bundle
from pipelines.cohort.healthy import TrainingData, check_families, gather
from pipelines.machine.files import writable_folder, write_whole
from pipelines.machine.free_memory import free_bytes
from pipelines.machine.provenance import provenance
from pipelines.outputs.ours import check_apart
from pipelines.problems import CommandError
from pipelines.record import LearningRecord
from pipelines.terminal.progress import waiting
from pipelines.terminal.quiet import without_chatter, without_step_lines
from pipelines.train.card import write_card
from pipelines.train.choices import Choices
from pipelines.train.configs import Plan, plan_for, write_bundle
from pipelines.train.follow import PLANNED, following, plan_in_words
from pipelines.train.outlook import outlook, read_config

_WORK = "training"  # folder in the bundle with all that only the training needs
_AS_THEY_FOLLOW = Choices()
_CONFIG = Path("configs") / "train.yaml"


class TrainRecord(LearningRecord):
    """One run of `healthytwin train`."""

    command: str = "train"
    bundle: str
    training: int = 0
    validation: int = 0
    fingerprint: dict[str, Any] = Field(default_factory=dict)
    history: list[dict[str, float]] = Field(default_factory=list, description="one validation each")
    voxel_ap: float | None = Field(default=None, description="on anomalies planted in the validation scans")
    plan: list[str] = Field(default_factory=list, description="what was going to be done, in words")
    promise: str = ""
    notes: list[str] = Field(default_factory=list)
    pictures: str = ""
    weights_sha256: str = ""


def train(
    source: Path,
    output: Path,
    *,
    like: Path | None = None,
    start_from: Path | None = None,
    encoder_weights: str | None = None,
    settings: dict[str, Any] | None = None,
    choices: Choices = _AS_THEY_FOLLOW,
    sequences: Sequence[str] = (),
    resume: bool = False,
) -> TrainRecord:
    """Train and calibrate a bundle on healthy scans.

    Args:
        source: a datalist, or a folder of healthy scans; see `pipelines.cohort.healthy.gather`.
        output: the bundle to make; one that is already there must be the same training, to be resumed.
        like: a bundle whose preparation, region and families are taken as they are; None: they follow from the scans.
        start_from: a bundle whose whole network is gone on from; None: begin with random weights.
        encoder_weights: a MedicalNet file for the encoder.
        settings: keys of `train.yaml` (`epochs`, `steps`, `seed`, `families`, ...) and their values.
        choices: what of the configs is to be otherwise than it follows from the scans; not with `like`.
        sequences: of the visits in a folder of scans, such as T1 and FLAIR.
        resume: go on after the last whole epoch of an interrupted training.

    Raises:
        InputError: the source is missing or no datalist.
        CommandError: too few scans, an unknown family, one both planted and held out, or the output is in use.
    """
    check_apart([source], output)
    started = time.perf_counter()
    _check_settings(settings or {})
    begun_from = None if start_from is None else _with_weights(find_bundle(start_from))
    template, data = find_bundle(like), gather(source, sequences)
    _check_choices(choices, data, like)
    data = replace(data, fingerprint=replace(data.fingerprint, chosen=choices.voxel_size))
    _free(output, resume=resume)
    work = writable_folder(output / _WORK)
    data.datalist(work).write()
    _write_configs(output, template, data, choices, exact=like is not None)
    _apart(output, settings or {})
    changes = {**(settings or {}), "resume": resume}
    if begun_from is not None:
        changes["initial_weights"] = str(begun_from / "models" / "model.pt")
    if encoder_weights:
        changes["encoder_weights"] = encoder_weights
    plan = outlook(read_config(output / _CONFIG, settings or {}), data, free=free_bytes())
    print("\n".join(plan), file=sys.stderr)
    history = _run(output, work, data, changes)
    _keep(work, writable_folder(output / "models"))
    record = _record(output, data, history, plan, seconds=time.perf_counter() - started)
    if begun_from is not None:
        record.notes.insert(0, _begun_from(begun_from))
    write_card(output, record.model_dump(), changes=changes, licence_from=begun_from)
    data.datalist(work).without_folders().write()  # a bundle is handed on
    write_whole(
        work / "training.json", json.dumps({"provenance": provenance(), **record.model_dump()}, indent=2) + "\n"
    )
    return record


def _keep(work: Path, models: Path) -> None:
    for name in ("model.pt", "calibration.json"):
        write_whole(models / name, (work / name).read_bytes())


def _begun_from(bundle: Path) -> str:
    terms = "the terms of its data bind the new weights, too (docs/data_license.txt in the bundle)"
    return f"begun with the weights of {bundle.name}: {terms}"


def can_resume(output: Path) -> bool:
    """Is there an interrupted training in the bundle at `output`, with a whole epoch behind it?"""
    return (output / _WORK / "resume.pt").is_file()


def _free(output: Path, *, resume: bool) -> None:
    """Raise `CommandError` where a training would write over a bundle, or has nothing to be resumed from."""
    if resume and not can_resume(output):
        msg = f"{output}: there is no interrupted training to resume; leave --resume out to begin one"
        raise CommandError(msg)
    if not resume and ((output / "models" / "model.pt").exists() or can_resume(output)):
        msg = f"{output}: there is a bundle or an interrupted training already; choose another folder, or --resume"
        raise CommandError(msg)


def _with_weights(bundle: Path) -> Path:
    """The bundle; raises `CommandError` where it came without weights."""
    if not (bundle / "models" / "model.pt").is_file():
        msg = f"{bundle}: has no weights to begin with (models/model.pt); name another bundle with --start-from"
        raise CommandError(msg)
    return bundle


def _check_settings(settings: dict[str, Any]) -> None:
    for key in ("families", "held_out_families"):
        if key in settings:
            check_families(key, settings[key])


def _check_choices(choices: Choices, data: TrainingData, like: Path | None) -> None:
    """Raise `CommandError` for choices that nothing would come of."""
    if like is not None and choices != Choices():
        msg = "--like takes voxel size, window and anomalies from the other bundle; leave the options for them out"
        raise CommandError(msg)
    if choices.windows and data.modality not in ("CT", ""):
        msg = f"--window is for CT, and the scans are {data.modality}"
        raise CommandError(msg)


def _apart(output: Path, settings: dict[str, Any]) -> None:
    """Raise `CommandError` where the checkpoint would be chosen on a family that is trained on."""
    import yaml

    config = yaml.safe_load((output / _CONFIG).read_text(encoding="utf-8")) | settings
    if both := sorted(set(config["families"]) & set(config["held_out_families"])):
        msg = f"{', '.join(both)}: both planted in training and held out; name the others with --held-out-families"
        raise CommandError(msg)


def _write_configs(output: Path, template: Path, data: TrainingData, choices: Choices, *, exact: bool) -> None:
    from anomaly.bundle import load_metadata

    name = re.sub(r"\W+", "_", output.resolve().name)
    known = load_metadata(template)
    plan = plan_for(data.fingerprint, window=data.window, sequences=data.sequences, choices=choices)
    metadata: dict[str, Any] = {
        "name": name,
        "version": "0.1.0",
        "changelog": {"0.1.0": "trained by healthytwin train"},
        "data_source": "scans of the site that trained it",
        "eval_metrics": {},
    }
    if exact:
        import yaml

        config = yaml.safe_load((template / _CONFIG).read_text(encoding="utf-8"))
        if len(config.get("sequences", ())) != len(data.sequences):
            theirs, ours = (len(one) or 1 for one in (config.get("sequences", ()), data.sequences))
            msg = f"{template.name} looks at {theirs} sequences, the scans have {ours}"
            raise CommandError(msg)
        plan = replace(plan, prepare=config["prepare"], train={}, shared={}, slabs={}, of={})
    else:
        windows, flat = plan.windows, data.fingerprint.flat
        modality = "CT" if windows else data.modality
        kind = modality or ("picture" if flat else "scan")
        images = known["network_data_format"]
        for side in ("inputs", "outputs"):
            for entry in images[side].values():
                last = 1 if flat else "n" if data.fingerprint.thick else "32*n"
                entry["spatial_shape"] = ["32*n", "32*n", last]
        images["inputs"]["image"] |= _channels(modality, plan, data)
        metadata |= {
            "task": f"Unsupervised anomaly detection and segmentation in {kind} images",
            "image_classes": f"{', '.join(_channels(modality, plan, data)['channel_def'].values())}: {plan.scaling}",
            "network_data_format": images,
        }
    write_bundle(output, template, plan, metadata=metadata)


def _channels(modality: str, plan: Plan, data: TrainingData) -> dict[str, Any]:
    """What `metadata.json` says of the network's channels."""
    seen = [f" {low:g} to {high:g} HU" for low, high in plan.windows] if len(plan.windows) > 1 else [""]
    names = [
        f"{name}{window}"
        for name in data.sequences or [modality or ("picture" if data.fingerprint.flat else "scan")]
        for window in seen
    ]
    return {
        "modality": modality or ("n/a" if data.fingerprint.flat else "MR"),
        "num_channels": len(names),
        "channel_def": {str(number): name for number, name in enumerate(names)},
    }


def _run(output: Path, work: Path, data: TrainingData, changes: dict[str, Any]) -> list[dict[str, float]]:
    """Run the bundle's own training through `monai.bundle`; gives one row of metrics for each validation."""
    from monai.bundle import ConfigWorkflow

    with waiting("reading the scans"), without_chatter():
        workflow = ConfigWorkflow(
            config_file=str(output / _CONFIG),
            workflow_type="train",
            logging_file=False,
            bundle_root=str(output.resolve()),
            dataset_dir=str((work / "dataset.json").resolve()),
            output_dir=str(work.resolve()),
            **changes,
        )
        workflow.initialize()
        trainer = workflow.parser.get_parsed_content("train::trainer")
        evaluator = workflow.parser.get_parsed_content("validate::evaluator")
        calibrator = workflow.parser.get_parsed_content("calibration::evaluator")
    config = {key: workflow.parser.get_parsed_content(key) for key in PLANNED}
    for words in plan_in_words(config, *(len(data.sections[name]) for name in ("training", "validation"))):
        print(words, file=sys.stderr)
    with without_step_lines(), following(trainer, evaluator, calibrator) as history:
        workflow.run()
    workflow.finalize()
    return history


def _record(
    output: Path, data: TrainingData, history: list[dict[str, float]], plan: list[str], *, seconds: float
) -> TrainRecord:
    from anomaly.bundle import load_calibration

    calibration, fingerprint = load_calibration(output), data.fingerprint
    best = max((row["voxel_ap"] for row in history), default=None)
    notes = list(data.notes)
    if best is not None and best < 0.1:
        notes.append(
            "the network has hardly learned to find planted anomalies; more --epochs, or more scans, are needed"
        )
    return TrainRecord(
        bundle=str(output),
        seconds=round(seconds, 1),
        training=len(data.sections["training"]),
        validation=len(data.sections["validation"]),
        refused=data.refused,
        fingerprint={"axcodes": fingerprint.axcodes, "pixdim": fingerprint.pixdim, "shape": fingerprint.shape},
        history=history,
        voxel_ap=best,
        plan=plan,
        promise=calibration.promise(),
        notes=notes,
        pictures=str(output / _WORK / "pictures"),
        weights_sha256=calibration.weights_sha256,
    )
