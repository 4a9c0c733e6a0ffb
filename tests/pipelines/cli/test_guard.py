"""What becomes of errors at the command line."""

from __future__ import annotations

import json

import pytest
import typer

from data_prep import InputError
from pipelines.cli.guard import guarded
from pipelines.problems import CommandError, ExitCode


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (CommandError("no such thing"), ExitCode.USAGE, "no such thing"),
        (CommandError("empty", ExitCode.NOTHING_FOUND), ExitCode.NOTHING_FOUND, "empty"),
        (InputError("a.nii", "NAN", "3 voxels are NaN"), ExitCode.USAGE, "a.nii: 3 voxels are NaN [NAN]"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "Stopped"),
        (ZeroDivisionError("by\n zero"), ExitCode.INTERNAL, "ZeroDivisionError: by zero"),
    ],
)
def test_one_sentence_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: ExitCode, words: str
) -> None:
    with pytest.raises(typer.Exit) as end, guarded():
        raise error
    captured = capsys.readouterr()
    assert end.value.exit_code == code
    assert words in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_an_input_error_that_a_library_wrapped_is_still_told(capsys: pytest.CaptureFixture[str]) -> None:
    wrapped = RuntimeError("applying transform")
    wrapped.__cause__ = InputError("a.nii", "EMPTY", "all voxels are 0")
    with pytest.raises(typer.Exit) as end, guarded():
        raise wrapped
    assert end.value.exit_code == ExitCode.USAGE
    assert "all voxels are 0" in capsys.readouterr().err


def test_debug_adds_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), guarded(debug=True):
        raise CommandError("no such thing")
    assert "Traceback" in capsys.readouterr().err


def test_what_libraries_print_stays_off_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    with guarded():
        print("chatter")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "chatter\n")


def test_json_names_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit), guarded(as_json=True):
        raise CommandError("no such thing")
    assert json.loads(capsys.readouterr().out) == {"error": {"code": 2, "message": "no such thing"}}
