"""From a folder tree to jobs: what the gate lets through is to be done, what it refuses is quarantined."""

from __future__ import annotations

import errno
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.problems import CommandError
from pipelines.reprocess.ledger.hashes import FileHashes, Stamp, snapshot
from pipelines.reprocess.ledger.ledger import Job
from pipelines.reprocess.ledger.reasons import meaning
from pipelines.reprocess.site import Site
from pipelines.reprocess.source import Root, is_failing

if TYPE_CHECKING:
    from anomaly.finding import BundleId
    from anomaly.scoring import Calibration
    from data_prep import Case
    from data_prep.formats.source import Source

_UNREAD = ("UNREADABLE", "MISSING_FILE")  # codes of what may be there again when the next run looks
_NAME = 12  # characters of a hash that name a case, as for DICOM in `detect`


@dataclass(frozen=True, kw_only=True)
class Model:
    """Which model runs, and with which configuration.

    Args:
        root: the bundle's folder.
        bundle: its name, version and weights.
        configuration: SHA-256 of the site's settings, the bundle's own and the calibration, as far as they decide a
            result.
        calibration: the site's, or the bundle's own.
    """

    root: Path
    bundle: BundleId
    configuration: str
    calibration: Calibration

    @classmethod
    def of(cls, root: Path, site: Site) -> Model:
        """The model of a bundle at a site; raises `BundleError` where its files do not belong together."""
        from anomaly.bundle import bundle_id, load_calibration

        calibration, config = load_calibration(root, site.calibration), root / "configs" / "inference.yaml"
        digest = hashlib.sha256(site.configuration.encode())
        digest.update(config.read_bytes() if config.is_file() else b"")
        digest.update(calibration.deciding.encode())
        bundle = bundle_id(root, calibration)
        return cls(root=root, bundle=bundle, configuration=digest.hexdigest(), calibration=calibration)


@dataclass(frozen=True, kw_only=True)
class Task:
    """A job with its input.

    Args:
        job: what the ledger knows of it.
        case: where the input is; never in the ledger, for paths may name patients.
        stamps: of the input's files, as they were when they were hashed.
        code: why the gate refuses it; "" where it is to be done.
        reason: of the code.
    """

    job: Job
    case: Case
    stamps: tuple[Stamp, ...] = ()
    code: str = ""
    reason: str = ""


