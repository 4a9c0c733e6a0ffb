"""`python -m pipelines.peer_anomalib`: our PatchCore and anomalib's, on the same features of the same slices."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from pipelines.bundles import find_bundle
from pipelines.console import progress
from pipelines.files import printable, writable_folder, write_whole
from pipelines.problems import CommandError, guarded
from pipelines.provenance import provenance

if TYPE_CHECKING:
    from torch import Tensor

    from anomaly.methods.patchcore import PatchCore

_MOST = 60  # features of each healthy run, drawn at random
_RATIO = 0.1  # of them that are kept: anomalib's default
_NEIGHBOURS = 9  # that weigh anomalib's score of an image: its default
_LEAST_BODY = 0.05  # part of a slice that must be body, to be ranked


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A volume and its features.

    Args:
        image: `(1, 1, i, j, k)` in [0, 1].
        truth: `(i, j, k)` bool, what was planted; nothing in a healthy one.
        maps: `(1, channels, *places, k)`.
    """

    image: Tensor
    truth: np.ndarray
    maps: Tensor


@dataclass
class Told:
    """What a method says of all slices and voxels, in the order of the volumes.

    Args:
        slices: one score for each slice with enough body.
        voxels: scores of the voxels of the body.
        places: distances to the bank, before they become a map.
    """

    slices: list[float]
    voxels: list[np.ndarray]
    places: list[np.ndarray]


def gather(bundle: Path, data: Path, *, copies: int) -> tuple[PatchCore, Tensor, list[Examined]]:
    """Our PatchCore with an empty bank, healthy features to fill it with, and the volumes to examine.

    The bundle's own steps prepare the scans, and plant its held-out families into the validation runs, which also
    come as they are. The test section is not read.

    Args:
        bundle: whose encoder and preparation are taken.
        data: datalist with healthy runs under "training" and "validation".
        copies: planted versions of each validation run.
    """
    import torch
    from monai.bundle import ConfigParser
    from monai.transforms import Compose

    from anomaly import load_detector
    from anomaly.methods.patchcore import PatchCore
    from anomaly.synthesis import PlantAnomalyd
    from data_prep import list_runs

    parser = ConfigParser()
    parser.read_config(bundle / "configs" / "train.yaml")
    steps = [parser.get_parsed_content(part) for part in ("load", "prepare", "region", "crop")]
    prepare = Compose([step for part in steps for step in part])
    draw = {"radius": parser["radius"], "slice_ratio": parser["slice_ratio"], "families": parser["held_out_families"]}
    plant = PlantAnomalyd("image", region_key="region", prob=1.0, seed_keys=["case", "run", "copy"], **draw)
    network: Any = load_detector(bundle, device="cpu").network
    method = PatchCore(network.generator.encoder)
    training, validation = (list_runs(data, section) for section in ("training", "validation"))
    draws, features, examined = torch.Generator().manual_seed(0), [], []
    with progress(len(training) + len(validation), "features") as begin:
        for run in training:
            begin(run["case"])
            found = flat(method.features(_batch(prepare(run)["image"])))
            features.append(found[torch.randperm(len(found), generator=draws)[:_MOST]])
        for run in validation:
            begin(run["case"])
            healthy = prepare(run)
            planted = [plant({**healthy, "copy": copy}) for copy in range(copies)]
            nothing = np.zeros(healthy["image"].shape[1:], dtype=bool)
            for item, truth in [(healthy, nothing), *((item, item["mask"].numpy()[0] > 0) for item in planted)]:
                image = _batch(item["image"])
                examined.append(Examined(image=image, truth=truth, maps=method.features(image)))
    return method, torch.cat(features), examined


def ours(method: PatchCore, features: Tensor, examined: Sequence[Examined], *, seed: int) -> Told:
    """What our PatchCore says: its bank, its map, the score that all methods of a benchmark have."""
    from anomaly.methods.patchcore import PatchCore
    from anomaly.scoring import image_score

    filled = PatchCore(method.encoder, size=int(len(features) * _RATIO))
    filled.keep(features, seed=seed)
    told = Told([], [], [])
    for one in examined:
        score = filled.judge(one.maps, one.image)["score"][0, 0].numpy()
        body = _body(one)
        told.slices += [image_score(score[..., level], body[..., level]) for level in ranked(body)]
        told.voxels.append(score[body])
        told.places.append(filled.distances(flat(one.maps)).numpy())
    return told


def theirs(method: PatchCore, features: Tensor, examined: Sequence[Examined], *, seed: int) -> tuple[Told, Told]:
    """What anomalib's `PatchcoreModel` says by its public methods; and its distances as a map of our making.

    Its coreset, its nearest neighbours, its weighted score of an image, its map. The backbone that it is made with sees
    nothing.
    """
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel
    from monai.utils import set_determinism

    from anomaly.networks.shapes import crop_as, pad_to_multiple

    set_determinism(seed)
    model = PatchcoreModel(layers=["layer1"], backbone="resnet18", pre_trained=False, num_neighbors=_NEIGHBOURS).eval()
    model.embedding_store.append(features)
    model.subsample_embedding(_RATIO)
    told, as_ours = Told([], [], []), Told([], [], [])
    for one in examined:
        body, size = _body(one), pad_to_multiple(one.image, method.stride).shape[2:4]
        slices = one.maps[0].movedim(-1, 0)  # (k, channels, *places): a batch of slices, as it takes them
        embedding = model.reshape_embedding(slices)
        distances, nearest = (part.reshape(len(slices), -1) for part in model.nearest_neighbors(embedding, 1))
        scores = model.compute_anomaly_score(distances, nearest, embedding)
        maps = distances.reshape(len(slices), 1, *slices.shape[2:])
        volume = model.anomaly_map_generator(maps, size).movedim(0, -1)[None]
        told.slices += [float(scores[level]) for level in ranked(body)]
        told.voxels.append(crop_as(volume, one.image)[0, 0].numpy()[body])
        as_ours.voxels.append(method.spread(maps.movedim(0, -1)[None], one.image)[0, 0].numpy()[body])
        told.places.append(maps[:, 0].movedim(0, -1).flatten().numpy())
    return told, as_ours


