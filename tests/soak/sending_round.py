"""The short form of the soak with Orthanc: run by `test_sending` in a network of its own.

`python -m tests.soak.sending_round FOLDER` prints what it found as JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydicom.uid import generate_uid

from pipelines.pacs.targets import StowTarget
from tests import orthanc
from tests.soak.campaign import Coordinator, lay_out
from tests.soak.invariants import count
from tests.soak.sending import Sending
from tests.soak.stored import look

STUDIES, KILLS = 16, 6


def main(folder: Path) -> dict[str, Any]:
    """All studies are DICOM; a kill of a worker at every stage, then the kills of the coordinator."""
    lay_out(folder, STUDIES, every=1, stow=orthanc.WEB)
    archive = folder / "archive"
    sending = Sending(archive=archive, instances=orthanc.instances, kills=KILLS, most=1)
    with orthanc.running(folder):
        code = -1
        while code < 0:
            run = Coordinator(folder, target="die_once_at_every_stage")
            sending.watch(run)
            code = run.process.wait()
        told = {"code": code, "sending": sending.done, "in_doubt": sending.in_doubt}
        told["count"] = asdict(count(archive, STUDIES))
        told["stored"] = asdict(look(archive, orthanc.stored()))
        again = next(one for one in orthanc.stored() if one.Modality == "SEG")
        again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        StowTarget(orthanc.WEB).send([again])
        told["doubled"] = asdict(look(archive, orthanc.stored()))
    return told


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
