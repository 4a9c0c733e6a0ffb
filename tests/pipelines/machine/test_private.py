"""Results are private by default; a site may say otherwise."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pipelines.machine.private import VARIABLE, keep_private
from pipelines.problems import CommandError


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def mask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


@pytest.mark.parametrize(("before", "after"), [(0o022, 0o077), (0o177, 0o177)])
def test_nobody_else_may_look(monkeypatch: pytest.MonkeyPatch, before: int, after: int) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    os.umask(before)
    keep_private()
    assert mask() == after


@pytest.mark.parametrize(("told", "after"), [("027", 0o027), ("0022", 0o022), ("077", 0o077)])
def test_a_site_says_otherwise(monkeypatch: pytest.MonkeyPatch, told: str, after: int) -> None:
    monkeypatch.setenv(VARIABLE, told)
    keep_private()
    assert mask() == after


@pytest.mark.parametrize("told", ["", "rwx", "9", "-1", "07777"])
def test_what_is_no_umask_is_told(monkeypatch: pytest.MonkeyPatch, told: str) -> None:
    monkeypatch.setenv(VARIABLE, told)
    with pytest.raises(CommandError, match="027"):
        keep_private()
