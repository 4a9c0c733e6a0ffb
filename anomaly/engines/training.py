"""Training that a person can follow, stop and take up again: seeds by epoch, resumption, watchers, pictures."""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events

from anomaly.files import atomically
from anomaly.method import TWIN, as_method

_logger = logging.getLogger(__name__)


class EpochSeed:
    """Seed every source of randomness at the start of each epoch, by the seed and the epoch's number.

    Processes that train together draw differently. What an epoch draws then depends on nothing before
    it, so that a training which is taken up again ends as one that never stopped, up to rounding.

    Args:
        seed: of the training.
        dataset: whose random transforms draw; a `ConcatDataset`'s parts each do.
        sampler: with a `generator`, or None.
    """

    def __init__(self, seed: int, dataset: Any, sampler: Any = None) -> None:
        self.seed, self.dataset, self.sampler = seed, dataset, sampler

    def attach(self, engine: Engine) -> None:
        """Register with a trainer."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Begin an epoch."""
        loader: Any = engine.state.dataloader
        engine.set_data(loader)  # a new iterator: making one draws a number, which must come before the seed
        seed = (self.seed * 1_000_003 + engine.state.epoch + 7919 * idist.get_rank()) % 2**31
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        for number, dataset in enumerate(getattr(self.dataset, "datasets", [self.dataset])):
            dataset.transform.set_random_state(seed=seed + number)
        if getattr(self.sampler, "generator", None) is not None:
            self.sampler.generator.manual_seed(seed)


class Resumption:
    """Write all that a training needs to go on, after every epoch; read it again.

    Of several processes, the first writes and all read.

    Attach it last, after the validation.

    Args:
        path: the file; replaced in one step.
        objects: what has a `state_dict`, by name.
        evaluator: whose best metric is to be remembered, or None.
    """

    def __init__(self, path: str | Path, objects: Mapping[str, Any], evaluator: Engine | None = None) -> None:
        self.path, self.objects, self.evaluator = Path(path), dict(objects), evaluator

    def attach(self, engine: Engine) -> None:
        """Register with a trainer."""
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._save)
        engine.add_event_handler(Events.COMPLETED, self._end)

    def restore(self, engine: Engine) -> int:
        """Bring everything back; without a file nothing happens.

        Returns:
            The epoch after which the training goes on; 0: from its start.
        """
        if not self.path.is_file():
            return 0
        state = torch.load(self.path, map_location="cpu", weights_only=True)
        for name, thing in self.objects.items():
            thing.load_state_dict(state["objects"][name])
        engine.state.epoch = state["epoch"]
        engine.state.iteration = state["iteration"]
        if self.evaluator is not None:
            vars(self.evaluator.state).update(state["best"])
        _logger.info("going on after epoch %d, from %s", state["epoch"], self.path)
        return int(state["epoch"])

    def _save(self, engine: Engine) -> None:
        if idist.get_rank() > 0:
            return
        best = {} if self.evaluator is None else {name: getattr(self.evaluator.state, name) for name in _BEST}
        state = {
            "objects": {name: thing.state_dict() for name, thing in self.objects.items()},
            "epoch": engine.state.epoch,
            "iteration": engine.state.iteration,
            "best": best,
        }
        with atomically(self.path) as partial, partial.open("wb") as stream:
            torch.save(state, stream)

    def _end(self, _: Engine) -> None:
        if idist.get_rank() == 0:
            self.path.unlink(missing_ok=True)


_BEST = ("best_metric", "best_metric_epoch")


