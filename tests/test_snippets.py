"""The documents are true to the code: every Python block runs, every YAML and JSON block is taken by what reads it."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from documents import PAGES, ROOT, Block, blocks

from anomaly import load_detector
from anomaly.engines.writer import write_examination
from data_prep import read_volume
from data_prep.cases.datalist import Datalist
from data_prep.demo import TINY, make_cohort
from data_prep.demo.dicom import write_series
from data_prep.demo.render import Scan
from pipelines.reprocess.site import load_site

MOST_NOT_RUN = 3


def python_pages() -> dict[str, list[Block]]:
    """The blocks of each page that has any to run, in order."""
    pages = defaultdict(list)
    for block in blocks("python"):
        if block.not_run is None:
            pages[block.page].append(block)
    return dict(pages)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the documents' names are there: a study, a cohort, the demo's, results in `out`."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "bundles").symlink_to(ROOT / "bundles")
    make_cohort(folder / "healthytwin-demo" / "cohort", healthy=1, lesions=1, dicom=1, grid=TINY)
    (series,) = (folder / "healthytwin-demo" / "cohort" / "dicom").iterdir()
    shutil.copytree(series, folder / "my-study" / "FLAIR")
    single = np.ones((8, 8, 1), np.uint16)
    localizer = Scan(array=single, mask=single, affine=TINY.affine)
    write_series(localizer, folder / "my-study" / "localizer", patient="A^B", seed=1)
    volume = read_volume(folder / "my-study" / "FLAIR")
    exam = load_detector(folder / "bundles" / "brain_flair_healthy_twin", device="cpu").examine(volume, case="a")
    (folder / "out").mkdir()
    write_examination(exam, volume.affine, folder / "out")
    (folder / "out" / "run.json").write_text("{}")
    return folder


@pytest.mark.parametrize(("page", "parts"), python_pages().items(), ids=list(python_pages()))
def test_python_runs(
    page: str, parts: list[Block], desk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shutil.copytree(desk, tmp_path / "desk", symlinks=True))
    namespace: dict[str, Any] = {"__name__": page}
    printed = io.StringIO()
    for block in parts:
        padding = "\n" * block.line  # so that a traceback has the page's own line numbers
        with contextlib.redirect_stdout(printed):
            exec(compile(padding + block.text, str(ROOT / page), "exec"), namespace)
        assert printed.getvalue() or "print(" not in block.text, f"{block}: nothing came to be printed"


class _Strict(yaml.SafeLoader):
    """YAML in which a key stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice among {keys}"
        return super().construct_mapping(node, deep=deep)


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml_is_a_site_file(block: Block, tmp_path: Path) -> None:
    assert yaml.load(block.text, _Strict)
    (tmp_path / "site.yaml").write_text(block.text)
    load_site(tmp_path / "site.yaml")


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_is_a_datalist(block: Block, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(block.text)
    sections = [name for name, value in json.loads(block.text).items() if isinstance(value, list)]
    assert sections
    for section in sections:
        assert Datalist.read(tmp_path / "dataset.json").section(section)


def test_what_is_not_run_has_a_reason_and_is_rare() -> None:
    marked = [block for block in blocks("python") if block.not_run is not None]
    assert len(marked) <= MOST_NOT_RUN
    assert [str(block) for block in marked if len(str(block.not_run).split()) < 3] == []
    marks = sum(page.read_text().count("\n<!-- not run:") for page in PAGES)
    assert marks == len(marked), "a mark stands right before a Python block"


def test_every_block_has_a_kind_that_is_looked_at() -> None:
    fences = sum(sum(line.startswith("```") for line in page.read_text().splitlines()) for page in PAGES)
    looked_at = [block for kind in ("bash", "json", "python", "yaml") for block in blocks(kind)]
    shown = [block for kind in ("text", "bibtex") for block in blocks(kind)]  # a tree of folders, an entry to cite
    assert fences == 2 * len(looked_at + shown)
    assert len(shown) < 10