class Plan:
    """The tasks that follow from a folder tree.

    Args:
        source: the folder.
        model: that is to run.
        site: which series count.
        hashes: of files.
        root: the source when the run began; None: it is not asked whether it is still there.
    """

    def __init__(self, source: Path, *, model: Model, site: Site, hashes: FileHashes, root: Root | None = None) -> None:
        from pipelines.bundles import is_of_pictures, modalities, sequences

        self.source, self.model, self.site, self.hashes = source, model, site, hashes
        self.modalities = site.series.modalities or modalities(model.root)
        self.sequences = sequences(model.root)
        self.flat = is_of_pictures(model.root)
        self.root, self.unread = root, 0
        self.total: int | None = None  # cases, once all headers are read
        self.skipped: Counter[str] = Counter()
        self.passed_over = ""
        self.keys: set[str] = set()

    @property
    def name(self) -> str:
        """Of the source, as the ledger knows it."""
        return self.hashes.path_key(self.source.resolve())

    def snapshot(self) -> str:
        """What the source looks like now; "" where that cannot be known without reading it."""
        if not self.source.is_dir() or (self.source / "dataset.json").exists():
            return ""
        rules = self.site.series.model_dump_json()
        deciding = [self.model.bundle.model_dump_json(), self.model.configuration, rules, str(self.modalities)]
        try:
            return snapshot([self.source], "\0".join(deciding))
        except OSError:  # a file went while this looked
            self.check_source()
            return ""

    def tasks(self) -> Iterator[Task]:
        """Every task, once for every content; `skipped`, `keys` and `unread` are complete at the end.

        Raises:
            CommandError: the source is not there any more, cannot be looked through, or its datalist is broken.
        """
        try:
            yield from self._tasks()
        except OSError as error:  # a file went while it was looked at
            self.check_source()
            msg = f"the source cannot be looked through: {error.strerror or type(error).__name__}"
            raise CommandError(msg) from error

    def _tasks(self) -> Iterator[Task]:
        from data_prep.find.passed import PassedOver
        from pipelines.detect.cases import gather_cases

        rules = self.site.series
        passed = PassedOver()
        cases, records = gather_cases(
            [self.source],
            allow_gaps=rules.allow_gaps,
            modalities=self.modalities,
            sequences=self.sequences,
            flat=self.flat,
            passed=passed,
        )
        self.passed_over = passed.sentence(named=False)
        for record in records:
            if record.status == "failed":  # the source itself; no case is withdrawn for it
                raise CommandError(f"{record.source}: {record.reason}")
        self.skipped.update(record.code or "" for record in records)
        enough = [case for case in cases if self.flat or not _is_thin(case, rules.min_slices)]
        self.total = len(enough)
        self.skipped.update({"TOO_FEW_SLICES": len(cases) - len(enough)} if len(cases) > len(enough) else {})
        for case in enough:
            task = self._task(case)
            if task is None or task.code in _UNREAD:
                self.unread += 1
                self.check_source()
            if task is None:
                continue
            if task.job.key not in self.keys:
                self.keys.add(task.job.key)
                yield task

    def check_source(self) -> None:
        """Raise `CommandError` where the source is not there any more: no case is to blame then."""
        if self.root is not None and (fault := self.root.fault()):
            raise CommandError(fault)

    def _task(self, case: Case) -> Task | None:
        """The task of a case; None where its disk or share fails."""
        code = case.series.code if case.series is not None else ""
        try:
            content, stamps = self._content(case)
        except OSError as error:
            if is_failing(error):
                return None
            content, stamps, code = self.hashes.path_key(case.image), [], code or "UNREADABLE"
        dicom = case.series is not None and case.series.kind == "dicom"
        name = case.series.name if dicom and case.series is not None else content[:_NAME]
        job = self._job(name=name, content=content, kind=_kind(case))
        case = replace(case, name=name)
        return Task(job=job, case=case, stamps=tuple(sorted(stamps)), code=code, reason=meaning(code) if code else "")

    def _content(self, case: Case) -> tuple[str, list[Stamp]]:
        """The hash of a case's content, and the stamps of its files; raises `OSError`."""
        if case.images:
            return self._of_visit(case)
        if case.series is not None and case.series.stack is not None:
            return self.hashes.stack(case.series.stack)
        sources = _sources(case)
        if not sources:
            raise FileNotFoundError(errno.ENOENT, "too many to list, or none")
        return self.hashes.files(sources)

    def _of_visit(self, case: Case) -> tuple[str, list[Stamp]]:
        """The same of several sequences: which of them is missing counts, too."""
        from data_prep.cases.read import files_at

        parts = {part.image: part for part in case.parts}
        contents, stamps = [], []
        for image in case.images:
            content, files = "", list[Stamp]()
            if image is not None:
                part = parts.get(image)
                content, files = self._content(part) if part else self.hashes.files(files_at(image))
            contents.append(content)
            stamps += files
        return hashlib.sha256(json.dumps(contents).encode()).hexdigest(), stamps

    def _job(self, *, name: str, content: str, kind: str) -> Job:
        bundle = self.model.bundle
        origin = {
            "input": content,
            "volume": name if kind == "dicom" else "",  # a file or series may hold several
            "bundle": bundle.name,
            "version": bundle.version,
            "weights": bundle.weights_sha256,
            "configuration": self.model.configuration,
        }
        return Job(
            key=hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest(),
            name=name,
            input=content,
            kind=kind,
            bundle=bundle.name,
            version=bundle.version,
            weights=bundle.weights_sha256,
            configuration=self.model.configuration,
        )


def _is_thin(case: Case, least: int) -> bool:
    """Is a case known to have fewer slices?"""
    return case.series is not None and bool(case.series.shape) and case.series.shape[-1] < least


def _sources(case: Case) -> tuple[Source, ...]:
    """The files of a case; none where they are too many to list."""
    from data_prep.cases.read import files_at

    return case.series.sources if case.series is not None else files_at(case.image)


def _kind(case: Case) -> str:
    """What the image is: "dicom", a format of the table, or "file"."""
    from data_prep.cases.read import volume_at

    if case.series is not None:
        return case.series.kind
    found = volume_at(case.image)
    return "file" if found is None else found[0].kind
