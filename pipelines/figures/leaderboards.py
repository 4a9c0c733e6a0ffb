"""`python -m pipelines.figures.leaderboards`: the page of all committed leaderboards, out of their JSON files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.benchmark.leaderboard import HEADINGS, as_markdown, cell
from pipelines.benchmark.record import TRAINED_HERE, BenchmarkRecord, Row
from pipelines.cli.guard import guarded
from pipelines.cli.options import output
from pipelines.machine.files import write_whole

_TEXT = """# Leaderboards

`make leaderboards` writes this page from the JSON files in `results/`; no figure is typed by hand.
[Compare methods](../how-to/benchmark.md) explains the columns, and how to make such a table from your own scans. If the
interval of a difference contains 0, the difference may be due to chance.
"""


def page(records: dict[str, BenchmarkRecord]) -> str:
    """The page as Markdown.

    Args:
        records: by the name of their file.
    """
    sections = [_section(name, record) for name, record in records.items()]
    return "\n".join([_TEXT, *(sections or ["None has been committed yet.\n"])])


def _section(name: str, record: BenchmarkRecord) -> str:
    origin = record.provenance
    command, machine = origin["command"], origin["machine"]
    return "\n".join(
        [
            f"## {name.removeprefix('leaderboard-')}",
            "",
            f"`{command}` at commit `{origin['commit']}`, {machine['cpu']}, {_threads(machine['threads'])}, "
            f"{machine['device']}: [{name}.json](results/{name}.json).",
            "",
            verdict(record),
            "",
            as_markdown(record),
        ]
    )


def verdict(record: BenchmarkRecord) -> str:
    """The result in words: the best method, the place of HealthyTwin, and how much longer AnoGAN takes."""
    done = {row.method: row for row in record.rows if not row.run.error}
    if not done:
        return "No method could be run."
    best, words = next(iter(done.values())), []
    heading = HEADINGS[record.ranked_by]
    if (twin := done.get("healthy_twin")) is best:
        words.append(f"HealthyTwin has the highest {heading}{_against(list(done.values()), record.ranked_by)}.")
    elif twin is not None:
        behind = cell(twin.behind_best[record.ranked_by])
        words.append(f"**HealthyTwin does not have the highest {heading}**: {best.title} is ahead by {behind}.")
    if twin is not None and twin.run.made_of not in (None, TRAINED_HERE):
        words.append("HealthyTwin is a bundle that was trained before; the others were trained for this table.")
    if (search := done.get("anogan")) is not None and search.over_healthy_twin is not None:
        words.append(f"AnoGAN takes {search.over_healthy_twin:,.1f} times as long per volume as HealthyTwin.")
    return " ".join(words)


def _against(rows: list[Row], key: str) -> str:
    """By how much the first is ahead of the second."""
    if len(rows) < 2:
        return ""
    return f"; {rows[1].title} is behind by {cell(rows[1].behind_best[key])}"


def collect(
    results: Annotated[Path, typer.Argument(help="Folder of leaderboard-*.json.")] = Path("docs/reference/results"),
    output: Annotated[Path, output("FILE", "Page to write.")] = Path("docs/reference/leaderboards.md"),
) -> None:
    """Write the page of all leaderboards."""
    with guarded(debug=False):
        write_whole(output, page(read(results)))


def read(results: Path) -> dict[str, BenchmarkRecord]:
    """The committed leaderboards of a folder, in the order of their names."""
    files = sorted(results.glob("leaderboard-*.json"))
    return {file.stem: BenchmarkRecord.model_validate_json(file.read_text(encoding="utf-8")) for file in files}


def _threads(number: int) -> str:
    return f"{number} thread{'' if number == 1 else 's'}"


if __name__ == "__main__":
    typer.run(collect)