class CollapseWatcher:
    """Say in words when the mask or the discriminator stops saying anything.

    Looks at the mean over the last steps, once an epoch. A warning is logged and kept in `warnings`.

    Args:
        steps: how many of the last steps count.
        least_contrast: M under the planted mask minus M beside it; below it, the mask is the same everywhere.
        least_discriminator_loss: below it the discriminator is never wrong, and the generator learns nothing of it.
    """

    def __init__(
        self, *, steps: int = 50, least_contrast: float = 0.05, least_discriminator_loss: float = 0.005
    ) -> None:
        self.least_contrast, self.least_discriminator_loss = least_contrast, least_discriminator_loss
        self.recent: deque[tuple[float, float, float]] = deque(maxlen=steps)
        self.warnings: list[str] = []

    def attach(self, engine: Engine) -> None:
        """Register with a `HealthyTwinTrainer`."""
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._look)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._tell)

    def _look(self, engine: Engine) -> None:
        output: Any = engine.state.output
        truth, pred = output["mask"] > 0.5, output["pred"]
        inside = float(pred[truth].mean()) if truth.any() else float("nan")
        self.recent.append((inside, float(pred[~truth].mean()), output["discriminator_loss"]))

    def _tell(self, engine: Engine) -> None:
        values = np.array(self.recent)
        if np.isnan(values[:, 0]).all():
            return
        inside, beside, judge = np.nanmean(values, axis=0)
        if inside - beside < self.least_contrast:
            level = "everything is called abnormal" if beside > 0.5 else "nothing is called abnormal"
            self._warn(
                engine,
                f"the mask says the same everywhere ({inside:.3f} under planted anomalies, {beside:.3f} "
                f"beside them): {level}; a higher learning rate or larger, stronger anomalies may help",
            )
        if judge < self.least_discriminator_loss:
            self._warn(
                engine,
                f"the discriminator is never wrong (loss {judge:.4f}), so the composite learns nothing "
                "of it; a lower rate of its optimiser or a lower adversarial weight may help",
            )

    def _warn(self, engine: Engine, words: str) -> None:
        self.warnings.append(words)
        _logger.warning("epoch %d: %s", engine.state.epoch, words)


class TrainingPictures:
    """Draw image, M, truth and, where the method has one, twin of the first cases of each validation.

    They are `epoch_0001.png` and so on.

    Args:
        folder: where to draw; made if it is not there.
        network: whose twin is drawn; the evaluator's own where None.
        cases: how many are drawn.
    """

    def __init__(self, folder: str | Path, network: Any = None, *, cases: int = 4) -> None:
        self.folder, self.network, self.cases = Path(folder), network, cases

    def attach(self, engine: Engine) -> None:
        """Register with an `AnomalyEvaluator`."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.COMPLETED, self._draw)

    def _start(self, _: Engine) -> None:
        self.rows: list[dict[str, Any]] = []

    def _collect(self, engine: Any) -> None:
        output = engine.state.output
        result = output[0] if isinstance(output, list) else {key: value[0] for key, value in output.items()}
        if len(self.rows) >= self.cases or "mask" not in result:
            return
        network = self.network if self.network is not None else engine.network
        image = torch.as_tensor(result["image"])[None].to(engine.state.device)
        with torch.inference_mode():
            twin = as_method(network).examine(image).get(TWIN)
        level = int(torch.as_tensor(result["mask"])[0].sum(dim=(0, 1)).argmax())
        maps = {
            "image": result["image"],
            **({} if twin is None else {"twin": twin[0]}),
            "M": result["pred"],
            "planted": result["mask"],
        }
        self.rows.append(
            {title: torch.as_tensor(one)[0, ..., level].float().cpu().numpy() for title, one in maps.items()}
        )

    def _draw(self, engine: Engine) -> None:
        if not self.rows:
            return
        from matplotlib.figure import Figure

        columns = len(self.rows[0])
        figure = Figure(figsize=(2 * columns, 2 * len(self.rows)), layout="constrained")
        axes = figure.subplots(len(self.rows), columns, squeeze=False)
        for places, row in zip(axes, self.rows, strict=True):
            for place, (title, picture) in zip(places, row.items(), strict=True):
                place.imshow(picture.T, cmap="gray", vmin=0, vmax=1, origin="lower")
                place.set_axis_off()
                place.set_title(title, fontsize=8)
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomically(self.folder / f"epoch_{engine.state.epoch:04d}.png") as partial:
            figure.savefig(partial, dpi=90)
