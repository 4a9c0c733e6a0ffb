"""Studies into a real Orthanc, out, examined, and the results back: run by `test_orthanc` in a network of its own.

`python orthanc_round_trip.py FOLDER BUNDLE` prints what it found as JSON. Orthanc listens at every address, so this
must never run in the machine's own network.
"""

from __future__ import annotations

import json
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
from pydicom import dcmread

from pipelines.pacs.targets import StoreTarget, StowTarget
from pipelines.reprocess.ledger import Ledger, State
from pipelines.reprocess.run import reprocess
from pipelines.reprocess.site import StoreNode

ROOT, WEB = "http://127.0.0.1:18042", "http://127.0.0.1:18042/dicom-web"
NODE = StoreNode(host="127.0.0.1", port=14242, title="TESTPACS")
CONFIG = {
    "Name": "TESTPACS",
    "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
    "RemoteAccessAllowed": False,
    "AuthenticationEnabled": False,
    "HttpPort": 18042,
    "DicomAet": "TESTPACS",
    "DicomPort": 14242,
    "DicomAlwaysAllowStore": True,
    "OverwriteInstances": False,
    "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": True, "Ssl": False},
}


def start(folder: Path) -> subprocess.Popen[bytes]:
    """Start Orthanc, and wait until it answers."""
    told = {**CONFIG, "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db")}
    (folder / "orthanc.json").write_text(json.dumps(told))
    with (folder / "orthanc.log").open("a") as log:
        server = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log)
    for _ in range(600):
        try:
            requests.get(f"{ROOT}/system", timeout=1).raise_for_status()
        except requests.RequestException:
            time.sleep(0.1)
            continue
        return server
    raise RuntimeError((folder / "orthanc.log").read_text())


def instances() -> int:
    """How many objects Orthanc has."""
    return int(requests.get(f"{ROOT}/statistics", timeout=10).json()["CountInstances"])


def apart_mm(archive: Path) -> float:
    """Farthest that a voxel of a SEG, as Orthanc gives it back, is from the same voxel of the NIfTI mask."""
    ledger = Ledger.of(archive)
    (row,) = [row for row in ledger.rows(State.DONE) if "seg" in row["outputs"]]
    ledger.close()
    folder = archive / "cases" / row["key"][:20]
    uid = dcmread(folder / row["outputs"]["seg"]).SOPInstanceUID
    (found,) = requests.post(f"{ROOT}/tools/lookup", data=str(uid), timeout=10).json()
    (archive / "back.dcm").write_bytes(requests.get(f"{ROOT}/instances/{found['ID']}/file", timeout=10).content)
    volume = hd.seg.segread(archive / "back.dcm").get_volume(combine_segments=False, segment_numbers=[1])
    mask = nib.load(folder / row["outputs"]["mask"])
    one = _world(np.squeeze(volume.array) > 0, np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine)
    other = _world(np.asarray(mask.dataobj) > 0, mask.affine)
    return float(np.abs(one - other).max()) if one.shape == other.shape else float("inf")


def _world(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    places = np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
    return places[np.lexsort(places.round(2).T)]


def main(folder: Path, bundle: Path) -> dict[str, Any]:
    """The whole round."""
    told: dict[str, Any] = {}
    server = start(folder)
    try:
        ill, well = dicom_series(folder / "ill", lesion=True), dicom_series(folder / "well", seed=1)
        given = StoreTarget(NODE).send([dcmread(path) for path in sorted(ill.iterdir())])
        given |= StowTarget(WEB).send([dcmread(path) for path in sorted(well.iterdir())])
        told["given"], told["before"] = sum(answer.accepted for answer in given.values()), instances()
        (folder / "stow.yaml").write_text(f"send: {{stow: '{WEB}'}}")
        (folder / "store.yaml").write_text(f"send: {{store: {json.dumps(NODE.model_dump())}}}")

        def run(archive: str, site: str) -> dict[str, Any]:
            done = reprocess(WEB, folder / archive, bundle=bundle, site=folder / f"{site}.yaml")
            found = {"examined": done.examined, "done": done.jobs["done"], "sent": done.sent, "in_orthanc": instances()}
            return {**found, "not_fetched": done.not_fetched, "exit": int(done.exit_code)}

        told["first"] = run("one", "stow")
        told["again"] = run("one", "stow")
        told["anew"] = run("two", "store")  # another archive, the same input and model: the same objects
        told["apart_mm"] = apart_mm(folder / "one")
        server.terminate()
        server.wait()
        down = reprocess(ill, folder / "three", bundle=bundle, site=folder / "stow.yaml")
        told["down"] = {"done": down.jobs["done"], "sent": down.sent, "problem": down.send_problem}
        server = start(folder)
        up = reprocess(ill, folder / "three", bundle=bundle, site=folder / "stow.yaml")
        told["up"] = {"examined": up.examined, "sent": up.sent, "in_orthanc": instances()}
    finally:
        server.terminate()
        server.wait()
    return told


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
