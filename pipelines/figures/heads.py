"""A picture of synthesised heads of every contrast: `python -m pipelines.figures.heads FILE.png`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

_DRAWS = 6  # of each contrast; the last two without the skull
_BRIGHTEST = 2.4  # of the grey scale, in units of the brain


def draw_heads(path: Path, *, seed: int = 1) -> Path:
    """Write the contact sheet, all scans of the demo's own head.

    Args:
        path: a PNG file.
        seed: another seed draws other scans.
    """
    from matplotlib.figure import Figure

    from data_prep.demo.head_map import demo_head
    from data_prep.heads import CONTRASTS, draw_recipe, synthesise

    head = demo_head()
    figure = Figure(figsize=(_DRAWS * 1.5, len(CONTRASTS) * 1.55), layout="constrained")
    panels = figure.subplots(len(CONTRASTS), _DRAWS)
    for row, contrast in enumerate(CONTRASTS):
        for column in range(_DRAWS):
            rng = np.random.default_rng([seed, row, column])
            recipe = draw_recipe(
                rng, head, contrasts={contrast: 1.0}, size=(128, 128, 4), stripped=float(column >= _DRAWS - 2)
            )
            panel = panels[row, column]
            picture = np.rot90(synthesise(head, recipe).image[..., 2])
            panel.imshow(picture, cmap="gray", vmin=0, vmax=_BRIGHTEST)
            across, thick = recipe.geometry.spacing[0], recipe.geometry.thickness
            panel.set_title(f"{across:.1f} mm, {thick:.1f} mm thick", fontsize=6)
            panel.set(xticks=[], yticks=[])
        panels[row, 0].set_ylabel(contrast)
    figure.savefig(path, dpi=80)
    return path


if __name__ == "__main__":
    sys.stdout.write(f"{draw_heads(Path(sys.argv[1]))}\n")
