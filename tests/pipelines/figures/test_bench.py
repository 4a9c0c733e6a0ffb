"""The benchmark of inference time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from bright import head, write_nifti

from pipelines.bundles import load
from pipelines.figures.inference import head_volume, measure, summary


def test_every_step_is_timed_the_same_number_of_times(identity_bundle: Path) -> None:
    detector = load(identity_bundle, device="cpu")
    seconds = measure(detector, head_volume(shape=(32, 32, 8)), repeats=2)
    assert list(seconds) == ["network_source", "network_prepared", "examine", "files"]
    assert all(len(values) == 2 and min(values) > 0 for values in seconds.values())
    assert min(seconds["examine"]) > max(seconds["network_prepared"])  # an identity network costs nothing


def test_ratios_are_of_medians() -> None:
    seconds = {"network_source": [1.0, 9.0, 2.0], "network_prepared": [0.5] * 3, "examine": [3.0] * 3, "files": [4.0]}
    told = summary(seconds)
    assert told["examine_over_network_source"] == pytest.approx(1.5)
    assert told["examine_over_network_prepared"] == pytest.approx(6)
    assert told["files_over_network_source"] == pytest.approx(2)
    assert told["range_s"]["network_source"] == [1, 9]
    assert told["command"].startswith("python -m pipelines.figures.inference")


def test_the_peak_of_memory_sees_what_was_used() -> None:
    import numpy as np

    from pipelines.figures.large_volume import large_volume
    from pipelines.machine.peak_memory import peak_mib

    before = peak_mib()
    held = np.ones((before + 300, 2**20), dtype=np.uint8)
    assert peak_mib() > before + 200
    assert held[-1, -1] == 1
    volume = large_volume((32, 32, 10))
    assert volume.array.shape == (32, 32, 10)
    assert volume.array.max() > 250


def test_voxels_are_counted_part_by_part_and_agree_with_scikit_learn(tmp_path: Path) -> None:
    """In a process of its own, whose memory nothing else has grown; at once, the voxels would take 100 MiB."""
    program = (
        "from pathlib import Path; from pipelines.figures import voxels as bench; "
        "bench.PART, bench.COMPARED = 100_000, 1_000_000; "
        f"bench.bench_voxels(20_000_000, Path({str(tmp_path / 'voxels.json')!r}), debug=True)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=300)
    told = json.loads((tmp_path / "voxels.json").read_text())
    assert [run["voxels"] for run in told["runs"]] == [1_000_000, 2_000_000, 20_000_000]
    assert max(run["grown_mib"] for run in told["runs"]) < 40
    assert told["scikit_learn"]["difference"] <= 0.002
    assert 0.1 < told["scikit_learn"]["average_precision"] < 0.9


def test_a_second_run_of_an_archive_is_timed_as_the_command(identity_bundle: Path, tmp_path: Path) -> None:
    from pipelines.figures.rerun import bench_rerun

    bench_rerun(3, 1, identity_bundle, tmp_path / "rerun.json", debug=True)
    told = json.loads((tmp_path / "rerun.json").read_text())
    assert (told["jobs"]["done"], told["runs"][0]["jobs"], told["runs"][0]["examined"]) == (3, 3, 0)
    assert told["slowest_seconds"] > 0


def test_a_run_that_is_not_free_is_no_second_run(tmp_path: Path) -> None:
    from pipelines.figures.rerun import measure_rerun

    with pytest.raises(RuntimeError, match="exit code 2"):
        measure_rerun(tmp_path / "no", tmp_path / "archive", bundle=tmp_path, site=tmp_path / "site.yaml")


def test_reprocess_is_timed_against_its_parts_and_writes_what_they_write(identity_bundle: Path, tmp_path: Path) -> None:
    from pipelines.figures.reprocess import bare, make_archive, summary, time_reprocess

    write_nifti(tmp_path / "head.nii.gz", head(lesion=True))
    make_archive([tmp_path / "head.nii.gz"], tmp_path / "source", 4)
    bare(tmp_path / "source", tmp_path / "bare", identity_bundle)
    seconds, memory = time_reprocess(tmp_path / "source", tmp_path / "archive", identity_bundle)
    written = {frozenset(path.name for path in case.iterdir()) for case in (tmp_path / "bare").iterdir()}
    published = {
        frozenset(path.name for path in case.iterdir() if path.name != "job.json")
        for case in (tmp_path / "archive" / "cases").iterdir()
    }
    assert len(written) == 4
    assert written == published
    told = summary(4, 2 * seconds, seconds, memory)
    assert told["rate_over_bare"] == pytest.approx(2)
    assert list(told["peak_pss_mib"]) == list(told["peak_pss_mib_of_quarter"]) == ["1", "2", "3", "4"]
    assert told["peak_pss_mib"]["4"] == max(told["peak_pss_mib_of_quarter"].values()) > 100
    alone = summary(4, None, seconds, memory)
    assert alone["peak_pss_mib"] == told["peak_pss_mib"]
    assert "rate_over_bare" not in alone


def test_scans_of_all_sizes_are_chosen_and_the_largest_always(tmp_path: Path) -> None:
    from pipelines.figures.reprocess import choose, most_different

    slices = [7, 3, 12, 5, 9, 4, 6]
    images = [tmp_path / f"{number}.nii.gz" for number in range(len(slices))]
    for image, number in zip(images, slices, strict=True):
        write_nifti(image, head(shape=(16, 16, number)))
    assert choose(images, 1) == [images[2]]
    assert choose(images, 2) == [images[1], images[2]]
    assert choose(images, 3) == [images[1], images[2], images[6]]
    assert choose(images, 7) == choose(images, 99) == images
    assert [most_different(volumes) for volumes in (4, 12, 24, 200)] == [1, 1, 4, 48]


def test_more_scans_than_the_first_quarter_holds_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipelines.figures.reprocess import bench_reprocess

    write_nifti(tmp_path / "head.nii.gz", head())
    with pytest.raises(typer.Exit, match="2"):
        bench_reprocess(tmp_path, 24, 5)
    assert "at most 4 fit in the first quarter of 24" in capsys.readouterr().err


def test_the_peak_of_a_part_is_that_of_its_looks_alone() -> None:
    from pipelines.figures.process_tree import TreeMemory

    memory = TreeMemory(0, lambda: 0, pause=60)
    memory.looks = [(0, 5.0), (1, 9.0), (2, 3.0), (3, 7.0)]
    memory.end()
    assert [memory.peak(until) for until in (0, 1, 3)] == [5, 9, 9]
    assert [memory.peak(3, after=after) for after in (-1, 1, 3)] == [9, 7, 0]


def test_memory_is_that_of_the_whole_tree() -> None:
    from pipelines.figures.process_tree import TreeMemory, tree

    program = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'held = bytes(10**8) + b\"1\"; input()'])"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as parent:
        done = iter(range(10**6))
        memory = TreeMemory(parent.pid, lambda: next(done), pause=0.05)
        ends = time.monotonic() + 60
        while memory.peak(10**6) < 95 and time.monotonic() < ends:
            time.sleep(0.05)
        assert len(tree(parent.pid)) == 2
        memory.end()
        parent.communicate()
    assert memory.peak(10**6) > 95
    assert memory.peak(-1) == 0


def test_a_search_takes_longer_the_more_steps_it_has(
    identity_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from pipelines.benchmark.settings import QUICK
    from pipelines.figures import search as bench

    short = replace(QUICK, iterations=2, gan_channels=(16, 16, 16, 16))
    monkeypatch.setattr(bench, "SETTINGS", (short, replace(short, name="long", iterations=40)))
    scan = write_nifti(tmp_path / "scan.nii.gz", head())
    bench.bench_search(scan, 2, 1, identity_bundle, tmp_path / "search.json", debug=True)
    told = json.loads((tmp_path / "search.json").read_text())
    assert [row["iterations"] for row in told["anogan"]] == [2, 40]
    few, many = (row["seconds"] for row in told["anogan"])
    assert many > 3 * few
    assert bench.row_of(short, 30.0, 0.2)["over_healthy_twin"] == pytest.approx(150)
    assert told["shape"][2] == 2


def test_a_scan_with_too_few_slices_for_the_search_is_named(identity_bundle: Path, tmp_path: Path) -> None:
    import typer

    from pipelines.figures.search import bench_search

    scan = write_nifti(tmp_path / "thin.nii.gz", head())
    with pytest.raises(typer.Exit) as ended:
        bench_search(scan, 500, 1, identity_bundle, tmp_path / "search.json", debug=False)
    assert ended.value.exit_code == 2
