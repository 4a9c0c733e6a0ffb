"""Reason codes: each has a verdict, and the documentation has each."""

import re
from pathlib import Path

import pytest

from data_prep import CODES, Verdict
from pipelines.reprocess.ledger.reasons import BATCH_CODES

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("code", CODES)
def test_documented_as_it_is(code):
    text = (ROOT / "docs" / "reference" / "reason-codes.md").read_text()
    quarantine, skip = text.split("## Skip")
    row = f"| `{code}` | {CODES[code].meaning} | {CODES[code].remedy} |"
    assert row in (skip if CODES[code].verdict is Verdict.SKIP else quarantine)


def test_no_code_is_documented_that_is_not_there():
    text = (ROOT / "docs" / "reference" / "reason-codes.md").read_text()
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, re.M)
    assert {code for row in rows for code in re.findall(r"`(\w+)`", row)} == {*CODES, *BATCH_CODES}
