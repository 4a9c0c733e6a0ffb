"""`python -m pipelines.figures.peer`: our PatchCore and anomalib's, on the same features of the same slices."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from pipelines.bundles import find_bundle
from pipelines.cli.guard import guarded
from pipelines.cli.options import Debug, output
from pipelines.figures.peer_features import HEALTHY, PlantedScan, gather
from pipelines.machine.files import printable, writable_folder, write_whole
from pipelines.machine.provenance import provenance
from pipelines.problems import CommandError

if TYPE_CHECKING:
    from torch import Tensor

    from anomaly.methods.patchcore import PatchCore

_RATIOS = (0.1, 0.25)  # of them that are kept: anomalib's default, and the largest bank of the paper
_NEIGHBOURS = 9  # that weigh anomalib's score of an image: its default
Figures = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What a method says of a volume.

    Args:
        slices: a score for each of its `levels`.
        voxels: scores of the voxels of its body.
        places: distances to the bank, before they become a map.
    """

    slices: list[float]
    voxels: np.ndarray
    places: np.ndarray


def ours(method: PatchCore, scans: Sequence[PlantedScan]) -> list[Scores]:
    """What our PatchCore says: its map, and the score that all methods of a benchmark have."""
    from anomaly.scoring import image_score

    scored = []
    for one in scans:
        score, body = method.judge(one.maps, one.image)["score"][0, 0].numpy(), one.body
        slices = [image_score(score[..., level], body[..., level]) for level in one.levels]
        scored.append(Scores(slices=slices, voxels=score[body], places=method.distances(method.flat(one.maps)).numpy()))
    return scored


def their_model(features: Tensor, *, ratio: float, seed: int) -> Any:
    """anomalib's `PatchcoreModel` with its own coreset of the features; its backbone sees nothing."""
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel
    from monai.utils import set_determinism

    set_determinism(seed)
    model = PatchcoreModel(layers=["layer1"], backbone="resnet18", pre_trained=False, num_neighbors=_NEIGHBOURS).eval()
    model.embedding_store.append(features)
    model.subsample_embedding(ratio)
    return model


def theirs(model: Any, stride: list[int], scans: Sequence[PlantedScan]) -> list[Scores]:
    """What anomalib's model says by its public methods: nearest neighbours, weighted score of an image, map."""
    from anomaly.networks.shapes import crop_as, pad_to_multiple

    scored = []
    for one in scans:
        slices = one.maps[0].movedim(-1, 0)  # (k, channels, *places): a batch of slices, as it takes them
        embedding = model.reshape_embedding(slices)
        distances, nearest = (part.reshape(len(slices), -1) for part in model.nearest_neighbors(embedding, 1))
        scores = model.compute_anomaly_score(distances, nearest, embedding)
        maps = distances.reshape(len(slices), 1, *slices.shape[2:])
        full = model.anomaly_map_generator(maps, pad_to_multiple(one.image, stride).shape[2:4])
        volume = crop_as(full.movedim(0, -1)[None], one.image)[0, 0].numpy()
        places = maps[:, 0].movedim(0, -1).flatten().numpy()
        scored.append(Scores(slices=[float(scores[i]) for i in one.levels], voxels=volume[one.body], places=places))
    return scored


def compare(
    method: PatchCore, features: Tensor, scans: Sequence[PlantedScan], *, ratio: float, seed: int
) -> dict[str, Any]:
    """AUROC of slices and voxels by both, ours less theirs, and how alike the distances are.

    Ours is also asked with anomalib's bank in place of its own, which tells what the choice of the bank does.
    """
    from anomaly.methods.patchcore import PatchCore

    model = their_model(features, ratio=ratio, seed=seed)
    filled, lent = (PatchCore(method.encoder, size=len(model.memory_bank)) for _ in range(2))
    filled.keep(features, seed=seed)
    lent.bank.copy_(model.memory_bank)
    lent.scale.copy_(filled.scale)
    answers_of = {
        "healthytwin": ours(filled, scans),
        "anomalib": theirs(model, method.stride, scans),
        "healthytwin_on_anomalibs_bank": ours(lent, scans),
    }
    groups = {}
    for group in dict.fromkeys(one.planted for one in scans if one.planted != HEALTHY):
        figures = {name: aurocs(scans, answers, group) for name, answers in answers_of.items()}
        groups[group] = {**figures, "difference": _difference(figures["healthytwin"], figures["anomalib"])}
    places = {name: np.concatenate([one.places for one in answers]) for name, answers in answers_of.items()}
    return {
        "ratio": ratio,
        "seed": seed,
        "bank": len(model.memory_bank),
        "planted": groups,
        "spearman_of_distances": _spearman(places["healthytwin"], places["anomalib"]),
        "spearman_on_the_same_bank": _spearman(places["healthytwin_on_anomalibs_bank"], places["anomalib"]),
    }


