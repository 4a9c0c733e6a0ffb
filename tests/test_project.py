"""The project around the code: what documents, Makefile and constraints say is so."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import typer.core
import typer.main
from documents import PAGES, ROOT, commands, spans
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CUDA = ("cuda", "nvidia", "triton")  # what torch's Linux wheels bring along; torch pins them itself
HEAVY = {"torch", "monai", "itk", "highdicom", "matplotlib", "nilearn", "skimage", "SimpleITK", "pydicom", "scipy"}
HEAVY |= {"numpy", "rich", "jinja2", "requests", "sqlalchemy", "yaml"}  # typer itself loads pydantic for a command
BUNDLE = "bundles/brain_flair_healthy_twin"


def cli() -> typer.core.TyperGroup:
    from pipelines.cli.app import app

    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    return group


LIGHT = "import anomaly, data_prep"
HELP = "from pipelines.cli.app import app; app(['--help'])"
EVERY_HELP = """
from pipelines.cli.app import app
from pipelines.cli.commands import COMMANDS
for name in COMMANDS:
    app([*name.split(), '--help'], standalone_mode=False)
"""


@pytest.mark.parametrize("code", [LIGHT, HELP, EVERY_HELP], ids=["import", "help", "help of every command"])
def test_nothing_heavy_is_imported_before_it_is_used(code: str) -> None:
    program = f"import atexit, sys; atexit.register(lambda: print('loaded', *sys.modules)); {code}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "anomaly" in loaded or "pipelines" in loaded
    assert sorted(HEAVY & loaded) == []


def test_help_is_there_at_once() -> None:
    command, seconds = [sys.executable, "-c", HELP], []
    for _ in range(5):
        begun, before = time.perf_counter(), os.times()
        subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        wall, after = time.perf_counter() - begun, os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        busy = os.getloadavg()[0] > (os.cpu_count() or 1)  # then the wall clock measures the others
        seconds.append(used if busy else wall)
    assert min(seconds) < 0.3, seconds


def requirements() -> Iterator[Requirement]:
    """What an environment with the dev extra needs, and what that needs in turn."""
    waiting = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    seen = set()
    while waiting:
        requirement = Requirement(waiting.pop())
        if requirement.name.startswith(CUDA):
            continue
        if requirement.marker and not any(requirement.marker.evaluate({"extra": e}) for e in ("", *requirement.extras)):
            continue
        if (name := canonicalize_name(requirement.name)) in seen:
            continue
        seen.add(name)
        yield requirement
        waiting += metadata.requires(name) or []


def constraints() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in pinned}


def test_constraints_pin_everything_that_is_installed_for_the_tests() -> None:
    pinned = constraints()
    floating = sorted({canonicalize_name(needed.name) for needed in requirements()} - set(pinned) - {"setuptools"})
    assert floating == []
    assert [name for name, pin in pinned.items() if not re.fullmatch(r"==[0-9a-z.]+", str(pin.specifier))] == []


def test_pinned_versions_are_within_the_bounds_of_the_project() -> None:
    pinned = constraints()
    for text in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]):
        needed = Requirement(text)
        version = str(pinned[canonicalize_name(needed.name)].specifier).removeprefix("==")
        assert needed.specifier.contains(version), f"{needed} but constraints.txt has {version}"


def test_what_monai_label_needs_is_pinned_and_agrees_with_ours() -> None:
    lines = (ROOT / "pipelines" / "label" / "requirements.txt").read_text().splitlines()
    needed = [Requirement(line) for line in lines if not line.startswith("#")]
    assert [str(one) for one in needed if not str(one.specifier).startswith("==")] == []
    ours = constraints()
    assert [str(one) for one in needed if one.specifier != ours.get(canonicalize_name(one.name), one).specifier] == []


def test_no_package_of_one_system_is_pinned() -> None:
    foreign = [name for name in constraints() if name.startswith((*CUDA, "torchvision", "pywin"))]
    assert foreign == []


def test_version_is_the_same_everywhere() -> None:
    newest = re.findall(r"^## \[(\d\S+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0]
    bundle = json.loads((ROOT / BUNDLE / "configs" / "metadata.json").read_text())
    assert newest == PROJECT["version"] == bundle["required_packages_version"]["healthytwin"]
    for page in ("CITATION.cff", "docs/cite.md"):
        assert re.findall(r"^ *version *[:=] *\{?([\d.]+)", (ROOT / page).read_text(), re.MULTILINE) == [newest], page


def test_make_targets_of_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = commands("make")
    assert len(named) >= 4
    assert [(page, words) for page, words in named if words[0] not in targets] == []


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_says_which_python_it_needs(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(["make", "demo", "PYTHON=false"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "needs Python 3.11 or newer, found: false" in done.stderr
    assert not (tmp_path / ".venv").exists()


def told(words: list[str]) -> tuple[Any, str, list[str]]:
    """The command that words name, its name, and the words after it."""
    command: Any = cli()
    name = "healthytwin"
    while isinstance(command, typer.core.TyperGroup) and words and not words[0].startswith("-"):
        assert words[0] in command.commands, words
        command, name, words = command.commands[words[0]], words[0], words[1:]
    return command, name, words


def options(command: Any) -> set[str]:
    return {text for option in command.params for text in (*option.opts, *option.secondary_opts)} | {"-h", "--help"}


@pytest.mark.parametrize(("place", "words"), commands("healthytwin"))
def test_commands_of_the_documents_are_understood(place: str, words: list[str]) -> None:
    command, name, rest = told(words)
    if isinstance(command, typer.core.TyperGroup):
        assert set(rest) <= options(command)
    else:
        command.make_context(name, rest)


def test_commands_in_sentences_and_their_options_exist() -> None:
    named = spans("healthytwin")
    assert len(named) > 30
    for page, words in named:
        if words[0] == "COMMAND":
            continue
        command, _, rest = told(words)
        unknown = {word for word in rest if re.match(r"--?[a-z]", word)} - options(command)
        assert unknown == set(), f"{page}: {words}"


def monai_commands() -> list[tuple[str, list[str]]]:
    """What is run by `python` and by `torchrun`, from `-m` on."""
    lines = [*commands("python"), *commands("torchrun")]
    return [(place, words[words.index("-m") :]) for place, words in lines]


@pytest.mark.parametrize(("place", "words"), monai_commands())
def test_monai_commands_of_the_documents_name_what_is_there(place: str, words: list[str]) -> None:
    import monai.bundle
    from monai.bundle import ConfigParser

    assert words[:2] == ["-m", "monai.bundle"]
    verb, *rest = [word.replace("bundles/my_site", BUNDLE) for word in words[2:]]
    assert hasattr(monai.bundle, verb)
    page = ROOT / place.partition(":")[0]
    home = page.parent.parent if page.is_relative_to(ROOT / "bundles") else ROOT  # a bundle's own page stands in it
    named = dict(re.findall(r"--(\S+) (\S+)", " ".join(rest)))
    configs = {value: found(value, home) for value in named.values() if "configs/" in value}
    assert configs
    assert [value for value, path in configs.items() if not path.is_file()] == []
    if verb == "run":
        keys = ConfigParser.load_config_file(configs[named.pop("config_file")])
        assert [option for option in named if option not in keys] == []


def found(path: str, home: Path) -> Path:
    return ROOT / path if path.startswith("bundles/") else home / path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)\s]+)\)", page.read_text())
    for link in links:
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert anchor in [_anchor(heading) for heading in headings], f"{page.name}: {link}"


def _anchor(heading: str) -> str:
    """As Python-Markdown's `toc` makes it: letters, digits, `_` and `-`, a hyphen for space."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def test_every_option_of_every_command_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text()
    for name, command in cli().commands.items():
        assert f"`healthytwin {name}" in page
        options = [text for option in command.params for text in (*option.opts, *option.secondary_opts)]
        assert [text for text in options if text.startswith("-") and f"`{text}" not in page] == [], name


