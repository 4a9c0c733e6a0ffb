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
        heading: under which the help lists it.
        summary: in that list; it fits a line of 80 columns.
    """

    run: Callable[..., None]
    example: str
    heading: str
    summary: str


GROUPS = {"quarantine": "Cases that could not be examined, and why"}
_START, _SCANS, _LEARN, _ARCHIVE = "Start here", "Prepare scans", "Train and measure", "Work through an archive"
COMMANDS = {
    "demo": Command(demo, "healthytwin demo --open", _START, "Try it on made-up heads: no data, no network"),
    "doctor": Command(doctor, "healthytwin doctor", _START, "Check this installation, and say how to fix it"),
    "inspect": Command(
        inspect, "healthytwin inspect /media/drive --json", _START, "List series, and whether each is usable"
    ),
    "detect": Command(
        detect, "healthytwin detect my-study/FLAIR -o out", _START, "Outline and score what is abnormal in scans"
    ),
    "label": Command(label, "healthytwin label --studies my-studies", _START, "Review masks in 3D Slicer or OHIF"),
    "prepare": Command(
        prepare, "healthytwin prepare my-scans -o cohort --sequence T1", _SCANS, "Make a datalist, divided by patient"
    ),
    "synthesise": Command(
        synthesise,
        "healthytwin synthesise head-labels -o heads --contrast flair,t1",
        _SCANS,
        "Make healthy heads of any contrast from label maps",
    ),
    "plant": Command(
        plant, "healthytwin plant cohort -o planted --copies 2", _SCANS, "Make a labelled test set from healthy scans"
    ),
    "train": Command(
        train,
        "healthytwin train cohort -o bundles/my_site --epochs 20",
        _LEARN,
        "Train a bundle on healthy scans alone",
    ),
    "pretrain": Command(
        pretrain, "healthytwin pretrain archive/ct archive/mr -o encoder.pth", _LEARN, "Train an encoder on any volumes"
    ),
    "calibrate": Command(
        calibrate,
        "healthytwin calibrate my-healthy-scans -o site.json",
        _LEARN,
        "Set thresholds from your healthy scans",
    ),
    "evaluate": Command(
        evaluate,
        "healthytwin evaluate planted -o out/planted --bundle bundles/my_site",
        _LEARN,
        "Measure a bundle on labelled cases",
    ),
    "benchmark": Command(
        benchmark, "healthytwin benchmark cohort -o out/benchmark --quick", _LEARN, "Compare methods on your data"
    ),
    "reprocess": Command(
        reprocess,
        "healthytwin reprocess /archive/2024 -o results --workers 4",
        _ARCHIVE,
        "Examine every case of an archive once; resumable",
    ),
    "receive": Command(
        receive,
        "healthytwin receive inbox --allow PACS --port 11112",
        _ARCHIVE,
        "Receive images by C-STORE into a folder",
    ),
    "status": Command(status, "healthytwin status results", _ARCHIVE, "Count cases by state; warn when scans drift"),
    "report": Command(report, "healthytwin report results -o report.html", _ARCHIVE, "Write the page of an archive"),
    "export": Command(
        export, "healthytwin export results -o results.csv", _ARCHIVE, "Write one row per job, CSV or Parquet"
    ),
    "where": Command(where, "healthytwin where results 3f9a0c21b7de", _ARCHIVE, "Show the study and series of a case"),
    "verify": Command(verify, "healthytwin verify results", _ARCHIVE, "Find results that are missing or were changed"),
    "retry": Command(retry, "healthytwin retry results", _ARCHIVE, "Try quarantined cases again that may now succeed"),
    "quarantine list": Command(
        list_quarantined, "healthytwin quarantine list results", _ARCHIVE, "List quarantined cases and what to do"
    ),
    "quarantine release": Command(
        release, "healthytwin quarantine release results scan-17", _ARCHIVE, "Let quarantined cases be tried again"
    ),
}
