"""The app over the studies of a real Orthanc: run by `test_dicomweb` in a network of its own.

`python dicomweb.py FOLDER BUNDLE` prints what it found as JSON. The server is started as its own users do, with
`monailabel start_server --app $(healthytwin label --print-app)`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel as nib
import numpy as np
import requests
from archive import dicom_series
from monailabel.client import MONAILabelClient
from monailabel.client.client import MONAILabelClientException
from monailabel.datastore.utils.convert import dicom_seg_to_itk_image
from pydicom import dcmread

from data_prep import read_volume
from pipelines.pacs.targets import StowTarget
from tests.orthanc import ROOT, WEB, farthest, running, voxel_places

URL = "http://127.0.0.1:18000"


def serve(folder: Path, bundle: Path) -> subprocess.Popen[bytes]:
    """Start the server, and wait until it answers."""
    home = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "MONAI_LABEL_AUTO_UPDATE_SCORING": "false"}
    environment = {**os.environ, **home, "MONAI_LABEL_DICOMWEB_CACHE_PATH": str(folder / "cache")}
    printed = subprocess.run(
        ["healthytwin", "label", "--print-app"], env=environment, capture_output=True, text=True, check=True
    )
    command = ["monailabel", "start_server", "--app", printed.stdout.strip(), "--studies", WEB, "--host", "127.0.0.1"]
    command += ["--port", "18000", "--conf", "bundle", str(bundle), "--conf", "device", "cpu"]
    with (folder / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    end = time.monotonic() + 300
    while server.poll() is None and time.monotonic() < end:
        try:
            requests.get(f"{URL}/info/", timeout=60).raise_for_status()
        except requests.ConnectionError:
            time.sleep(0.5)
            continue
        return server
    server.terminate()
    raise RuntimeError((folder / "server.log").read_text())


def segmentation(folder: Path) -> Any:
    """The one segmentation that Orthanc has."""
    query = {"Level": "Instance", "Query": {"Modality": "SEG"}}
    (found,) = requests.post(f"{ROOT}/tools/find", json=query, timeout=10).json()
    (folder / "seg.dcm").write_bytes(requests.get(f"{ROOT}/instances/{found}/file", timeout=10).content)
    return hd.seg.segread(folder / "seg.dcm")


def main(folder: Path, bundle: Path) -> dict[str, Any]:
    """Examine, label, and ask for more."""
    told: dict[str, Any] = {}
    with running(folder):
        series = {
            name: dicom_series(folder / name, lesion=name == "ill", seed=n) for n, name in enumerate(("ill", "gap"))
        }
        (series["gap"] / "IM0005.dcm").unlink()
        for files in series.values():
            StowTarget(WEB).send([dcmread(path) for path in sorted(files.iterdir())])
        uid = {name: str(dcmread(next(files.iterdir())).SeriesInstanceUID) for name, files in series.items()}
        server = serve(folder, bundle)
        try:
            client = MONAILabelClient(URL, tmpdir=str(folder))
            told["total"] = client.info()["datastore"]["total"]
            file, answer = client.infer("detect", uid["ill"], {"result_extension": ".nii.gz"})
            mask, source = nib.load(file), read_volume(series["ill"])
            told["same_place"] = mask.shape == source.shape and np.allclose(mask.affine, source.affine, atol=1e-4)
            told["abnormal"], told["series_known"] = answer["abnormal"], answer["finding"]["series_uid"] == uid["ill"]
            try:
                client.infer("detect", uid["gap"], {"result_extension": ".nii.gz"})
            except MONAILabelClientException as error:
                told["refused"] = error.msg
            told["next"] = client.next_sample("most_abnormal", {})["id"] == uid["ill"]
            client.save_label(uid["ill"], file, "final", {"label_info": [{"name": "anomaly"}]})
            told["apart_mm"] = farthest(segmentation(folder), mask)
            after = [client.next_sample("most_abnormal", {})["id"] for _ in range(2)]
            told["next_after"] = after == [uid["gap"], uid["gap"]]
            back = read_volume(dicom_seg_to_itk_image(str(folder / "seg.dcm")))
            other = voxel_places(np.asarray(mask.dataobj) > 0, mask.affine)
            told["read_back"] = np.allclose(voxel_places(back.array > 0, back.affine), other, atol=1e-3)
        finally:
            server.terminate()
            server.wait()
    return told


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
