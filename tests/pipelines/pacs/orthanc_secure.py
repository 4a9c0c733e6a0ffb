"""Storage commitment and TLS with a real Orthanc: run by `test_orthanc` in a network of its own.

`python orthanc_secure.py FOLDER` prints what it found as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import requests
from archive import dicom_series
from certificates import authority, signed
from pydicom import dcmread

from pipelines.pacs.commitment import CommitmentRules, Reference
from pipelines.pacs.receive import Receiver
from pipelines.pacs.targets import StoreTarget
from tests.orthanc import NODE, ROOT, instances, running

REPORTS, RECEIVER = 11113, 11112


def words(answers: dict[str, Any]) -> list[Any]:
    return sorted({(answer.accepted, answer.reason) for answer in answers.values()})


def plain(folder: Path, images: list[Any]) -> dict[str, Any]:
    """Commitment to what Orthanc has, and to something that it has not."""
    told: dict[str, Any] = {}
    rules = CommitmentRules(port=REPORTS, seconds=30)
    target = StoreTarget(NODE.model_copy(update={"commitment": rules}), timeout=20)
    references = [Reference(str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in images]
    known = {"us": {"AET": NODE.calling_title, "Host": "127.0.0.1", "Port": REPORTS, "AllowStorageCommitment": True}}
    with running(folder, DicomModalities=known):
        told["sent"] = sum(answer.accepted for answer in target.send(images).values())
        told["committed"] = words(target.commit(references))
        told["lost"] = words(target.commit([Reference(references[0].kind, "1.2.3.4")]))
    return told


def secure(folder: Path, images: list[Any]) -> dict[str, Any]:
    """To Orthanc and from it, over TLS, with certificates of both sides."""
    ca = authority(folder / "tls")
    ours, theirs = signed(ca, "healthytwin"), signed(ca, "orthanc")
    peer = {"AET": "HEALTHYTWIN", "Host": "127.0.0.1", "Port": RECEIVER, "UseDicomTls": True}
    settings = {
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(theirs.certificate),
        "DicomTlsPrivateKey": str(theirs.key),
        "DicomTlsTrustedCertificates": str(ca),
        "DicomModalities": {"receiver": peer},
    }
    receiver = Receiver(
        folder / "inbox", title="HEALTHYTWIN", senders=[NODE.title], address=("127.0.0.1", RECEIVER), settle=1, tls=ours
    )
    receiver.start()
    told: dict[str, Any] = {}
    with running(folder, **settings):
        target = StoreTarget(NODE.model_copy(update={"tls": ours}), timeout=20)
        told["sent"] = sum(answer.accepted for answer in target.send(images).values())
        told["there"] = instances()
        study = requests.get(f"{ROOT}/studies", timeout=10).json()
        answer = requests.post(f"{ROOT}/modalities/receiver/store", json=study, timeout=60)
        told["back"] = answer.status_code
        until = time.monotonic() + 30
        while not receiver.settle_all() and time.monotonic() < until:
            time.sleep(0.2)
        told["received"] = len(list((folder / "inbox").glob("[!.]*/*.dcm")))
    receiver.stop()
    return told


def main(folder: Path) -> dict[str, Any]:
    """Both, each with an Orthanc of its own."""
    images = [dcmread(path) for path in sorted(dicom_series(folder / "scan").iterdir())]
    for name in ("plain", "secure"):
        (folder / name).mkdir()
    return {"plain": plain(folder / "plain", images), "secure": secure(folder / "secure", images)}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
