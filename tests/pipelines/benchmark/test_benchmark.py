"""`healthytwin benchmark`: a whole small benchmark, and what becomes of it when it is run again or a method fails."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import phantom, rotated_affine
from torch import nn
from typer.testing import CliRunner

from pipelines.benchmark import methods as registry
from pipelines.benchmark.measure import PostProcessed
from pipelines.benchmark.methods import METHODS, Method
from pipelines.benchmark.record import TRAINED_HERE
from pipelines.benchmark.run import benchmark
from pipelines.benchmark.settings import QUICK
from pipelines.cli.app import app
from pipelines.figures.leaderboards import page, read, verdict
from pipelines.problems import CommandError

SMOKE = replace(
    QUICK,
    name="smoke",
    window=32,
    batch=2,
    steps=2,
    channels=(4, 4),
    features=(4, 4, 4, 4, 4, 4),
    patch=16,
    latent=4,
    gan_channels=(8, 4),
    gan_steps=5,
    encoder_steps=2,
    iterations=2,
    epochs=1,
    epoch_steps=1,
)
ENCODED = ("healthy_twin", "patchcore", "reverse_distillation")
LEARNED = [name for name, method in METHODS.items() if name not in ENCODED and method.package is None]


@pytest.fixture(scope="module")
def datalist(tmp_path_factory):
    """Two phantoms to train, two to validate, four to test, two of them ill."""
    import nibabel as nib

    folder = tmp_path_factory.mktemp("cohort")
    affine = rotated_affine((4.0, 4.0, 8.0), angle=0.1)
    sections = {"training": [], "validation": [], "test": []}
    for section, count in (("training", 2), ("validation", 2), ("test", 4)):
        for index in range(count):
            ill = section == "test" and index < 2
            array, mask = phantom((40, 40, 5), seed=10 * len(section) + index, lesion=ill)
            entry = {"image": f"{section}-{index}.nii.gz"}
            nib.save(nib.Nifti1Image(array, affine), folder / entry["image"])
            if section == "test":
                entry["label"] = f"label-{index}.nii.gz"
                nib.save(nib.Nifti1Image(mask.astype(np.uint8), affine), folder / entry["label"])
            sections[section].append(entry)
    (folder / "dataset.json").write_text(json.dumps(sections))
    return folder / "dataset.json"


@pytest.fixture(scope="module")
def measured(datalist, tmp_path_factory):
    """A benchmark of all methods but HealthyTwin, whose training has tests of its own."""
    output = tmp_path_factory.mktemp("out")
    return benchmark(datalist, output, methods=LEARNED, settings=SMOKE, device="cpu", resamples=50), output


def test_every_method_has_its_row(measured):
    record, _ = measured
    assert sorted(row.method for row in record.rows) == sorted(LEARNED)
    assert [row.run.error for row in record.rows] == [None] * len(LEARNED)
    assert (record.training, record.validation, record.test, record.abnormal) == (2, 2, 4, 2)
    assert record.exit_code == 0
    for row in record.rows:
        for name, metric in row.metrics.items():
            assert metric.value is not None, name
            assert 0 <= metric.value <= 1
            assert metric.interval is None or metric.interval[0] <= metric.interval[1]
        assert row.run.seconds_per_volume > 0
        assert row.run.parameters > 0 or "intensity" in row.method
        assert row.over_healthy_twin is None, "HealthyTwin was not run"


def test_the_best_comes_first_and_differences_are_paired(measured):
    record, _ = measured
    ranks = [row.metrics["voxel_ap"].value for row in record.rows]
    assert ranks == sorted(ranks, reverse=True)
    assert record.rows[0].behind_best == {}
    for row in record.rows[1:]:
        behind = row.behind_best["voxel_ap"]
        assert behind.value == pytest.approx(ranks[0] - row.metrics["voxel_ap"].value)
        assert behind.interval[0] <= behind.interval[1]


def test_anogan_and_fanogan_share_a_gan(measured):
    record, output = measured
    rows = {row.method: row.run for row in record.rows}
    assert len(list((output / "methods" / "shared").glob("gan-*.pt"))) == 1
    assert rows["anogan"].shared_seconds == rows["fanogan"].shared_seconds > 0
    assert rows["fanogan"].training_seconds > rows["fanogan"].shared_seconds


def test_all_outputs_say_the_same(measured):
    record, output = measured
    kept = json.loads((output / "leaderboard.json").read_text())
    table = list(csv.DictReader((output / "leaderboard.csv").read_text().splitlines()))
    page, text = ((output / f"leaderboard.{kind}").read_text() for kind in ("html", "md"))
    for row, line, known in zip(record.rows, table, kept["rows"], strict=True):
        value = row.metrics["voxel_ap"].value
        assert known["metrics"]["voxel_ap"]["value"] == float(line["voxel_ap"]) == value
        assert f"{value:.3f} (" in page
        assert f"| {row.title} | {value:.3f} (" in text
    assert page.count("data:image/png;base64,") == 3


def test_thresholds_come_from_the_validation_scans(measured):
    _, output = measured
    calibration = json.loads((output / "methods" / "autoencoder" / "calibration.json").read_text())
    assert calibration["cases"] == ["validation-0", "validation-1"]


def test_a_ready_bundle_gives_healthytwin_and_patchcores_encoder(datalist, tmp_path, bundle):
    options = {"settings": replace(SMOKE, bank=20), "device": "cpu", "resamples": 50, "bundle": bundle, "margin": 10.0}
    record = benchmark(datalist, tmp_path, methods=ENCODED, **options)
    assert [row.run.error for row in record.rows] == [None] * 3
    assert {row.method: row.run.shared_seconds for row in record.rows} == dict.fromkeys(ENCODED, 0)
    seconds = {row.method: row.run.cpu_seconds_per_volume for row in record.rows}
    for row in record.rows:
        assert row.over_healthy_twin == pytest.approx(seconds[row.method] / seconds["healthy_twin"], abs=1e-3)
    (twin,) = (row for row in record.rows if row.method == "healthy_twin")
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert twin.title == f"HealthyTwin, {metadata['name']} {metadata['version']}"
    assert "Over HealthyTwin&#39;s" in (tmp_path / "leaderboard.html").read_text()
    margin = PostProcessed(nn.Identity(), spacing=(2.0, 2.0, 5.0), margin=10.0)
    image = torch.zeros(1, 1, 30, 30, 2)
    image[:, :, 5:25, 5:25] = 0.5
    kept = margin(image)[0, 0, ..., 1] > 0  # more than 10 mm, five voxels, from the edge
    assert kept[11:19, 11:19].all()
    kept[9:21, 9:21] = False
    assert not kept.any()


def test_what_is_done_is_not_done_again_and_a_bad_method_stays_in_its_row(datalist, tmp_path, monkeypatch):
    calls = []

    class KnowsTheLesion(nn.Module):
        def forward(self, image):
            return torch.exp(-(((image - 0.64) / 0.08) ** 2))

    def counted(_):
        calls.append("intensity")
        return KnowsTheLesion()

    def bad(_):
        raise RuntimeError("no | luck")

    rows = {"intensity": Method("Counted", "test", counted), "autoencoder": Method("Bad", "test", bad)}
    for module in ("pipelines.benchmark.leaderboard", "pipelines.benchmark.methods"):
        monkeypatch.setattr(f"{module}.METHODS", rows)
    assert registry.METHODS is rows
    for _ in range(2):
        record = benchmark(datalist, tmp_path, settings=SMOKE, device="cpu", resamples=50)
    assert calls == ["intensity"]
    assert [row.method for row in record.rows] == ["intensity", "autoencoder"]
    metrics = {name: metric.value for name, metric in record.rows[0].metrics.items()}
    assert metrics["voxel_ap"] > 0.8
    assert metrics["image_auroc"] == metrics["lesion_sensitivity"] == 1
    assert record.rows[1].run.error == "RuntimeError: no | luck"
    assert record.exit_code == 3
    assert "RuntimeError: no | luck" in (tmp_path / "leaderboard.html").read_text()
    assert "| Bad | failed: RuntimeError: no / luck |" in (tmp_path / "leaderboard.md").read_text()
    benchmark(datalist, tmp_path, settings=SMOKE, device="cpu", resamples=50, seed=1)
    assert calls == ["intensity"] * 2, "another seed is another run"


def test_networks_of_another_cohort_are_not_taken_up(datalist, tmp_path):
    """A benchmark of another division in the same folder measured on patients that its GAN had been trained on."""
    source = tmp_path / "cohort"
    shutil.copytree(datalist.parent, source)
    sections = json.loads((source / "dataset.json").read_text())
    options = {"methods": ["anogan"], "settings": SMOKE, "device": "cpu", "resamples": 20}
    swapped = {**sections, "training": sections["validation"], "validation": sections["training"]}
    trained = []
    for listed in (sections, swapped, sections):
        (source / "dataset.json").write_text(json.dumps(listed))
        benchmark(source, tmp_path / "out", **options)
        trained.append(len(list((tmp_path / "out" / "methods" / "shared").glob("gan-*.pt"))))
    (source / "training-0.nii.gz").write_bytes((source / "training-1.nii.gz").read_bytes())  # another scan of that name
    benchmark(source, tmp_path / "out", **options)
    trained.append(len(list((tmp_path / "out" / "methods" / "shared").glob("gan-*.pt"))))
    assert trained == [1, 2, 2, 3]


def test_another_bundle_makes_only_those_rows_again_that_it_is_a_part_of(datalist, tmp_path, bundle, monkeypatch):
    calls = []

    def fit(name):
        def made(_):
            calls.append(name)
            return nn.Identity()

        return made

    rows = {
        "intensity": Method("Plain", "test", fit("intensity")),
        "healthy_twin": Method("Twin", "test", fit("healthy_twin"), of_twin=True),
    }
    for module in ("pipelines.benchmark.leaderboard", "pipelines.benchmark.methods"):
        monkeypatch.setattr(f"{module}.METHODS", rows)
    other = tmp_path / "other"
    shutil.copytree(bundle, other)
    calibration = json.loads((other / "models" / "calibration.json").read_text())
    (other / "models" / "calibration.json").write_text(json.dumps(calibration | {"alpha": 0.25}))
    for one in (bundle, other, other):
        benchmark(datalist, tmp_path / "out", settings=SMOKE, device="cpu", resamples=50, bundle=one)
    assert calls == ["intensity", "healthy_twin", "healthy_twin"]


def test_a_method_whose_package_is_missing_runs_only_when_asked_for_and_says_why(datalist, tmp_path, monkeypatch):
    def refuse():
        raise ImportError("pip install 'healthytwin[anomalib]'")

    missing = replace(METHODS["anomalib_patchcore"], package="a_package_that_nobody_has")
    rows = {"intensity": METHODS["intensity"], "anomalib_patchcore": missing}
    for module in ("pipelines.benchmark.leaderboard", "pipelines.benchmark.methods"):
        monkeypatch.setattr(f"{module}.METHODS", rows)
    monkeypatch.setattr("anomaly.methods.anomalib_model.require_anomalib", refuse)
    options = {"settings": SMOKE, "device": "cpu", "resamples": 50}
    assert [row.method for row in benchmark(datalist, tmp_path, **options).rows] == ["intensity"]
    record = benchmark(datalist, tmp_path, methods=["anomalib_patchcore", "intensity"], **options)
    assert [row.method for row in record.rows] == ["intensity", "anomalib_patchcore"]
    assert "pip install 'healthytwin[anomalib]'" in record.rows[1].run.error
    assert record.rows[1].title == "anomalib 2.7's PatchCore, random ResNet-18"
    assert record.exit_code == 3


def test_the_row_of_anomalib_says_whose_backbone_it_has(datalist, tmp_path):
    pytest.importorskip("anomalib.models", reason="the extra [anomalib] is not installed")
    import timm

    torch.manual_seed(0)
    torch.save(timm.create_model("resnet18", pretrained=False).state_dict(), tmp_path / "r18.pth")
    options = {"methods": ["anomalib_patchcore"], "settings": replace(SMOKE, bank=50), "device": "cpu", "resamples": 50}
    titles, values = [], []
    for backbone in (None, tmp_path / "r18.pth"):
        (row,) = benchmark(datalist, tmp_path / "out", backbone=backbone, **options).rows
        assert row.run.error is None
        titles.append(row.title)
        values.append(row.metrics["voxel_ap"].value)
    assert titles[0] == "anomalib 2.7's PatchCore, random ResNet-18"
    assert titles[1].startswith("anomalib 2.7's PatchCore, ResNet-18 of r18.pth (SHA-256 ")
    assert values[0] != values[1]


def test_what_lies_outside_the_box_is_not_measured(datalist, tmp_path):
    """Half of every test scan is outside the box; a bright bar there makes the healthy cases look ill."""
    import nibabel as nib

    listed = json.loads(datalist.read_text())
    for index, entry in enumerate(listed["test"]):
        image = nib.load(datalist.parent / entry["image"])
        array = image.get_fdata()
        truth = nib.load(datalist.parent / entry["label"]).get_fdata() > 0
        low, high = (int(edge) for edge in np.argwhere(truth.any(axis=(1, 2)))[[0, -1], 0]) if truth.any() else (10, 20)
        entry["organ"] = [[low, high + 1], [0, array.shape[1]], [0, array.shape[2]]]
        if index >= 2:
            array[high + 4 : high + 8, 12:28] = 3 * array.max()
        nib.save(nib.Nifti1Image(array, image.affine), tmp_path / f"test-{index}.nii.gz")
        entry |= {"image": str(tmp_path / f"test-{index}.nii.gz"), "label": str(datalist.parent / entry["label"])}
    for section in ("training", "validation"):
        for entry in listed[section]:
            entry["image"] = str(datalist.parent / entry["image"])
    (tmp_path / "dataset.json").write_text(json.dumps(listed))
    options = {"methods": ["intensity"], "settings": SMOKE, "device": "cpu", "resamples": 20}
    whole = benchmark(tmp_path / "dataset.json", tmp_path / "out", **options).rows[0].metrics
    boxed = benchmark(tmp_path / "dataset.json", tmp_path / "out", box_key="organ", **options)
    assert boxed.box_key == "organ"
    inside = boxed.rows[0].metrics
    assert inside["image_auroc"].value == 1.0 > whole["image_auroc"].value
    assert inside["voxel_ap"].value > 2 * whole["voxel_ap"].value
    with pytest.raises(CommandError, match="no test case has a box 'liver'"):
        benchmark(tmp_path / "dataset.json", tmp_path / "out", box_key="liver", **options)


def test_the_command(datalist, tmp_path):
    words = ["benchmark", str(datalist), "-o", str(tmp_path), "--methods", "intensity", "--quick"]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["rows"][0]["method"] == "intensity"
    again = CliRunner().invoke(app, words)
    assert "Voxel AP" in again.stdout
    unknown = CliRunner().invoke(app, ["benchmark", str(datalist), "-o", str(tmp_path), "--methods", "magic"])
    assert unknown.exit_code == 2
    assert "no such method: magic" in unknown.stderr
    lost = CliRunner().invoke(app, [*words, "--backbone", str(tmp_path / "none.pth")])
    assert lost.exit_code == 2
    assert "none.pth: there is no such file of backbone weights" in lost.stderr


def test_the_page_of_leaderboards_says_what_the_records_say(measured):
    record, _ = measured
    first, second = record.rows[:2]
    text = page({"leaderboard-phantoms": record})
    assert "## phantoms" in text
    assert f"| {first.title} | {first.metrics['voxel_ap'].value:.3f} (" in text
    assert record.provenance["commit"] in text
    twin = record.model_copy(update={"rows": [first, second.model_copy(update={"method": "healthy_twin"})]})
    ahead = f"{second.behind_best['voxel_ap'].value:.3f} ("
    assert f"**HealthyTwin does not have the highest Voxel AP**: {first.title} is ahead by {ahead}" in verdict(twin)
    twin.rows[0], twin.rows[1] = first.model_copy(update={"method": "healthy_twin"}), second
    assert verdict(twin).startswith(f"HealthyTwin has the highest Voxel AP; {second.title} is behind by {ahead}")
    assert "trained before" not in verdict(twin)
    for made_of, before in (("my_site 0.1.0", True), (TRAINED_HERE, False)):
        run = first.run.model_copy(update={"made_of": made_of})
        told = verdict(twin.model_copy(update={"rows": [twin.rows[0].model_copy(update={"run": run}), second]}))
        assert ("HealthyTwin is a bundle that was trained before" in told) is before
    search = second.model_copy(update={"method": "anogan", "over_healthy_twin": 12.34})
    searched = verdict(twin.model_copy(update={"rows": [first, search]}))
    assert "AnoGAN takes 12.3 times as long per volume as HealthyTwin" in searched


def test_the_committed_page_is_the_one_of_the_committed_records():
    docs = Path(__file__).parents[3] / "docs" / "reference"
    assert (docs / "leaderboards.md").read_text() == page(read(docs / "results"))
