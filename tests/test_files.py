"""`atomically`: `anomaly` and `data_prep` have one each, since they may not import each other."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from documents import ROOT

import anomaly.files
import data_prep.files

Atomically = Callable[[Path], AbstractContextManager[Path]]
MODULES = [anomaly.files, data_prep.files]


@pytest.fixture(params=MODULES, ids=lambda module: module.__name__)
def atomically(request: pytest.FixtureRequest) -> Atomically:
    return request.param.atomically


def test_a_file_is_there_whole_or_not_at_all(atomically: Atomically, tmp_path: Path) -> None:
    place = tmp_path / "scan.nii.gz"
    with atomically(place) as partial:
        assert not place.exists()
        assert partial.name.startswith(".")
        assert partial.name.endswith(".nii.gz")  # nibabel goes by it
        partial.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["scan.nii.gz"]
    assert place.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_fails_leaves_the_old_file_and_nothing_else(
    atomically: Atomically, error: type[BaseException], tmp_path: Path
) -> None:
    place = tmp_path / "run.json"
    place.write_text("old")

    def fail() -> None:
        with atomically(place) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
    assert place.read_text() == "old"


def test_no_planted_link_is_followed(atomically: Atomically, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim, place = tmp_path / "victim", tmp_path / "out" / "run.json"
    victim.write_text("precious")
    place.parent.mkdir()
    for name in (".run.json.partial", ".run.json", "run.json.partial", ".partial-run.json", "run.json"):
        (place.parent / name).symlink_to(victim)
    with atomically(place) as partial:
        partial.write_text("new")
    assert victim.read_text() == "precious"
    assert (place.is_symlink(), place.read_text()) == (False, "new")
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")  # even a name that is guessed leads nowhere
    (place.parent / ".partial-guessed.json").symlink_to(victim)
    with pytest.raises(FileExistsError), atomically(place):
        pass
    assert victim.read_text() == "precious"


def test_a_long_name_has_room_for_its_partial(atomically: Atomically, tmp_path: Path) -> None:
    place = tmp_path / ("x" * 248 + ".nii.gz")
    with atomically(place) as partial:
        partial.write_text("new")
    assert place.read_text() == "new"


WRITERS = ("nib.save(", "torch.save(", "np.savez_compressed(")
METHODS = (".write_text(", ".write_bytes(", ".savefig(", ".save_as(")
HIDDEN = {"partial", "partial_file", "stream", "raw"}  # a partial, or memory
APART = (  # what makes a folder beside its place and renames it as a whole; figures of the documents
    "pipelines/reprocess/archive",
    "pipelines/pacs",
    "pipelines/figures",
    "pipelines/doctor.py",
)


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call that writes to a file."""
    for package in ("anomaly", "data_prep", "pipelines"):
        for file in sorted((ROOT / package).rglob("*.py")):
            place = file.relative_to(ROOT).as_posix()
            for node in ast.walk(ast.parse(file.read_text())):
                text = ast.unparse(node) if isinstance(node, ast.Call) else ""
                own = text.partition("(")[0] + "("
                if isinstance(node, ast.Call) and (own in WRITERS or own.endswith(METHODS)):
                    yield f"{place}:{node.lineno}: {text}", node


def test_every_file_is_written_in_this_way() -> None:
    found = {text: {name.id for name in ast.walk(call) if isinstance(name, ast.Name)} for text, call in calls()}
    assert len(found) > 20
    assert [text for text, names in found.items() if not names & HIDDEN and not text.startswith(APART)] == []
    weights = [text for text in found if ": torch.save(" in text]
    assert len(weights) >= 5
    assert [text for text in weights if not text.endswith(", stream)")] == []  # the file would hold a partial's name


def test_the_two_are_one() -> None:
    import inspect

    assert len({inspect.getsource(module.atomically) for module in MODULES}) == 1
