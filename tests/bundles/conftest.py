"""Every shipped bundle keeps the same contract."""

from pathlib import Path

import pytest

BUNDLES = sorted(path.parent.parent for path in Path(__file__).parents[2].glob("bundles/*/configs/metadata.json"))


@pytest.fixture(scope="session", params=BUNDLES, ids=lambda path: path.name)
def bundle(request) -> Path:
    """Each of the shipped bundles."""
    return request.param
