"""`healthytwin reprocess`: a folder tree in, an archive of results out; resumable, every input once."""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.bundles import check_precision, check_trusted, find_bundle, is_of_pictures, modalities
from pipelines.machine.files import writable_folder
from pipelines.outputs.ours import check_apart, check_ours
from pipelines.pacs.fetch import SPOOL, fetch, is_web
from pipelines.problems import CommandError, ExitCode
from pipelines.reprocess.archive.care import release_older, to_make_again
from pipelines.reprocess.archive.deliver import REFUSED, SENT, WAITING, deliver, target_of
from pipelines.reprocess.archive.drift import DriftRecord, drift, keep
from pipelines.reprocess.archive.report import FILE as FILE_OF_REPORT
from pipelines.reprocess.archive.report import Running, write_batch_report
from pipelines.reprocess.archive.store import Store
from pipelines.reprocess.crew.batch import Batch
from pipelines.reprocess.crew.headway import Headway
from pipelines.reprocess.crew.process import AnyWorker, serve
from pipelines.reprocess.crew.settings import Settings, Target
from pipelines.reprocess.ledger.hashes import FileHashes
from pipelines.reprocess.ledger.ledger import FILE, Ledger, State
from pipelines.reprocess.plan import Model, Plan
from pipelines.reprocess.site import Site, load_site
from pipelines.reprocess.source import Root
from pipelines.terminal.progress import waiting

Engine = Literal["local", "ray"]
PAGE_SECONDS = 60.0  # between two pages while a run goes on
ENGINES: tuple[Engine, ...] = ("local", "ray")


@dataclass(frozen=True, kw_only=True)
class Crew:
    """Who works.

    Args:
        count: how many workers.
        target: body of a worker process.
        engine: "local": processes of this machine; "ray": actors.
    """

    count: int
    target: Target = serve
    engine: Engine = "local"


class RefusedRecord(BaseModel):
    """A job that was not done."""

    model_config = ConfigDict(extra="forbid")

    case: str
    key: str
    code: str
    reason: str


class ReprocessRecord(BaseModel):
    """One run of `healthytwin reprocess`. It names no file of the source."""

    model_config = ConfigDict(extra="forbid")

    schema_version: str = "1.0"
    command: str = "reprocess"
    started: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: float = 0.0
    archive: str
    dry_run: bool = False
    bundle: dict[str, str] = Field(default_factory=dict)
    examined: int = Field(default=0, description="done in this run; in a dry run: would be")
    jobs: dict[str, int] = Field(default_factory=dict, description="of this source, by state")
    skipped: dict[str, int] = Field(default_factory=dict, description="not for this bundle, by reason code")
    passed_over: str = Field(default="", description="what was found and not used, in words, where the source was read")
    quarantined: list[RefusedRecord] = Field(default_factory=list)
    not_fetched: int = Field(default=0, description="series that the DICOMweb service did not give in full")
    unread: int = Field(default=0, description="that could not be read for now; the next run tries again")
    not_fetched_why: dict[str, int] = Field(default_factory=dict, description="reasons, and how often")
    drift: DriftRecord | None = Field(default=None, description="of all scans done under this configuration")
    report: str = Field(default="", description="the page; written anew where something was done")
    sent: dict[str, int] = Field(default_factory=dict, description="DICOM objects: sent, refused, waiting")
    send_problem: str = Field(default="", description="why some are waiting")

    @property
    def exit_code(self) -> ExitCode:
        """What the command ends with."""
        if not sum(self.jobs.values()) and not self.unread and not self.not_fetched:
            return ExitCode.NOTHING_FOUND
        done = self.jobs.get(State.DONE.value) == sum(self.jobs.values())
        unsent = self.sent.get(REFUSED, 0) + self.sent.get(WAITING, 0)
        whole = done and not unsent and not self.not_fetched and not self.unread
        return ExitCode.DONE if whole else ExitCode.SOME_FAILED


