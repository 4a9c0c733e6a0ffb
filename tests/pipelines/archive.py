"""What the tests of the hospital batch share: named patients, jobs, a worker of this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bright import AFFINE, BrightIsAbnormal, head

from anomaly.finding import BundleId
from data_prep.demo.dicom import write_series
from data_prep.demo.render import Scan
from pipelines.reprocess.archive.store import Store
from pipelines.reprocess.crew.leased_case import Outcome
from pipelines.reprocess.crew.worker import Worker
from pipelines.reprocess.ledger.hashes import FileHashes
from pipelines.reprocess.ledger.ledger import Job, Lease, Ledger, State
from pipelines.reprocess.plan import Model, Plan, Task
from pipelines.reprocess.site import Site
from pipelines.reprocess.source import Root

FAMILY_NAME = "ZAPHODSON"  # occurs in no word of ours


def dicom_series(folder: Path, *, lesion: bool = False, seed: int = 0, patient: str = f"{FAMILY_NAME}^JANE") -> Path:
    """A small DICOM series."""
    array = head(lesion=lesion, shape=(40, 48, 10)).astype(np.uint16)
    write_series(Scan(array=array, mask=array, affine=AFFINE), folder, patient=patient, seed=seed)
    return folder


def job(key: str = "a") -> Job:
    told = {"name": key, "input": key * 64, "kind": "nifti", "bundle": "b", "version": "1", "weights": "w"}
    return Job(key=key * 64, configuration="c", **told)


def claimed(ledger: Ledger, key: str = "a", owner: str = "one") -> Lease:
    lease = ledger.claim(key * 64, owner)
    assert lease is not None
    return lease


def state(ledger: Ledger, key: str = "a") -> State:
    return ledger.states([key * 64])[key * 64]


class Clock:
    """Seconds that the test lets pass."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    """An archive and a worker of this process."""

    archive: Path
    ledger: Ledger
    root: Path
    site: Site

    def plan(self, source: Path, **bundle: Any) -> Plan:
        told = {"name": "bright", "version": "0.1.0", "weights_sha256": BrightIsAbnormal.calibration.weights_sha256}
        model = Model(
            root=self.root,
            bundle=BundleId(**{**told, **bundle}),
            configuration=self.site.configuration,
            calibration=BrightIsAbnormal.calibration,
        )
        return Plan(source, model=model, site=self.site, hashes=FileHashes(self.ledger))

    def worker(
        self,
        detector: Any = None,
        on_stage: Callable[[str], None] = lambda _: None,
        source: Root | None = None,
    ) -> Worker:
        detector = detector or BrightIsAbnormal()
        return Worker(
            ledger=self.ledger,
            store=Store(self.archive),
            site=self.site,
            detector=detector,
            on_stage=on_stage,
            source=source,
        )

    def enter(self, source: Path) -> list[Task]:
        tasks = list(self.plan(source).tasks())
        return [t for t in tasks if self.ledger.enter(t.job, code=t.code, reason=t.reason) is State.PENDING]

    def work(self, source: Path) -> list[Outcome]:
        worker = self.worker()
        return [worker.run(task) for task in self.enter(source)]
