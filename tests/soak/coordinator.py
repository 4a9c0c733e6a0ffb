"""A coordinator whose workers die: `python -m tests.soak.coordinator FOLDER TARGET WORKERS`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from pipelines.cli.guard import guarded


def main(folder: Path, target: str, workers: int) -> int:
    """Run `reprocess` once; gives its exit code."""
    with guarded():
        from pipelines.reprocess.run import reprocess
        from tests.soak import killing

        run = reprocess(
            folder / "source",
            folder / "archive",
            bundle=folder / "bundle",
            site=folder / "site.yaml",
            workers=workers,
            target=getattr(killing, target),
        )
    return int(run.exit_code)


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
    except typer.Exit as ended:  # of `guarded`, which has said why
        sys.exit(ended.exit_code)
