"""An example for the help of each command."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

EXAMPLES = {
    "demo": "healthytwin demo --open",
    "doctor": "healthytwin doctor",
    "inspect": "healthytwin inspect /media/drive --json",
    "prepare": "healthytwin prepare my-scans -o cohort --sequence T1",
    "detect": "healthytwin detect my-study/FLAIR -o out",
    "train": "healthytwin train cohort -o bundles/my_site --epochs 20",
    "pretrain": "healthytwin pretrain archive/ct archive/mr -o encoder.pth",
    "plant": "healthytwin plant cohort -o planted --copies 2",
    "calibrate": "healthytwin calibrate my-healthy-scans -o site.json",
    "evaluate": "healthytwin evaluate planted -o out/planted --bundle bundles/my_site",
    "benchmark": "healthytwin benchmark cohort -o out/benchmark --quick",
    "label": "healthytwin label --studies my-studies",
    "reprocess": "healthytwin reprocess /archive/2024 -o results --workers 4",
    "report": "healthytwin report results -o report.html",
    "receive": "healthytwin receive inbox --allow PACS --port 11112",
    "status": "healthytwin status results",
    "retry": "healthytwin retry results",
    "quarantine list": "healthytwin quarantine list results",
    "quarantine release": "healthytwin quarantine release results scan-17",
    "export": "healthytwin export results -o results.csv",
}


class WithExamples(TyperGroup):
    """A group of commands that puts each command's example under its help."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; None: there is none."""
        command = super().get_command(ctx, cmd_name)
        name = " ".join([*ctx.command_path.split()[1:], cmd_name])
        if command is not None and name in EXAMPLES:
            command.epilog = f"Example: {EXAMPLES[name]}"
        return command
