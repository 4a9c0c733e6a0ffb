"""`healthytwin demo`: the main job on a cohort that is made on the spot; no data, no network."""

from __future__ import annotations

import time
from pathlib import Path

from pipelines.bundles import find_bundle
from pipelines.detect.run import finish, run_cases
from pipelines.machine.files import writable_folder
from pipelines.record import RunRecord
from pipelines.terminal.progress import waiting


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
    from data_prep import list_cases
    from data_prep.demo import make_cohort

    started = time.perf_counter()
    root = find_bundle(bundle)
    writable_folder(output)
    with waiting("making the demo cohort"):
        datalist = make_cohort(output / "cohort", seed=seed)
    cases = list_cases(datalist, "test")
    run = RunRecord(command="demo", output=str(output))
    results = run_cases(run, cases, root, device=None, pictures=True, truths=True)
    return finish(run, results, started=started, title="Demo: heads made from the MNI152 template")
