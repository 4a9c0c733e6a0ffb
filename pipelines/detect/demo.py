"""`healthytwin demo`: the main job on a cohort that is made on the spot; no data, no network."""

from __future__ import annotations

import time
from pathlib import Path

from pipelines.bundles import find_bundle
from pipelines.detect.run import finish, run_cases
from pipelines.machine.files import writable_folder
from pipelines.record import CaseRecord, RunRecord
from pipelines.report.result import Result
from pipelines.terminal.progress import waiting


def summary(run: RunRecord) -> str:
    """What became of the planted lesions and of the healthy heads, in a sentence."""
    truths = [case.truth for case in run.cases if case.truth is not None]
    outcomes = [lesion.outcome for truth in truths for lesion in truth.lesions]
    healthy = [truth for truth in truths if truth.dice is None]
    missed, alarms = outcomes.count("missed"), sum(truth.mask_ml > 0 for truth in healthy)
    heads = f"{len(healthy)} healthy head{'' if len(healthy) == 1 else 's'}"
    alarmed = f"false alarms in {alarms} of {heads}" if alarms else f"no false alarm in {heads}"
    return f"{len(outcomes) - missed} of {len(outcomes)} planted lesions found, {alarmed}."


def _rank(case: CaseRecord) -> int:
    """Lesions that were outlined come first, then those outlined in part, then the rest."""
    outcomes = [lesion.outcome for lesion in case.truth.lesions] if case.truth is not None else []
    return next((rank for rank, outcome in enumerate(("outlined", "partly outlined")) if outcome in outcomes), 2)


def demo(output: Path, *, bundle: Path | None = None, seed: int = 0) -> RunRecord:
    """Make the demo cohort, examine its test cases and compare with the planted lesions.

    Args:
        output: folder for the cohort (`cohort/`) and for what `detect` writes.
        bundle: its folder; see `find_bundle`.
        seed: of the cohort.

    Raises:
        CommandError: the output cannot be written, or there is no bundle.
        BundleError: the bundle is incomplete.
    """
    started = time.perf_counter()
    run, results = examine_cohort(output, bundle=bundle, seed=seed)
    return finish(run, results, started=started, title="Demo: heads made from the MNI152 template")


def examine_cohort(output: Path, *, bundle: Path | None = None, seed: int = 0) -> tuple[RunRecord, list[Result]]:
    """Make the demo cohort and examine it, as of `demo`; lesions that were outlined come first."""
    from data_prep import list_cases
    from data_prep.demo import make_cohort

    root = find_bundle(bundle)
    writable_folder(output)
    with waiting("making the demo cohort"):
        datalist = make_cohort(output / "cohort", seed=seed)
    cases = list_cases(datalist, "test")
    run = RunRecord(command="demo", output=str(output))
    results = run_cases(run, cases, root, device=None, pictures=True, truths=True)
    results.sort(key=lambda result: _rank(result.record))  # the report opens with a case that shows what it does
    return run, results
