"""`healthytwin prepare`: from folders to a datalist, as a user runs it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import nibabel as nib
import numpy as np
import pytest
from conftest import phantom, rotated_affine
from dicom_maker import write_series
from typer.testing import CliRunner

from data_prep import list_cases, read_volume
from pipelines.cli.app import app

AFFINE = rotated_affine((3.0, 3.0, 5.0), angle=0.1)


def run(*arguments):
    """The JSON document and the exit code."""
    result = CliRunner().invoke(app, ["prepare", *map(str, arguments), "--json"])
    return json.loads(result.stdout), result.exit_code


def save(path, array, affine=AFFINE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)


@pytest.fixture
def bids(tmp_path):
    """Ten patients: one ill by the table, one by its mask, one scanned twice."""
    root = tmp_path / "bids"
    for number in range(10):
        name = f"sub-{number:02d}"
        array, mask = phantom((24, 24, 6), seed=number, lesion=number == 1)
        save(root / name / "anat" / f"{name}_T1w.nii.gz", array)
        if number == 1:
            save(root / "derivatives" / "m" / name / "anat" / f"{name}_label-lesion_mask.nii.gz", mask.astype(np.uint8))
        if number == 2:
            save(root / name / "anat" / f"{name}_run-2_T1w.nii.gz", array + 1)
    rows = [f"sub-{number:02d}\t{'patient' if number == 0 else 'n/a'}" for number in range(10)]
    (root / "participants.tsv").write_text("participant_id\tgroup\n" + "\n".join(rows) + "\n")
    return root


def sections(document):
    return {scan["name"]: scan["section"] for scan in document["scans"] if scan["section"]}


def test_a_datalist_that_the_rest_of_the_program_takes(bids, tmp_path):
    out = tmp_path / "out"
    document, code = run(bids, "-o", out)
    assert code == 0, document
    where = sections(document)
    assert len(where) == 11
    assert where["sub-00_T1w"] == where["sub-01_T1w"] == "test"
    assert where["sub-02_T1w"] == where["sub-02_run-2_T1w"]
    assert {"training", "validation", "test"} == set(where.values())
    for section in ("training", "validation", "test"):
        cases = list_cases(out, section)
        assert {case.name for case in cases} == {name for name, its in where.items() if its == section}
        for case in cases:
            source = next(bids.rglob(f"{case.name}.nii.gz"))
            np.testing.assert_array_equal(read_volume(case.image).array, nib.load(source).dataobj)
            np.testing.assert_allclose(read_volume(case.image).affine, AFFINE, atol=1e-5)
            if section != "test" or case.name == "sub-00_T1w":
                assert case.label is None
            else:
                label = read_volume(case.label, allow_constant=True).array
                assert label.any() == (case.name == "sub-01_T1w")
    assert json.loads((out / "dataset.json").read_text())["preparation"]["seed"] == 0


def test_again_nothing_is_done_and_the_same_is_there(bids, tmp_path, monkeypatch):
    out = tmp_path / "out"
    options = (bids, "-o", out, "--spacing", "6,6,5", "--standardise", "nyul")
    first, _ = run(*options)
    listed = (out / "dataset.json").read_text()
    stamps = {file: file.stat().st_mtime_ns for file in out.rglob("*.nii.gz")}
    monkeypatch.setattr("data_prep.cohort.prepared.Preparer._make", lambda *_: pytest.fail("prepared again"))
    second, code = run(*options)
    assert code == 0
    assert second["scans"] == first["scans"]
    assert (out / "dataset.json").read_text() == listed
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*.nii.gz")} == stamps
    assert read_volume(out / "images" / "sub-05_T1w.nii.gz").spacing == pytest.approx((6, 6, 5))


def test_nyul_learns_from_the_training_scans_alone(bids, tmp_path):
    options = ("--standardise", "nyul")
    before, _ = run(bids, "-o", tmp_path / "one", *options)
    for name, section in sections(before).items():
        if section == "test":
            file = next(bids.rglob(f"{name}.nii.gz"))
            save(file, np.asarray(nib.load(file).dataobj) * 3)
    after, _ = run(bids, "-o", tmp_path / "two", *options)
    assert after["preparation"]["nyul_scale"] == before["preparation"]["nyul_scale"]
    assert sections(after) == sections(before)


def test_a_person_throws_scans_out(bids, tmp_path):
    out = tmp_path / "out"
    run(bids, "-o", out)
    (tmp_path / "exclude.txt").write_text("# blurred\nsub-05_T1w\n")
    document, code = run(bids, "-o", out, "--exclude", tmp_path / "exclude.txt")
    assert code == 0
    assert "sub-05_T1w" not in sections(document)
    (gone,) = [scan for scan in document["scans"] if scan["code"] == "EXCLUDED"]
    assert gone["name"] == "sub-05_T1w"
    assert not (out / "images" / "sub-05_T1w.nii.gz").exists()
    (tmp_path / "exclude.txt").write_text("sub-55_T1w\n")
    document, code = run(bids, "-o", out, "--exclude", tmp_path / "exclude.txt")
    assert code == 2
    assert "no scan called sub-55_T1w" in document["error"]["message"]


def test_the_same_scan_under_another_name_counts_once_and_joins_the_patients(tmp_path):
    root = tmp_path / "scans"
    for number in range(8):
        save(root / f"p{number}.nii.gz", phantom((20, 20, 5), seed=number)[0])
    save(root / "copy.nii", phantom((20, 20, 5), seed=3)[0].astype(np.float32))
    document, code = run(root, "-o", tmp_path / "out")
    assert code == 0
    (left,) = [scan for scan in document["scans"] if scan["status"] == "left out"]
    assert (left["code"], {left["name"]} < {"copy", "p3"}) == ("DUPLICATE", True)
    assert len(sections(document)) == 8


def test_leakage_in_a_divided_datalist_is_refused(tmp_path):
    array = phantom((20, 20, 5))[0]
    save(tmp_path / "in" / "a.nii.gz", array)
    save(
        tmp_path / "in" / "b.nii",
        array[::-1],
        AFFINE @ np.array([[-1, 0, 0, 19], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]),
    )
    listed = {"training": [{"image": "a.nii.gz"}], "validation": [], "test": [{"image": "b.nii"}]}
    (tmp_path / "in" / "dataset.json").write_text(json.dumps(listed))
    document, code = run(tmp_path / "in", "-o", tmp_path / "out")
    assert code == 2
    message = document["error"]["message"]
    assert "LEAKAGE" in message
    assert "a.nii.gz" in message
    assert "b.nii" in message
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_healthy_slices_follow_the_resampling(cohort, tmp_path):
    before = {case.name: case for case in list_cases(cohort, "training")}
    document, code = run(cohort, "-o", tmp_path / "out", "--spacing", "3,3,2.75")
    assert code == 0, document
    (case,) = [case for case in list_cases(tmp_path / "out", "training") if case.healthy_slices]
    assert before[case.name].healthy_slices == ((0, 6),)
    assert case.healthy_slices == ((0, 11),)  # slices of 5.5 mm at 0 ... 27.5 mm, now every 2.75 mm
    assert sections(document) == {
        one.name: name for name in ("training", "validation", "test") for one in list_cases(cohort, name)
    }


def test_dicom_is_hashed_and_what_is_refused_is_listed(tmp_path):
    for number in range(3):
        who = {"PatientID": f"SECRET{number}"}
        write_series(
            tmp_path / "in" / f"SECRET{number}",
            uid=f"1.2.{number + 3}",
            seed=number,
            change=lambda k, dataset, who=who: [setattr(dataset, *item) for item in who.items()] and None,
        )
    write_series(tmp_path / "in" / "SECRET9", uid="1.2.99", change=lambda k, _: k != 5)
    document, code = run(tmp_path / "in", "-o", tmp_path / "out")
    assert code == 3
    assert len(sections(document)) == 3
    (refused,) = [scan for scan in document["scans"] if scan["status"] == "refused"]
    assert refused["code"] == "MISSING_SLICES"
    for file in ("dataset.json", "contact_sheet.html"):
        assert "SECRET" not in (tmp_path / "out" / file).read_text()
    assert not any("SECRET" in file.name for file in (tmp_path / "out").rglob("*"))
    document, code = run(tmp_path / "in", "-o", tmp_path / "out", "--allow-gaps")
    assert code == 0
    assert [scan["flags"] for scan in document["scans"] if scan["flags"]] == [["gaps_allowed"]]


def test_patients_of_two_data_sets_are_kept_apart(bids, tmp_path):
    shutil.copytree(bids, tmp_path / "other")
    for file in (tmp_path / "other").rglob("*_T1w.nii.gz"):
        save(file, np.asarray(nib.load(file).dataobj) + 7)
    (tmp_path / "other" / "participants.tsv").unlink()
    document, code = run(bids, tmp_path / "other", "-o", tmp_path / "out")
    assert code == 0
    ill = {scan["name"] for scan in document["scans"] if scan["patient"] == "bids/sub-00"}
    assert ill == {"sub-00_T1w"}
    assert sum(scan["patient"] == "other/sub-00" for scan in document["scans"]) == 1


def test_one_bad_scan_stops_nothing(bids, tmp_path):
    (bids / "sub-03" / "anat" / "sub-03_T1w.nii.gz").write_bytes(b"nothing")
    mask = next(bids.rglob("*lesion_mask.nii.gz"))
    save(mask, np.zeros((5, 5, 5), np.uint8))
    document, code = run(bids, "-o", tmp_path / "out")
    assert code == 3
    codes = {scan["name"]: scan["code"] for scan in document["scans"] if scan["status"] == "refused"}
    assert codes == {"sub-03_T1w": "NOT_AN_IMAGE", "sub-01_T1w": "MIXED_GRID"}
    assert len(sections(document)) == 9


def test_killed_and_run_again_it_goes_on(tmp_path):
    root, out = tmp_path / "scans", tmp_path / "out"
    for number in range(30):
        save(root / f"p{number}.nii.gz", phantom((64, 64, 16), seed=number)[0])
    command = [sys.executable, "-c", "from pipelines.cli.app import main; main()", "prepare", str(root), "-o", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while len(list((out / ".store").glob("*.json"))) < 5:
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "dataset.json").exists()
    kept = {file: file.stat().st_mtime_ns for file in (out / ".store").glob("[0-9a-f]*.nii.gz")}
    document, code = run(root, "-o", out)
    assert code == 0
    assert len(sections(document)) == 30
    assert all(file.stat().st_mtime_ns == stamp for file, stamp in kept.items())
    assert not list((out / ".store").glob(".partial*"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--spacing", "1,2"), "--spacing needs three numbers"),
        (("--spacing", "1,2,0"), "from 0.05 to 50"),
        (("--standardise", "zscore"), "percentile, nyul"),
        (("--layout", "ixy"), "ixi"),
        (("--skull-strip", "hd-nothing"), "hd-nothing"),
        (("--sequence", "T2"), "no T2 in it, but T1w"),
    ],
)
def test_wrong_options_are_told_before_any_work(bids, tmp_path, options, message):
    document, code = run(bids, "-o", tmp_path / "out", *options)
    assert code == 2
    assert message in document["error"]["message"]
    assert not (tmp_path / "out").exists()


def test_nothing_there(tmp_path):
    (tmp_path / "in").mkdir()
    assert run(tmp_path / "in", "-o", tmp_path / "out")[1] == 4


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_contact_sheet_in_a_browser(bids, tmp_path):
    run(bids, "-o", tmp_path / "out")
    page = (tmp_path / "out" / "contact_sheet.html").read_text()
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("data:image/png;base64,") == 11
    probe = "<script>const box = document.querySelector('input[value=\"sub-05_T1w\"]'); box.click();</script></body>"
    (tmp_path / "probe.html").write_text(page.replace("</body>", probe))
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"--user-data-dir={tmp_path / 'chromium'}"]
    done = subprocess.run(
        [CHROMIUM, *options, str(tmp_path / "probe.html")], capture_output=True, text=True, timeout=120
    )
    assert ">1 ticked<" in done.stdout
    assert 'id="save">' in done.stdout  # no longer disabled


def test_patients_of_sources_of_one_name_are_told_apart(tmp_path):
    for site, seed in (("siteA", 0), ("siteB", 3)):
        for number in range(3):
            save(tmp_path / site / "images" / f"p{number}.nii.gz", phantom((24, 24, 6), seed=seed + number)[0])
    places = (tmp_path / "siteA" / "images", tmp_path / "siteB" / "images")
    document, _ = run(*places, "-o", tmp_path / "out")
    assert len({scan["patient"] for scan in document["scans"]}) == 6
    document, _ = run(places[0], places[0], "-o", tmp_path / "twice")
    assert len({scan["patient"] for scan in document["scans"]}) == 3
