"""What people do with an archive besides filling it: look, release, export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from data_prep.files import atomically
from pipelines.outputs.ours import check_ours
from pipelines.problems import CommandError
from pipelines.reprocess.archive import care
from pipelines.reprocess.archive.drift import drift, kept, latest
from pipelines.reprocess.archive.store import Store
from pipelines.reprocess.ledger.ledger import FILE, Ledger, Row, State
from pipelines.reprocess.ledger.reasons import is_final, remedy
from pipelines.reprocess.site import load_site

_WHAT = ("key", "case", "kind", "input", "bundle", "version", "weights", "configuration")
_IMAGE = ("sequence", "voxel_mm", "slices")
_HOW = ("state", "attempts", "code", "reason", "changed", "seconds")
_RESULT = ("score", "p_value", "abnormal", "lesions", "volume_ml", "flags", "appearance", "outputs", "timings")
_COLUMNS = (*_WHAT, *_IMAGE, *_HOW, *_RESULT)


def open_ledger(archive: Path, site: Path | None) -> Ledger:
    """The ledger of an archive that is there.

    Raises:
        CommandError: there is none.
    """
    rules = load_site(site)
    if rules.ledger is None and not (archive / FILE).is_file():
        msg = f"{archive}: there is no {FILE} in it; name the folder that `healthytwin reprocess -o` made"
        raise CommandError(msg)
    return Ledger.of(archive, rules.ledger, wait=rules.limits.lock_seconds)


def progress(archive: Path, *, site: Path | None = None) -> tuple[dict[str, int], list[Row]]:
    """Counts by state, and the jobs that are being worked on: all that changes from second to second."""
    ledger = open_ledger(archive, site)
    found = ledger.counts(), ledger.rows(State.RUNNING)
    ledger.close()
    return found


def status(archive: Path, *, site: Path | None = None) -> dict[str, Any]:
    """Counts by state, the jobs that are being worked on, and `drift` of what the last configuration has done."""
    ledger = open_ledger(archive, site)
    running = [_named(row, "case", "key", "attempts", "owner", "changed") for row in ledger.rows(State.RUNNING)]
    found = {"archive": str(archive), "jobs": ledger.counts(), "running": running}
    done = ledger.rows(State.DONE)
    ledger.close()
    configuration = latest(done)
    if calibration := kept(archive, configuration):
        found["drift"] = drift(calibration, done, configuration).model_dump()
    return found


def verify(archive: Path, *, site: Path | None = None) -> care.VerifyRecord:
    """What of the outputs of finished jobs is missing or changed; see `care.verify`."""
    ledger = open_ledger(archive, site)
    done = ledger.rows(State.DONE)
    ledger.close()
    return care.VerifyRecord(archive=str(archive), jobs=len(done), faults=care.verify(Store(archive), done))


def where(archive: Path, cases: list[str], *, site: Path | None = None) -> list[Row]:
    """Which study and series cases come from; see `care.where`."""
    ledger = open_ledger(archive, site)
    try:
        return care.where(ledger, cases)
    finally:
        ledger.close()


def quarantined(archive: Path, *, site: Path | None = None) -> list[Row]:
    """The quarantined jobs: case, key, code, reason, suggested fix, attempts."""
    ledger = open_ledger(archive, site)
    rows = [_named(row, "case", "key", *_IMAGE, "code", "reason", "attempts") for row in ledger.rows(State.QUARANTINED)]
    ledger.close()
    return [{**row, "remedy": remedy(row["code"])} for row in rows]


def report(archive: Path, *, output: Path | None = None, cases: int, site: Path | None = None) -> Path:
    """Write the page of an archive; see `write_batch_report`."""
    from pipelines.reprocess.archive.report import write_batch_report

    if output is not None:
        check_ours(output.parent, [output.name])
    ledger = open_ledger(archive, site)
    path = write_batch_report(archive, ledger, output=output, cases=cases)
    ledger.close()
    return path


def release(archive: Path, cases: list[str] | None, *, site: Path | None = None, passing_only: bool = False) -> int:
    """Let quarantined jobs be tried again.

    Args:
        archive: its folder.
        cases: their names, or beginnings of keys; None: all.
        site: the site file.
        passing_only: only those whose reason may have passed.

    Raises:
        CommandError: a case is named that is not in quarantine.
    """
    ledger = open_ledger(archive, site)
    rows = ledger.rows(State.QUARANTINED, keys=cases)
    for case in cases or ():
        if not any(case == row["name"] or row["key"].startswith(case) for row in rows):
            msg = f"{case}: no such case in the quarantine of {archive}"
            raise CommandError(msg)
    number = ledger.release([row for row in rows if not (passing_only and is_final(row["code"]))])
    ledger.close()
    return number


def export(archive: Path, output: Path, *, site: Path | None = None) -> int:
    """Write all jobs to a CSV or Parquet file; how many.

    Raises:
        CommandError: another kind of file, or it cannot be written.
    """
    if output.suffix not in (".csv", ".parquet"):
        msg = f"{output}: the name must end in .csv or .parquet"
        raise CommandError(msg)
    check_ours(output.parent, [output.name])
    ledger = open_ledger(archive, site)
    rows = [_named(row, *_COLUMNS) for row in ledger.rows()]
    ledger.close()
    for row in rows:
        row.update(
            {
                name: json.dumps(row[name])
                for name in ("flags", "appearance", "outputs", "timings")
                if row[name] is not None
            }
        )
    try:
        with atomically(output) as partial:
            _write_table(rows, partial, csv=output.suffix == ".csv")
    except OSError as error:
        msg = f"{output}: cannot be written: {error.strerror or error}"
        raise CommandError(msg) from error
    return len(rows)


def _write_table(rows: list[Row], path: Path, *, csv: bool) -> None:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    kinds = {"attempts": pa.int64(), "slices": pa.int64(), "lesions": pa.int64(), "abnormal": pa.bool_()}
    kinds |= dict.fromkeys(("seconds", "score", "p_value", "volume_ml"), pa.float64())
    table = pa.Table.from_pylist(rows, schema=pa.schema([(name, kinds.get(name, pa.string())) for name in _COLUMNS]))
    if csv:
        pyarrow.csv.write_csv(table, path)
    else:
        pyarrow.parquet.write_table(table, path)


def _named(row: Row, *names: str) -> Row:
    return {name: row["name" if name == "case" else name] for name in names}
