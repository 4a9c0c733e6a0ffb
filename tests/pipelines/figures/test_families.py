"""The contact sheet of anomaly families."""

import numpy as np
from PIL import Image

from anomaly.synthesis import FAMILIES
from pipelines.figures.families import draw_families


def test_every_family_is_drawn(tmp_path):
    picture = Image.open(draw_families(tmp_path / "sheet.png")).convert("L")
    assert picture.height > 60 * len(FAMILIES)
    row = picture.height // len(FAMILIES)
    rows = [picture.crop((0, row * number, picture.width, row * (number + 1))) for number in range(len(FAMILIES))]
    assert all(len(np.unique(part)) > 50 for part in rows), "a row without an image"
    assert len({part.tobytes() for part in rows}) == len(FAMILIES)
