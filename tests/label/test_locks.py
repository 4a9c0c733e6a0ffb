"""What the server lets nobody do: write or read elsewhere, keep files of other kinds, answer to any name."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

pytest.importorskip("monailabel", reason="MONAI Label has an environment of its own: make label-test")

from pipelines.label.store import StudyFolder

ELSEWHERE = ["../x", "../../x", "/tmp/x", "a/../../x", "..\\x", "a\nb"]


def files(folder: Path) -> set[Path]:
    """All that lies around the studies, but for the record that the server keeps."""
    return {path for path in folder.parent.rglob("*") if path.name not in ("datastore_v2.json", ".lock")}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_nothing_is_written_elsewhere(client: Any, studies: Path, name: str) -> None:
    before = files(studies)
    image = (studies / "ill.nii.gz").read_bytes()
    sent = {"file": ("x.nii.gz", image)}
    label = {"label": ("x.nii.gz", image)}
    answers = [
        client.put("/datastore/", params={"image": name}, files=sent),
        client.put("/datastore/image", params={"image": name}, files=sent),
        client.put("/datastore/label", params={"image": "ill", "tag": name}, files=label),
        client.put("/datastore/label", params={"image": name, "tag": "final"}, files=label),
        client.post("/infer/detect", params={"image": "ill"}, data={"params": json.dumps({"label_tag": name})}),
        client.post("/infer/detect", params={"image": "ill"}, data={"params": json.dumps({"result_extension": name})}),
        client.get(f"/session/{quote(name, safe='')}"),
    ]
    assert {answer.status_code for answer in answers} <= {404, 405, 422}
    assert files(studies) == before


@pytest.mark.parametrize("name", ["x.py", "x.nii.gz.sh", "x.json", "main", "x.tar.gz"])
def test_extensions_are_known_by_a_list(client: Any, studies: Path, name: str) -> None:
    before = files(studies)
    for path, field in (("/datastore/image?image=new", "file"), ("/datastore/label?image=ill", "label")):
        answer = client.put(path, files={field: (name, b"anything")})
        assert answer.status_code == 422, path
        assert "must end in" in answer.json()["detail"]
    assert client.post("/infer/detect", files={"file": (name, b"anything")}).status_code == 422
    assert files(studies) == before


def test_what_is_allowed_is_kept(client: Any, studies: Path) -> None:
    image = (studies / "ill.nii.gz").read_bytes()
    assert client.put("/datastore/image", params={"image": "sub 01"}, files={"file": ("s.nii.gz", image)}).is_success
    label = {"label": ("s.nii.gz", image)}
    assert client.put("/datastore/label", params={"image": "sub 01", "tag": "final"}, files=label).is_success
    assert (studies / "sub 01.nii.gz").read_bytes() == (studies / "labels" / "final" / "sub 01.nii.gz").read_bytes()
    client.delete("/datastore/image", params={"id": "sub 01"})
    assert not (studies / "sub 01.nii.gz").exists()


def test_an_archive_s_members_stay_where_they_are_unpacked(client: Any, tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo(f"../../../../../../{tmp_path}/planted"))
    sent = {"files": ("a.tar.gz", packed.getvalue())}
    assert client.put("/session/", params={"uncompress": True}, files=sent).status_code == 422
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("path", ["/etc/hostname", "/tmp", "../../etc/hostname"])
def test_no_other_file_of_this_machine_is_read(client: Any, path: str) -> None:
    assert client.post("/infer/detect", params={"image": path}).status_code == 422
    overridden = {"params": json.dumps({"image": path})}
    assert client.post("/infer/detect", params={"image": "ill"}, data=overridden).status_code == 422
    assert client.post("/infer/detect", params={"session_id": path}).status_code == 422


def test_only_known_names_are_answered(client: Any) -> None:
    assert client.get("/info/", headers={"Host": "127.0.0.1:8000"}).status_code == 200
    assert client.get("/info/", headers={"Host": "localhost:8000"}).status_code == 200
    assert client.get("/info/", headers={"Host": "rebound.example:8000"}).status_code == 400


def test_no_page_of_another_server_may_send(client: Any) -> None:
    for origin, status in (("http://elsewhere.example", 403), ("null", 403), ("http://127.0.0.1:8000", 200)):
        assert client.get("/info/", headers={"Origin": origin}).status_code == status


@pytest.mark.parametrize("path", ["/model/detect", "/model/info/detect", "/wsi_infer/detect", "/logs/gpu"])
def test_what_the_app_has_no_use_for_is_not_offered(client: Any, path: str) -> None:
    assert client.get(path).status_code == 404
    assert client.put(path, files={"file": ("x.pt", b"")}).status_code in (404, 405)


def test_the_record_in_the_folder_is_data(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("not for all")
    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "sound.nii").write_bytes(b"")
    entries = {
        "../secret": {"image": {"ext": ".txt", "info": {}}, "labels": {}},
        "sound": {"image": {"ext": ".nii", "info": {}}, "labels": {"../..": {"ext": ".nii", "info": {}}}},
        "other": {"image": {"ext": "/../../secret.txt", "info": {}}, "labels": {}},
    }
    record = {"name": "x", "description": "", "images_dir": "..", "labels_dir": "../out", "objects": entries}
    (folder / "datastore_v2.json").write_text(json.dumps(record))
    store = StudyFolder(str(folder), extensions=("*.nii",), auto_reload=False)
    assert store.list_images() == ["sound"]
    assert store.get_image_uri("../secret") == ""
    assert not (tmp_path / "out").exists()
