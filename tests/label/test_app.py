"""The app in MONAI Label's own server, in this process."""

from __future__ import annotations

import json
import shutil
from email import message_from_bytes
from pathlib import Path
from typing import Any

import nibabel as nib
import nrrd
import numpy as np
import pytest

from pipelines.detect.run import detect
from pipelines.label.examiner import Examiner, only_case


def infer(client: Any, image: str, model: str = "detect", **options: Any) -> tuple[dict[str, Any], bytes]:
    """What the server says of an image, and the file that it gives."""
    params = {"params": json.dumps(options)}
    answer = client.post(f"/infer/{model}", params={"image": image, "output": "all"}, data=params)
    assert answer.status_code == 200, answer.text
    header = f"Content-Type: {answer.headers['content-type']}\r\n\r\n"
    whole = message_from_bytes(header.encode() + answer.content)
    told, file = whole.get_payload()
    return json.loads(told.get_payload()), file.get_payload(decode=True)


def labels(file: bytes, folder: Path) -> nib.Nifti1Image:
    path = folder / "labels.nii.gz"
    path.write_bytes(file)
    return nib.load(path)


def refusal(client: Any, image: str, **options: Any) -> str:
    answer = client.post(f"/infer/detect?image={image}&output=json", data={"params": json.dumps(options)})
    assert answer.status_code == 422
    return str(answer.json()["detail"])


def test_a_viewer_is_told_what_there_is(client, bright_bundle):
    told = client.get("/info/").json()
    calibration = Examiner(bright_bundle).calibration
    usual = {"threshold": round(calibration.voxel_threshold, 3), "smallest_lesion_ml": calibration.min_lesion_ml}
    assert told["models"]["detect"]["config"] == usual
    assert set(told["models"]) == {"detect", "levels"}
    assert set(told["trainers"]) == {"train"}
    assert set(told["strategies"]) == {"most_abnormal", "least_certain"}
    assert set(told["scoring"]) == {"score"}
    assert told["datastore"]["total"] == 4, "the DICOM folder is no file"


@pytest.mark.parametrize("image", ["ill", "series"])
def test_mask_and_finding_are_those_of_the_command(client, studies, bright_bundle, tmp_path, image):
    told, file = infer(client, image)
    source = studies / image if image == "series" else studies / f"{image}.nii.gz"
    (case,) = detect([source], tmp_path, bundle=bright_bundle, device="cpu", report=False).cases
    expected, found = nib.load(tmp_path / case.outputs["mask"]), labels(file, tmp_path)
    assert np.array_equal(found.dataobj, expected.dataobj)
    assert np.asarray(found.dataobj).sum() > 0
    assert found.get_data_dtype() == np.uint8
    assert np.allclose(found.affine, only_case(source, bright_bundle).volume().affine, atol=1e-5)
    finding = json.loads((tmp_path / case.outputs["finding"]).read_text())
    assert {key: told[key] for key in ("score", "p_value", "abnormal")} == {
        key: finding[key] for key in ("score", "p_value", "abnormal")
    }
    assert told["finding"]["lesions"] == finding["lesions"]
    assert told["label_names"] == {"anomaly": 1}


def test_the_format_that_the_viewers_ask_for_lies_in_the_same_place(client, studies, tmp_path):
    _, file = infer(client, "ill", result_extension=".nrrd", result_dtype="uint8")
    (tmp_path / "labels.nrrd").write_bytes(file)
    mask, header = nrrd.read(str(tmp_path / "labels.nrrd"))
    source = nib.load(studies / "ill.nii.gz")
    to_ras = np.diag([-1.0, -1.0, 1.0])
    assert header["space"] == "left-posterior-superior"
    assert mask.shape == source.shape
    assert np.allclose(to_ras @ header["space directions"].T, source.affine[:3, :3], atol=1e-5)
    assert np.allclose(to_ras @ header["space origin"], source.affine[:3, 3], atol=1e-4)
    assert np.array_equal(mask, labels(infer(client, "ill")[1], tmp_path).dataobj)


def test_the_options_move_the_mask_and_not_the_score(client, tmp_path):
    usual, low, none = (infer(client, "ill", **options) for options in ({}, {"threshold": "0.2"}, {"threshold": 1}))
    volumes = [int(np.asarray(labels(file, tmp_path).dataobj).sum()) for _, file in (usual, low, none)]
    assert volumes[1] > volumes[0] > volumes[2] == 0
    assert usual[0]["score"] == low[0]["score"] == none[0]["score"]
    assert low[0]["finding"]["thresholds"]["voxel"] == 0.2
    large = infer(client, "ill", smallest_lesion_ml=1000, threshold="")
    assert large[0]["finding"]["lesions"] == []
    assert large[0]["finding"]["thresholds"]["voxel"] == usual[0]["finding"]["thresholds"]["voxel"]
    assert "threshold must be a number from 0, got 'much'" in refusal(client, "ill", threshold="much")


