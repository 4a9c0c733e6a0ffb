"""`COMMANDS`: every command of the command line, a row each, in the order of the help."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pipelines.cli.archive import export, report, status
from pipelines.cli.benchmark import benchmark
from pipelines.cli.calibrate import calibrate
from pipelines.cli.care import verify, where
from pipelines.cli.demo import demo
from pipelines.cli.detect import detect
from pipelines.cli.doctor import doctor
from pipelines.cli.evaluate import evaluate
from pipelines.cli.inspect import inspect
from pipelines.cli.label import label
from pipelines.cli.plant import plant
from pipelines.cli.prepare import prepare
from pipelines.cli.pretrain import pretrain
from pipelines.cli.quarantine import list_quarantined, release, retry
from pipelines.cli.receive import receive
from pipelines.cli.reprocess import reprocess
from pipelines.cli.synthesise import synthesise
from pipelines.cli.train import train


class Command(NamedTuple):
    """One command.

    Args:
        run: the function with its options, a sentence for the help, and the body.
        example: that stands below the help.
    """

    run: Callable[..., None]
    example: str


GROUPS = {"quarantine": "Cases that could not be done, and why."}
COMMANDS = {
    "demo": Command(demo, "healthytwin demo --open"),
    "inspect": Command(inspect, "healthytwin inspect /media/drive --json"),
    "prepare": Command(prepare, "healthytwin prepare my-scans -o cohort --sequence T1"),
    "detect": Command(detect, "healthytwin detect my-study/FLAIR -o out"),
    "train": Command(train, "healthytwin train cohort -o bundles/my_site --epochs 20"),
    "pretrain": Command(pretrain, "healthytwin pretrain archive/ct archive/mr -o encoder.pth"),
    "synthesise": Command(synthesise, "healthytwin synthesise head-labels -o heads --contrast flair,t1"),
    "plant": Command(plant, "healthytwin plant cohort -o planted --copies 2"),
    "evaluate": Command(evaluate, "healthytwin evaluate planted -o out/planted --bundle bundles/my_site"),
    "benchmark": Command(benchmark, "healthytwin benchmark cohort -o out/benchmark --quick"),
    "calibrate": Command(calibrate, "healthytwin calibrate my-healthy-scans -o site.json"),
    "doctor": Command(doctor, "healthytwin doctor"),
    "label": Command(label, "healthytwin label --studies my-studies"),
    "reprocess": Command(reprocess, "healthytwin reprocess /archive/2024 -o results --workers 4"),
    "receive": Command(receive, "healthytwin receive inbox --allow PACS --port 11112"),
    "status": Command(status, "healthytwin status results"),
    "retry": Command(retry, "healthytwin retry results"),
    "verify": Command(verify, "healthytwin verify results"),
    "where": Command(where, "healthytwin where results 3f9a0c21b7de"),
    "report": Command(report, "healthytwin report results -o report.html"),
    "export": Command(export, "healthytwin export results -o results.csv"),
    "quarantine list": Command(list_quarantined, "healthytwin quarantine list results"),
    "quarantine release": Command(release, "healthytwin quarantine release results scan-17"),
}