def test_exit_codes_are_in_the_reference() -> None:
    from pipelines.problems import ExitCode

    page = (ROOT / "docs" / "reference" / "exit-codes.md").read_text()
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)] == sorted(ExitCode)


def test_every_key_of_a_finding_is_in_the_reference() -> None:
    from anomaly import Finding

    page = (ROOT / "docs" / "reference" / "finding.md").read_text()
    schema = Finding.model_json_schema()
    keys = {*schema["properties"], *(key for part in schema["$defs"].values() for key in part["properties"])}
    assert [key for key in sorted(keys) if not re.search(rf"`(\w+(\[\])?\.)?{key}\b", page)] == []


def test_every_reason_to_refuse_an_input_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "reason-codes.md").read_text()
    trees = [ast.parse(file.read_text()) for file in (ROOT / "data_prep").rglob("*.py")]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    raised = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "InputError"]
    codes = {call.args[1].value for call in raised if len(call.args) > 1 and isinstance(call.args[1], ast.Constant)}
    assert "MISSING_SLICES" in codes
    assert [code for code in sorted(codes) if f"`{code}`" not in page] == []


def test_every_format_is_documented() -> None:
    from data_prep.formats.table import FORMATS

    page = (ROOT / "docs" / "reference" / "formats.md").read_text()
    words = [word for one in FORMATS for word in (one.kind, *one.suffixes)]
    assert [word for word in words if f"`{word}`" not in page] == []