def test_another_threshold_needs_no_network(client, served, monkeypatch):
    infer(client, "ill")
    monkeypatch.setattr("anomaly.detector.examine_prepared", None)
    infer(client, "ill", threshold=0.3)
    with pytest.raises(TypeError):
        infer(client, "first")


def test_levels_are_the_score_in_steps(client, studies, bright_bundle, tmp_path):
    told, file = infer(client, "ill", model="levels")
    detect([studies / "ill.nii.gz"], tmp_path, bundle=bright_bundle, device="cpu", report=False)
    score = np.asarray(nib.load(tmp_path / "ill_score.nii.gz").dataobj)
    found = np.asarray(labels(file, tmp_path).dataobj)
    assert set(np.unique(found)) == {0, *told["label_names"].values()}
    for level, edge in enumerate((0.2, 0.4, 0.6, 0.8), start=1):
        differ = (found >= level) != (score >= edge)
        assert np.all(np.abs(score[differ] - edge) < 1e-4), "the stored score is rounded"


def test_what_the_gate_refuses_is_refused_with_its_reason(client, studies, tmp_path):
    assert "broken.nii.gz is not a NIfTI image" in refusal(client, "broken")
    shutil.copytree(studies / "series", studies / "gap")
    (studies / "gap" / "IM0005.dcm").unlink()
    try:
        assert "MISSING_SLICES" in refusal(client, "gap")
    finally:
        shutil.rmtree(studies / "gap")


@pytest.mark.parametrize("image", ["/etc/hostname", "../../../../../../etc/hostname", "nowhere"])
def test_a_client_cannot_name_what_lies_elsewhere(client, image):
    assert refusal(client, image).startswith("this is neither an image of the datastore")


def test_a_file_can_be_uploaded_to_be_examined(client, studies):
    with (studies / "ill.nii.gz").open("rb") as stream:
        answer = client.post("/infer/detect?output=json", files={"file": ("any.nii.gz", stream)})
    assert answer.json()["score"] == infer(client, "ill")[0]["score"]


def test_scores_are_kept_and_decide_who_is_next(client, served):
    told = client.post("/scoring/score?run_sync=true").json()
    again = client.post("/scoring/score?run_sync=true").json()
    assert told["scored"] <= 3
    assert again == {"scored": 0, "refused": 0}

    def kept(image: str) -> dict[str, Any]:
        return dict(client.get(f"/datastore/image/info?image={image}").json()["healthytwin"])

    assert kept("ill")["score"] > kept("first")["score"]
    assert kept("ill")["p_value"] < kept("first")["p_value"]
    assert kept("broken")["refused"] == "NOT_AN_IMAGE"

    def given_out(strategy: str) -> list[str]:
        return [client.post(f"/activelearning/{strategy}", json={}).json()["id"] for _ in range(4)]

    scores = {image: infer(client, image)[0]["score"] for image in ("first", "ill", "last")}
    threshold = served.examiner.calibration.image_threshold
    assert given_out("most_abnormal") == [*sorted(scores, key=lambda image: -scores[image]), "broken"]
    uncertain = sorted(scores, key=lambda image: abs(scores[image] - threshold))
    assert given_out("least_certain") == [*uncertain, "broken"]
    assert uncertain[-1] == "ill"


def test_a_batch_goes_on_after_a_bad_study(client):
    told = client.post("/batch/infer/detect?run_sync=true&images=unlabeled").json()
    assert told["broken"]["refused"].startswith("broken.nii.gz is not a NIfTI image")
    assert {image for image, one in told.items() if one.get("label")} == {"first", "ill", "last"}
    assert client.get("/info/").json()["datastore"]["label_tags"] == {"original": 3}
    told = client.get("/datastore/label/info?label=ill&tag=original").json()
    assert told["params"]["finding"]["case"] == "ill"


def test_healthy_is_what_somebody_declares(client, served, studies, tmp_path):
    from pipelines.label.training import healthy_images

    store = served.datastore()
    source = nib.load(studies / "first.nii.gz")
    for image, value in (("first", 0), ("last", 1)):
        path = tmp_path / f"{image}.nii.gz"
        nib.save(nib.Nifti1Image(np.full(source.shape, value, np.uint8), source.affine), path)
        with path.open("rb") as stream:
            client.put(f"/datastore/label?image={image}&tag=final", files={"label": (path.name, stream)})
    assert healthy_images(store) == ["first"], "its final label has no voxel"
    client.put("/datastore/image/info?image=ill", data={"info": json.dumps({"healthy": True})})
    client.put("/datastore/image/info?image=first", data={"info": json.dumps({"healthy": False})})
    assert healthy_images(store) == ["ill"], "a word counts more than a label"
    answer = client.post("/train/train?run_sync=true", json={"epochs": 1})
    assert answer.status_code == 422
    assert "at least 3 are needed" in answer.json()["detail"]
    assert client.get("/info/").json()["models"].keys() == {"detect", "levels"}
