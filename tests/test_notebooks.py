"""The notebooks of the documentation run from their first cell to the last."""

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli.app import app

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs").rglob("*.ipynb"))


def test_there_is_one() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells as IPython runs them: `!healthytwin ...` is the command line, the rest is Python."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    content = json.loads(path.read_text(encoding="utf-8"))
    for cell in content["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code":
            continue
        assert cell["outputs"] == [], "outputs are not kept: they grow old"
        if source.startswith("!healthytwin "):
            done = CliRunner().invoke(app, shlex.split(source.removeprefix("!healthytwin ")))
            assert done.exit_code == 0, f"{source}\n{done.output}"
        else:
            exec(compile(source, f"{path.name}, {cell['id']}", "exec"), namespace)
    assert (tmp_path / "out" / "report.html").is_file()