def reprocess(
    source: str | Path,
    archive: Path,
    *,
    bundle: Path | None = None,
    site: Path | None = None,
    workers: int | None = None,
    dry_run: bool = False,
    debug: bool = False,
    calibration: Path | None = None,
    precision: str | None = None,
    engine: Engine = "local",
    target: Target = serve,
) -> ReprocessRecord:
    """Do every job that follows from a source and is not done yet, and send what is to be sent.

    Args:
        source: a folder tree of DICOM series, NIfTI and NRRD files, or the address of a DICOMweb service.
        archive: the results; its ledger knows what is done.
        bundle: its folder; see `find_bundle`.
        site: the site file; None: defaults.
        workers: processes; None: one for two cores, at least one.
        dry_run: tell what would be done, and do nothing.
        debug: let libraries print; they may name patients.
        calibration: of the site; None: that of the site file, else the bundle's own.
        precision: auto, fp32 or bf16; None: that of the site file; see `anomaly.precision`.
        engine: "local": processes of this machine; "ray": actors of Ray.
        target: body of a worker process.

    Raises:
        CommandError: source, archive, site file or ledger cannot be used.
        BundleError: the bundle is incomplete or its files do not belong together.
    """
    started = time.perf_counter()
    rules = _rules(site, calibration, precision)
    web = is_web(str(source))
    place = archive / SPOOL if web else Path(source)
    if not web:
        _check_place(place, archive)
    model = _model(bundle, rules)
    record = ReprocessRecord(archive=str(archive), dry_run=dry_run, bundle=model.bundle.model_dump())
    with warnings.catch_warnings():
        if not debug:
            warnings.simplefilter("ignore")  # pydicom's warnings hold values of headers
        if web and not dry_run:
            _fetch(record, str(source), archive, model, rules)
        if dry_run:
            _rehearse(record, place, archive, model, rules)
        else:
            count = workers or max(1, (os.cpu_count() or 1) // 2)
            threads = max(1, (os.cpu_count() or 1) // count)
            there = None if web else Root.of(place)
            settings = Settings(
                archive=archive, bundle=model.root, site=rules, threads=threads, debug=debug, source=there
            )
            _work(record, place, model, settings, Crew(count=count, target=target, engine=engine))
    record.seconds = round(time.perf_counter() - started, 3)
    return record


def _model(bundle: Path | None, rules: Site) -> Model:
    root = find_bundle(bundle)
    if rules.trusted_bundles is not None:
        check_trusted(root, rules.trusted_bundles)
    return Model.of(root, rules)


def _rules(site: Path | None, calibration: Path | None, precision: str | None) -> Site:
    """The site file's, with another calibration and precision where one is given."""
    given = {
        "calibration": calibration,
        "precision": None if precision is None else check_precision(precision),
    }
    return load_site(site).model_copy(update={key: value for key, value in given.items() if value is not None})


def _check_place(source: Path, archive: Path) -> None:
    if not source.exists():
        msg = f"{source}: there is no such file or folder"
        raise CommandError(msg)
    check_apart([source], archive)
    if not (archive / FILE).is_file():
        check_ours(archive, [FILE_OF_REPORT])


def _fetch(record: ReprocessRecord, url: str, archive: Path, model: Model, site: Site) -> None:
    """Fetch what a DICOMweb service has for the model, and fill the record in with what did not come."""
    from data_prep.dicom.picture import PICTURE_MODALITIES
    from data_prep.find.discovery import MODALITIES
    from pipelines.pacs.retrieve import Limits
    from pipelines.pacs.web import Bounds

    known = MODALITIES if not is_of_pictures(model.root) else (*PICTURE_MODALITIES, *MODALITIES)
    wanted = site.series.modalities or modalities(model.root) or known
    rules = site.fetch
    answer = Bounds(
        most_bytes=int(rules.series_gb * 1e9),
        seconds=rules.series_seconds,
        grace=rules.timeout,
        slowest=rules.slowest_kb * 1000,
    )
    limits = Limits(object_bytes=int(rules.object_mb * 1e6), answer=answer)
    with waiting("fetching series"):
        spool = writable_folder(archive) / SPOOL
        fetched = fetch(
            url, spool, modalities=wanted, free_gb=site.limits.free_gb, timeout=rules.timeout, limits=limits
        )
    record.not_fetched, record.not_fetched_why = fetched.failed, fetched.reasons


def _work(record: ReprocessRecord, source: Path, model: Model, settings: Settings, crew: Crew) -> None:
    """Do what is to be done, and fill the record in."""
    site = settings.site
    target = target_of(site.send) if site.send is not None else None  # a certificate that is missing is told first
    writable_folder(settings.archive)
    ledger = Ledger.of(settings.archive, site.ledger, wait=site.limits.lock_seconds)
    try:
        store = Store(settings.archive)
        keep(settings.archive, model)
        plan = Plan(source, model=model, site=site, hashes=FileHashes(ledger), root=settings.source)
        if sum(ledger.counts(plan.name).values()):  # else it may well be empty
            plan.check_source()
        looks = plan.snapshot()
        before, skipped = ledger.snapshot(plan.name)
        release_older(ledger)
        again = to_make_again(store, ledger.rows(State.DONE, source=plan.name))
        if not looks or looks != before or again or _open(ledger, plan.name):
            with _engine(settings, crew):
                _do(record, plan, ledger, store, settings, crew, again)
            plan.check_source()
            if plan.unread or record.unread:
                looks = ""  # so that the next run looks again
            ledger.settle(plan.name, looks, plan.keys, plan.skipped)
            skipped = dict(plan.skipped)
        if site.send is not None and target is not None:
            counts, record.send_problem = deliver(
                ledger,
                store,
                target,
                ledger.rows(State.DONE, source=plan.name),
                give_up_after=site.send.give_up_after,
            )
            record.sent = dict(counts)
        record.skipped, record.passed_over = skipped, plan.passed_over
        if record.examined or set(record.sent) - {SENT} or not (settings.archive / FILE_OF_REPORT).is_file():
            write_batch_report(settings.archive, ledger)
        record.report = str(settings.archive / FILE_OF_REPORT)
        record.jobs = ledger.counts(plan.name)
        record.drift = drift(model.calibration, ledger.rows(State.DONE), model.configuration)
        rows = ledger.rows(State.QUARANTINED, source=plan.name)
        record.quarantined = [
            RefusedRecord(case=row["name"], key=row["key"], code=row["code"], reason=row["reason"]) for row in rows
        ]
    finally:
        ledger.close()


def _open(ledger: Ledger, source: str) -> bool:
    """Is anything of a source still to be done?"""
    counts = ledger.counts(source)
    return any(counts[state.value] for state in (State.PENDING, State.RUNNING, State.WITHDRAWN))


def _engine(settings: Settings, crew: Crew) -> AbstractContextManager[None]:
    """What the workers need around them."""
    if crew.engine == "local":
        return nullcontext()
    from pipelines.reprocess.crew.actors import cluster

    return cluster(settings, crew.count)


def _do(
    record: ReprocessRecord,
    plan: Plan,
    ledger: Ledger,
    store: Store,
    settings: Settings,
    crew: Crew,
    again: Collection[str],
) -> None:
    start: Callable[[Settings], AnyWorker] | None = None
    if crew.engine == "ray":
        from pipelines.reprocess.crew.actors import RayWorker

        start = RayWorker
    headway = Headway(lambda: plan.total, lambda: batch.current)
    page = _PageWhileRunning(settings.archive, ledger, plan, headway)

    def on_tick(elsewhere: int) -> None:
        headway.draw(elsewhere)
        page.write_now_and_then()

    batch = Batch(
        ledger,
        store,
        settings,
        workers=crew.count,
        target=crew.target,
        start=start,
        on_news=headway.note,
        on_tick=on_tick,
        again=again,
    )
    with headway.shown():
        before = ledger.counts()[State.DONE.value]
        batch.watch.take_over()
        _sweep(ledger, store)
        batch.run(plan.tasks())
        _sweep(ledger, store)
        record.unread = len(batch.unread) + plan.unread
        reopened = len(again) - len(batch.again)
        record.examined = ledger.counts()[State.DONE.value] - before + reopened


class _PageWhileRunning:
    """Writes the archive's page now and then while a run goes on, so that a person sees how far it is."""

    def __init__(self, archive: Path, ledger: Ledger, plan: Plan, headway: Headway) -> None:
        self._archive, self._ledger, self._plan, self._headway = archive, ledger, plan, headway
        self._written = time.monotonic()

    def write_now_and_then(self) -> None:
        """Write it where a minute has passed; at the end of the run it is written anew, and faults are told then."""
        if time.monotonic() - self._written < PAGE_SECONDS:
            return
        running = Running(total=self._plan.total, left=self._headway.seconds_left, skipped=self._plan.skipped)
        with suppress(CommandError):
            write_batch_report(self._archive, self._ledger, running=running)
        self._written = time.monotonic()


def _sweep(ledger: Ledger, store: Store) -> None:
    """Remove what killed workers left; folders are listed before leases, so that none is younger than they are."""
    names = store.partials()
    store.sweep(names, ledger.leases())


def _rehearse(record: ReprocessRecord, source: Path, archive: Path, model: Model, site: Site) -> None:
    """Fill the record in with what would be done. Only hashes of files are noted, where there is a ledger."""
    with tempfile.TemporaryDirectory(prefix="healthytwin-") as scratch:
        there = site.ledger is not None or (archive / FILE).is_file()
        ledger = Ledger.of(archive if there else Path(scratch), site.ledger, wait=site.limits.lock_seconds)
        plan = Plan(source, model=model, site=site, hashes=FileHashes(ledger))
        states: Counter[str] = Counter({state.value: 0 for state in State})
        for task in plan.tasks():
            state = ledger.states([task.job.key]).get(task.job.key, State.PENDING)
            if task.code and state in (State.PENDING, State.WITHDRAWN):
                state = State.QUARANTINED
                refused = RefusedRecord(case=task.job.name, key=task.job.key, code=task.code, reason=task.reason)
                record.quarantined.append(refused)
            states[state.value] += 1
        record.jobs, record.skipped = dict(states), dict(plan.skipped)
        record.passed_over = plan.passed_over
        record.examined = states[State.PENDING.value] + states[State.WITHDRAWN.value]
        ledger.close()