def aurocs(scans: Sequence[PlantedScan], scored: Sequence[Scores], group: str) -> Figures:
    """AUROC of slices and of the body's voxels, on the healthy volumes and those of one group.

    A slice of a planted volume in which nothing was planted is left out: the encoder sees its neighbours.
    """
    from sklearn.metrics import roc_auc_score

    slices: list[tuple[bool, float]] = []
    voxels: list[tuple[np.ndarray, np.ndarray]] = []
    for one, answer in zip(scans, scored, strict=True):
        if one.planted in (HEALTHY, group):
            ill = [bool(one.truth[..., level].any()) for level in one.levels]
            rows = zip(ill, answer.slices, strict=True)
            slices += [row for row in rows if row[0] or one.planted == HEALTHY]
            voxels.append((one.truth[one.body], answer.voxels))
    truth, scores = (np.concatenate(column) for column in zip(*voxels, strict=True))
    return {
        "slice_auroc": float(roc_auc_score(*zip(*slices, strict=True))),
        "voxel_auroc": float(roc_auc_score(truth, scores)),
    }


def summary(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each ratio and group: the mean of both over the seeds, their difference, and how far seeds alone move ours."""
    rows = []
    for ratio, group in {(run["ratio"], group): None for run in runs for group in run["planted"]}:
        found = [run["planted"][group] for run in runs if run["ratio"] == ratio]
        row: dict[str, Any] = {"ratio": ratio, "planted": group}
        for name in ("healthytwin", "anomalib", "healthytwin_on_anomalibs_bank"):
            row[name] = {key: float(np.mean([one[name][key] for one in found])) for key in found[0][name]}
        row["difference"] = _difference(row["healthytwin"], row["anomalib"])
        row["largest_difference_of_a_seed"] = {
            key: max((one["difference"][key] for one in found), key=abs) for key in row["difference"]
        }
        row["range_of_ours_over_seeds"] = {
            key: float(np.ptp([one["healthytwin"][key] for one in found])) for key in row["difference"]
        }
        rows.append(row)
    return rows


def _difference(one: Figures, other: Figures) -> Figures:
    return {key: one[key] - other[key] for key in one}


def _spearman(one: np.ndarray, other: np.ndarray) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(one, other).statistic)


def peer_anomalib(
    data: Annotated[Path, typer.Argument(metavar="DATALIST", help="Healthy runs under training and validation.")],
    output: Annotated[Path, output("FILE", "JSON file to write.")] = Path("bench/peer-anomalib.json"),
    bundle: Annotated[Path, typer.Option(help="Whose encoder gives the features.")] = Path(
        "bundles/brain_flair_healthy_twin"
    ),
    seeds: Annotated[int, typer.Option(min=1, help="Coresets of both, each from another seed.")] = 3,
    debug: Debug = False,
) -> None:
    """Fill both banks with the same features, let both rank the same slices, and write the difference."""
    with guarded(debug=debug):
        from anomaly.bundle import sha256_of
        from anomaly.methods.anomalib_model import require_anomalib
        from pipelines.terminal.quiet import without_chatter

        try:
            require_anomalib()
        except ImportError as error:
            raise CommandError(str(error)) from error
        root = find_bundle(bundle)
        with without_chatter():
            method, features, scans = gather(root, data)
            settings = [(ratio, seed) for ratio in _RATIOS for seed in range(seeds)]
            runs = [compare(method, features, scans, ratio=ratio, seed=seed) for ratio, seed in settings]
        ill = [(one.planted, bool(one.truth[..., level].any())) for one in scans for level in one.levels]
        groups = dict.fromkeys(one.planted for one in scans)
        rows = summary(runs)
        result = {
            "provenance": provenance(),
            "anomalib": version("anomalib"),
            "torchvision": version("torchvision"),
            "datalist": printable(data),
            "bundle": root.name,
            "weights_sha256": sha256_of(root / "models" / "model.pt"),
            "healthy_features": list(features.shape),
            "slices": {name: sum(a == name and b == (name != HEALTHY) for a, b in ill) for name in groups},
            "summary": rows,
            "runs": runs,
        }
        writable_folder(output.parent)
        write_whole(output, json.dumps(result, indent=2) + "\n")
    for row in rows:
        words = ", ".join(f"{name} {row[name]['slice_auroc']:.3f}" for name in ("healthytwin", "anomalib"))
        typer.echo(f"{row['ratio']:.0%} of the features kept, {row['planted']}: slice AUROC {words}")
    typer.echo(f"written to {output}")


if __name__ == "__main__":
    typer.run(peer_anomalib)
