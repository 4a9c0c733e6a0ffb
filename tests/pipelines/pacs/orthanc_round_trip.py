"""Studies into a real Orthanc, out, examined, and the results back: run by `test_orthanc` in a network of its own.

`python orthanc_round_trip.py FOLDER BUNDLE` prints what it found as JSON. Orthanc listens at every address, so this
must never run in the machine's own network.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import highdicom as hd
import nibabel as nib
import requests
from archive import dicom_series
from pydicom import dcmread

from pipelines.pacs.targets import StoreTarget, StowTarget
from pipelines.reprocess.ledger.ledger import Ledger, State
from pipelines.reprocess.run import reprocess
from tests.orthanc import NODE, ROOT, WEB, farthest, instances, running


def apart_mm(archive: Path) -> float:
    """Farthest that a voxel of a SEG, as Orthanc gives it back, is from the same voxel of the NIfTI mask."""
    ledger = Ledger.of(archive)
    (row,) = [row for row in ledger.rows(State.DONE) if "seg" in row["outputs"]]
    ledger.close()
    folder = archive / "cases" / row["key"][:20]
    uid = dcmread(folder / row["outputs"]["seg"]).SOPInstanceUID
    (found,) = requests.post(f"{ROOT}/tools/lookup", data=str(uid), timeout=10).json()
    (archive / "back.dcm").write_bytes(requests.get(f"{ROOT}/instances/{found['ID']}/file", timeout=10).content)
    return farthest(hd.seg.segread(archive / "back.dcm"), nib.load(folder / row["outputs"]["mask"]))


def main(folder: Path, bundle: Path) -> dict[str, Any]:
    """The whole round."""
    told: dict[str, Any] = {}
    with running(folder):
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
    down = reprocess(ill, folder / "three", bundle=bundle, site=folder / "stow.yaml")
    told["down"] = {"done": down.jobs["done"], "sent": down.sent, "problem": down.send_problem}
    with running(folder):
        up = reprocess(ill, folder / "three", bundle=bundle, site=folder / "stow.yaml")
        told["up"] = {"examined": up.examined, "sent": up.sent, "in_orthanc": instances()}
    return told


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]))))