def compare(method: PatchCore, features: Tensor, examined: Sequence[Examined], *, seed: int) -> dict[str, Any]:
    """AUROC of slices and voxels by both, ours less theirs, and how alike the distances are."""
    from scipy.stats import spearmanr
    from sklearn.metrics import roc_auc_score

    mine = ours(method, features, examined, seed=seed)
    other, as_ours = theirs(method, features, examined, seed=seed)
    ill = [bool(one.truth[..., level].any()) for one in examined for level in ranked(_body(one))]
    truth = np.concatenate([one.truth[_body(one)] for one in examined])

    def by_voxel(told: Told) -> float:
        return float(roc_auc_score(truth, np.concatenate(told.voxels)))

    figures = {
        name: {"slice_auroc": float(roc_auc_score(ill, told.slices)), "voxel_auroc": by_voxel(told)}
        for name, told in (("healthytwin", mine), ("anomalib", other))
    }
    difference = {key: figures["healthytwin"][key] - figures["anomalib"][key] for key in figures["anomalib"]}
    alike = spearmanr(np.concatenate(mine.places), np.concatenate(other.places))
    return {
        "seed": seed,
        **figures,
        "difference": difference,
        "anomalib_distances_mapped_as_ours": {"voxel_auroc": by_voxel(as_ours)},
        "spearman_of_distances": float(alike.statistic),
    }


def ranked(body: np.ndarray) -> Iterator[int]:
    """The slices of `(i, j, k)` bool that hold enough body."""
    return (level for level in range(body.shape[-1]) if body[..., level].mean() >= _LEAST_BODY)


def flat(maps: Tensor) -> Tensor:
    """`(1, channels, *places)` as `(n, channels)`."""
    return maps[0].flatten(1).T


def _batch(image: Tensor) -> Tensor:
    plain: Tensor = image.as_tensor() if hasattr(image, "as_tensor") else image
    return plain[None].float().clamp(0, 1)


def _body(one: Examined) -> np.ndarray:
    from anomaly.scoring import foreground

    return foreground(one.image[0, 0].numpy())


def peer_anomalib(
    data: Annotated[Path, typer.Argument(metavar="DATALIST", help="Healthy runs under training and validation.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="JSON file to write.")] = Path(
        "bench/peer-anomalib.json"
    ),
    bundle: Annotated[Path, typer.Option(help="Whose encoder gives the features.")] = Path(
        "bundles/brain_flair_healthy_twin"
    ),
    copies: Annotated[int, typer.Option(min=1, help="Planted versions of each validation run.")] = 2,
    seeds: Annotated[int, typer.Option(min=1, help="Coresets of both, each from another seed.")] = 3,
    debug: Annotated[bool, typer.Option("--debug", envvar="HEALTHYTWIN_DEBUG", help="Print tracebacks.")] = False,
) -> None:
    """Fill both banks with the same features, let both rank the same slices, and write the difference."""
    with guarded(debug=debug):
        from anomaly.bundle import sha256_of
        from anomaly.methods.anomalib_model import require_anomalib
        from pipelines.quiet import without_chatter

        try:
            require_anomalib()
        except ImportError as error:
            raise CommandError(str(error)) from error
        root = find_bundle(bundle)
        with without_chatter():
            method, features, examined = gather(root, data, copies=copies)
            runs = [compare(method, features, examined, seed=seed) for seed in range(seeds)]
        levels = [one.truth[..., level].any() for one in examined for level in ranked(_body(one))]
        result = {
            "provenance": provenance(),
            "anomalib": version("anomalib"),
            "torchvision": version("torchvision"),
            "datalist": printable(data),
            "bundle": root.name,
            "weights_sha256": sha256_of(root / "models" / "model.pt"),
            "features": {"healthy": len(features), "length": features.shape[1], "bank": int(len(features) * _RATIO)},
            "slices": {"healthy": int(len(levels) - sum(levels)), "planted": int(sum(levels))},
            "runs": runs,
            "largest_difference": {
                key: max(abs(run["difference"][key]) for run in runs) for key in ("slice_auroc", "voxel_auroc")
            },
        }
        writable_folder(output.parent)
        write_whole(output, json.dumps(result, indent=2) + "\n")
    for run in runs:
        typer.echo(f"seed {run['seed']}: ours {run['healthytwin']}, anomalib's {run['anomalib']}")
    typer.echo(f"largest difference {result['largest_difference']}; written to {output}")


if __name__ == "__main__":
    typer.run(peer_anomalib)
