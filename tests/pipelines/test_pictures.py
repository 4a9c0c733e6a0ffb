"""Pictures from a folder a class to a report: every command takes them, and the network has two dimensions."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import torch
from dicom_maker import write_series
from monai.bundle import ConfigWorkflow
from picture_maker import film
from PIL import Image
from typer.testing import CliRunner

from anomaly import VolumeError, load_detector
from data_prep import read_volume
from pipelines.bundles import start_bundle
from pipelines.cli.app import app
from pipelines.report.slices import View


def run(*arguments):
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    return done.exit_code, json.loads(done.stdout), done


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    """24 healthy films of several sizes, 4 with a shadow and its mask, 3 with a shadow that nobody outlined."""
    folder = tmp_path_factory.mktemp("films")
    for name in ("normal", "shadow", "unmarked", "masks"):
        (folder / name).mkdir()
    for seed in range(24):
        Image.fromarray(film(seed, size=(64 + 4 * (seed % 3), 64))[0]).save(folder / "normal" / f"n{seed}.png")
    for seed in range(7):
        grey, mask = film(100 + seed, ill=True)
        Image.fromarray(grey).save(folder / ("shadow" if seed < 4 else "unmarked") / f"i{seed}.png")
        if seed < 4:
            Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "masks" / f"i{seed}.png")
    return folder


@pytest.fixture(scope="module")
def cohort(films, tmp_path_factory) -> Path:
    """The prepared films."""
    folder = tmp_path_factory.mktemp("prepared") / "cohort"
    classes = ("--healthy", "normal", "--abnormal", "shadow,unmarked", "--masks", "masks")
    code, record, done = run("prepare", films, "-o", folder, *classes)
    assert code == 0, done.output
    assert {scan["section"] for scan in record["scans"]} == {"training", "validation", "test"}
    return folder


@pytest.fixture(scope="module")
def trained(cohort, tmp_path_factory) -> Path:
    """A bundle after very few steps."""
    folder = tmp_path_factory.mktemp("trained") / "films"
    code, record, done = run("train", cohort, "-o", folder, "--epochs", "1", "--steps", "4", "--batch-size", "2")
    assert code == 0, done.output
    assert record["fingerprint"]["shape"][2] == 1
    return folder


def test_who_is_ill_without_a_mask_is_in_the_datalist(cohort):
    content = json.loads((cohort / "dataset.json").read_text())
    test = {Path(entry["image"]).name.partition(".")[0]: entry for entry in content["test"]}
    assert {name for name, entry in test.items() if entry.get("healthy") is False} == {"i4", "i5", "i6"}
    assert all("label" in entry for name, entry in test.items() if name not in ("i4", "i5", "i6"))
    assert not any("healthy" in entry for entry in (*content["training"], *content["validation"]))
    assert nib.load(cohort / test["i0"]["label"]).get_fdata().any()


def test_the_network_has_two_dimensions_and_goes_on_from_the_shipped_weights(trained):
    network = load_detector(trained, device="cpu").network
    shipped = load_detector(start_bundle(), device="cpu").network.state_dict()["generator.encoder.conv1.weight"]
    ours = network.state_dict()["generator.encoder.conv1.weight"]
    assert ours.ndim == 4
    torch.testing.assert_close(ours, shipped.sum(-1), atol=0.02, rtol=0.05)  # four steps away


def test_detect_writes_masks_on_the_pixels_of_the_pictures(films, trained, tmp_path):
    code, record, done = run("detect", films / "shadow", "-o", tmp_path, "--bundle", trained)
    assert code == 0, done.output
    assert [case["status"] for case in record["cases"]] == ["done"] * 4
    image, finding = read_volume(films / "shadow" / "i0.png"), json.loads((tmp_path / "i0.json").read_text())
    score = nib.load(tmp_path / "i0_score.nii.gz")
    assert score.shape == image.shape
    np.testing.assert_allclose(score.affine, image.affine)
    assert {"orientation_unknown", "pixel_size_unknown"} <= set(finding["flags"])
    assert all(lesion["area_pixels"] and lesion["area_mm2"] is None for lesion in finding["lesions"])
    assert (tmp_path / "report.html").is_file()


def test_evaluate_ranks_those_without_a_mask_too(cohort, trained, tmp_path):
    code, record, done = run("evaluate", cohort, "-o", tmp_path, "--bundle", trained, "--no-report")
    assert code == 0, done.output
    metrics = record["metrics"]
    assert 0 <= metrics["image_auroc"] <= 1
    assert 0 < metrics["voxel_ap"] <= 1
    rows = {row["case"]: row for row in metrics["per_case"]}
    scores = {name: row["score"] for name, row in rows.items()}
    ill = [score for name, score in scores.items() if name.startswith("i")]
    well = [score for name, score in scores.items() if name.startswith("n")]
    assert len(ill) == 7, "all of them, with a mask or without"
    wins = np.mean([(one > other) + 0.5 * (one == other) for one in ill for other in well])
    assert metrics["image_auroc"] == pytest.approx(wins)


def test_monai_alone_runs_the_bundle_over_a_folder_of_pictures(films, trained, tmp_path):
    workflow = ConfigWorkflow(
        config_file=str(trained / "configs" / "inference.yaml"),
        workflow_type="inference",
        logging_file=False,
        bundle_root=str(trained),
        dataset_dir=str(films / "unmarked"),
        output_dir=str(tmp_path),
    )
    workflow.initialize()
    workflow.run()
    assert sorted(path.name for path in tmp_path.glob("*_mask.nii.gz")) == [
        f"i{seed}_mask.nii.gz" for seed in (4, 5, 6)
    ]


def test_each_bundle_passes_over_what_the_other_examines(films, trained, tmp_path, volume_file):
    code, record, _ = run("detect", films / "shadow", volume_file, "-o", tmp_path / "flat", "--bundle", trained)
    assert code == 0
    skipped = [case for case in record["cases"] if case["status"] == "skipped"]
    assert [case["code"] for case in skipped] == ["MANY_SLICES"]
    assert "slices" in skipped[0]["reason"]
    _, record, _ = run("detect", films / "shadow", "-o", tmp_path / "deep")
    assert record["cases"] == []
    assert "4 pictures of one slice" in record["passed_over"]
    with pytest.raises(VolumeError, match="this bundle examines pictures"):
        load_detector(trained, device="cpu").examine(read_volume(volume_file))


@pytest.fixture
def volume_file(tmp_path) -> Path:
    """A volume, where a picture is wanted."""
    path = tmp_path / "volume.nii.gz"
    nib.save(nib.Nifti1Image(np.random.default_rng(0).random((16, 16, 5), np.float32), np.eye(4)), path)
    return path


def test_train_takes_a_folder_of_pictures_and_no_mixture(films, tmp_path, volume_file):
    entries = [str(films / "normal" / f"n{seed}.png") for seed in range(8)] + [str(volume_file)]
    (tmp_path / "dataset.json").write_text(json.dumps({"training": entries}))
    done = CliRunner().invoke(app, ["train", str(tmp_path / "dataset.json"), "-o", str(tmp_path / "b")])
    assert done.exit_code == 2
    assert "pictures" in done.output


def test_inspect_accepts_pictures_and_single_images(films, tmp_path):
    code, record, _ = run("inspect", films / "unmarked")
    assert (code, [series["verdict"] for series in record["series"]]) == (0, ["ACCEPT"] * 3)
    write_series(tmp_path / "slice", slices=1)
    code, record, _ = run("inspect", tmp_path / "slice")
    assert (code, [series["verdict"] for series in record["series"]]) == (0, ["ACCEPT"])


def test_lesions_are_planted_into_pictures(films, tmp_path):
    code, record, done = run("plant", films / "normal", "-o", tmp_path / "planted", "--families", "plateau")
    assert code == 0, done.output
    assert (record["healthy"], record["planted"] + len(record["bare"])) == (24, 24)
    image = read_volume(tmp_path / "planted" / "images" / "n0_planted1.nii.gz")
    assert image.shape == (64, 64, 1)
    assert {"orientation_unknown", "pixel_size_unknown"} <= set(image.flags)


def test_calibrate_takes_the_validation(cohort, trained, tmp_path):
    code, record, done = run("calibrate", cohort, "-o", tmp_path / "own.json", "--bundle", trained)
    assert code == 0, done.output
    assert record["scans"] == len(json.loads((cohort / "dataset.json").read_text())["validation"])


def test_methods_are_compared_on_pictures(cohort, trained, tmp_path):
    methods = ("--methods", "intensity,patchcore,healthy_twin", "--bundle", trained, "--quick")
    code, record, done = run("benchmark", cohort, "-o", tmp_path, *methods)
    assert code == 0, done.output
    assert record["abnormal"] == 7
    assert record["ranked_by"] == "voxel_ap"
    for row in record["rows"]:
        assert 0 <= row["metrics"]["image_auroc"]["value"] <= 1
        assert row["metrics"]["voxel_ap"]["value"] > 0


def test_pictures_are_shown_as_they_lie_and_without_sides(films):
    volume = read_volume(films / "shadow" / "i0.png")
    view = View.of(volume.shape, volume.affine, volume.flags)
    np.testing.assert_array_equal(view.show(volume.array)[..., 0], np.asarray(Image.open(films / "shadow" / "i0.png")))
    assert (view.plane, view.edges) == ("picture", ("", ""))


@pytest.fixture
def dicom_film(films, tmp_path) -> Path:
    """A film with a shadow as DX, 0.4 mm a pixel at its detector."""
    grey, _ = film(100, ill=True)

    def change(_, dataset):
        for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "FrameOfReferenceUID"):
            delattr(dataset, name)
        dataset.Modality, dataset.ImagerPixelSpacing = "DX", [0.4, 0.4]
        dataset.PixelData = grey.astype(np.uint16).tobytes()

    write_series(tmp_path / "dx", slices=1, shape=grey.shape, change=change)
    return tmp_path / "dx"


def test_a_dicom_film_gets_a_segmentation_and_a_report(dicom_film, trained, tmp_path):
    code, record, done = run("detect", dicom_film, "-o", tmp_path / "out", "--bundle", trained, "--dicom")
    assert code == 0, done.output
    (case,) = record["cases"]
    finding = json.loads((tmp_path / "out" / case["outputs"]["finding"]).read_text())
    assert finding["flags"] == ["orientation_unknown"]
    assert {"sr", "finding"} <= set(case["outputs"])
    if finding["lesions"]:
        lesion = finding["lesions"][0]
        assert lesion["area_mm2"] == pytest.approx(0.16 * lesion["area_pixels"], rel=1e-3)
        found = pydicom.dcmread(tmp_path / "out" / case["outputs"]["seg"]).pixel_array
        mask = nib.load(tmp_path / "out" / case["outputs"]["mask"]).get_fdata()[..., 0]
        np.testing.assert_array_equal(found.reshape(-1, *mask.T.shape).any(0), mask.T > 0)


def test_an_archive_of_films_is_done_and_volumes_are_skipped(dicom_film, trained, tmp_path):
    write_series(dicom_film.parent / "mr", uid="1.2.77")
    source = tmp_path / "source"
    source.mkdir()
    for name in ("dx", "mr"):
        (dicom_film.parent / name).rename(source / name)
    code, record, done = run("reprocess", source, "-o", tmp_path / "archive", "--bundle", trained)
    assert code == 0, done.output
    assert record["jobs"]["done"] == 1
    assert record["skipped"] == {"MANY_SLICES": 1}
