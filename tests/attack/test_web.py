"""`reprocess` from a DICOMweb service that misbehaves in every way we know, beside series that are well."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from archive import FAMILY_NAME, dicom_series

from tests.attack.evil_web import BEHAVIOURS, Answer, Service, running
from tests.soak.bundle import make_bundle

GOOD = 2
MOST_MIB = 600
SITE = "fetch: {timeout: 2, slowest_kb: 20, object_mb: 50, series_gb: 0.2, series_seconds: 20}\nlimits: {free_gb: 0}\n"
CLI = [sys.executable, "-c", "from pipelines.cli.app import main; main()"]


def peak_mib(process: subprocess.Popen[str], peaks: list[float]) -> None:
    """Follow the peak memory of a process, without its children, while it runs."""
    path = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        try:
            line = next(line for line in path.read_text().splitlines() if line.startswith("VmHWM"))
        except (OSError, StopIteration):
            return
        peaks.append(int(line.split()[1]) / 1024)
        time.sleep(0.05)


@pytest.mark.attack
def test_an_evil_service_stops_nothing(tmp_path: Path) -> None:
    assert len(BEHAVIOURS) >= 12
    service = Service([None, {"0020000E": {"Value": [f"{FAMILY_NAME}^JANE"]}}])
    for number, behaviour in enumerate([Answer.good, *BEHAVIOURS, Answer.good]):
        service.add(behaviour, dicom_series(tmp_path / str(number), seed=number, lesion=True))
    (tmp_path / "site.yaml").write_text(SITE)
    bundle = make_bundle(tmp_path / "bundle")
    with running(service) as url:
        options = ["-o", tmp_path / "archive", "--bundle", bundle, "--site", tmp_path / "site.yaml", "--workers", "1"]
        command = [*CLI, "reprocess", url, *map(str, options), "--json"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        peaks: list[float] = []
        watch = threading.Thread(target=peak_mib, args=(process, peaks))
        watch.start()
        out, error = process.communicate(timeout=300)
        watch.join()
    assert process.returncode == 3, error
    told = json.loads(out)
    assert told["jobs"]["done"] == GOOD == sum(told["jobs"].values())
    assert told["not_fetched"] == len(BEHAVIOURS) + 2, told["not_fetched_why"]
    assert max(peaks) < MOST_MIB
    assert FAMILY_NAME not in out + error
    print(f"{len(BEHAVIOURS)} behaviours: {max(peaks):.0f} MiB, {told['seconds']:.0f} s")
