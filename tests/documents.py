"""What the Markdown pages hold: fenced blocks, and the command lines in them."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("bundles/*/docs/*.md")])
_BLOCK = re.compile(r"(?:^<!-- not run: (.*?) -->\n+)?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ASSIGNMENT = re.compile(r"\w+=")


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a page.

    Args:
        page: relative to the repository.
        line: of its opening fence.
        kind: python, bash, yaml, ...
        text: what stands between the fences.
        not_run: the reason of the comment `<!-- not run: ... -->` before it; None: there is no such comment.
    """

    page: str
    line: int
    kind: str
    text: str
    not_run: str | None = None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(kind: str) -> list[Block]:
    """Every block of a kind, page by page."""
    return [block for page in PAGES for block in _on(page) if block.kind == kind]


def commands(program: str) -> list[tuple[str, list[str]]]:
    """(place, words after the program's name) of every line of a bash block that runs the program.

    Looked for behind variables (`A=b program`), in a container (`docker run ... program`) and in `$(program ...)`.
    """
    found = []
    for block in blocks("bash"):
        for line in block.text.splitlines():
            inner = re.findall(r"\$\(([^)]*)\)", line)
            lines = [_after(program, shlex.split(text, comments=True)) for text in (line, *inner)]
            found += [(str(block), words) for words in lines if words]
    return found


def spans(program: str) -> list[tuple[str, list[str]]]:
    """(page, words) of every piece of inline code that runs the program with arguments."""
    pattern = re.compile(rf"`{program} ([^`]+)`")
    return [
        (str(page.relative_to(ROOT)), words.split()) for page in PAGES for words in pattern.findall(page.read_text())
    ]


def _on(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(
            page=str(page.relative_to(ROOT)),
            line=text.count("\n", 0, match.end() - len(match[3]) - 4),
            kind=match[2],
            text=match[3],
            not_run=match[1],
        )
        for match in _BLOCK.finditer(text)
    ]


def _after(program: str, words: list[str]) -> list[str]:
    """The arguments of a program in the words of one command; empty: another program is run."""
    while words and _ASSIGNMENT.match(words[0]):
        words = words[1:]
    if words[:2] == ["docker", "run"]:
        named = [word.partition(":")[0] for word in words]
        words = words[named.index(program) :] if program in named else []
    return words[1:] if words[:1] == [program] else []