def functions(package: str) -> Iterator[tuple[str, int]]:
    """Every function, and how many lines it has; the options of a command, which are a list, do not count."""
    for file in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                begin = node.lineno
                if any("typer." in ast.unparse(option.annotation) for option in node.args.args if option.annotation):
                    begin = node.body[0].lineno
                yield f"{file.relative_to(ROOT)}: {node.name}", node.end_lineno - begin + 1  # type: ignore[operator]


@pytest.mark.parametrize("package", ["anomaly", "data_prep", "pipelines"])
def test_no_function_has_more_than_sixty_lines(package: str) -> None:
    lengths = dict(functions(package))
    assert len(lengths) > 100
    assert {name: lines for name, lines in lengths.items() if lines > 60} == {}


def test_the_floors_of_pipelines_are_those_that_the_linter_keeps() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract.get("containers") == ["pipelines"])
    kept = [{name.strip() for name in layer.split("|")} for layer in layers]
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("| floor | holds |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| (`[a-z.`, ]+`) \| ", table, re.MULTILINE)
    named = [{name.removesuffix(".py") for name in re.findall(r"`([a-z.]+)`", row)} for row in rows]
    assert named == kept


def test_few_files_lie_at_the_top_of_pipelines() -> None:
    files = [file.name for file in (ROOT / "pipelines").glob("*.py")]
    assert len(files) <= 6, f"{files}: a new file belongs into a room"


@pytest.mark.parametrize("package", ["anomaly", "data_prep", "pipelines"])
def test_nothing_is_defined_after_a_module_has_run(package: str) -> None:
    """`python -m` runs what stands under `__name__ == "__main__"` before it comes to what stands below."""
    late = []
    for file in sorted((ROOT / package).rglob("*.py")):
        body = ast.parse(file.read_text()).body
        mains = [i for i, node in enumerate(body) if isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)]
        if mains and mains[0] != len(body) - 1:
            late.append(str(file.relative_to(ROOT)))
    assert late == []


@pytest.mark.parametrize("package", ["anomaly", "data_prep", "pipelines"])
def test_things_are_called_by_what_they_are(package: str) -> None:
    """Names that say nothing of a thing: a sentence, a record and a digest were all called "told"."""
    named = set()
    for file in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            words = {getattr(node, "id", ""), getattr(node, "arg", ""), getattr(node, "name", "")}
            named |= {f"{file.relative_to(ROOT)}: {word}" for word in words & {"told", "_told", "Told"}}
    assert sorted(named) == []
