"""Every command explains itself: an example, the same flags, and after Ctrl-C how to go on."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

import pipelines.benchmark.run
import pipelines.cohort.prepare
import pipelines.reprocess.run
from pipelines.cli.app import app
from pipelines.cli.commands import COMMANDS as ROWS

LISTENS = {"receive", "label"}  # until Ctrl-C: there is no result to print


def commands(group: Any, *before: str) -> Iterator[tuple[str, Any]]:
    """(name, command) of every command, those of groups too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *before, name)
        else:
            yield " ".join([*before, name]), command


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_every_row_is_a_command() -> None:
    assert sorted(ROWS) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example_that_is_understood(name: str) -> None:
    done = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})
    assert done.exit_code == 0
    assert f"Example: {ROWS[name].example}" in done.stdout
    words = shlex.split(ROWS[name].example)
    assert words[: 1 + len(name.split())] == ["healthytwin", *name.split()]
    COMMANDS[name].make_context(name, words[1 + len(name.split()) :])


@pytest.mark.parametrize("group", [(), ("quarantine",)])
def test_the_list_of_commands_is_grouped_and_no_summary_is_cut_at_80_columns(group: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*group, "-h"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert done.exit_code == 0
    rows = {name: row for name, row in ROWS.items() if name.split()[:-1] == list(group)}
    assert len(rows) > 1
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for name, row in rows.items():
        assert [line.strip().endswith(row.summary) for line in lines if line.split()[:1] == [name.split()[-1]]] == [
            True
        ]
        assert f"{row.heading}:" in lines
    assert "..." not in done.stdout.partition(f"{next(iter(rows.values())).heading}:")[2]


@pytest.mark.parametrize("name", COMMANDS)
def test_flags_are_the_same_everywhere(name: str) -> None:
    options = {text: option for option in COMMANDS[name].params for text in option.opts}
    assert "--debug" in options
    assert ("--json" in options) is (name not in LISTENS)
    if "--output" in options:
        assert "-o" in options["--output"].opts
    assert [option.name for option in COMMANDS[name].params if not option.help] == []


@pytest.mark.parametrize(
    ("module", "arguments", "words"),
    [
        (pipelines.benchmark.run, ["benchmark", "cohort", "-o", "out"], "Finished methods are kept"),
        (pipelines.reprocess.run, ["reprocess", "archive", "-o", "out"], "Finished cases are kept"),
        (pipelines.cohort.prepare, ["prepare", "scans", "-o", "out"], "Prepared scans are kept"),
    ],
)
def test_after_ctrl_c_it_says_how_to_go_on(
    module: Any, arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stopped(*args: Any, **settings: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, arguments[0], stopped)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 130
    assert "Stopped." in done.stderr
    assert words in done.stderr
