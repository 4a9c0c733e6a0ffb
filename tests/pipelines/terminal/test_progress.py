"""What a log gets where nobody looks at a bar."""

from __future__ import annotations

import pytest

from pipelines.terminal.progress import progress, waiting


def test_a_log_has_a_line_for_each_case(capsys: pytest.CaptureFixture[str]) -> None:
    with waiting("loading the bundle"):
        pass
    with progress(2, "examining") as begin:
        for name in ("a[b]", "second"):
            begin(name)
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["loading the bundle", "[0 s] examining 1 of 2: a[b]", "[0 s] examining 2 of 2: second"]
