"""`python -m pipelines.figures.look`: fit how a FLAIR and a skull are recognised, on heads made from label maps."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug
from pipelines.machine.files import write_whole
from pipelines.machine.provenance import commit

_KINDS = {"flair": 0.5, "t1": 0.2, "t2": 0.2, "pd": 0.05, "dwi": 0.05}
_PIXEL, _SLICES = (3.6, 4.4), (3.6, 6.0)  # mm: coarse is enough


def draw(labels: list[Path], *, copies: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Features of made heads `(n, 25)`, and for each class which of them belong to it, `(n,)` bool."""
    from data_prep.heads import draw_recipe, read_head, synthesise
    from data_prep.heads.look import features

    rng, rows, classes = np.random.default_rng(seed), [], []
    for path in labels:
        head = read_head(path)
        for _ in range(copies):
            kind = str(rng.choice(list(_KINDS), p=list(_KINDS.values())))
            recipe = draw_recipe(rng, head, contrasts={kind: 1.0}, pixel=_PIXEL, slices=_SLICES)
            seen = features(synthesise(head, recipe).image, recipe.geometry.spacing)
            if seen is not None:
                rows.append(seen)
                classes.append((kind == "flair", recipe.stripping is None))
    flair, skull = np.array(classes, bool).T
    return np.array(rows), {"flair": flair, "skull": skull}


def fit(
    labels: Annotated[Path, typer.Argument(help="Folder of label maps; those named a* are learned from, b* tried on.")],
    copies: Annotated[int, typer.Option(min=1, help="Made heads of each map.")] = 60,
    output: Annotated[Path, typer.Option("-o", "--output")] = Path("data_prep/heads/look.json"),
    debug: Debug = False,
) -> None:
    """Two logistic regressions on the features of made heads; prints how often they are right on other people's."""
    with guarded(debug=debug):
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        train, truths = draw(sorted(labels.glob("a*.nii.gz")), copies=copies, seed=0)
        held, held_truths = draw(sorted(labels.glob("b*.nii.gz")), copies=max(1, copies // 6), seed=1)
        scaler, fitted = StandardScaler().fit(train), {}
        for name, truth in truths.items():
            model = LogisticRegression(C=0.3, max_iter=2000).fit(scaler.transform(train), truth)
            fitted[name] = {
                "mean": _rounded(scaler.mean_),
                "scale": _rounded(scaler.scale_),
                "weights": _rounded(model.coef_[0]),
                "intercept": round(float(model.intercept_[0]), 5),
                "held_out_accuracy": round(float(model.score(scaler.transform(held), held_truths[name])), 4),
            }
        made = {"command": " ".join(["python", "-m", "pipelines.figures.look", *sys.argv[1:]]), "commit": commit()}
        heads = {"heads": len(train), "held_out_heads": len(held)}
        write_whole(output, json.dumps({**made, **heads, **fitted}) + "\n")
    for name in truths:
        typer.echo(f"{name}: right in {fitted[name]['held_out_accuracy']:.1%} of {len(held)} held-out heads")


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 5) for value in values]


if __name__ == "__main__":
    typer.run(fit)
