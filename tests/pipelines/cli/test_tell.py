"""How every command ends."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import typer

import pipelines.cli
from pipelines.cli.tell import tell
from pipelines.problems import ExitCode
from pipelines.record import CaseRecord, LearningRecord

FILES = sorted(Path(pipelines.cli.__file__).parent.glob("*.py"))


def show(_: object) -> None:
    print("for a person")


def test_a_person_is_shown_the_record_and_the_command_ends_with_its_code(capsys: pytest.CaptureFixture[str]) -> None:
    refused = CaseRecord.failed("a", "a.nii", code="NAN", reason="3 voxels are NaN")
    with pytest.raises(typer.Exit) as end:
        tell(LearningRecord(refused=[refused]), False, show)
    assert end.value.exit_code == ExitCode.SOME_FAILED
    assert capsys.readouterr().out == "for a person\n"


@pytest.mark.parametrize("run", [LearningRecord(seconds=2), {"seconds": 2, "rows": 3}])
def test_a_program_gets_one_document(run: LearningRecord | dict[str, int], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as end:
        tell(run, True, show)
    assert end.value.exit_code == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["seconds"] == 2


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_command_ends_in_a_way_of_its_own(file: Path) -> None:
    """Only `tell` writes JSON of a record, and `--output` is spelled in one place."""
    words = {node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)}
    names = {node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}
    assert ("--output" in words) is (file.stem == "options")
    assert ("model_dump_json" in names) is (file.stem == "tell")
